//! Who can do what: nodes with free slots, by what they can do, and the jobs
//! that need it.

use crate::job::LOOK;
use crate::scheduler::Scheduler;
use crate::turns::Turns;
use crate::types::{Abilities, Grant, Needs, Task};
use grid_protocol::{Digest, JobId, LeaseId, PublicKey};
use std::collections::HashMap;

/// A queue of nodes with free slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Nodes that run task modules.
    Modules,
    /// Nodes that infer.
    Inference,
    /// Nodes that infer and hold this model.
    Model(Digest),
}

impl Lane {
    /// Where nodes are that can do what is needed.
    pub(crate) fn of(needs: Needs) -> Self {
        match needs {
            Needs::Modules => Self::Modules,
            Needs::Model(_) => Self::Inference,
        }
    }
}

/// A node's places in the queues.
pub(crate) type Tickets = Vec<(Lane, u64)>;

/// Nodes with free slots, the one that waits longest first.
#[derive(Debug, Default)]
pub(crate) struct Idle(HashMap<Lane, Turns<PublicKey>>);

impl Idle {
    /// Queues a node wherever it belongs.
    pub(crate) fn push(&mut self, node: PublicKey, abilities: &Abilities) -> Tickets {
        let modules = abilities.modules.then_some(Lane::Modules);
        let inference = abilities.inference.then_some(Lane::Inference);
        let held = abilities.models.iter().filter(|_| abilities.inference);
        let lanes = modules.into_iter().chain(inference).chain(held.copied().map(Lane::Model));
        lanes.map(|lane| (lane, self.0.entry(lane).or_default().push(node))).collect()
    }

    pub(crate) fn remove(&mut self, tickets: Tickets) {
        for (lane, ticket) in tickets {
            if let Some(queue) = self.0.get_mut(&lane) {
                queue.remove(ticket);
                if queue.is_empty() {
                    self.0.remove(&lane);
                }
            }
        }
    }

    /// The nodes of a lane, in their order.
    pub(crate) fn iter(&self, lane: Lane) -> impl Iterator<Item = &PublicKey> {
        self.0.get(&lane).into_iter().flat_map(Turns::iter).map(|(_, node)| node)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Nodes on line, by what they can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Online {
    pub(crate) modules: usize,
    pub(crate) inference: usize,
}

impl Scheduler {
    /// What a node can do, from now on. A node that joined runs task modules
    /// and nothing else before this is told.
    pub fn able(&mut self, key: PublicKey, abilities: Abilities) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        let before = std::mem::replace(&mut node.abilities, abilities);
        let (now, online) = (node.abilities.clone(), node.online);
        self.idle.remove(std::mem::take(&mut node.tickets));
        if online {
            self.count_online(&before, false);
            self.count_online(&now, true);
        }
        self.requeue(key);
    }

    /// A node came (`true`) or went.
    pub(crate) fn count_online(&mut self, abilities: &Abilities, came: bool) {
        let Online { modules, inference } = &mut self.able;
        for (count, able) in [(modules, abilities.modules), (inference, abilities.inference)] {
            match (able, came) {
                (true, true) => *count += 1,
                (true, false) => *count -= 1,
                (false, _) => {}
            }
        }
    }

    /// Nodes on line that can do what is needed.
    pub fn online_for(&self, needs: Needs) -> usize {
        match needs {
            Needs::Modules => self.able.modules,
            Needs::Model(_) => self.able.inference,
        }
    }

    /// Jobs that need this and have something to lease.
    pub(crate) fn waiting_for(&mut self, needs: Needs) -> &mut Turns<JobId> {
        match needs {
            Needs::Modules => &mut self.runnable,
            Needs::Model(_) => &mut self.inferable,
        }
    }

    /// Jobs that infer get nodes, each job in turn: those that hold its model
    /// first.
    pub(crate) fn grant_inference(
        &mut self,
        now: u64,
        new_lease: &mut impl FnMut() -> LeaseId,
        grants: &mut Vec<Grant>,
    ) {
        let mut aside = Vec::new();
        while aside.len() < LOOK && self.idle.iter(Lane::Inference).next().is_some() {
            let Some(id) = self.inferable.pop() else { break };
            if let Some(job) = self.jobs.get_mut(&id) {
                job.turn = None;
            }
            let Some((key, task)) = self.pick_node(now, id) else {
                aside.push(id);
                continue;
            };
            if let Some(node) = self.nodes.get_mut(&key) {
                self.idle.remove(std::mem::take(&mut node.tickets));
            }
            self.waiting -= 1;
            grants.push(self.grant(now, new_lease(), key, task, None));
        }
        for id in aside {
            self.relist(id);
        }
    }

    /// A node for one of a job's tasks.
    fn pick_node(&mut self, now: u64, id: JobId) -> Option<(PublicKey, Task)> {
        let needs = self.jobs.get(&id)?.needs;
        let holders = match needs {
            Needs::Model(model) => Some(self.idle.iter(Lane::Model(model)).take(LOOK)),
            Needs::Modules => None,
        };
        let others = self.idle.iter(Lane::of(needs)).take(LOOK);
        let nodes: Vec<PublicKey> = holders.into_iter().flatten().chain(others).copied().collect();
        nodes.into_iter().find_map(|key| {
            if self.avoids(now, id, &key) {
                return None;
            }
            let index = self.jobs.get_mut(&id)?.choose(&key)?;
            Some((key, Task { job: id, index }))
        })
    }
}
