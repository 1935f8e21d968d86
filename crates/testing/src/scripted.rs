//! A peer that sends what a test tells it to, right or wrong.

use crate::socket::{Message, Socket, node_url, open};
use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use grid_protocol::{
    Ack, Digest, ExitReason, Files, FromNode, Join, LeaseId, LeaseOffer, LeaseToken, Package,
    PublicKey, ReceiptBody, RunResult, Side, SigningKey, Spec, ToNode, decode, encode, join_bytes,
};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for a message; a test that waits longer fails.
const WAIT: Duration = Duration::from_secs(10);

/// A peer that sends what a test tells it to. It does nothing by itself: no
/// heartbeats, no answers.
#[derive(Debug)]
pub struct ScriptedNode {
    socket: Socket,
    origin: String,
    /// The key it joins with.
    pub key: SigningKey,
    /// The relay's key, once a challenge came.
    pub relay: PublicKey,
}

/// What a relay asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The version it chose.
    pub version: u16,
    /// Its key.
    pub relay: PublicKey,
    /// Its origin.
    pub origin: String,
    /// Fresh bytes.
    pub nonce: [u8; 32],
}

impl ScriptedNode {
    /// Opens a socket to the relay at `origin` and says nothing.
    pub async fn connect(origin: &str, key: SigningKey) -> Result<Self> {
        let socket = timeout(WAIT, open(&node_url(origin), 16 << 20)).await??;
        Ok(Self { socket, origin: origin.into(), key, relay: PublicKey([0; 32]) })
    }

    /// Opens a socket and joins properly, holding nothing.
    pub async fn join(origin: &str, key: SigningKey) -> Result<Self> {
        Ok(Self::rejoin(origin, key, vec![]).await?.0)
    }

    /// Joins properly, holding these leases; gives those that stand.
    pub async fn rejoin(
        origin: &str,
        key: SigningKey,
        holding: Vec<LeaseId>,
    ) -> Result<(Self, Vec<LeaseId>)> {
        let mut node = Self::connect(origin, key).await?;
        let challenge = node.hello().await?;
        let join = Join { holding, ..node.join_message(&challenge) };
        node.send(&FromNode::Join(join)).await?;
        match node.next().await? {
            Some(ToNode::Welcome { standing, .. }) => Ok((node, standing)),
            other => bail!("no welcome: {other:?}"),
        }
    }

    /// Says hello and waits for the challenge.
    pub async fn hello(&mut self) -> Result<Challenge> {
        let versions = grid_protocol::VERSIONS.to_vec();
        self.send(&FromNode::Hello { versions, agent: "scripted".into() }).await?;
        match self.next().await? {
            Some(ToNode::Challenge { version, relay, origin, nonce }) => {
                self.relay = relay;
                Ok(Challenge { version, relay, origin, nonce })
            }
            other => bail!("no challenge: {other:?}"),
        }
    }

    /// The proper answer to a challenge.
    pub fn join_message(&self, challenge: &Challenge) -> Join {
        let node = self.key.public();
        let signed = join_bytes(&challenge.relay, &challenge.origin, &challenge.nonce, &node);
        Join {
            node,
            signature: self.key.sign(&signed),
            delegation: None,
            package: Package::Full,
            admissions: vec![grid_sandbox::ADMISSION],
            holding: vec![],
            inference: None,
            invitation: None,
            browser: None,
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &FromNode) -> Result<()> {
        self.send_bytes(encode(message)).await
    }

    /// Sends any bytes as one binary message.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(timeout(WAIT, self.socket.send(Message::binary(bytes))).await??)
    }

