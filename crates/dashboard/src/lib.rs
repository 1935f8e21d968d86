//! The relay's pages, as an application in the visitor's browser: live
//! figures, standings, jobs, accounts, the operator's view. What is checked is
//! checked in a worker, by crate `checker`, a program of its own: nobody
//! downloads it who doesn't check.
//!
//! What needs no browser runs anywhere, and is tested there: [`route`],
//! [`json`], [`words`], [`picture`], [`energy`], [`mod@zip`]. `web` draws it,
//! fetches for it, and exists for wasm only.

pub mod energy;
pub mod json;
pub mod picture;
pub mod route;
pub mod words;
pub mod zip;

#[cfg(target_arch = "wasm32")]
#[allow(unreachable_pub, reason = "Leptos makes the properties of every component public")]
mod web;
