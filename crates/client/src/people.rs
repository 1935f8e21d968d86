//! What an account asks of a relay, signed with its key.

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::Body;
use grid_protocol::api::{
    AccountExport, MadeInvitation, Named, NewInvitation, PersonInfo, TeamInfo,
};
use grid_protocol::{AccountRequest, Name, PublicKey, SigningKey};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{SystemTime, UNIX_EPOCH};

/// An account's connection to one relay. Its clock may be 5 minutes off.
#[derive(Debug, Clone)]
pub struct AccountClient {
    client: Client,
    account: SigningKey,
    relay: PublicKey,
    origin: String,
}

impl Client {
    /// The same relay, which has the key `relay`, asked by this account. The
    /// address must be the one that the relay calls its own: requests are
    /// signed for it, and for no other.
    pub fn account_client(&self, account: SigningKey, relay: PublicKey) -> AccountClient {
        let (client, origin) = (self.clone(), self.transport().origin());
        AccountClient { client, account, relay, origin }
    }

    /// What anyone may see of a person: an account, or a node without one.
    pub async fn person(&self, key: &PublicKey) -> Result<PersonInfo, ClientError> {
        self.get(&format!("v1/accounts/{key}")).await
    }
}

impl AccountClient {
    /// The account's key.
    pub fn key(&self) -> PublicKey {
        self.account.public()
    }

    /// What anyone may see of it.
    pub async fn person(&self) -> Result<PersonInfo, ClientError> {
        self.client.person(&self.key()).await
    }

    /// Says what it wants to be called.
    pub async fn set_name(&self, name: Name) -> Result<PersonInfo, ClientError> {
        let path = format!("/v1/accounts/{}", self.key());
        self.ask(Method::PUT, &path, Some(&Named { name })).await
    }

    /// Everything that the relay holds of it.
    pub async fn export(&self) -> Result<AccountExport, ClientError> {
        self.ask(Method::GET, "/v1/account-export", NONE).await
    }

    /// Deletes it: what the log doesn't hold is forgotten, and rewards stop.
    pub async fn delete(&self) -> Result<(), ClientError> {
        let path = format!("/v1/accounts/{}", self.key());
        self.send(Method::DELETE, &path, Vec::new()).await.map(drop)
    }

    /// Makes an invitation code.
    pub async fn invite(&self, new: &NewInvitation) -> Result<MadeInvitation, ClientError> {
        self.ask(Method::POST, "/v1/invitations", Some(new)).await
    }

    /// Its invitation codes, newest first.
    pub async fn invitations(&self) -> Result<Vec<MadeInvitation>, ClientError> {
        self.ask(Method::GET, "/v1/invitations", NONE).await
    }

    /// Makes a team, and is its first member.
    pub async fn make_team(&self, name: Name) -> Result<TeamInfo, ClientError> {
        self.ask(Method::POST, "/v1/teams", Some(&Named { name })).await
    }

    /// Joins a team.
    pub async fn join_team(&self, name: &Name) -> Result<TeamInfo, ClientError> {
        self.ask(Method::POST, &format!("/v1/teams/{}/join", encoded(name)), NONE).await
    }

    /// Leaves a team.
    pub async fn leave_team(&self, name: &Name) -> Result<TeamInfo, ClientError> {
        self.ask(Method::POST, &format!("/v1/teams/{}/leave", encoded(name)), NONE).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let json = |body| serde_json::to_vec(body).expect("no map has keys that are no text");
        let response = self.send(method, target, body.map(json).unwrap_or_default()).await?;
        self.client.transport().json(response).await
    }

    /// Sent once: what is sent again must be signed anew, and the caller knows
    /// whether that may be.
    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, ClientError> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let request = AccountRequest {
            relay: &self.relay,
            origin: &self.origin,
            method: method.as_str(),
            target,
            time_ms: time.as_millis() as u64,
            body: &body,
        };
        let by = request.authorization(&self.account);
        let body = if body.is_empty() { Body::None } else { Body::Json(body.into()) };
        self.client.transport().signed(method, target.trim_start_matches('/'), body, &by).await
    }
}

/// No body.
const NONE: Option<&()> = None;

/// A name as a segment of a path: every byte but letters and digits as `%XX`.
fn encoded(name: &Name) -> String {
    let mut out = String::new();
    for byte in name.as_str().bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        let check = |name: &str, expect| assert_eq!(encoded(&name.parse().unwrap()), expect);
        check("Red Pandas", "Red%20Pandas");
        check("O'Neil & co.", "O%27Neil%20%26%20co%2E");
        check("数字网", "%E6%95%B0%E5%AD%97%E7%BD%91");
    }
}