    /// Sends a text message, which no node does.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        Ok(timeout(WAIT, self.socket.send(Message::text(text))).await??)
    }

    /// The next message that is no ping; `None` when the relay closed the
    /// socket. Fails after ten seconds.
    pub async fn next(&mut self) -> Result<Option<ToNode>> {
        loop {
            let next = timeout(WAIT, self.socket.next()).await.context("no message in 10 s")?;
            match next {
                None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(None),
                Some(Ok(Message::Binary(bytes))) => match decode(&bytes)? {
                    ToNode::Ping => {}
                    message => return Ok(Some(message)),
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => bail!("a text message"),
            }
        }
    }

    /// What comes within `wait`, pings left out; `None` when nothing does.
    pub async fn next_within(&mut self, wait: Duration) -> Result<Option<ToNode>> {
        timeout(wait, self.next()).await.unwrap_or(Ok(None))
    }

    /// Waits until the relay refuses and closes: the refusal's code, words and
    /// versions.
    pub async fn refusal(&mut self) -> Result<(u16, String, Vec<u16>)> {
        let refused = match self.next().await? {
            Some(ToNode::Refused { code, message, versions }) => (code, message, versions),
            other => bail!("not refused: {other:?}"),
        };
        ensure!(self.next().await?.is_none(), "the socket stays open after a refusal");
        Ok(refused)
    }

    /// Announces one free slot and waits for a lease.
    pub async fn lease(&mut self) -> Result<LeaseOffer> {
        self.send(&FromNode::Ready { slots: 1 }).await?;
        match self.next().await? {
            Some(ToNode::Lease(offer)) => Ok(offer),
            other => bail!("no lease: {other:?}"),
        }
    }

    /// A right receipt for a lease, with this on standard output.
    pub fn receipt(&self, offer: &LeaseOffer, stdout: &[u8]) -> Result<(ReceiptBody, Vec<u8>)> {
        let spec = Spec::decode(&offer.spec)?;
        let mut output = Files::new(Side::Output);
        output.insert("stdout", stdout.to_vec())?;
        let output = output.encode();
        let body = ReceiptBody {
            relay: self.relay,
            lease: offer.lease,
            spec: spec.digest(),
            input: spec.input,
            reason: ExitReason::Exit,
            exit_code: 0,
            output: Digest::of(&output),
            check: Digest::ZERO,
            fuel: 1_000.min(spec.fuel),
            node: self.key.public(),
        };
        Ok((body, output))
    }

    /// Signs a receipt with this node's key and sends it with its output.
    pub async fn send_result(&mut self, body: &ReceiptBody, output: &[u8]) -> Result<()> {
        self.send(&result_message(body, &self.key, Some(output.to_vec()))).await
    }

    /// Waits for the acknowledgement of a receipt, and checks it.
    pub async fn ack(&mut self) -> Result<Ack> {
        let message = self.next().await?;
        let Some((ack, signature)) = message.as_ref().and_then(ToNode::ack) else {
            bail!("no acknowledgement: {message:?}");
        };
        self.relay.verify_strict(&ack.encode(), &signature)?;
        Ok(ack)
    }

    /// Waits for a receipt's rejection: its lease, code and words.
    pub async fn rejection(&mut self) -> Result<(LeaseId, u16, String)> {
        match self.next().await? {
            Some(ToNode::Rejected { lease, code, message }) => Ok((lease, code, message)),
            other => bail!("not rejected: {other:?}"),
        }
    }

    /// `Authorization` header of a lease's blobs, and their address.
    pub fn blob(&self, lease: LeaseId, token: &LeaseToken, digest: Digest) -> (String, String) {
        blob_request(&self.origin, lease, token, digest)
    }
}

/// The message that carries a receipt signed with `key`.
pub fn result_message(body: &ReceiptBody, key: &SigningKey, output: Option<Vec<u8>>) -> FromNode {
    let receipt = body.encode();
    let signature = key.sign(&receipt);
    FromNode::Result(RunResult { receipt, signature, output, hint: None })
}

/// `Authorization` header and address of a lease's blob.
pub(crate) fn blob_request(
    origin: &str,
    lease: LeaseId,
    token: &LeaseToken,
    digest: Digest,
) -> (String, String) {
    (format!("Lease {lease}:{token}"), format!("{origin}/v1/blobs/{digest}"))
}
