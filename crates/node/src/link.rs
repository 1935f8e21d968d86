//! The socket's life: connecting, joining, staying joined.

use crate::lease::Stage;
use crate::policy::Permission;
use crate::{Action, Membership, Node, Why};
use grid_protocol::{
    FromNode, GiveBackReason, HeldLease, Join, LeaseId, PublicKey, RefuseCode, ToNode, VERSIONS,
    decode, encode, join_bytes,
};

/// How long a relay may take to let the node in, in milliseconds, for each of
/// socket, challenge and welcome.
const JOIN: u64 = 15_000;
/// A relay that is silent for so long is lost.
const SILENCE: u64 = 45_000;
/// Socket data at least so often: an idle service worker dies after 30 s.
const KEEP_ALIVE: u64 = 20_000;
/// Heartbeats come no faster, whatever the relay asks for.
const FASTEST_HEARTBEAT: u64 = 1_000;
/// Wait after a refusal that the next minutes won't change.
const REFUSED: u64 = 300_000;
/// Wait while another node of the same browser works.
const ELSEWHERE: u64 = 30_000;
/// Most bytes of a relay's words that are kept.
const WORDS: usize = 500;

#[derive(Debug)]
pub(crate) enum Link {
    /// No socket; the next attempt is at `retry_at`.
    Down { retry_at: u64 },
    /// The socket is being opened.
    Opening { until: u64 },
    /// Said hello.
    Greeting { until: u64 },
    /// Answered the challenge.
    Joining { until: u64, relay: PublicKey },
    /// In.
    Joined { relay: PublicKey, heard: u64, heartbeat_ms: u64, heartbeat_at: u64 },
}

impl Link {
    pub(crate) fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }

    pub(crate) fn joined(&self) -> bool {
        matches!(self, Self::Joined { .. })
    }
}

impl Node {
    /// Opens, keeps up and gives up the socket, as time and permission say.
    pub(crate) fn settle_link(&mut self, now: u64, out: &mut Vec<Action>) {
        match &mut self.link {
            Link::Opening { until } | Link::Greeting { until } | Link::Joining { until, .. }
                if *until <= now =>
            {
                self.lose(now, Why::Unreachable, "the relay doesn't answer".into(), out);
            }
            Link::Joined { heard, .. } if *heard + SILENCE <= now => {
                self.lose(now, Why::Unreachable, "the relay fell silent".into(), out);
            }
            Link::Joined { heartbeat_ms, heartbeat_at, .. } if *heartbeat_at <= now => {
                *heartbeat_at = now + *heartbeat_ms;
                let leases = self.leases.iter();
                let leases =
                    leases.map(|(id, lease)| HeldLease { lease: *id, fuel: lease.fuel }).collect();
                out.push(Action::Send(encode(&FromNode::Heartbeat { leases })));
            }
            _ => {}
        }
        if let Link::Down { retry_at } = self.link
            && retry_at <= now
            && self.wants_link()
            && let Some(address) = &self.address
        {
            out.push(Action::Connect(address.socket_url()));
            self.link = Link::Opening { until: now + JOIN };
        }
    }

    /// Joins anew where the relay was told something else, or is about to be.
    pub(crate) fn on_membership(&mut self, membership: Membership, out: &mut Vec<Action>) {
        if self.membership == membership {
            return;
        }
        self.membership = membership;
        if let Link::Joining { .. } | Link::Joined { .. } = self.link {
            self.disconnect(out);
        }
    }

    fn wants_link(&self) -> bool {
        match self.permission {
            Permission::Allowed => self.address.is_some(),
            Permission::Grace { .. } => self.address.is_some() && !self.leases.is_empty(),
            Permission::Off | Permission::Paused => false,
        }
    }

    pub(crate) fn link_need(&self) -> Option<u64> {
        match self.link {
            Link::Down { retry_at } => self.wants_link().then_some(retry_at),
            Link::Opening { until } | Link::Greeting { until } | Link::Joining { until, .. } => {
                Some(until)
            }
            Link::Joined { heard, heartbeat_at, .. } => Some(heartbeat_at.min(heard + SILENCE)),
        }
    }

