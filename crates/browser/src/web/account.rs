//! The account that the node belongs to. Its key is made from the phrase when
//! that is there, signs that this node is its own, and is forgotten. The phrase
//! is kept only where this browser made it, until its owner has written it down.

use super::storage;
use grid_account::{Phrase, PhraseError};
use grid_node::Membership;
use grid_protocol::{BrowserId, Delegation, InvitationCode, PublicKey, Signature, SigningKey};
use serde::{Deserialize, Serialize};

/// Keys in storage.
const ACCOUNT: &str = "account";
const BROWSER: &str = "browser";

/// What storage holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Account {
    /// The account's key.
    key: Option<PublicKey>,
    /// Its signature over "this node is mine" ([`Delegation`]).
    signature: Option<Signature>,
    /// The words, while they are kept.
    phrase: Option<String>,
    /// The code of the invitation by which the node came.
    invitation: Option<String>,
    /// The account's own invitation, as a link to give away.
    link: Option<String>,
    /// The browser: a number at random, kept beside, because a page may share
    /// it with others.
    #[serde(skip)]
    browser: Option<BrowserId>,
}

/// As pages are shown it.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    key: Option<PublicKey>,
    /// The words can still be shown.
    phrase: bool,
    invitation: Option<&'a str>,
    link: Option<&'a str>,
    browser: Option<BrowserId>,
}

impl Account {
    pub(super) async fn load() -> Self {
        let account: Self = storage::load(ACCOUNT).await.unwrap_or_default();
        Self { browser: browser().await, ..account }
    }

    pub(super) async fn save(&self) -> Result<(), String> {
        storage::store(ACCOUNT, self).await
    }

    /// The account's key.
    pub(super) fn key(&self) -> Option<PublicKey> {
        self.key
    }

    pub(super) fn membership(&self) -> Membership {
        let delegation = self.key.zip(self.signature);
        Membership {
            delegation: delegation.map(|(account, signature)| Delegation { account, signature }),
            invitation: self.invitation.clone(),
            browser: self.browser,
        }
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        let (key, phrase) = (self.key, self.phrase.is_some());
        let (invitation, link) = (self.invitation.as_deref(), self.link.as_deref());
        Shown { key, phrase, invitation, link, browser: self.browser }
    }

    /// A new account, and its words.
    pub(super) fn make(&mut self, node: &PublicKey) -> Result<String, String> {
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy).map_err(|error| error.to_string())?;
        let phrase = Phrase::from_entropy(&entropy).map_err(|error| error.to_string())?;
        self.join(&phrase, node);
        self.phrase = Some(phrase.to_string());
        Ok(phrase.to_string())
    }

    /// The account of these words. They aren't kept.
    pub(super) fn enter(&mut self, words: &str, node: &PublicKey) -> Result<(), PhraseError> {
        self.join(&Phrase::parse(words)?, node);
        Ok(())
    }

    fn join(&mut self, phrase: &Phrase, node: &PublicKey) {
        let delegation = Delegation::sign(&phrase.key(), node);
        (self.key, self.signature) = (Some(delegation.account), Some(delegation.signature));
        (self.phrase, self.link) = (None, None);
    }

    /// The words, while they are kept.
    pub(super) fn words(&self) -> Option<&str> {
        self.phrase.as_deref()
    }

    /// Its owner has written the words down.
    pub(super) fn forget_words(&mut self) {
        self.phrase = None;
    }

    /// The node belongs to nobody any more.
    pub(super) fn leave(&mut self) {
        (self.key, self.signature, self.phrase, self.link) = (None, None, None, None);
    }

    /// The node came by this invitation: a code, or a link that ends with one;
    /// by none, where the text is empty. False: it is neither.
    pub(super) fn invited(&mut self, text: &str) -> bool {
        let code = text.trim().trim_end_matches('/').rsplit(['/', '=']).next().unwrap_or_default();
        let parsed = code.parse::<InvitationCode>();
        if !code.is_empty() && parsed.is_err() {
            return false;
        }
        self.invitation = parsed.ok().map(|code| code.to_string());
        true
    }

    /// The account's key: of these words, or of those that are kept. An error is
    /// a code.
    pub(super) fn signer(&self, words: Option<&str>) -> Result<SigningKey, String> {
        let words = words.or(self.phrase.as_deref()).ok_or("no_phrase")?;
        let phrase = Phrase::parse(words).map_err(|error| told(&error))?;
        let key = phrase.key();
        (Some(key.public()) == self.key).then_some(key).ok_or_else(|| "other_account".into())
    }

    /// There is an invitation to give away.
    pub(super) fn invites(&mut self, link: String) {
        self.link = Some(link);
    }
}

/// A refusal, as pages read it: its code, then words.
pub(super) fn told(error: &PhraseError) -> String {
    format!("{}: {error}", error.code())
}

/// The browser's id: made at the first start.
async fn browser() -> Option<BrowserId> {
    if let Some(kept) = storage::load(BROWSER).await {
        return Some(kept);
    }
    let mut made = BrowserId([0; 16]);
    getrandom::fill(&mut made.0).ok()?;
    // Without a place to keep it, it is this start's.
    let _ = storage::store(BROWSER, &made).await;
    Some(made)
}
