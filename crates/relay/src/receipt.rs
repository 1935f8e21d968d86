//! What is checked of a result, in order: it decodes, names this relay and the
//! node that joined (`claim`); the lease stands and is that node's (the
//! scheduler); the signature, spec, input, output and limits (`check`).

use bytes::Bytes;
use grid_protocol::{
    Digest, ExitReason, Files, LeaseId, PublicKey, Receipt, RejectCode, RunResult, Runtime, Side,
    Spec, StrictKey, UnverifiedReceipt, limits,
};

/// Longest hint that is kept, in bytes.
const MAX_HINT: usize = 1024;

/// A result that says it is this node's, for this relay. Nothing else is known
/// of it.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) receipt: UnverifiedReceipt,
    output: Option<Vec<u8>>,
    hint: Option<String>,
}

/// A result that passed every check.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) receipt: Receipt,
    pub(crate) output: Option<Bytes>,
    pub(crate) hint: Option<String>,
}

impl Claim {
    /// On error: the lease it named (zero when that can't be read), and why.
    pub(crate) fn new(
        result: RunResult,
        relay: PublicKey,
        node: PublicKey,
    ) -> Result<Self, (LeaseId, RejectCode)> {
        let malformed = |_| (LeaseId([0; 16]), RejectCode::Malformed);
        let receipt = result.unverified().map_err(malformed)?;
        if receipt.body.relay != relay {
            return Err((receipt.body.lease, RejectCode::Relay));
        }
        if receipt.body.node != node {
            return Err((receipt.body.lease, RejectCode::Node));
        }
        Ok(Self { receipt, output: result.output, hint: result.hint })
    }

    /// Checks it against the node's key and the lease's spec. `uploaded` is the
    /// output list that was uploaded under the lease, its bytes checked then.
    pub(crate) fn check(
        self,
        key: &StrictKey,
        spec: &Spec,
        uploaded: Option<Digest>,
    ) -> Result<Checked, RejectCode> {
        let receipt = self.receipt.verify_by(key).map_err(|_| RejectCode::Signature)?;
        let body = receipt.body();
        if body.spec != spec.digest() {
            return Err(RejectCode::Spec);
        }
        if body.input != spec.input {
            return Err(RejectCode::Input);
        }
        let output = match self.output {
            Some(bytes) => {
                if bytes.len() > limits::INLINE_BODY {
                    return Err(RejectCode::Output);
                }
                check_output(&bytes, body.output, spec)?;
                Some(Bytes::from(bytes))
            }
            None if uploaded == Some(body.output) => None,
            None => return Err(RejectCode::Output),
        };
        let fuel = match body.reason {
            ExitReason::OutOfFuel => body.fuel == spec.fuel,
            _ => body.fuel <= spec.fuel,
        };
        let code = body.reason == ExitReason::Exit || body.exit_code == 0;
        // What inference computed has a check digest; nothing else has.
        let answered = (body.reason, body.exit_code) == (ExitReason::Exit, 0);
        let computed = spec.runtime == Runtime::Infer && answered;
        if !fuel || !code || (body.check != Digest::ZERO) != computed {
            return Err(RejectCode::Limit);
        }
        let hint = self.hint.map(|hint| shortened(&hint));
        Ok(Checked { receipt, output, hint })
    }
}

/// Are these bytes an output list with this digest, within the spec's limit?
pub(crate) fn check_output(bytes: &[u8], digest: Digest, spec: &Spec) -> Result<(), RejectCode> {
    if Digest::of(bytes) != digest {
        return Err(RejectCode::Output);
    }
    let files = Files::decode(Side::Output, bytes).map_err(|_| RejectCode::Output)?;
    if files.size() > spec.output_bytes {
        return Err(RejectCode::Limit);
    }
    Ok(())
}

fn shortened(hint: &str) -> String {
    let end = (0..=MAX_HINT.min(hint.len())).rev().find(|end| hint.is_char_boundary(*end));
    hint[..end.unwrap_or(0)].to_owned()
}

