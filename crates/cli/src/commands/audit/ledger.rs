//! What the relay says that everyone has, held to what the log makes of it.

use super::report::Problem;
use grid_audit::Auditor;
use grid_protocol::PublicKey;
use grid_protocol::api::{LedgerInfo, Points};
use std::collections::{BTreeMap, BTreeSet};

/// The relay's word, and the log's once its entry was reached.
pub(super) struct Claim {
    claimed: LedgerInfo,
    computed: Option<LedgerInfo>,
}

impl Claim {
    pub(super) fn new(claimed: LedgerInfo) -> Self {
        Self { claimed, computed: None }
    }

    /// Entry `seq` was applied.
    pub(super) fn at(&mut self, seq: u64, auditor: &Auditor) {
        if seq == self.claimed.seq {
            self.computed = Some(auditor.ledger().info());
        }
    }

    /// Where they differ, in a log of `size` entries.
    pub(super) fn problems(self, size: u64) -> Vec<Problem> {
        let problem = |why| Problem::new("ledger", why);
        let Self { claimed, computed } = self;
        let computed = match computed {
            Some(computed) => computed,
            // Nothing is counted yet.
            None if claimed.seq == 0 => return Vec::new(),
            None => {
                let why = format!(
                    "the relay's ledger counts up to entry {}, past the {size} of its log",
                    claimed.seq
                );
                return vec![problem(why)];
            }
        };
        // What results hold that are not settled, only the relay knows.
        let totals = [
            ("issued", claimed.issued, computed.issued),
            ("owners' budgets", claimed.owners, computed.owners),
            ("jobs", claimed.jobs.saturating_add(claimed.held), computed.jobs),
        ];
        let mut problems: Vec<Problem> = totals
            .into_iter()
            .filter(|(_, said, made)| said != made)
            .map(|(what, said, made)| {
                problem(format!("{what}: the relay says {said} fuel, the log makes it {made}"))
            })
            .collect();
        let by_key = |ledger: &LedgerInfo| -> BTreeMap<PublicKey, Points> {
            ledger.people.iter().map(|person| (person.key, person.points)).collect()
        };
        let (said, made) = (by_key(&claimed), by_key(&computed));
        let keys: BTreeSet<_> = said.keys().chain(made.keys()).collect();
        for key in keys.into_iter().filter(|key| said.get(key) != made.get(key)) {
            let words = |points: Option<&Points>| words(&points.copied().unwrap_or_default());
            problems.push(problem(format!(
                "{key}: the relay says {}; the log makes it {}",
                words(said.get(key)),
                words(made.get(key))
            )));
        }
        problems
    }
}

fn words(points: &Points) -> String {
    let Points { work, site, invited, campaign, availability, reliability } = points;
    format!(
        "{} fuel (work {work}, sites {site}, invitations {invited}, campaigns {campaign}, \
         availability {availability}, reliability {reliability})",
        points.total()
    )
}
