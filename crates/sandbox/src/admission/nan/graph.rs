//! Which values are loose, whose bits are seen, and where to replace NaNs.

/// The lanes of a loose value: in another shape a NaN is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Lane {
    F32,
    F64,
}

/// A replacement: in the result of the operator of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Replace {
    pub(in super::super) after: u32,
    pub(in super::super) lane: Lane,
    pub(in super::super) vector: bool,
}

/// What a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// No NaN, in lanes of any shape.
    Number,
    /// What arithmetic made: a NaN in it would be canonical, if it were
    /// replaced.
    Loose(Lane),
    /// Anything.
    Bits,
}

impl Class {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number, class) | (class, Self::Number) => class,
            (a, b) if a == b => a,
            _ => Self::Bits,
        }
    }

    /// As the lanes of a shape.
    fn seen_as(self, shape: Option<Lane>) -> Self {
        match (self, shape) {
            (Self::Loose(lane), Some(shape)) if lane != shape => Self::Bits,
            (class, _) => class,
        }
    }
}

/// What is seen of a value: a set of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen(u8);

impl Seen {
    /// All bits.
    pub(super) const BITS: Self = Self(1);

    /// Lanes of this shape; of a NaN, only that it is one.
    pub(super) fn lanes(lane: Lane) -> Self {
        Self(2 << lane as u8)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether more is seen than lanes of this shape.
    fn beyond(self, lane: Lane) -> bool {
        self.0 & !Self::lanes(lane).0 != 0
    }
}

/// A value that may be loose: what an operator made, or what a local holds
/// where ways meet.
#[derive(Debug)]
pub(super) struct Node {
    /// The operator; none where ways meet.
    pub(super) made: Option<u32>,
    pub(super) class: Class,
    /// Lanes that it is a copy of, when only those are copied.
    pub(super) shape: Option<Lane>,
    pub(super) vector: bool,
    pub(super) seen: Seen,
    /// Loops around it, up to 8.
    pub(super) depth: u8,
}

/// Values and what they are copies of.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// A node, and one that it is copied to.
    copies: Vec<(u32, u32)>,
}

impl Graph {
    pub(super) fn copy(&mut self, from: u32, to: u32) {
        self.copies.push((from, to));
    }

    /// The replacements, in order.
    pub(super) fn replacements(mut self) -> Vec<Replace> {
        self.merge_unchanged();
        self.spread_classes();
        self.spread_seen();
        self.find()
    }

    /// The same for all results of arithmetic.
    pub(super) fn all_of_arithmetic(&self) -> Vec<Replace> {
        let replace = |node: &Node| match (node.made, node.class, node.shape) {
            (Some(after), Class::Loose(lane), None) => {
                Some(Replace { after, lane, vector: node.vector })
            }
            _ => None,
        };
        self.nodes.iter().filter_map(replace).collect()
    }

    /// Where ways meet that all bring the same value (in a loop: besides the
    /// one that it has already), or a number, there is that value.
    fn merge_unchanged(&mut self) {
        self.copies.sort_unstable_by_key(|copy| copy.1);
        let mut same: Vec<u32> = (0..self.nodes.len() as u32).collect();
        let mut end = self.copies.len();
        // Inner loops come after those around them.
        while let Some((_, to)) = self.copies[..end].last().copied() {
            let start = self.copies[..end].partition_point(|copy| copy.1 < to);
            let node = &self.nodes[to as usize];
            if node.made.is_none() && node.class == Class::Number {
                let mut sources = (self.copies[start..end].iter())
                    .map(|copy| resolve(&mut same, copy.0))
                    .filter(|from| *from != to);
                let first = sources.next();
                if let Some(first) = first.filter(|first| sources.all(|from| from == *first)) {
                    same[to as usize] = first;
                }
            }
            end = start;
        }
        for (from, to) in &mut self.copies {
            *from = resolve(&mut same, *from);
            *to = resolve(&mut same, *to);
        }
        self.copies.retain(|(from, to)| from != to);
        self.copies.sort_unstable();
        self.copies.dedup();
    }

