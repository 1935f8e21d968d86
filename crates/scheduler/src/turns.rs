//! A queue whose members can leave from anywhere.

use std::collections::BTreeMap;

/// First in, first out; each member holds a ticket by which it can leave.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    next: u64,
    queue: BTreeMap<u64, T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { next: 0, queue: BTreeMap::new() }
    }
}

impl<T> Turns<T> {
    pub(crate) fn push(&mut self, member: T) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.queue.insert(ticket, member);
        ticket
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.queue.pop_first().map(|(_, member)| member)
    }

    pub(crate) fn remove(&mut self, ticket: u64) {
        self.queue.remove(&ticket);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.queue.iter().map(|(ticket, member)| (*ticket, member))
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
