//! Where fuel is charged: basic blocks, joined into regions.
//!
//! A region is the basic blocks that run equally often unless the run ends in
//! between, so one charge at the head of the first pays for all of them.

use super::error::AdmissionError;
use wasmparser::Operator;

/// A charge of fuel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charge {
    /// Number of the operator before which it stands.
    pub(super) at: u32,
    /// Instructions of the region.
    pub(super) fuel: u64,
    /// The head of the function, or of a loop that a branch leads back to:
    /// whatever runs without end passes such a head again and again.
    pub(super) head: bool,
}

/// What the operators of a function say of its flow, in order.
#[derive(Debug, Default)]
pub(super) struct Flow {
    events: Vec<(u32, Event)>,
    /// Targets of each `br_table`, one after the other.
    targets: Vec<u32>,
    /// Numbers of the events of blocks that are open.
    open: Vec<u32>,
    /// Blocks that ended with no change of control since.
    ended: Vec<u32>,
    /// By number of the event that opens it: a block whose end leads to
    /// `unreachable` and nowhere else.
    doomed: Vec<bool>,
    /// By the same: a branch leads to its label.
    targeted: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Open(Kind),
    Else,
    End,
    /// To how many blocks out, and whether only on a condition.
    Branch(u32, bool),
    /// To these of [`Flow::targets`].
    Table(u32, u32),
    Unreachable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    If,
}

impl Flow {
    /// Takes the operator of this number.
    pub(super) fn operator(
        &mut self,
        number: u32,
        operator: &Operator<'_>,
    ) -> Result<(), AdmissionError> {
        let event = match operator {
            Operator::Block { .. } => Event::Open(Kind::Block),
            Operator::Loop { .. } => Event::Open(Kind::Loop),
            Operator::If { .. } => Event::Open(Kind::If),
            Operator::Else => Event::Else,
            Operator::End => Event::End,
            Operator::Br { relative_depth } => Event::Branch(*relative_depth, false),
            Operator::BrIf { relative_depth } => Event::Branch(*relative_depth, true),
            Operator::Return => Event::Branch(self.open.len() as u32, false),
            Operator::BrTable { targets } => {
                let first = self.targets.len() as u32;
                for target in targets.targets() {
                    self.targets.push(target?);
                }
                self.targets.push(targets.default());
                Event::Table(first, self.targets.len() as u32)
            }
            Operator::Unreachable => Event::Unreachable,
            _ => return Ok(()),
        };
        let index = self.events.len() as u32;
        self.events.push((number, event));
        self.doomed.push(false);
        self.targeted.push(false);
        match event {
            Event::Open(_) => self.open.push(index),
            Event::End => self.ended.extend(self.open.pop()),
            Event::Branch(depth, _) => self.target(depth),
            Event::Table(first, end) => {
                for target in first..end {
                    self.target(self.targets[target as usize]);
                }
            }
            Event::Unreachable => {
                for block in &self.ended {
                    self.doomed[*block as usize] = true;
                }
            }
            Event::Else => {}
        }
        if event != Event::End {
            self.ended.clear();
        }
        Ok(())
    }

    fn target(&mut self, depth: u32) {
        let block = self.open.len().checked_sub(1 + depth as usize).map(|at| self.open[at]);
        if let Some(block) = block {
            self.targeted[block as usize] = true;
        }
    }

    /// Blocks open inside each other.
    pub(super) fn depth(&self) -> u64 {
        self.open.len() as u64
    }

    /// Basic blocks, at most.
    pub(super) fn blocks(&self) -> u64 {
        let ends = |event: &&(u32, Event)| matches!(event.1, Event::End | Event::Unreachable);
        1 + (self.events.len() - self.events.iter().filter(ends).count()) as u64
    }

