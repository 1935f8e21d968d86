//! Receipts: a node's signed statement of a task's output digest and fuel,
//! and the relay's signed acknowledgement of one.

#[cfg(feature = "strict")]
use crate::StrictKey;
use crate::bytes::{DecodeError, Reader, header};
use crate::{Digest, LeaseId, PublicKey, Signature, SigningKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const DOMAIN: &str = "grid-receipt";
const VERSION: u16 = 1;
const ACK_DOMAIN: &str = "grid-ack";
const ACK_VERSION: u16 = 2;

/// How a run ended. What differs between engines (the kind of trap) is not
/// here: it travels as an unsigned hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// `_start` returned, or the module called `proc_exit`. Number 0.
    Exit,
    /// The module trapped. Number 1.
    Trap,
    /// The fuel limit was reached. Number 2.
    OutOfFuel,
    /// The stack limit that admission set was reached. Number 3.
    Stack,
    /// The output limit was reached. Number 4.
    OutputLimit,
}

impl ExitReason {
    const ALL: [Self; 5] =
        [Self::Exit, Self::Trap, Self::OutOfFuel, Self::Stack, Self::OutputLimit];

    /// Its number in signed bytes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name, as in JSON and metrics.
    pub fn name(self) -> &'static str {
        ["exit", "trap", "out_of_fuel", "stack", "output_limit"][self as usize]
    }
}

/// Why a receipt was refused before anything was looked up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The bytes are not a receipt body.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The signature does not verify strictly under the node key named.
    #[error("the receipt's signature is not valid for the node key it names")]
    Signature,
}

/// What a node signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptBody {
    /// The relay that granted the lease.
    pub relay: PublicKey,
    /// The lease.
    pub lease: LeaseId,
    /// Digest of the spec.
    pub spec: Digest,
    /// Digest of the input list.
    pub input: Digest,
    /// How the run ended.
    pub reason: ExitReason,
    /// The exit code; 0 unless `reason` is [`ExitReason::Exit`].
    pub exit_code: u32,
    /// Digest of the output list: all that was written when the run ended,
    /// whatever the reason, so that a panic's message reaches the owner.
    pub output: Digest,
    /// What a checker can reproduce of an inference; zero otherwise.
    pub check: Digest,
    /// Fuel used; the spec's limit when `reason` is [`ExitReason::OutOfFuel`].
    pub fuel: u64,
    /// The node that ran it.
    pub node: PublicKey,
}

impl ReceiptBody {
    /// Bytes of every encoded body.
    pub const LENGTH: usize = 236;

    /// What two nodes that ran the same spec must agree on: SHA-256 of
    /// `"grid-answer-v1" ‖ reason ‖ exit code ‖ output ‖ check ‖ fuel`, fields as
    /// in the body.
    pub fn answer(&self) -> Digest {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(b"grid-answer-v1");
        bytes.push(self.reason.number());
        bytes.extend_from_slice(&self.exit_code.to_le_bytes());
        bytes.extend_from_slice(&self.output.0);
        bytes.extend_from_slice(&self.check.0);
        bytes.extend_from_slice(&self.fuel.to_le_bytes());
        Digest::of(&bytes)
    }

    /// The signed bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = header(DOMAIN, VERSION);
        out.extend_from_slice(&self.relay.0);
        out.extend_from_slice(&self.lease.0);
        out.extend_from_slice(&self.spec.0);
        out.extend_from_slice(&self.input.0);
        out.push(self.reason.number());
        out.extend_from_slice(&self.exit_code.to_le_bytes());
        out.extend_from_slice(&self.output.0);
        out.extend_from_slice(&self.check.0);
        out.extend_from_slice(&self.fuel.to_le_bytes());
        out.extend_from_slice(&self.node.0);
        out
    }

    /// Decodes the signed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let mut r = Reader::header(bytes, DOMAIN, VERSION)?;
        let body = Self {
            relay: PublicKey(r.array()?),
            lease: LeaseId(r.array()?),
            spec: Digest(r.array()?),
            input: Digest(r.array()?),
            reason: ExitReason::from_number(r.u8()?).ok_or(DecodeError::Range("exit reason"))?,
            exit_code: r.u32()?,
            output: Digest(r.array()?),
            check: Digest(r.array()?),
            fuel: r.u64()?,
            node: PublicKey(r.array()?),
        };
        r.end()?;
        Ok(body)
    }

    /// Signs. The caller's key must be the one that `node` names.
    pub fn sign(self, key: &SigningKey) -> UnverifiedReceipt {
        let signature = key.sign(&self.encode());
        UnverifiedReceipt { body: self, signature }
    }
}

