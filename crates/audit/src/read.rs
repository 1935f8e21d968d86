//! The stage that looks at one leaf alone: decode, verify, hash. It takes
//! nearly all of an audit's time and runs on every core.

use crate::{Fault, Finding};
use grid_log::vrf::{Output, Proof, Verifier, VrfError, proof_to_hash};
use grid_protocol::entry::{Entry, Leaf, Opened};
use grid_protocol::{Delegation, Digest, JobId, PublicKey, ReceiptBody, UnverifiedReceipt};
use grid_scheduler::trust::Draw;

/// The relay's key, made ready for verification.
#[derive(Debug)]
pub struct Keys {
    relay: PublicKey,
    draws: Verifier,
}

/// A leaf with everything verified that it alone can show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "read, applied and gone")]
pub enum Read {
    /// A receipt that is still hidden.
    Hidden {
        /// When.
        at_ms: u64,
        /// Commitment to it.
        commitment: Digest,
    },
    /// A settlement whose votes are signed and drawn by the right keys.
    Settled {
        /// When.
        at_ms: u64,
        /// The job.
        job: JobId,
        /// The task's place in it.
        index: u32,
        /// Answer of the canonical result.
        answer: Digest,
        /// Its votes, the canonical result's own first.
        votes: Vec<ReadVote>,
    },
    /// Another entry.
    Fact(Entry),
}

/// A vote that was opened and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadVote {
    /// Entry of the receipt.
    pub seq: u64,
    /// What its leaf must hold.
    pub commitment: Digest,
    /// The receipt.
    pub body: ReceiptBody,
    /// Its answer.
    pub answer: Digest,
    /// What the draw over it came to.
    pub draw: Draw,
}

impl Keys {
    /// Of this relay. An error when it can't be a key to draw with.
    pub fn new(relay: PublicKey) -> Result<Self, VrfError> {
        Ok(Self { relay, draws: Verifier::new(&relay)? })
    }

    /// The relay's key.
    pub fn relay(&self) -> PublicKey {
        self.relay
    }

    /// Reads the leaf of entry `seq`, and verifies all that is signed in it.
    pub fn read(&self, seq: u64, leaf: &[u8]) -> Result<Read, Finding> {
        self.read_as(seq, leaf, Self::vote)
    }

    /// Reads a leaf that was verified before: the caller holds its bytes to a
    /// root that it knows from then.
    pub fn reread(&self, seq: u64, leaf: &[u8]) -> Result<Read, Finding> {
        self.read_as(seq, leaf, |_, vote| known(vote))
    }

    fn read_as(
        &self,
        seq: u64,
        leaf: &[u8],
        vote: impl Fn(&Self, Opened) -> Result<ReadVote, Fault>,
    ) -> Result<Read, Finding> {
        let finding = |fault| Finding { seq, fault };
        let leaf = Leaf::decode(leaf).map_err(|_| finding(Fault::Malformed))?;
        Ok(match leaf {
            Leaf::Receipt { at_ms, commitment } => Read::Hidden { at_ms, commitment },
            Leaf::Settled { at_ms, job, index, answer, votes } => {
                let votes = votes.into_iter().map(|opened| vote(self, opened).map_err(finding));
                let votes = votes.collect::<Result<_, _>>()?;
                Read::Settled { at_ms, job, index, answer, votes }
            }
            Leaf::Fact(entry) => {
                if let Entry::AccountLink { node, delegation, .. } = &entry {
                    let signed = Delegation::bytes(&delegation.account, node);
                    let linked = delegation.account.verify_strict(&signed, &delegation.signature);
                    linked.map_err(|_| finding(Fault::Link(*node)))?;
                }
                Read::Fact(entry)
            }
        })
    }

    fn vote(&self, vote: Opened) -> Result<ReadVote, Fault> {
        if vote.receipt.body.relay != self.relay {
            return Err(Fault::Relay(vote.seq));
        }
        let receipt = vote.receipt.clone().verify().map_err(|_| Fault::Signature(vote.seq))?;
        let output = self.draws.verify(&receipt.digest().0, &Proof(vote.draw));
        let output = output.map_err(|_| Fault::Draw(vote.seq))?;
        Ok(ReadVote::new(vote, receipt.digest(), &output))
    }
}

/// A vote that was verified before.
fn known(vote: Opened) -> Result<ReadVote, Fault> {
    let digest = Digest::of(&vote.receipt.body.encode());
    let output = proof_to_hash(&Proof(vote.draw)).map_err(|_| Fault::Draw(vote.seq))?;
    Ok(ReadVote::new(vote, digest, &output))
}

impl ReadVote {
    fn new(vote: Opened, digest: Digest, output: &Output) -> Self {
        let Opened { seq, salt, receipt: UnverifiedReceipt { body, .. }, .. } = vote;
        let commitment = grid_protocol::entry::commitment(&salt, &digest);
        Self { seq, commitment, answer: body.answer(), body, draw: draw(output) }
    }
}

impl ReadVote {
    /// What the ledger takes of it.
    pub(crate) fn for_ledger(&self) -> grid_ledger::Vote {
        let ReadVote { seq, answer, body, .. } = self;
        grid_ledger::Vote { seq: *seq, node: body.node, answer: *answer, fuel: body.fuel }
    }
}

/// The draw that a verified output makes: its first half.
fn draw(output: &Output) -> Draw {
    let mut first = [0; 32];
    first.copy_from_slice(&output[..32]);
    Draw(first)
}
