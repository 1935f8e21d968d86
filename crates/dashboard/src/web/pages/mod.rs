//! The pages, one file each.

mod audit;
mod check;
mod job;
mod leaders;
mod node;
mod operate;
mod overview;
mod people;
mod submit;

pub(super) use audit::audit;
pub(super) use check::check;
pub(super) use job::job;
pub(super) use leaders::leaderboard;
pub(super) use node::node;
pub(super) use operate::operate;
pub(super) use overview::overview;
pub(super) use people::{account, campaign, campaigns, invitation, team};
pub(super) use submit::submit;
