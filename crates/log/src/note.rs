//! Signed notes (C2SP signed-note): a text, an empty line, signature lines;
//! and the two kinds of keys that sign checkpoints, a log's and a witness's
//! (C2SP tlog-cosignature), both Ed25519, both decided on strictly.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use grid_protocol::{PublicKey, Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest note, in bytes.
pub const MAX_NOTE: usize = 64 << 10;
/// The most signatures on a note.
pub const MAX_SIGNATURES: usize = 32;
/// The longest name of a key, in bytes; origins of logs keep to it too.
pub const MAX_NAME: usize = 255;

/// What begins a signature line.
const DASH: &str = "\u{2014} ";

/// Why a note is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The bytes are not a signed note.
    #[error("not a signed note")]
    Malformed,
    /// The note is over 64 KiB or has over 32 signatures.
    #[error("the note is too long")]
    TooLong,
    /// The same key stands on it twice.
    #[error("a key has signed the note twice")]
    Duplicate,
    /// No signature is of the key that is asked for.
    #[error("the note is not signed by the key")]
    Unsigned,
    /// A signature that claims to be of the key is not.
    #[error("a signature on the note is wrong")]
    Signature,
}

impl NoteError {
    /// A code that stays the same between versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "note_malformed",
            Self::TooLong => "note_too_long",
            Self::Duplicate => "note_duplicate",
            Self::Unsigned => "note_unsigned",
            Self::Signature => "note_signature",
        }
    }
}

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, over 255 bytes, or has a space, a control character
    /// or a plus sign.
    #[error("not a name for a key")]
    Name,
    /// The text is not `name+id+key`.
    #[error("not a verifier key")]
    Malformed,
    /// The algorithm is not one that Grid knows.
    #[error("an unknown signature algorithm")]
    Algorithm,
    /// The id is not that of the name and key.
    #[error("the key's id doesn't belong to it")]
    Id,
}

impl KeyError {
    /// A code that stays the same between versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::Name => "key_name",
            Self::Malformed => "key_malformed",
            Self::Algorithm => "key_algorithm",
            Self::Id => "key_id",
        }
    }
}

/// What a key signs; the number is signed-note's signature type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// A log's key: signs the note's text.
    Log = 1,
    /// A witness's key: cosigns with the time (cosignature/v1).
    Witness = 4,
}

/// The public half of a key that signs notes. Its text is a verifier key:
/// `name+id+base64(kind ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    public: PublicKey,
}

impl VerifierKey {
    /// Names a public key.
    pub fn new(name: &str, kind: KeyKind, public: PublicKey) -> Result<Self, KeyError> {
        if is_name(name) {
            Ok(Self { name: name.to_owned(), kind, public })
        } else {
            Err(KeyError::Name)
        }
    }

    /// The name; a log's is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The first four bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ key).
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', self.kind as u8])
            .chain_update(self.public.0)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.kind as u8];
        key.extend_from_slice(&self.public.0);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Malformed);
        };
        let key = base64_of(key, 33).ok_or(KeyError::Malformed)?;
        let (kind, key) = key.split_first().ok_or(KeyError::Malformed)?;
        let kind = match kind {
            1 => KeyKind::Log,
            4 => KeyKind::Witness,
            _ => return Err(KeyError::Algorithm),
        };
        let key = key.try_into().map_err(|_| KeyError::Malformed)?;
        let key = Self::new(name, kind, PublicKey(key))?;
        if hex::encode(key.id()) == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// Is this a name that a signature line can carry?
pub(crate) fn is_name(name: &str) -> bool {
    let sound = |letter: char| !letter.is_whitespace() && !letter.is_control() && letter != '+';
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(sound)
}

/// Standard base64 with its one canonical padding, of at most `max` bytes.
pub(crate) fn base64_of(text: &str, max: usize) -> Option<Vec<u8>> {
    if text.len() > max.div_ceil(3) * 4 {
        return None;
    }
    STANDARD.decode(text).ok().filter(|bytes| bytes.len() <= max)
}

