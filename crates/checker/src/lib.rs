//! What makes a relay checkable by anyone: proofs and the whole log, verified
//! in a worker of the relay's pages with the code of `grid verify` and
//! `grid audit`. A program of its own, because the pages need none of it until
//! somebody checks something.
//!
//! Everything that decides is pure and runs anywhere: [`replay`] recomputes a
//! log and holds what the relay says ([`claims`]) against it, [`prove`] makes a
//! proof from tiles. `web` fetches for them and talks
//! with the page, and exists for wasm only.

pub mod claims;
pub mod prove;
pub mod replay;

#[cfg(target_arch = "wasm32")]
mod web;
