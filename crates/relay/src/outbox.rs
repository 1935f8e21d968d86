//! What waits to be sent over one socket. Empty, it takes next to no memory;
//! its length is bounded, so a node that doesn't read can't fill the relay's.

use crate::job::Job;
use grid_protocol::{LeaseId, RefuseCode, ToNode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Messages that may wait: every lease a node may hold, offered, cancelled and
/// answered, twice over.
const MAX_WAITING: usize = 6 * grid_protocol::limits::MAX_SLOTS as usize;

/// One message.
#[derive(Debug)]
pub(crate) enum Out {
    /// A lease; the socket's task makes the message of it.
    Offer { lease: LeaseId, job: Arc<Job>, index: u32 },
    /// A message.
    Message(ToNode),
}

/// Why a socket is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// The node is told.
    Refused(RefuseCode),
    /// It doesn't read what it is told.
    Slow,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Out>,
    close: Option<Close>,
}

impl Outbox {
    pub(crate) fn push(&self, message: Out) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.messages.len() >= MAX_WAITING {
            waiting.close.get_or_insert(Close::Slow);
        } else if waiting.close.is_none() {
            waiting.messages.push_back(message);
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// The socket closes after what waits was sent.
    pub(crate) fn close(&self, code: RefuseCode) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.close.get_or_insert(Close::Refused(code));
        drop(waiting);
        self.notify.notify_one();
    }

    /// Waits until there is something to take.
    pub(crate) async fn filled(&self) {
        self.notify.notified().await;
    }

    pub(crate) fn take(&self) -> (VecDeque<Out>, Option<Close>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut waiting.messages), waiting.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_read_is_given_up() {
        let outbox = Outbox::default();
        for _ in 0..MAX_WAITING {
            outbox.push(Out::Message(ToNode::Ping));
        }
        assert_eq!(outbox.take().1, None);
        for _ in 0..=MAX_WAITING {
            outbox.push(Out::Message(ToNode::Ping));
        }
        let (messages, close) = outbox.take();
        assert_eq!((messages.len(), close), (MAX_WAITING, Some(Close::Slow)));
    }

    #[test]
    fn nothing_follows_a_refusal() {
        let outbox = Outbox::default();
        outbox.push(Out::Message(ToNode::Ping));
        outbox.close(RefuseCode::Replaced);
        outbox.push(Out::Message(ToNode::Ping));
        outbox.close(RefuseCode::Closing);
        let (messages, close) = outbox.take();
        assert_eq!((messages.len(), close), (1, Some(Close::Refused(RefuseCode::Replaced))));
    }
}
