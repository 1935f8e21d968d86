//! An account's recovery phrase, and the key it stands for.
//!
//! The phrase is BIP-39's: 12 or 24 words of the English list, the last of which holds a checksum.
//! Its seed (no passphrase) becomes an ed25519 key by SLIP-0010 at the path m/44'/501'/0'/0', which
//! is where Solana's wallets have their first account: the same words give the same key there.
//!
//! Pure: whoever makes a phrase brings the randomness.

mod slip10;

use bip39::{Language, Mnemonic};
use grid_protocol::SigningKey;
use std::fmt;
use thiserror::Error;

/// Purpose 44 (BIP-44), coin 501 (Solana, SLIP-0044), account 0, change 0; all hardened, as
/// SLIP-0010 wants for ed25519.
const PATH: [u32; 4] = [44, 501, 0, 0];
/// Bytes of randomness behind 12 words and behind 24.
const ENTROPY: [usize; 2] = [16, 32];

/// Why some words are no phrase.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhraseError {
    /// Neither 12 words nor 24.
    #[error("a recovery phrase has 12 or 24 words, not {0}")]
    Count(usize),
    /// A word, counted from 1, isn't in BIP-39's English list.
    #[error("word {0} is in no recovery phrase")]
    Word(usize),
    /// All are words of the list, but not together.
    #[error("these words don't belong together: one is mistyped, or the order is another")]
    Checksum,
    /// Neither 16 bytes of randomness nor 32.
    #[error("a recovery phrase is made of 16 or 32 random bytes, not {0}")]
    Entropy(usize),
}

impl PhraseError {
    /// What it is called where software asks.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Count(_) => "phrase-count",
            Self::Word(_) => "phrase-word",
            Self::Checksum => "phrase-checksum",
            Self::Entropy(_) => "phrase-entropy",
        }
    }
}

/// A recovery phrase. Whoever has it is the account.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Mnemonic);

impl Phrase {
    /// The phrase that stands for so many random bytes: 16 make 12 words, 32 make 24.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, PhraseError> {
        let fits = ENTROPY.contains(&entropy.len());
        let mnemonic = Mnemonic::from_entropy_in(Language::English, entropy);
        mnemonic.ok().filter(|_| fits).map(Self).ok_or(PhraseError::Entropy(entropy.len()))
    }

    /// Reads a phrase as people write it: any case, any white space between the words.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        if !matches!(words.len(), 12 | 24) {
            return Err(PhraseError::Count(words.len()));
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &words.join(" "));
        mnemonic.map(Self).map_err(|error| match error {
            bip39::Error::UnknownWord(at) => PhraseError::Word(at + 1),
            _ => PhraseError::Checksum,
        })
    }

    /// The account's key.
    pub fn key(&self) -> SigningKey {
        SigningKey::from_seed(slip10::derive(&self.0.to_seed_normalized(""), &PATH))
    }
}

/// The words, with one space between them.
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.words().enumerate() {
            write!(f, "{}{word}", if at > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// Says nothing: a phrase in a log would give the account away.
impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ABOUT: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                         abandon abandon about";

    /// Entropy, phrase: from BIP-39's vectors (github.com/trezor/python-mnemonic, vectors.json).
    #[test]
    fn vectors_of_bip39() {
        let check = |entropy: &str, words: &str| {
            let phrase = Phrase::from_entropy(&hex::decode(entropy).unwrap()).unwrap();
            assert_eq!(phrase.to_string(), words);
            assert_eq!(Phrase::parse(words), Ok(phrase));
        };
        check("00000000000000000000000000000000", ABOUT);
        check(
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
        );
        check(
            "9e885d952ad362caeb4efe34a8e91bd2",
            "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic",
        );
        check(
            "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
            "void come effort suffer camp survey warrior heavy shoot primary clutch crush open \
             amazing screen patrol group space point ten exist slush involve unfold",
        );
    }

    /// What Solana's wallets make of the phrase of all zeros (`solana-keygen pubkey
    /// prompt://?key=0/0`): HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk in base 58.
    #[test]
    fn the_key_is_the_one_in_solanas_wallets() {
        let key = Phrase::parse(ABOUT).unwrap().key();
        assert_eq!(base58(&key.public().0), "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk");
    }

    fn base58(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        let mut digits: Vec<u32> = vec![];
        for byte in bytes {
            let mut carry = u32::from(*byte);
            for digit in &mut digits {
                carry += *digit << 8;
                *digit = carry % 58;
                carry /= 58;
            }
            while carry > 0 {
                digits.push(carry % 58);
                carry /= 58;
            }
        }
        digits.iter().rev().map(|digit| char::from(DIGITS[*digit as usize])).collect()
    }

    #[test]
    fn as_people_write_it() {
        let written = format!("  {}\n", ABOUT.to_uppercase().replace(' ', " \t "));
        assert_eq!(Phrase::parse(&written), Phrase::parse(ABOUT));
    }

    #[test]
    fn what_is_none() {
        let check = |text: &str, error: PhraseError| assert_eq!(Phrase::parse(text), Err(error));
        check("", PhraseError::Count(0));
        check("abandon abandon", PhraseError::Count(2));
        check(&format!("{ABOUT} about"), PhraseError::Count(13));
        check(&"abandon ".repeat(15), PhraseError::Count(15));
        check(&ABOUT.replace("about", "abandon"), PhraseError::Checksum);
        check(&ABOUT.replacen("abandon", "abandom", 1), PhraseError::Word(1));
        check(&ABOUT.replace("about", "\u{e4}bout"), PhraseError::Word(12));
        assert_eq!(Phrase::from_entropy(&[0; 20]), Err(PhraseError::Entropy(20)));
    }

    #[test]
    fn it_is_in_no_log() {
        assert_eq!(format!("{:?}", Phrase::parse(ABOUT).unwrap()), "Phrase(..)");
    }

    proptest! {
        #[test]
        fn any_text(text: String) {
            let _ = Phrase::parse(&text);
        }

        #[test]
        fn there_and_back(entropy: [u8; 16]) {
            let phrase = Phrase::from_entropy(&entropy).unwrap();
            prop_assert_eq!(Phrase::parse(&phrase.to_string()), Ok(phrase));
        }
    }
}
