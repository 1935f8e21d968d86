//! The relay's pages, as an application in the visitor's browser: live
//! figures, standings, and what makes a relay checkable by anyone, proofs and
//! the whole log, verified here with the code of `grid verify` and
//! `grid audit`.
//!
//! Everything that decides is pure and runs anywhere: [`replay`] recomputes a
//! log, [`prove`] makes a proof from tiles, [`route`] and [`words`] say where
//! the visitor is and what is shown. `web` draws it, fetches for it, and
//! exists for wasm only. The same program runs in the page and in the worker
//! that replays the log, so that the page stays responsive.

pub mod prove;
pub mod replay;
pub mod route;
pub mod words;

#[cfg(target_arch = "wasm32")]
#[allow(unreachable_pub, reason = "Leptos makes the properties of every component public")]
mod web;
