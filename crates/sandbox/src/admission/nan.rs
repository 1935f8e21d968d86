//! NaN bits: which values are to be made canonical, and where.
//!
//! The ideal: every NaN that arithmetic makes is replaced at once by the
//! canonical one (positive, quiet, no payload). Admission leaves out every
//! replacement that nobody can see. A value is one of
//! - a *number*: no NaN, in lanes of any shape; so it is what the ideal has;
//! - *loose*: as in the ideal, but where that has a canonical NaN in a lane, any
//!   NaN may be there. Replacing makes it the ideal's value;
//! - *bits*: anything else: loads, parameters, results of calls, and copies of
//!   both loose values and such.
//!
//! Arithmetic makes loose values. Comparisons, arithmetic and conversions to
//! integers see lanes of a shape: whether there is a NaN, but not which, so
//! from operands that differ from the ideal's by that alone they make what the
//! ideal makes, or a loose value. Whatever else takes a value sees its bits:
//! stores, calls, returns, ends of blocks, operations on bits. Locals,
//! `select`, lanes, `pmin` and `abs` only copy (and clear signs, before a
//! replacement as after it), so what is seen of a copy is seen of its source.
//!
//! Locals are followed from each `local.set` to the `local.get`s that it
//! reaches, as in static single assignment: where ways meet that bring a local
//! different values, there is a value of its own, a copy of them all (at the
//! head of a loop: of what is before it, and what each branch back brings).
//! So the analysis is a graph of values and copies ([`Graph`]):
//! - classes spread to copies; a copy of loose values and others is bits;
//! - what is seen spreads to sources. It stops at a loose value of which bits
//!   are seen (or lanes of another shape): that is replaced after the operator
//!   that made it, be it a `local.get`. Where ways meet there is no operator, so
//!   it goes on to the sources; and so it does through bits, to which a loose
//!   value must come as the ideal has it, since nobody could tell them apart
//!   later.
//!
//! By induction over a run each value is the ideal's as far as it is seen: an
//! operator's result depends on what it sees of its operands; a copy is seen no
//! more than its sources, or is replaced.

mod act;
mod graph;

pub(super) use graph::{Lane, Replace};

use super::error::AdmissionError;
use act::{Act, act, is_vector};
use graph::{Class, Graph, Node, Seen};
use wasmparser::{FuncType, FuncValidator, Operator, ValType, WasmModuleResources};

/// How many locals may be brought to labels, for each byte of the body, and in
/// all. Beyond that, every result of arithmetic is replaced.
const WORK_PER_BYTE: usize = 16;
const WORK: usize = 4_000_000;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Number,
    Bits,
    Node(u32),
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    /// Where the branches to it meet.
    label: Label,
    /// Of an `if`: the locals as it begins, until its `else`.
    begin: Option<Vec<Value>>,
    /// Code before it can be reached.
    reachable: bool,
}

#[derive(Debug)]
enum Label {
    /// The function's: locals end there.
    Return,
    /// A loop's head: the first node, of one for each local.
    Head(u32),
    /// A block's end: the locals there, once a branch brought some, and whether
    /// each is a node that stands for several.
    End(Option<(Vec<Value>, Vec<bool>)>),
}

/// The analysis of one function.
#[derive(Debug)]
pub(super) struct Nans {
    graph: Graph,
    /// Places in `now` of the locals that hold floats or vectors.
    places: Vec<Option<u32>>,
    /// Whether each of those is a vector.
    vectors: Vec<bool>,
    /// Their values.
    now: Vec<Value>,
    open: Vec<Open>,
    reachable: bool,
    /// Loops that are open.
    loops: u32,
    /// How many more locals may be brought to labels, and whether that sufficed.
    work: usize,
    followed: bool,
    stack: Vec<Value>,
    /// Height of the stack below which code that can't be reached takes
    /// nothing.
    base: usize,
}

impl Nans {
    /// For a function whose locals the validator knows, with a body of so many
    /// bytes.
    pub(super) fn new<R: WasmModuleResources>(
        validator: &FuncValidator<R>,
        ty: &FuncType,
        bytes: usize,
    ) -> Self {
        let (mut places, mut vectors, mut now) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..validator.len_locals() {
            let ty_of = validator.get_local_type(index);
            let float =
                ty_of.filter(|ty| matches!(ty, ValType::F32 | ValType::F64 | ValType::V128));
            places.push(float.map(|_| now.len() as u32));
            if let Some(float) = float {
                let is_param = (index as usize) < ty.params().len();
                now.push(if is_param { Value::Bits } else { Value::Number });
                vectors.push(float == ValType::V128);
            }
        }
        Self {
            graph: Graph::default(),
            places,
            vectors,
            now,
            open: vec![Open { label: Label::Return, begin: None, reachable: true }],
            reachable: true,
            loops: 0,
            work: WORK.min(bytes.saturating_mul(WORK_PER_BYTE)),
            followed: true,
            stack: Vec::new(),
            base: 0,
        }
    }

