//! A node's socket until it has joined: how it opens, the challenge, how it
//! closes.

use crate::browsers::{Place, Taken};
use crate::core::{Core, Joining, random};
use crate::error::{AppError, Code};
use crate::hourly::is_near;
use crate::outbox::{Close, Outbox};
use crate::session::Session;
use crate::state::{Shared, unix_ms};
use crate::store::{Outcome, PeopleWrite, Refusal, Write, people, rows};
use crate::trust::TrustConfig;
use crate::writer::{Request, Then};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use grid_protocol::entry::Member;
use grid_protocol::infer::ARITHMETIC;
use grid_protocol::{
    Delegation, FromNode, Inference, InvitationCode, Join, Package, PublicKey, RefuseCode,
    StrictKey, ToNode, VERSIONS, decode, encode, join_bytes, limits,
};
use grid_scheduler::Abilities;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes read at a time. What an idle socket costs is mostly this.
const READ_BUFFER: usize = 1024;
/// Messages are gathered up to this before they are written.
const WRITE_BUFFER: usize = 16 * 1024;
/// A node that doesn't read for this long is given up.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a refused node has to read why.
const LINGER: Duration = Duration::from_secs(1);
/// Sockets beyond the maximum that are opened to be told so.
const REFUSABLE: usize = 256;
/// Longest name of a node's software that is kept, in characters.
const MAX_AGENT: usize = 80;

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The node left.
    Gone,
    /// The node is told why.
    Refused(RefuseCode),
    /// The node doesn't read.
    Slow,
    /// Too many that are new came from the node's network: told as `Full`.
    Crowd,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        match close {
            Close::Refused(code) => Self::Refused(code),
            Close::Slow => Self::Slow,
        }
    }
}

impl From<Taken> for End {
    fn from(Taken: Taken) -> Self {
        Self::Refused(RefuseCode::Browser)
    }
}

const MALFORMED: End = End::Refused(RefuseCode::Message);

/// `GET /v1/node`
pub(crate) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    peer: Extension<Peer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, AppError> {
    let upgrade = upgrade.map_err(|error| Code::BadRequest.because(error.body_text()))?;
    let count = Count::new(shared.clone());
    let max = shared.config.max_sockets;
    if count.0 > max + REFUSABLE {
        return Err(Code::Busy.because("the relay holds as many sockets as it may"));
    }
    let full = count.0 > max;
    let address = address(&shared, peer.0, &headers);
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        // A little more than is accepted, so that what is too long can still be
        // read past, and its sender be told.
        .max_message_size(2 * limits::MAX_MESSAGE)
        .max_frame_size(2 * limits::MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| {
        let tracker = shared.tracker.clone();
        tracker.track_future(async move {
            let _count = count;
            serve(socket, shared, address, full).await;
        })
    }))
}

/// Counts an open socket while it lives.
struct Count(usize, Arc<Shared>);