/// A receipt as it came from somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnverifiedReceipt {
    /// What was signed, it says.
    pub body: ReceiptBody,
    /// The signature, it says.
    pub signature: Signature,
}

/// A receipt whose signature was verified strictly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    body: ReceiptBody,
    signature: Signature,
    digest: Digest,
}

impl UnverifiedReceipt {
    /// Verifies the node's signature strictly; says nothing of lease or spec.
    #[cfg(feature = "strict")]
    pub fn verify(self) -> Result<Receipt, ReceiptError> {
        let key = StrictKey::new(&self.body.node).map_err(|_| ReceiptError::Signature)?;
        self.verify_by(&key)
    }

    /// The same, by a key that is kept; another key than the one that `node`
    /// names is refused.
    #[cfg(feature = "strict")]
    pub fn verify_by(self, key: &StrictKey) -> Result<Receipt, ReceiptError> {
        let bytes = self.body.encode();
        let verified = key.verify(&bytes, &self.signature);
        if key.public() != self.body.node || verified.is_err() {
            return Err(ReceiptError::Signature);
        }
        Ok(Receipt { body: self.body, signature: self.signature, digest: Digest::of(&bytes) })
    }
}

impl Receipt {
    /// What was signed.
    pub fn body(&self) -> &ReceiptBody {
        &self.body
    }

    /// The node's signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// SHA-256 of the body's bytes: what identifies the receipt.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The relay's acknowledgement: the receipt is durable as entry `seq`, which is
/// leaf `seq - 1` of a log that had this root at this size. The salt opens the
/// leaf's commitment ([`crate::entry::commitment`]), so that whoever holds an
/// acknowledgement can show that the log doesn't hold what it promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ack {
    /// Digest of the receipt's body.
    pub receipt: Digest,
    /// The lease it ends.
    pub lease: LeaseId,
    /// Number of the entry that holds it.
    pub seq: u64,
    /// Salt of the receipt's commitment.
    pub salt: Digest,
    /// Leaves of the log that hold it: at least `seq`.
    pub size: u64,
    /// Root of the log at that size (RFC 9162, section 2.1.1).
    pub root: Digest,
}

impl Ack {
    /// The bytes that the relay's key signs.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = header(ACK_DOMAIN, ACK_VERSION);
        out.extend_from_slice(&self.receipt.0);
        out.extend_from_slice(&self.lease.0);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.salt.0);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.root.0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> (ReceiptBody, SigningKey) {
        let key = SigningKey::from_seed([1; 32]);
        let body = ReceiptBody {
            relay: SigningKey::from_seed([2; 32]).public(),
            lease: LeaseId([3; 16]),
            spec: Digest::of(b"spec"),
            input: Digest::of(b"input"),
            reason: ExitReason::Exit,
            exit_code: 0,
            output: Digest::of(b"output"),
            check: Digest::ZERO,
            fuel: 12_345,
            node: key.public(),
        };
        (body, key)
    }

    #[test]
    fn exit_reasons_have_their_numbers() {
        for number in 0..=255 {
            let reason = ExitReason::from_number(number);
            assert_eq!(reason.map(ExitReason::number), (number < 5).then_some(number));
        }
    }

    #[cfg(feature = "strict")]
    #[test]
    fn verify_refuses_any_change() {
        let (body, key) = sample();
        let good = body.clone().sign(&key);
        let receipt = good.clone().verify().unwrap();
        assert_eq!(receipt.digest(), Digest::of(&body.encode()));
        let changes: [fn(&mut UnverifiedReceipt); 6] = [
            |r| r.body.fuel += 1,
            |r| r.body.lease.0[0] ^= 1,
            |r| r.body.relay.0[0] ^= 1,
            |r| r.body.node = SigningKey::from_seed([9; 32]).public(),
            |r| r.signature.0[0] ^= 1,
            |r| r.signature.0[63] ^= 0x80,
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(bad.verify(), Err(ReceiptError::Signature));
        }
        // Signed by another key than it names.
        let other = SigningKey::from_seed([9; 32]);
        let kept = |key: &SigningKey| StrictKey::new(&key.public()).unwrap();
        let signed = body.sign(&other);
        assert_eq!(signed.verify_by(&kept(&other)), Err(ReceiptError::Signature));
        assert_eq!(good.verify_by(&kept(&key)), Ok(receipt));
    }

    proptest! {
        #[test]
        fn mutated_bytes(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = sample().0.encode();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(body) = ReceiptBody::decode(&bytes) {
                prop_assert_eq!(body.encode(), bytes.clone());
            }
            prop_assert!(ReceiptBody::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