/// What to tell the node's owner.
pub(crate) fn words(code: RejectCode) -> &'static str {
    match code {
        RejectCode::Malformed => "the receipt can't be decoded",
        RejectCode::Signature => "the signature is not valid for the node key named",
        RejectCode::Relay => "the receipt names another relay",
        RejectCode::Node => "the receipt names another node than the one that joined",
        RejectCode::Lease => "no lease has this id, or it is over",
        RejectCode::NotYours => "another node holds this lease",
        RejectCode::Spec => "the spec isn't the lease's",
        RejectCode::Input => "the input isn't the lease's",
        RejectCode::Output => "the output doesn't have the digest that was signed, or isn't there",
        RejectCode::Limit => "fuel, exit code, check digest or output size break the spec",
        RejectCode::JobOver => "the job is over",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grid_protocol::{ReceiptBody, SigningKey, api::NewJob};

    fn spec() -> Spec {
        let job: NewJob = serde_json::from_value(serde_json::json!({
            "module": Digest::of(b"source"), "fuel": 100, "output_bytes": 40, "tasks": []
        }))
        .unwrap();
        job.spec(Digest::of(b"module"), 1, Digest::of(b"input"))
    }

    fn output(size: usize) -> Vec<u8> {
        let mut files = Files::new(Side::Output);
        files.insert("stdout", vec![7; size]).unwrap();
        files.encode()
    }

    /// Signs what `change` makes of a right result; `check` says what the relay
    /// makes of that.
    fn check(
        change: impl FnOnce(&mut ReceiptBody, &mut RunResult),
        uploaded: Option<Digest>,
        expect: Result<(), RejectCode>,
    ) {
        let (node, relay) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let (spec, bytes) = (spec(), output(10));
        let mut body = ReceiptBody {
            relay: relay.public(),
            lease: LeaseId([3; 16]),
            spec: spec.digest(),
            input: spec.input,
            reason: ExitReason::Exit,
            exit_code: 0,
            output: Digest::of(&bytes),
            check: Digest::ZERO,
            fuel: 100,
            node: node.public(),
        };
        let mut result = RunResult {
            receipt: Vec::new(),
            signature: node.sign(b""),
            output: Some(bytes),
            hint: Some("é".repeat(1000)),
        };
        change(&mut body, &mut result);
        if result.receipt.is_empty() {
            result.receipt = body.encode();
        }
        if result.signature == node.sign(b"") {
            result.signature = node.sign(&result.receipt);
        }
        let key = StrictKey::new(&node.public()).unwrap();
        let checked = Claim::new(result, relay.public(), node.public())
            .map_err(|(_, code)| code)
            .and_then(|claim| claim.check(&key, &spec, uploaded));
        assert_eq!(checked.as_ref().map(|_| ()).map_err(|code| *code), expect);
        if let Ok(Checked { hint: Some(hint), .. }) = checked {
            assert_eq!(hint, "é".repeat(512));
        }
    }

    #[test]
    fn every_field_is_checked() {
        let other = Digest::of(b"other");
        check(|_, _| {}, None, Ok(()));
        check(|_, r| r.receipt = vec![1, 2, 3], None, Err(RejectCode::Malformed));
        check(|b, _| b.relay.0[0] ^= 1, None, Err(RejectCode::Relay));
        check(|b, _| b.node.0[0] ^= 1, None, Err(RejectCode::Node));
        check(|_, r| r.signature.0[0] ^= 1, None, Err(RejectCode::Signature));
        check(|b, _| b.spec = other, None, Err(RejectCode::Spec));
        check(|b, _| b.input = other, None, Err(RejectCode::Input));
        check(|b, _| b.output = other, None, Err(RejectCode::Output));
        check(|_, r| r.output = Some(output(11)), None, Err(RejectCode::Output));
        check(|_, r| r.output = None, None, Err(RejectCode::Output));
        check(|_, r| r.output = None, Some(other), Err(RejectCode::Output));
        check(|_, r| r.output = None, Some(Digest::of(&output(10))), Ok(()));
        check(|b, _| b.fuel = 101, None, Err(RejectCode::Limit));
        check(|b, _| b.fuel = 0, None, Ok(()));
        check(|b, _| b.exit_code = 1, None, Ok(()));
        check(|b, _| b.check = other, None, Err(RejectCode::Limit));
        check(|b, _| b.reason = ExitReason::OutOfFuel, None, Ok(()));
        let early = |b: &mut ReceiptBody, _: &mut RunResult| {
            (b.reason, b.fuel) = (ExitReason::OutOfFuel, 99);
        };
        check(early, None, Err(RejectCode::Limit));
        let coded = |b: &mut ReceiptBody, _: &mut RunResult| {
            (b.reason, b.exit_code) = (ExitReason::Trap, 1);
        };
        check(coded, None, Err(RejectCode::Limit));
        let with = |bytes: Vec<u8>| {
            |b: &mut ReceiptBody, r: &mut RunResult| {
                b.output = Digest::of(&bytes);
                r.output = Some(bytes);
            }
        };
        check(with(output(34)), None, Ok(()));
        check(with(output(35)), None, Err(RejectCode::Limit));
        check(with(b"no list".to_vec()), None, Err(RejectCode::Output));
        check(with(Files::stdin(vec![1]).encode()), None, Err(RejectCode::Output));
    }
}