    fn node(&mut self, made: Option<u32>, class: Class, shape: Option<Lane>, vector: bool) -> u32 {
        let index = self.graph.nodes.len() as u32;
        let (seen, depth) = (Seen::default(), self.loops.min(8) as u8);
        self.graph.nodes.push(Node { made, class, shape, vector, seen, depth });
        index
    }

    fn pop(&mut self) -> Value {
        if self.stack.len() > self.base {
            return self.stack.pop().unwrap_or(Value::Bits);
        }
        Value::Bits
    }

    /// Something sees of a value.
    fn see(&mut self, value: Value, seen: Seen) {
        if let Value::Node(node) = value {
            self.graph.nodes[node as usize].seen.add(seen);
        }
    }

    fn copy(&mut self, from: Value, to: u32) {
        match from {
            Value::Number => {}
            Value::Bits => self.graph.nodes[to as usize].class = Class::Bits,
            Value::Node(from) => self.graph.copy(from, to),
        }
    }

    /// Before an operator: height of the stack where the innermost block
    /// begins.
    pub(super) fn base(&mut self, height: usize) {
        self.base = height;
    }

    /// Takes an operator, which takes and leaves as many values as `arity`
    /// says.
    pub(super) fn operator(
        &mut self,
        number: u32,
        operator: &Operator<'_>,
        arity: (u32, u32),
    ) -> Result<(), AdmissionError> {
        match operator {
            Operator::LocalGet { local_index } => {
                let value = match self.place(*local_index) {
                    Some(place) => self.taken(number, place),
                    None => Value::Bits,
                };
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                if let Some(place) = self.place(*local_index) {
                    self.now[place] = value;
                }
            }
            Operator::LocalTee { local_index } => {
                let mut value = self.pop();
                if let Some(place) = self.place(*local_index) {
                    self.now[place] = value;
                    value = self.taken(number, place);
                }
                self.stack.push(value);
            }
            Operator::Drop => drop(self.pop()),
            _ => {
                self.act(number, operator, arity);
                self.flow(operator)?;
            }
        }
        Ok(())
    }

    /// Place of a local that holds floats.
    fn place(&self, local: u32) -> Option<usize> {
        self.places.get(local as usize).copied().flatten().map(|place| place as usize)
    }

    /// A copy of a local on the stack.
    fn taken(&mut self, number: u32, place: usize) -> Value {
        let from = self.now[place];
        if !matches!(from, Value::Node(_)) {
            return from;
        }
        let copy = self.node(Some(number), Class::Number, None, self.vectors[place]);
        self.copy(from, copy);
        Value::Node(copy)
    }

    fn act(&mut self, number: u32, operator: &Operator<'_>, (takes, leaves): (u32, u32)) {
        let vector = is_vector(operator);
        match act(operator) {
            Act::Arithmetic(operands, from, to) => {
                self.take(operands, from);
                let made = self.node(Some(number), Class::Loose(to), None, vector);
                self.stack.push(Value::Node(made));
            }
            Act::Compare(operands, from) => {
                self.take(operands, from);
                self.stack.push(Value::Bits);
            }
            Act::Convert => {
                self.pop();
                self.stack.push(Value::Number);
            }
            Act::Constant(number) => {
                self.stack.push(if number { Value::Number } else { Value::Bits });
            }
            Act::Copy(operands, shape) => {
                // A select's condition, which is above, is no float.
                for _ in operands..takes {
                    self.pop();
                }
                let values: Vec<Value> = (0..operands).map(|_| self.pop()).collect();
                let vector = vector || (shape.is_none() && self.any_vector(&values));
                // Lanes without a NaN may look like one in another shape.
                let class = shape.filter(|_| vector).map_or(Class::Number, Class::Loose);
                let copy = self.node(Some(number), class, shape, vector);
                for value in values {
                    self.copy(value, copy);
                }
                self.stack.push(Value::Node(copy));
            }
            Act::See => {
                for _ in 0..takes {
                    let value = self.pop();
                    self.see(value, Seen::BITS);
                }
                self.stack.extend((0..leaves).map(|_| Value::Bits));
            }
        }
    }

