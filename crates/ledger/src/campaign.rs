//! Campaigns: for some time, verified work brings more.

use crate::share;
use grid_protocol::entry::CampaignTerms;
use grid_protocol::{PublicKey, Runtime};
use std::collections::HashMap;

/// A campaign, and what came of it.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// What the operator offers.
    pub terms: CampaignTerms,
    /// The entry that opened it.
    pub seq: u64,
    /// When the operator closed it.
    pub closed_ms: Option<u64>,
    /// Verified work that counted, in fuel.
    pub work: u64,
    /// The same, by person.
    pub people: HashMap<PublicKey, u64>,
}

impl Campaign {
    pub(crate) fn new(terms: CampaignTerms, seq: u64) -> Self {
        Self { terms, seq, closed_ms: None, work: 0, people: HashMap::new() }
    }

    /// Does work of this runtime count now?
    pub(crate) fn takes(&self, now_ms: u64, runtime: Option<Runtime>) -> bool {
        let CampaignTerms { start_ms, end_ms, runtime: only, .. } = self.terms;
        let in_time = (start_ms..end_ms).contains(&now_ms) && self.closed_ms.is_none();
        in_time && (only.is_none() || only == runtime)
    }

    /// Counts work; gives back its bonus.
    pub(crate) fn count(&mut self, person: PublicKey, work: u64) -> u64 {
        self.work = self.work.saturating_add(work);
        let sum = self.people.entry(person).or_default();
        *sum = sum.saturating_add(work);
        share(work, self.terms.bonus_ppm)
    }
}