    /// The charges in order; the first is the function's head, where each of
    /// `declared` locals costs 1 for clearing.
    pub(super) fn charges(&self, declared: u64) -> Vec<Charge> {
        let mut regions = Regions {
            found: vec![Charge { at: 0, fuel: declared, head: true }],
            current: 0,
            open: vec![Open {
                kind: Kind::Block,
                region: 0,
                reachable: true,
                targeted: false,
                doomed: false,
                leaves: usize::MAX,
                then_ends: false,
                has_else: false,
            }],
            reachable: true,
        };
        let mut next = 0;
        for (index, (number, event)) in self.events.iter().enumerate() {
            regions.cost(number - next);
            next = number + 1;
            regions.event(self, index, next, *event);
        }
        let mut found = regions.found;
        found.retain(|charge| charge.fuel > 0 || charge.head);
        found
    }
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// Region of what is before it.
    region: usize,
    /// Code inside can be reached.
    reachable: bool,
    targeted: bool,
    doomed: bool,
    /// Outermost block, by its place in the list, that a branch inside leads
    /// to.
    leaves: usize,
    /// The first arm of an `if` reaches its end.
    then_ends: bool,
    has_else: bool,
}

struct Regions {
    found: Vec<Charge>,
    /// The region of the code at hand.
    current: usize,
    open: Vec<Open>,
    reachable: bool,
}

impl Regions {
    fn cost(&mut self, instructions: u32) {
        if self.reachable {
            self.found[self.current].fuel += u64::from(instructions);
        }
    }

    /// A region begins.
    fn begin(&mut self, at: u32, head: bool) {
        self.current = self.found.len();
        self.found.push(Charge { at, fuel: 0, head });
        self.reachable = true;
    }

    /// A branch. True when what follows runs as often as what is before it,
    /// if it is taken on a condition: it leads to a trap.
    fn branch(&mut self, depth: u32) -> bool {
        let Some(to) = self.open.len().checked_sub(1 + depth as usize) else { return false };
        if self.open[to].doomed {
            return true;
        }
        if let Some(innermost) = self.open.last_mut() {
            innermost.leaves = innermost.leaves.min(to);
        }
        false
    }

    /// Takes an event; `next` is the number of the operator after it.
    fn event(&mut self, flow: &Flow, index: usize, next: u32, event: Event) {
        match event {
            Event::Open(kind) => {
                self.cost(u32::from(kind == Kind::If));
                let targeted = flow.targeted[index];
                self.open.push(Open {
                    kind,
                    region: self.current,
                    reachable: self.reachable,
                    targeted,
                    doomed: flow.doomed[index] && kind != Kind::Loop,
                    leaves: usize::MAX,
                    then_ends: false,
                    has_else: false,
                });
                let head = kind == Kind::Loop && targeted;
                if self.reachable && (head || kind == Kind::If) {
                    self.begin(next, head);
                }
            }
            Event::Else => {
                if let Some(open) = self.open.last_mut() {
                    open.then_ends = self.reachable;
                    open.has_else = true;
                    self.reachable = open.reachable;
                }
                if self.reachable {
                    self.begin(next, false);
                }
            }
            Event::End => self.end(next),
            Event::Branch(depth, conditional) => {
                self.cost(1);
                if self.reachable {
                    let traps = self.branch(depth);
                    if !conditional {
                        self.reachable = false;
                    } else if !traps {
                        self.begin(next, false);
                    }
                }
            }
            Event::Table(first, end) => {
                self.cost(1);
                if self.reachable {
                    for target in first..end {
                        self.branch(flow.targets[target as usize]);
                    }
                    self.reachable = false;
                }
            }
            Event::Unreachable => {
                self.cost(1);
                self.reachable = false;
            }
        }
    }

    fn end(&mut self, next: u32) {
        let Some(open) = self.open.pop() else { return };
        let place = self.open.len();
        if let Some(outer) = self.open.last_mut() {
            outer.leaves = outer.leaves.min(open.leaves);
        }
        if !open.reachable {
            return;
        }
        let meets = match open.kind {
            Kind::Block => open.targeted,
            Kind::Loop => false,
            Kind::If => open.targeted || open.then_ends || !open.has_else || self.reachable,
        };
        if !meets && !self.reachable {
            return;
        }
        let all_come_here = open.leaves >= place && !open.doomed;
        if all_come_here && (meets || open.kind == Kind::Loop) {
            self.current = open.region;
            self.reachable = true;
        } else if meets {
            self.begin(next, false);
        }
    }
}