    /// The node wants the socket closed, and no new one for now.
    pub(crate) fn disconnect(&mut self, out: &mut Vec<Action>) {
        if !self.link.is_down() {
            out.push(Action::Disconnect);
        }
        self.down(0);
    }

    fn down(&mut self, retry_at: u64) {
        self.link = Link::Down { retry_at };
        self.credit = 0;
    }

    /// The socket is of no use any more.
    fn lose(&mut self, now: u64, why: Why, error: String, out: &mut Vec<Action>) {
        out.push(Action::Disconnect);
        self.trouble = Some(why);
        self.error = Some(error);
        let wait = self.backoff.next();
        self.down(now + wait);
    }

    /// Not again soon.
    fn shun(&mut self, now: u64, why: Why, error: String, wait: u64, out: &mut Vec<Action>) {
        self.lose(now, why, error, out);
        self.backoff.longest();
        let wait = self.backoff.jittered(wait);
        self.down(now + wait);
    }

    /// The relay won't have this node: what it computes meanwhile would be for
    /// nothing. Results wait for a relay that takes them.
    fn turned_away(&mut self, now: u64, why: Why, error: String, wait: u64, out: &mut Vec<Action>) {
        self.shun(now, why, error, wait, out);
        self.give_back_unfinished(GiveBackReason::Stopped, "refused", out);
    }

    /// The relay doesn't keep to the protocol.
    fn fault(&mut self, now: u64, error: impl Into<String>, out: &mut Vec<Action>) {
        self.shun(now, Why::Unreachable, error.into(), 60_000, out);
    }

    pub(crate) fn on_opened(&mut self, now: u64, out: &mut Vec<Action>) {
        if !matches!(self.link, Link::Opening { .. }) {
            return;
        }
        self.link = Link::Greeting { until: now + JOIN };
        let hello =
            FromNode::Hello { versions: VERSIONS.to_vec(), agent: self.config.agent.clone() };
        out.push(Action::Send(encode(&hello)));
    }

    pub(crate) fn on_closed(&mut self, now: u64) {
        if self.link.is_down() {
            return;
        }
        self.trouble = Some(Why::Unreachable);
        self.error = None;
        let wait = self.backoff.next();
        self.down(now + wait);
    }

    pub(crate) fn on_message(&mut self, now: u64, bytes: &[u8], out: &mut Vec<Action>) {
        if matches!(self.link, Link::Down { .. } | Link::Opening { .. }) {
            return;
        }
        let message = match decode::<ToNode>(bytes) {
            Ok(message) => message,
            Err(error) => {
                return self.fault(now, format!("the relay sent something else: {error}"), out);
            }
        };
        if let Link::Joined { heard, .. } = &mut self.link {
            *heard = now;
        }
        match (message, &self.link) {
            (ToNode::Ping, _) => {}
            (ToNode::Refused { code, message, .. }, _) => {
                self.on_refused(now, code, &message, out);
            }
            (ToNode::Challenge { version, relay, origin, nonce }, Link::Greeting { .. }) => {
                self.on_challenge(now, version, relay, &origin, &nonce, out);
            }
            (
                ToNode::Welcome { heartbeat_ms, standing, fuel, tasks },
                Link::Joining { relay, .. },
            ) => {
                let relay = *relay;
                (self.fuel, self.tasks) = (fuel, tasks);
                self.on_welcome(now, relay, heartbeat_ms, &standing, out);
            }
            (ToNode::Lease(offer), Link::Joined { relay, .. }) => {
                let relay = *relay;
                self.on_offer(relay, offer, out);
            }
            (message @ ToNode::Ack { .. }, Link::Joined { .. }) => {
                if let Some((ack, signature)) = message.ack() {
                    self.on_ack(&ack, &signature, out);
                }
            }
            (ToNode::Rejected { lease, message, .. }, Link::Joined { .. }) => {
                self.on_rejected(lease, &message, out);
            }
            (ToNode::Cancel { lease }, Link::Joined { .. }) => self.on_cancel(lease, out),
            _ => self.fault(now, "the relay sent a message out of order", out),
        }
    }

