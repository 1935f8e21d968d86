//! A node in a page: at `/node/` in a tab of its own, and at `/embed/SITE` in a
//! frame that other sites' pages hold (docs/embed.md). `/embed.js` draws the
//! widget there; `/embed/` is for who owns such a site.

mod pages;
mod sites;

pub(crate) use pages::api;
pub(crate) use sites::origin;
pub use sites::{Site, add_site, remove_site, sites};