/// A signature as it stands on a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl SignatureLine {
    /// Name of the key that it claims to be of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A log's signature of a text.
    pub(crate) fn sign(key: &VerifierKey, secret: &SigningKey, text: &str) -> Self {
        Self::of(key, secret.sign(text.as_bytes()).0.to_vec())
    }

    /// A witness's cosignature of a text: 8 bytes of time, big-endian, and the
    /// signature.
    pub(crate) fn cosign(key: &VerifierKey, secret: &SigningKey, text: &str, time: u64) -> Self {
        let signature = secret.sign(&cosigned(time, text));
        Self::of(key, [time.to_be_bytes().as_slice(), &signature.0].concat())
    }

    fn of(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name.clone(), id: key.id(), bytes }
    }

    fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id()
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let signature = base64_of(signature, MAX_NOTE)?;
        let (id, bytes) = signature.split_first_chunk::<4>()?;
        let sound = is_name(name) && !bytes.is_empty();
        sound.then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

/// The line with its newline.
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id, self.bytes.as_slice()].concat();
        writeln!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A note as it came: nothing of it is to be believed before a key that one
/// trusts has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A text, which ends with a newline, and the line of who signed it.
    pub(crate) fn signed(text: String, line: SignatureLine) -> Self {
        Self { text, signatures: vec![line] }
    }

    /// Reads a note: UTF-8, no control characters but newlines, at most
    /// [`MAX_NOTE`] bytes, 1 to [`MAX_SIGNATURES`] signatures, each key once.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Malformed);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
        let lines = &note[end + 1..];
        let mut parsed = Self { text: note[..end].to_owned(), signatures: Vec::new() };
        parsed.add(lines)?;
        if parsed.signatures.is_empty() { Err(NoteError::Malformed) } else { Ok(parsed) }
    }

    /// The text that is signed, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order in which they stand.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// The whole note's bytes.
    pub fn encode(&self) -> String {
        let lines = self.signatures.iter().map(ToString::to_string);
        format!("{}\n{}", self.text, lines.collect::<String>())
    }

    /// Adds signature lines, each ending with a newline: what a witness
    /// answers. They are not verified by this; on an error none is added.
    pub fn add(&mut self, lines: &str) -> Result<(), NoteError> {
        let mut signatures = self.signatures.clone();
        for line in lines.split_inclusive('\n') {
            let line = line.strip_suffix('\n').ok_or(NoteError::Malformed)?;
            let signature = SignatureLine::parse(line).ok_or(NoteError::Malformed)?;
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::TooLong);
            }
            let twin =
                |other: &SignatureLine| (&other.name, other.id) == (&signature.name, signature.id);
            if signatures.iter().any(twin) {
                return Err(NoteError::Duplicate);
            }
            signatures.push(signature);
        }
        self.signatures = signatures;
        Ok(())
    }

    /// Verifies the signature of a log's key.
    pub fn verify_log(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let bytes = self.signature_of(key, KeyKind::Log)?.try_into();
        let signature = Signature(bytes.map_err(|_| NoteError::Signature)?);
        let verified = key.public.verify_strict(self.text.as_bytes(), &signature);
        verified.map_err(|_| NoteError::Signature)
    }

    /// Verifies a witness's cosignature and returns its time, in seconds since
    /// 1970 (at most 2^63 - 1; whether it is plausible is the caller's to say).
    pub fn verify_witness(&self, key: &VerifierKey) -> Result<u64, NoteError> {
        let bytes = self.signature_of(key, KeyKind::Witness)?;
        let (time, signature) = bytes.split_first_chunk().ok_or(NoteError::Signature)?;
        let time = u64::from_be_bytes(*time);
        let signature = Signature(signature.try_into().map_err(|_| NoteError::Signature)?);
        if i64::try_from(time).is_err() {
            return Err(NoteError::Signature);
        }
        let verified = key.public.verify_strict(&cosigned(time, &self.text), &signature);
        verified.map(|()| time).map_err(|_| NoteError::Signature)
    }

    fn signature_of(&self, key: &VerifierKey, kind: KeyKind) -> Result<&[u8], NoteError> {
        let mut lines = self.signatures.iter();
        let line = lines.find(|line| key.kind == kind && line.is_of(key));
        line.map(|line| line.bytes.as_slice()).ok_or(NoteError::Unsigned)
    }
}

/// The message that a witness signs (C2SP tlog-cosignature).
fn cosigned(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}
