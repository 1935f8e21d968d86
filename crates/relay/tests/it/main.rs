//! What the relay promises, from outside: its API, its command, its store.
//! One program, so that what it tests is linked once.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod accounts;
mod api;
mod bounds;
mod cli;
mod common;
mod embed;
mod faults;
mod joins;
mod log;
mod openapi;
mod operate;
mod pages;
mod people;
mod people_store;
mod store;
mod trust;
mod witness;
