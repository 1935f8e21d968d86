//! The `grid` command, from outside.
//! One program, so that what it tests is linked once.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod account;
mod audit;
mod common;
mod dishonest;
mod errors;
mod infer;
mod relay;
mod run;
mod verify;
