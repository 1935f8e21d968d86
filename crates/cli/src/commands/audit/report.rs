//! What an audit says.

use crate::args::Global;
use crate::failure::Failure;
use crate::{quantity, ui};
use grid_audit::{Counts, Finding, NodePoints};
use grid_client::verify::Mark;
use grid_log::checkpoint::SignedCheckpoint;
use grid_protocol::PublicKey;
use serde::Serialize;
use serde_json::json;

/// Lines of problems, and of nodes, that a terminal gets.
const LINES: usize = 20;

/// Something that is not as it should be.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Problem {
    /// Stable.
    pub(super) code: &'static str,
    /// Entry, where it is about one.
    pub(super) seq: Option<u64>,
    /// For people.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: String) -> Self {
        Self { code, seq: None, message }
    }

    pub(super) fn of(finding: &Finding) -> Self {
        Self { code: finding.fault.code(), seq: Some(finding.seq), message: finding.to_string() }
    }
}

/// The whole of it.
pub(super) struct Report {
    pub(super) relay: PublicKey,
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) counts: Counts,
    pub(super) points: Vec<NodePoints>,
    pub(super) problems: Vec<Problem>,
    /// Entries that an earlier audit verified.
    pub(super) skipped: u64,
    pub(super) acks: u64,
    pub(super) seconds: f64,
    /// The witness's key and its cosignature line.
    pub(super) cosigned: Option<(String, String)>,
}

impl Report {
    pub(super) fn print(&self, global: &Global) -> Result<(), Failure> {
        if global.json { self.json() } else { self.words() }
    }

    fn json(&self) -> Result<(), Failure> {
        let checkpoint = self.checkpoint.checkpoint();
        let line = json!({
            "ok": self.problems.is_empty(),
            "relay": self.relay,
            "origin": checkpoint.origin(),
            "size": checkpoint.size(),
            "root": checkpoint.root(),
            "counts": self.counts,
            "verified_before": self.skipped,
            "acks": self.acks,
            "points": self.points,
            "problems": self.problems,
            "witness": self.cosigned.as_ref().map(|(key, line)| json!({
                "key": key, "cosignature": line,
            })),
            "seconds": self.seconds,
            "receipts_per_s": self.counts.receipts as f64 / self.seconds.max(1e-9),
        });
        ui::line(line.to_string())
    }

    fn words(&self) -> Result<(), Failure> {
        let (counts, checkpoint) = (&self.counts, self.checkpoint.checkpoint());
        let faulty = |codes: &[&str]| self.problems.iter().any(|p| codes.contains(&p.code));
        let row = |codes: &[&str], title: &str, words: String| {
            let mark = ui::mark(if faulty(codes) { Mark::Failed } else { Mark::Passed });
            ui::line(format!("{mark} {title:<12} {words}"))
        };
        row(
            &["history", "root"],
            "log",
            format!(
                "{} entries of {}, root {}",
                checkpoint.size(),
                ui::inline(checkpoint.origin()),
                super::short(checkpoint.root())
            ),
        )?;
        row(
            &["signature", "draw", "relay", "malformed", "link", "opened", "not_hidden"],
            "receipts",
            format!(
                "{} committed, {} of them still hidden; every signature, commitment and draw holds",
                counts.receipts, counts.hidden
            ),
        )?;
        row(
            &[
                "quorum",
                "not_drawn",
                "answer",
                "spec",
                "two_votes",
                "lease",
                "settled_twice",
                "no_such_job",
                "no_such_task",
                "unanswered",
                "rules",
                "roster",
            ],
            "decisions",
            format!(
                "{} tasks settled ({} by one trusted node, {} with the relay's own run), {} caught",
                counts.settled,
                counts.alone,
                counts.relay_votes,
                ui::count(counts.caught, "node")
            ),
        )?;
        row(
            &["money", "fuel", "refund", "not_done", "reserved_twice"],
            "budgets",
            "every unit of fuel is granted, reserved, spent or refunded once".into(),
        )?;
        let nodes = ui::count(self.points.len() as u64, "node");
        row(&["points"], "points", format!("of {nodes}, as the relay says"))?;
        row(
            &["ledger", "people"],
            "ledger",
            "all accounts together are zero; rewards follow the rules that were logged".into(),
        )?;
        if self.acks > 0 {
            let acks = ui::count(self.acks, "acknowledgement");
            row(&["dropped_receipt"], "kept", format!("{acks}: the log holds what they promise"))?;
        }
        self.nodes()?;
        for problem in self.problems.iter().take(LINES) {
            ui::line(format!("{} {}", ui::mark(Mark::Failed), problem.message))?;
        }
        if self.problems.len() > LINES {
            let more = self.problems.len() - LINES;
            ui::line(format!("  and {more} more; --json prints them all"))?;
        }
        if let Some((key, line)) = &self.cosigned {
            ui::line(format!("Cosigned as {key}"))?;
            ui::line(format!("  {line}"))?;
        }
        let before = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} of them verified before"),
        };
        ui::line(format!(
            "{} {} entries{before}, in {:.1} s.",
            if self.problems.is_empty() { "Everything agrees:" } else { "Not as it should be:" },
            counts.entries,
            self.seconds
        ))
    }

    fn nodes(&self) -> Result<(), Failure> {
        let mut nodes: Vec<_> = self.points.iter().collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.fuel));
        let rows: Vec<Vec<String>> = (nodes.iter().take(LINES))
            .map(|node| {
                let caught = node.caught.map(|seq| format!("caught by entry {seq}"));
                vec![
                    ui::short(node.node),
                    quantity::fuel(node.fuel),
                    node.tasks.to_string(),
                    caught.unwrap_or_default(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            for line in ui::table(&["NODE", "FUEL", "RESULTS", ""], &rows) {
                ui::line(line)?;
            }
        }
        Ok(())
    }
}
