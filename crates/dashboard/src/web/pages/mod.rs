//! The pages, one file each.

mod audit;
mod check;
mod job;
mod leaders;
mod node;
mod overview;

pub(super) use audit::audit;
pub(super) use check::check;
pub(super) use job::{Key, job};
pub(super) use leaders::leaderboard;
pub(super) use node::node;
pub(super) use overview::overview;
