//! Expressions as trees of trait objects: every node is an indirect call.

use std::process::ExitCode;
use task_programs::{Random, run};

trait Node {
    fn value(&self, variables: &[i64; 4]) -> i64;
}

struct Constant(i64);
struct Variable(usize);
struct Negated(Box<dyn Node>);
struct Sum(Box<dyn Node>, Box<dyn Node>);
struct Product(Box<dyn Node>, Box<dyn Node>);
struct Choice(Box<dyn Node>, Box<dyn Node>, Box<dyn Node>);

impl Node for Constant {
    fn value(&self, _: &[i64; 4]) -> i64 {
        self.0
    }
}

impl Node for Variable {
    fn value(&self, variables: &[i64; 4]) -> i64 {
        variables[self.0 % 4]
    }
}

impl Node for Negated {
    fn value(&self, variables: &[i64; 4]) -> i64 {
        self.0.value(variables).wrapping_neg()
    }
}

impl Node for Sum {
    fn value(&self, variables: &[i64; 4]) -> i64 {
        self.0.value(variables).wrapping_add(self.1.value(variables))
    }
}

impl Node for Product {
    fn value(&self, variables: &[i64; 4]) -> i64 {
        self.0.value(variables).wrapping_mul(self.1.value(variables))
    }
}

impl Node for Choice {
    fn value(&self, variables: &[i64; 4]) -> i64 {
        let chosen = if self.0.value(variables) & 1 == 0 { &self.1 } else { &self.2 };
        chosen.value(variables)
    }
}

fn tree(random: &mut Random, depth: u32) -> Box<dyn Node> {
    if depth == 0 {
        return match random.below(2) {
            0 => Box::new(Constant(i64::from(random.below(1000)))),
            _ => Box::new(Variable(random.below(4) as usize)),
        };
    }
    let mut child = || tree(random, depth - 1);
    let (first, second) = (child(), child());
    match random.below(8) {
        0 => Box::new(Negated(first)),
        1 => Box::new(Choice(first, second, tree(random, depth - 1))),
        2..=4 => Box::new(Product(first, second)),
        _ => Box::new(Sum(first, second)),
    }
}

fn main() -> ExitCode {
    let setup = || tree(&mut Random::new(12), 11);
    run("expr", setup, |tree, round, checksum| {
        for step in 0..150 {
            let step = i64::from(round * 150 + step);
            checksum.number(tree.value(&[step, step ^ 85, 3 - step, step * 7]) as u64);
        }
    })
}