    /// Classes spread from each node to its copies, until nothing changes:
    /// each node's class rises twice at most.
    fn spread_classes(&mut self) {
        let mut changed: Vec<u32> = (0..self.nodes.len() as u32).collect();
        while let Some(from) = changed.pop() {
            let class = self.nodes[from as usize].class;
            let start = self.copies.partition_point(|copy| copy.0 < from);
            for (_, to) in self.copies[start..].iter().take_while(|copy| copy.0 == from) {
                let node = &mut self.nodes[*to as usize];
                let joined = node.class.join(class.seen_as(node.shape));
                if joined != node.class {
                    node.class = joined;
                    changed.push(*to);
                }
            }
        }
    }

    /// What is seen of a node is seen of what it is a copy of, until nothing
    /// changes: each is seen more of three times at most.
    fn spread_seen(&mut self) {
        self.copies.sort_unstable_by_key(|copy| copy.1);
        let mut changed: Vec<u32> = (0..self.nodes.len() as u32).collect();
        while let Some(to) = changed.pop() {
            let Some(seen) = self.nodes[to as usize].seen_of_sources() else { continue };
            let start = self.copies.partition_point(|copy| copy.1 < to);
            for (from, _) in self.copies[start..].iter().take_while(|copy| copy.1 == to) {
                let node = &mut self.nodes[*from as usize];
                if !node.seen.has(seen) {
                    node.seen.add(seen);
                    changed.push(*from);
                }
            }
        }
    }

    /// The replacements that are needed, each where it runs least often: where
    /// the value is made, or where copies of it are taken from a local.
    fn find(&self) -> Vec<Replace> {
        let (nodes, copies) = (&self.nodes, &self.copies);
        let mut replaced: Vec<bool> = nodes.iter().map(Node::needs_replacement).collect();
        let mut often = vec![0_u32; nodes.len()];
        for group in copies.chunk_by(|a, b| a.1 == b.1) {
            if let [(from, to)] = group
                && replaced[*to as usize]
            {
                often[*from as usize] =
                    often[*from as usize].saturating_add(nodes[*to as usize].times());
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            replaced[index] |= node.can_be_replaced() && often[index] > node.times();
        }
        // A copy of what was replaced is canonical.
        let mut canonical = replaced.clone();
        for group in copies.chunk_by(|a, b| a.1 == b.1) {
            let to = group[0].1 as usize;
            if nodes[to].made.is_some() && group.iter().all(|(from, _)| canonical[*from as usize]) {
                canonical[to] = true;
                replaced[to] = false;
            }
        }
        let mut found = Vec::new();
        for (node, replaced) in nodes.iter().zip(replaced) {
            if let (Some(after), Class::Loose(lane), true) = (node.made, node.class, replaced) {
                found.push(Replace { after, lane, vector: node.vector });
            }
        }
        found.sort_unstable_by_key(|replace| replace.after);
        found
    }
}

impl Node {
    /// Whether more is seen of it than loose values may show.
    fn is_exposed(&self) -> bool {
        match self.class {
            Class::Number => false,
            Class::Loose(lane) => self.seen.beyond(lane),
            Class::Bits => {
                self.seen.has(Seen::BITS) || self.shape.is_some_and(|lane| self.seen.beyond(lane))
            }
        }
    }

    fn can_be_replaced(&self) -> bool {
        self.made.is_some() && matches!(self.class, Class::Loose(_))
    }

    fn needs_replacement(&self) -> bool {
        self.can_be_replaced() && self.is_exposed()
    }

    /// What is seen of what it is a copy of; none where that need not be
    /// known.
    fn seen_of_sources(&self) -> Option<Seen> {
        match self.class {
            _ if self.needs_replacement() => None,
            _ if self.is_exposed() => Some(Seen::BITS),
            Class::Bits if self.seen != Seen::default() => Some(self.seen),
            _ => None,
        }
    }

    /// How often it runs, roughly.
    fn times(&self) -> u32 {
        8_u32.pow(self.depth.into())
    }
}

/// The value that stands for a node.
fn resolve(same: &mut [u32], node: u32) -> u32 {
    let mut last = node;
    while same[last as usize] != last {
        same[last as usize] = same[same[last as usize] as usize];
        last = same[last as usize];
    }
    last
}