    fn on_refused(&mut self, now: u64, code: u16, words: &str, out: &mut Vec<Action>) {
        let words = shortened(words, WORDS);
        match RefuseCode::from_number(code) {
            Some(RefuseCode::Closing | RefuseCode::Timeout) => {
                self.lose(now, Why::Unreachable, words, out);
            }
            Some(RefuseCode::Browser) => {
                self.turned_away(now, Why::Elsewhere, words, ELSEWHERE, out);
                self.error = None;
            }
            Some(RefuseCode::Full) => self.lose(now, Why::Refused, words, out),
            _ => self.turned_away(now, Why::Refused, words, REFUSED, out),
        }
    }

    fn on_challenge(
        &mut self,
        now: u64,
        version: u16,
        relay: PublicKey,
        origin: &str,
        nonce: &[u8; 32],
        out: &mut Vec<Action>,
    ) {
        if !VERSIONS.contains(&version) {
            let error = format!("the relay chose version {version}, which this node doesn't speak");
            return self.turned_away(now, Why::Refused, error, REFUSED, out);
        }
        let named = crate::address::Address::parse(origin);
        if named.is_none() || named != self.address {
            let ours = self.address.as_ref().map_or("", |address| address.origin());
            let error =
                format!("the relay at {ours} calls itself {}: use that", shortened(origin, 200));
            return self.turned_away(now, Why::Refused, error, REFUSED, out);
        }
        self.forget_other_relays(&relay, out);
        let node = self.key.public();
        let owed = self.owed.iter().map(|owed| owed.lease);
        let join = Join {
            node,
            signature: self.key.sign(&join_bytes(&relay, origin, nonce, &node)),
            delegation: self.membership.delegation.clone(),
            package: self.config.package,
            admissions: self.config.admissions.clone(),
            holding: self.leases.keys().copied().chain(owed).collect(),
            inference: self.inference(),
            invitation: self.membership.invitation.clone(),
            browser: self.membership.browser,
        };
        self.told = self.inference();
        out.push(Action::Send(encode(&FromNode::Join(join))));
        self.link = Link::Joining { until: now + JOIN, relay };
    }

    fn on_welcome(
        &mut self,
        now: u64,
        relay: PublicKey,
        heartbeat_ms: u32,
        standing: &[LeaseId],
        out: &mut Vec<Action>,
    ) {
        let heartbeat_ms = u64::from(heartbeat_ms).clamp(FASTEST_HEARTBEAT, KEEP_ALIVE);
        let heartbeat_at = now + heartbeat_ms;
        self.link = Link::Joined { relay, heard: now, heartbeat_ms, heartbeat_at };
        self.backoff.reset();
        self.trouble = None;
        self.error = None;
        self.credit = 0;
        for owed in std::mem::take(&mut self.owed) {
            if standing.contains(&owed.lease) {
                self.tell_given_back(owed.lease, owed.reason, &owed.detail, out);
            }
        }
        let mut over = Vec::new();
        for (id, lease) in &mut self.leases {
            let stands = standing.contains(id);
            match &mut lease.stage {
                // Sent again whether it stands or not: the relay answers with
                // the acknowledgement that was lost, or says why not. One that
                // it accepted already is in the count that Welcome gave.
                Stage::Finished { result, sent, counted } => {
                    *counted |= *sent && !stands;
                    *sent = true;
                    out.push(Action::Send(result.message.clone()));
                }
                _ if !stands => over.push(*id),
                _ => {}
            }
        }
        for id in over {
            self.end(id, out);
        }
    }
}

/// The first `most` bytes of a text, and no half character.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