impl Count {
    fn new(shared: Arc<Shared>) -> Self {
        Self(shared.sockets.fetch_add(1, Ordering::Relaxed) + 1, shared)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.1.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(mut socket: WebSocket, shared: Arc<Shared>, address: IpAddr, full: bool) {
    let joined = if full {
        Err(End::Refused(RefuseCode::Full))
    } else {
        // Boxed: what joining needs is not kept for as long as the socket is.
        Box::pin(join(&mut socket, &shared, address)).await
    };
    let end = match joined {
        Ok(mut session) => {
            let end = session.run(&mut socket).await;
            session.leave();
            end
        }
        Err(end) => end,
    };
    Box::pin(close(socket, end, &shared)).await;
}

/// Tells the node why, and gives it time to read that.
async fn close(mut socket: WebSocket, end: End, shared: &Shared) {
    let code = match end {
        End::Gone => return,
        End::Slow => return shared.metrics.refused("slow_reader"),
        End::Crowd => RefuseCode::Full,
        End::Refused(code) => code,
    };
    let (name, words) = match end {
        End::Crowd => ("crowd", "too many new nodes come from your network; come back later"),
        _ => (code.name(), words(code)),
    };
    shared.metrics.refused(name);
    let message =
        ToNode::Refused { code: code.number(), message: words.into(), versions: VERSIONS.to_vec() };
    let farewell = async {
        let message = Message::Binary(encode(&message).into());
        if socket.send(message).await.is_ok() && socket.send(Message::Close(None)).await.is_ok() {
            // Closing with unread data would reset the connection, and the node
            // would not see why.
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // A node that lingers is left.
    let _ = timeout(LINGER, farewell).await;
}

fn words(code: RefuseCode) -> &'static str {
    match code {
        RefuseCode::Version => "the relay doesn't speak any of the versions that you do",
        RefuseCode::Message => "a message can't be decoded, is too long, or out of order",
        RefuseCode::Signature => {
            "the answer to the challenge, or the delegation, isn't signed right"
        }
        RefuseCode::Full => "the relay holds as many sockets as it may; come back later",
        RefuseCode::Replaced => "the same key joined again elsewhere",
        RefuseCode::Timeout => "you were silent for too long",
        RefuseCode::Caught => {
            "a result that you signed was wrong: you get no more tasks (see /v1/nodes/ and your key)"
        }
        RefuseCode::Browser => "another node of this browser works already",
        RefuseCode::Closing => "the relay can't take results now; keep yours and come back soon",
        _ => "refused",
    }
}

/// The next message's bytes.
pub(crate) async fn receive(socket: &mut WebSocket) -> Result<Option<Bytes>, End> {
    match socket.next().await {
        Some(Ok(message)) => received(message),
        Some(Err(error)) => Err(failed(&error)),
        None => Err(End::Gone),
    }
}

/// The bytes of a message; `None` where the protocol of the socket itself
/// answers.
pub(crate) fn received(message: Message) -> Result<Option<Bytes>, End> {
    match message {
        Message::Binary(bytes) if bytes.len() <= limits::MAX_MESSAGE => Ok(Some(bytes)),
        Message::Binary(_) | Message::Text(_) => Err(MALFORMED),
        Message::Ping(_) | Message::Pong(_) => Ok(None),
        Message::Close(_) => Err(End::Gone),
    }
}

/// A socket's error is the network's, or the peer's (too long, not masked, not
/// UTF-8); in the second case it still listens.
pub(crate) fn failed(error: &axum::Error) -> End {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    let network = causes.any(|cause| cause.is::<std::io::Error>());
    // The library's errors for a socket that closed have no type of their own.
    if network || error.to_string().contains("onnection") { End::Gone } else { MALFORMED }
}

async fn join(
    socket: &mut WebSocket,
    shared: &Arc<Shared>,
    address: IpAddr,
) -> Result<Session, End> {
    let limit = shared.config.join_timeout;
    let mut stop = shared.stop.subscribe();
    tokio::select! {
        joined = timeout(limit, handshake(socket, shared, address)) => {
            joined.unwrap_or(Err(End::Refused(RefuseCode::Timeout)))
        }
        _ = stop.wait_for(|stop| *stop) => Err(End::Refused(RefuseCode::Closing)),
    }
}

async fn handshake(
    socket: &mut WebSocket,
    shared: &Arc<Shared>,
    address: IpAddr,
) -> Result<Session, End> {
    if !shared.takes_writes() {
        return Err(End::Refused(RefuseCode::Closing));
    }
    let FromNode::Hello { versions, agent } = next(socket).await? else { return Err(MALFORMED) };
    let Some(version) = VERSIONS.iter().copied().find(|version| versions.contains(version)) else {
        return Err(End::Refused(RefuseCode::Version));
    };
    let nonce = random();
    let origin = shared.origin.clone();
    send(socket, &ToNode::Challenge { version, relay: shared.relay, origin, nonce }).await?;
    let FromNode::Join(join) = next(socket).await? else { return Err(MALFORMED) };
    let key = verify(&join, shared, &nonce)?;
    if join.invitation.as_ref().is_some_and(|code| code.len() > limits::MAX_INVITATION) {
        return Err(MALFORMED);
    }
    let modules =
        join.package == Package::Full && join.admissions.contains(&grid_sandbox::ADMISSION);
    let abilities = abilities(modules, join.inference.clone())?;
    let place = Place::of(&agent);
    // Whoever is refused in any case writes nothing.
    {
        let core = shared.core();
        not_caught(&core, join.node)?;
        core.browsers.before(join.node, join.browser, place)?;
    }
    let OnRecord { fuel, tasks, account } = on_record(&join, shared, address).await?;
    let able = abilities.modules || abilities.inference;
    let member = able.then(|| member(shared, join.node, address, account));

    let outbox = Arc::new(Outbox::default());
    let (number, standing) = {
        let mut core = shared.core();
        // Under the lock: either this is seen by the shutdown, or it sees it.
        if shared.stopping.load(Ordering::Relaxed) {
            return Err(End::Refused(RefuseCode::Closing));
        }
        let agent = agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect();
        let outbox = outbox.clone();
        not_caught(&core, join.node)?;
        if let Some(other) = core.browsers.join(join.node, join.browser, place)? {
            core.dismiss(other, RefuseCode::Browser);
        }
        let joining =
            Joining { outbox, agent, fuel, tasks, holding: join.holding, member, abilities };
        let joined = core.join(shared.now(), join.node, joining, &shared.metrics);
        shared.log_roster(&mut core);
        shared.dispatch(&mut core);
        joined
    };
    let session = Session::new(shared.clone(), key, number, outbox, modules);
    let heartbeat_ms = shared.config.heartbeat.as_millis() as u32;
    let welcome = ToNode::Welcome { heartbeat_ms, standing, fuel, tasks };
    match send(socket, &welcome).await {
        Ok(()) => Ok(session),
        Err(end) => {
            session.leave();
            Err(end)
        }
    }
}

fn not_caught(core: &Core, node: PublicKey) -> Result<(), End> {
    if core.votes.is_caught(&node) { Err(End::Refused(RefuseCode::Caught)) } else { Ok(()) }
}

/// What a node can do here, by what it says.
pub(crate) fn abilities(modules: bool, inference: Option<Inference>) -> Result<Abilities, End> {
    let Inference { arithmetics, models } = inference.unwrap_or_default();
    if models.len() > limits::MAX_MODELS {
        return Err(MALFORMED);
    }
    Ok(Abilities { modules, inference: arithmetics.contains(&ARITHMETIC), models })
}

async fn next(socket: &mut WebSocket) -> Result<FromNode, End> {
    loop {
        if let Some(bytes) = receive(socket).await? {
            return decode(&bytes).map_err(|_| MALFORMED);
        }
    }
}

async fn send(socket: &mut WebSocket, message: &ToNode) -> Result<(), End> {
    let message = Message::Binary(encode(message).into());
    socket.send(message).await.map_err(|_| End::Gone)
}

/// Gives back the node's key.
fn verify(join: &Join, shared: &Shared, nonce: &[u8; 32]) -> Result<StrictKey, End> {
    let bad = |_| End::Refused(RefuseCode::Signature);
    let signed = join_bytes(&shared.relay, &shared.origin, nonce, &join.node);
    let key = StrictKey::new(&join.node).map_err(bad)?;
    key.verify(&signed, &join.signature).map_err(bad)?;
    if let Some(Delegation { account, signature }) = &join.delegation {
        let signed = Delegation::bytes(account, &join.node);
        account.verify_strict(&signed, signature).map_err(bad)?;
    }
    Ok(key)
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client's address: the connection's, or what a proxy says of it.
pub(crate) fn address(shared: &Shared, peer: Peer, headers: &HeaderMap) -> IpAddr {
    let forwarded = || {
        let last = headers.get_all("x-forwarded-for").iter().next_back()?;
        last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    if shared.config.trust.forwarded { forwarded().unwrap_or(peer.0) } else { peer.0 }
}

/// One address, or of IPv6 the network that one subscriber has.
pub(crate) fn subscriber(address: IpAddr) -> [u8; 8] {
    let mut key = [0; 8];
    match address.to_canonical() {
        IpAddr::V4(address) => key[4..].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => key.copy_from_slice(&address.octets()[..8]),
    }
    key
}

/// The node as checkers are drawn: what it has in common with others.
fn member(shared: &Shared, node: PublicKey, address: IpAddr, account: Option<PublicKey>) -> Member {
    let network = match address.to_canonical() {
        IpAddr::V4(address) => shared.log.tag(4, &address.octets()[..3]),
        IpAddr::V6(address) => shared.log.tag(6, &address.octets()[..6]),
    };
    let account = account.map_or([0; 8], |account| shared.log.tag(0, &account.0));
    let network = if shared.config.trust.diversity { network } else { [0; 8] };
    Member { node, network, account }
}

/// What is on record for a node.
struct OnRecord {
    fuel: u64,
    tasks: u64,
    account: Option<PublicKey>,
}

/// Looks the node up. What is new goes on record: its account, the code that it
/// came by, its browser.
async fn on_record(join: &Join, shared: &Shared, address: IpAddr) -> Result<OnRecord, End> {
    let closing = End::Refused(RefuseCode::Closing);
    let (node, asked) = (join.node, join.delegation.as_ref().map(|delegation| delegation.account));
    // What is no code says nothing.
    let code = join.invitation.as_ref().and_then(|code| code.parse().ok());
    let code = code.map(|code: InvitationCode| code.digest());
    let found = shared
        .reads
        .run(move |db| {
            let account = rows::node_account(db, node)?;
            let (came, browser) = people::came(db, node)?;
            // An account that was deleted has no nodes: this one is its own.
            let asked = match asked {
                Some(account) if people::is_closed(db, account)? => None,
                asked => asked,
            };
            // A node's first code is the one that counts.
            let open = match code.filter(|_| !came) {
                Some(code) => people::open_code(db, code)?.and(Some(code)),
                None => None,
            };
            let known = account.is_some() || came || browser.is_some();
            let totals = rows::node_totals(db, node)?;
            Ok((totals, known, account.flatten(), asked, open, browser))
        })
        .await;
    let ((fuel, tasks), known, linked, asked, code, browser) = found.map_err(|error| {
        tracing::error!(%error, "a node's totals can't be read");
        closing
    })?;
    let mut account = asked.or(linked);
    let comes = code.is_some() || (join.browser.is_some() && join.browser != browser);
    if (!known || account != linked || comes) && !may_write(shared, address) {
        return Err(End::Crowd);
    }
    if let Some(delegation) = &join.delegation
        && account != linked
    {
        let delegation = delegation.clone();
        let write = Write::LinkAccount { node, delegation, at_ms: unix_ms() };
        match shared.writer.ask(Request { write, then: Then::Nothing }).await {
            Ok(Outcome::Done) => {}
            // Deleted just now.
            Ok(Outcome::Refused(Refusal::Closed)) => account = linked,
            _ => return Err(closing),
        }
    }
    if comes {
        let (browser, at_ms) = (join.browser, unix_ms());
        let write = Write::People(PeopleWrite::Come { node, code, browser, at_ms });
        let told = shared.writer.ask(Request { write, then: Then::Nothing }).await;
        told.map_err(|_| closing)?;
    }
    Ok(OnRecord { fuel, tasks, account })
}

/// Counts a join that has something new to write: keys cost nothing, and a node
/// that nobody knew is an entry of the roster at least.
fn may_write(shared: &Shared, address: IpAddr) -> bool {
    let TrustConfig { diversity, new_joins, .. } = shared.config.trust;
    let own = !diversity || is_near(address);
    own || shared.core().new_joins.take(Some(address), new_joins, shared.now())
}
