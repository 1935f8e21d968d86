//! What an account asks of its relay, signed as `grid account` signs it.

use super::http::{json, odd, request, text};
use super::storage::to_js;
use super::words;
use grid_protocol::api::NewInvitation;
use grid_protocol::entry::InvitationKind;
use grid_protocol::{AccountRequest, InvitationCode, Name, PublicKey, SigningKey};
use js_sys::{JSON, encode_uri_component};
use serde::{Deserialize, Serialize};
use web_sys::Response;

/// The longest answers that are read, in bytes: a person with its nodes, and all
/// that a relay holds of an account.
const LONGEST_ANSWER: u64 = 64 << 10;
const LONGEST_EXPORT: u64 = 32 << 20;

/// What the relay says of an account, as far as pages show it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Person {
    team: Option<Team>,
    /// Was it deleted?
    closed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Team {
    name: Option<Name>,
}

/// What an account does about teams.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TeamStep {
    Make,
    Join,
    Leave,
}

#[derive(Debug, Deserialize)]
struct Network {
    relay: PublicKey,
}

#[derive(Debug, Deserialize)]
struct Made {
    code: InvitationCode,
}

/// What anyone may know of an account.
pub(super) async fn person(origin: &str, account: &PublicKey) -> Result<Person, String> {
    let url = format!("{origin}/v1/accounts/{account}");
    json(&request("GET", &url, None, None, None).await?, LONGEST_ANSWER).await
}

/// The key that a relay says it has.
pub(super) async fn relay_key(origin: &str) -> Result<PublicKey, String> {
    let answer = request("GET", &format!("{origin}/v1/network"), None, None, None).await?;
    json(&answer, LONGEST_ANSWER).await.map(|Network { relay }| relay)
}

/// An account at a relay. What it asks is signed for that relay's key and
/// origin, and is of no use elsewhere.
pub(super) struct Asker {
    pub(super) account: SigningKey,
    pub(super) relay: PublicKey,
    pub(super) origin: String,
    /// Milliseconds since 1970.
    pub(super) time_ms: u64,
}

impl Asker {
    async fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<Response, String> {
        let Self { relay, origin, time_ms, .. } = self;
        let signed = AccountRequest { relay, origin, method, target, time_ms: *time_ms, body };
        let by = signed.authorization(&self.account);
        let body = (!body.is_empty()).then_some(body);
        request(method, &format!("{origin}{target}"), Some(&by), body, None).await
    }

    /// Has the relay make an invitation for friends, and gives its link.
    pub(super) async fn friend(&self) -> Result<String, String> {
        let code = self.invitation(InvitationKind::Friend, None, vec![]).await?;
        Ok(format!("{}/#/invite/{code}", self.origin))
    }

    /// Has the relay make a key for a site's widget, and gives the address of
    /// the page that says what to paste.
    pub(super) async fn site(&self, name: Name, site: String) -> Result<String, String> {
        let code = self.invitation(InvitationKind::Site, Some(name), vec![site]).await?;
        Ok(format!("{}/embed/#{code}", self.origin))
    }

    async fn invitation(
        &self,
        kind: InvitationKind,
        name: Option<Name>,
        origins: Vec<String>,
    ) -> Result<InvitationCode, String> {
        let wanted = to_js(&NewInvitation { kind, name, origins, uses: None })?;
        let body = JSON::stringify(&wanted).map_err(|error| words(&error))?;
        let answer = self.ask("POST", "/v1/invitations", String::from(body).as_bytes()).await?;
        // Links go to people: nothing but a code of the relay's gets into them.
        let Made { code } = json(&answer, LONGEST_ANSWER).await?;
        Ok(code)
    }

    /// Everything that the relay holds of the account: JSON, as it came.
    pub(super) async fn export(&self) -> Result<String, String> {
        let answer = self.ask("GET", "/v1/account-export", &[]).await?;
        let text = text(&answer, LONGEST_EXPORT).await?;
        JSON::parse(&text).map_err(|_| odd("no JSON"))?;
        Ok(text)
    }

    /// Deletes the account.
    pub(super) async fn delete(&self) -> Result<(), String> {
        let target = format!("/v1/accounts/{}", self.account.public());
        self.ask("DELETE", &target, &[]).await.map(drop)
    }

    /// Makes, joins or leaves a team.
    pub(super) async fn team(&self, step: TeamStep, name: &Name) -> Result<(), String> {
        let encoded = encode_uri_component(name.as_str());
        // Letters and digits, single spaces, and marks that JSON leaves alone.
        let body = format!(r#"{{"name":"{name}"}}"#);
        let answer = match step {
            TeamStep::Make => self.ask("POST", "/v1/teams", body.as_bytes()).await,
            TeamStep::Join => self.ask("POST", &format!("/v1/teams/{encoded}/join"), &[]).await,
            TeamStep::Leave => self.ask("POST", &format!("/v1/teams/{encoded}/leave"), &[]).await,
        };
        answer.map(drop)
    }
}