    fn any_vector(&self, values: &[Value]) -> bool {
        values.iter().any(
            |value| matches!(value, Value::Node(node) if self.graph.nodes[*node as usize].vector),
        )
    }

    /// Takes operands as lanes of a shape.
    fn take(&mut self, operands: u32, lane: Lane) {
        for _ in 0..operands {
            let value = self.pop();
            self.see(value, Seen::lanes(lane));
        }
    }

    /// After the validator took the operator: how many values there are now.
    pub(super) fn settle(&mut self, height: u32) {
        self.stack.resize(height as usize, Value::Bits);
    }

    /// Follows the locals.
    fn flow(&mut self, operator: &Operator<'_>) -> Result<(), AdmissionError> {
        match operator {
            Operator::Block { .. } => self.begin(Label::End(None), None),
            Operator::If { .. } => {
                let begin = self.spend().then(|| self.now.clone());
                self.begin(Label::End(None), begin);
            }
            Operator::Loop { .. } => {
                let first = self.graph.nodes.len() as u32;
                self.loops += 1;
                if self.reachable && self.spend() {
                    for place in 0..self.now.len() {
                        let node = self.node(None, Class::Number, None, self.vectors[place]);
                        self.copy(self.now[place], node);
                        self.now[place] = Value::Node(node);
                    }
                }
                self.begin(Label::Head(first), None);
            }
            Operator::Else => {
                self.branch(0);
                if let Some(open) = self.open.last_mut() {
                    self.reachable = open.reachable;
                    if let Some(begin) = open.begin.take() {
                        self.now = begin;
                    }
                }
            }
            Operator::End => self.end(),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.reachable = false;
            }
            Operator::BrIf { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                for target in targets.targets() {
                    self.branch(target?);
                }
                self.branch(targets.default());
                self.reachable = false;
            }
            Operator::Return | Operator::Unreachable => self.reachable = false,
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, label: Label, begin: Option<Vec<Value>>) {
        self.open.push(Open { label, begin, reachable: self.reachable });
    }

    /// Whether all locals may be looked at once more.
    fn spend(&mut self) -> bool {
        if self.followed {
            let left = self.work.checked_sub(self.now.len());
            self.followed = left.is_some();
            self.work = left.unwrap_or(0);
        }
        self.followed
    }

    /// Brings the locals to a label.
    fn branch(&mut self, depth: u32) {
        let Some(at) = self.open.len().checked_sub(1 + depth as usize) else { return };
        if !self.reachable || matches!(self.open[at].label, Label::Return) || !self.spend() {
            return;
        }
        match &mut self.open[at].label {
            Label::Return => {}
            Label::Head(first) => {
                let first = *first;
                for place in 0..self.now.len() {
                    self.copy(self.now[place], first + place as u32);
                }
            }
            Label::End(met) => match met.take() {
                None => *met = Some((self.now.clone(), vec![false; self.now.len()])),
                Some((mut values, mut joined)) => {
                    for place in 0..self.now.len() {
                        self.join(place, &mut values[place], &mut joined[place]);
                    }
                    self.open[at].label = Label::End(Some((values, joined)));
                }
            },
        }
    }

    /// Joins a local with the value that others brought to a label, where
    /// `joined` tells whether that is a node for that very purpose.
    fn join(&mut self, place: usize, value: &mut Value, joined: &mut bool) {
        let now = self.now[place];
        if now == *value {
            return;
        }
        let node = match *value {
            Value::Node(node) if *joined => node,
            other => {
                let node = self.node(None, Class::Number, None, self.vectors[place]);
                self.copy(other, node);
                node
            }
        };
        self.copy(now, node);
        (*value, *joined) = (Value::Node(node), true);
    }

    fn end(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        let (begin, entered) = (open.begin.take(), open.reachable);
        if begin.is_some() || matches!(open.label, Label::End(Some(_))) {
            self.branch(0);
        }
        // An `if` without `else`: the other way.
        if let Some(begin) = begin {
            self.now = begin;
            self.reachable = entered;
            self.branch(0);
        }
        match self.open.pop().map(|open| open.label) {
            Some(Label::Head(_)) => self.loops -= 1,
            Some(Label::End(Some((values, _)))) => {
                self.now = values;
                self.reachable = true;
            }
            _ => {}
        }
    }

    /// The replacements, in order.
    pub(super) fn replacements(self) -> Vec<Replace> {
        if self.followed { self.graph.replacements() } else { self.graph.all_of_arithmetic() }
    }
}
