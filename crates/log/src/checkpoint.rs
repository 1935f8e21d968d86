//! Checkpoints (C2SP tlog-checkpoint): what a log's key signs of its size and
//! root, and what witnesses cosign.

use crate::note::{self, KeyError, KeyKind, Note, NoteError, SignatureLine, VerifierKey};
use crate::{Hash, MAX_SIZE, merkle};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use grid_protocol::SigningKey;
use std::fmt;
use thiserror::Error;

/// Why a checkpoint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Its note is refused.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not origin, size and root, each as it must be written.
    #[error("not a checkpoint")]
    Malformed,
    /// It is of another log.
    #[error("the checkpoint is of another log")]
    Origin,
}

impl CheckpointError {
    /// A code that stays the same between versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Malformed => "checkpoint_malformed",
            Self::Origin => "checkpoint_origin",
        }
    }
}

/// A log's size and root. Whether the log said so is the business of
/// [`SignedCheckpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of a log: `origin` is its name (1 to 255 bytes, no
    /// spaces, control characters or plus signs), `size` at most
    /// [`MAX_SIZE`], and the empty tree has the empty root.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        let empty = size != 0 || root == merkle::empty_root();
        if note::is_name(origin) && size <= MAX_SIZE && empty {
            Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
        } else {
            Err(CheckpointError::Malformed)
        }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree of so many leaves.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// Lines that a log may add after the root. Grid writes none.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = text.strip_suffix('\n').ok_or(malformed)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed);
        };
        let size = decimal(size).ok_or(malformed)?;
        let root = note::base64_of(root, 32).and_then(|root| root.try_into().ok());
        let mut checkpoint = Self::new(origin, size, Hash(root.ok_or(malformed)?))?;
        checkpoint.extensions = lines.map(str::to_owned).collect();
        let sound = checkpoint.extensions.iter().all(|line| !line.is_empty());
        if sound { Ok(checkpoint) } else { Err(malformed) }
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root.0))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A decimal number of at most 20 digits, without leading zeros or a sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let sound = digits && (text == "0" || !text.starts_with('0'));
    if sound { text.parse().ok() } else { None }
}

/// A log's secret key together with the log's name.
#[derive(Debug, Clone)]
pub struct LogKey {
    verifier: VerifierKey,
    secret: SigningKey,
}

impl LogKey {
    /// The key of the log with this origin.
    pub fn new(origin: &str, secret: SigningKey) -> Result<Self, KeyError> {
        let verifier = VerifierKey::new(origin, KeyKind::Log, secret.public())?;
        Ok(Self { verifier, secret })
    }

    /// Its public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs the log's size and root. A log never signs two roots of one size,
    /// so the caller has stored what they cover.
    pub fn sign(&self, size: u64, root: Hash) -> Result<SignedCheckpoint, CheckpointError> {
        let checkpoint = Checkpoint::new(self.verifier.name(), size, root)?;
        let text = checkpoint.to_string();
        let line = SignatureLine::sign(&self.verifier, &self.secret, &text);
        Ok(SignedCheckpoint { checkpoint, note: Note::signed(text, line) })
    }
}

/// A checkpoint as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl UnverifiedCheckpoint {
    /// Reads the bytes of a signed note whose text is a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// The log that it claims to be of: to look its key up, for nothing else.
    pub fn claimed_origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// Verifies that the log whose name and key these are has signed it.
    pub fn verify(self, log: &VerifierKey) -> Result<SignedCheckpoint, CheckpointError> {
        if self.checkpoint.origin != log.name() {
            return Err(CheckpointError::Origin);
        }
        self.note.verify_log(log)?;
        let Self { checkpoint, note } = self;
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

/// A checkpoint that the log's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note's bytes, with all signatures: what is served.
    pub fn encode(&self) -> String {
        self.note.encode()
    }

    /// Adds the lines with which a witness answered, if its cosignature is
    /// among them and right; returns its time, in seconds since 1970. On an
    /// error nothing is added.
    pub fn add_cosignature(
        &mut self,
        lines: &str,
        witness: &VerifierKey,
    ) -> Result<u64, CheckpointError> {
        let mut note = self.note.clone();
        note.add(lines)?;
        let time = note.verify_witness(witness)?;
        self.note = note;
        Ok(time)
    }

    /// When this witness cosigned it, in seconds since 1970;
    /// [`NoteError::Unsigned`] where it has not.
    pub fn cosigned_by(&self, witness: &VerifierKey) -> Result<u64, CheckpointError> {
        Ok(self.note.verify_witness(witness)?)
    }
}

/// A witness's secret key together with its name.
#[derive(Debug, Clone)]
pub struct WitnessKey {
    verifier: VerifierKey,
    secret: SigningKey,
}

impl WitnessKey {
    /// The key of the witness with this name. It must sign nothing else.
    pub fn new(name: &str, secret: SigningKey) -> Result<Self, KeyError> {
        let verifier = VerifierKey::new(name, KeyKind::Witness, secret.public())?;
        Ok(Self { verifier, secret })
    }

    /// Its public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The cosignature line of a checkpoint at a time in seconds since 1970.
    pub(crate) fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> String {
        let text = checkpoint.to_string();
        SignatureLine::cosign(&self.verifier, &self.secret, &text, time).to_string()
    }
}
