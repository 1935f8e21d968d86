//! What the relay tells of itself, in Prometheus' text format.

use crate::operate::Latest;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Code {
    code: &'static str,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) nodes: Gauge,
    pub(crate) sockets: Gauge,
    pub(crate) jobs: Gauge,
    pub(crate) store_works: Gauge,
    pub(crate) blob_bytes: Gauge,
    pub(crate) granted: Counter,
    pub(crate) accepted: Counter,
    pub(crate) repeated: Counter,
    pub(crate) votes: Counter,
    pub(crate) settled: Counter,
    pub(crate) caught: Counter,
    pub(crate) checks: Counter,
    pub(crate) unanswered: Counter,
    pub(crate) referee_runs: Counter,
    pub(crate) referee_failed: Counter,
    pub(crate) roster: Gauge,
    pub(crate) provisional: Gauge,
    pub(crate) commit_writes: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) lease_seconds: Histogram,
    /// The same, of late and by node, for the operator.
    pub(crate) latest: Latest,
    tasks: Family<State, Gauge>,
    rejected: Family<Reason, Counter>,
    refused: Family<Reason, Counter>,
    leases_over: Family<Reason, Counter>,
    recoveries: Family<Reason, Counter>,
    http_errors: Family<Code, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("grid");
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 18));
        let metrics = Self {
            nodes: Gauge::default(),
            sockets: Gauge::default(),
            jobs: Gauge::default(),
            store_works: Gauge::default(),
            blob_bytes: Gauge::default(),
            granted: Counter::default(),
            accepted: Counter::default(),
            repeated: Counter::default(),
            votes: Counter::default(),
            settled: Counter::default(),
            caught: Counter::default(),
            checks: Counter::default(),
            unanswered: Counter::default(),
            referee_runs: Counter::default(),
            referee_failed: Counter::default(),
            roster: Gauge::default(),
            provisional: Gauge::default(),
            commit_writes: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: seconds(),
            lease_seconds: seconds(),
            latest: Latest::default(),
            tasks: Family::default(),
            rejected: Family::default(),
            refused: Family::default(),
            leases_over: Family::default(),
            recoveries: Family::default(),
            http_errors: Family::default(),
            registry: Registry::default(),
        };
        let r = &mut registry;
        r.register("nodes_online", "Nodes that have joined", metrics.nodes.clone());
        r.register("sockets", "Open node sockets, joined or not", metrics.sockets.clone());
        r.register("jobs_running", "Jobs with unfinished tasks", metrics.jobs.clone());
        r.register("store_works", "1 while the store takes writes", metrics.store_works.clone());
        r.register("blob_bytes", "Bytes of all blob files", metrics.blob_bytes.clone());
        r.register("tasks", "Unfinished tasks of running jobs, by state", metrics.tasks.clone());
        r.register("leases_granted", "Leases granted", metrics.granted.clone());
        r.register(
            "leases_over",
            "Leases that ended without a result, by reason",
            metrics.leases_over.clone(),
        );
        r.register("receipts_accepted", "Receipts accepted", metrics.accepted.clone());
        r.register(
            "receipts_repeated",
            "Receipts that came again and got the same acknowledgement",
            metrics.repeated.clone(),
        );
        r.register("receipts_rejected", "Receipts rejected, by reason", metrics.rejected.clone());
        r.register("nodes_refused", "Sockets refused, by reason", metrics.refused.clone());
        r.register("http_errors", "HTTP error answers, by code", metrics.http_errors.clone());
        r.register(
            "recoveries",
            "Times that unfinished work was taken up again, by reason",
            metrics.recoveries.clone(),
        );
        r.register("commit_writes", "Writes in one commit", metrics.commit_writes.clone());
        r.register("commit_seconds", "Time of one commit", metrics.commit_seconds.clone());
        r.register(
            "lease_seconds",
            "Time from a lease to its durable receipt",
            metrics.lease_seconds.clone(),
        );
        for (name, help, counter) in [
            ("votes", "Receipts committed as votes on their tasks", &metrics.votes),
            ("tasks_settled", "Tasks that got their canonical result", &metrics.settled),
            ("nodes_caught", "Nodes that were caught with a wrong answer", &metrics.caught),
            ("checks_drawn", "Checks that were drawn", &metrics.checks),
            ("checks_unanswered", "Drawn nodes that did not check", &metrics.unanswered),
            ("referee_runs", "Tasks that the relay ran itself", &metrics.referee_runs),
            (
                "referee_failed",
                "Runs of the relay's own that came to nothing",
                &metrics.referee_failed,
            ),
        ] {
            r.register(name, help, counter.clone());
        }
        r.register("roster", "Nodes that can be drawn to check", metrics.roster.clone());
        r.register(
            "tasks_provisional",
            "Tasks of running jobs that have a result, but not their canonical one",
            metrics.provisional.clone(),
        );
        Self { registry, ..metrics }
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&Reason { reason }).inc();
    }

    /// How many were rejected for this reason.
    pub(crate) fn rejections(&self, reason: &'static str) -> u64 {
        self.rejected.get(&Reason { reason }).map_or(0, |counter| counter.get())
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn lease_over(&self, reason: &'static str) {
        self.leases_over.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn recovered(&self, reason: &'static str) {
        self.recoveries.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn http_error(&self, code: &'static str) {
        self.http_errors.get_or_create(&Code { code }).inc();
    }

    pub(crate) fn set_tasks(&self, waiting: usize, leased: usize) {
        for (state, count) in [("waiting", waiting), ("leased", leased)] {
            self.tasks.get_or_create(&State { state }).set(count as i64);
        }
    }

    /// The OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String doesn't fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
