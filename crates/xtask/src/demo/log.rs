//! What the relay's public log says of the demo: who was caught, whether it all
//! adds up, and a proof of one task.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::check::Checked;
use super::nodes::Nodes;
use super::relay::Relay;
use super::short;
use crate::process::wait_until;
use crate::ui;

/// The liar's last receipt is decided with the job; this is for the moment
/// between the entry and the relay's answer.
const CAUGHT: Duration = Duration::from_secs(10);

/// How the liar was caught.
pub(super) struct Caught {
    /// The entry that did it: a task's settlement.
    pub(super) entry: u64,
    state: String,
    why: String,
    decision: String,
}

/// Asks `grid node explain` for the liar. Fails if it was not caught, or earned
/// anything.
pub(super) fn caught(relay: &Relay, liar: &str) -> Result<Caught> {
    let arguments = ["node", "explain", liar].map(OsStr::new);
    let node = wait_until(CAUGHT, || {
        let (_, answer) = relay.ask(&arguments)?;
        let node = &answer["node"];
        Ok((node["state"] == "caught").then(|| node.clone()))
    })?;
    let Some(node) = node else {
        let (_, answer) = relay.ask(&arguments)?;
        let node = &answer["node"];
        bail!("the liar {} was NOT caught: it is {}, {}", short(liar), node["state"], node["why"]);
    };
    let decisions = node["decisions"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The newest comes first, and other lies of it may lose after the first did.
    let decision = decisions.iter().rev().find(|decision| decision["what"] == "caught");
    let decision = decision.context("the relay names no entry that caught the liar")?;
    ensure!(
        node["fuel"] == 0 && node["tasks"] == 0,
        "the liar {} was caught, but earned {} fuel for {} results",
        short(liar),
        node["fuel"],
        node["tasks"]
    );
    let words = |value: &Value| shortened(value.as_str().unwrap_or_default());
    Ok(Caught {
        entry: decision["seq"].as_u64().context("a decision has an entry")?,
        state: words(&node["state"]),
        why: words(&node["why"]),
        decision: words(&decision["why"]),
    })
}

impl Caught {
    pub(super) fn show(&self, liar: &str) {
        let Self { entry, state, why, decision } = self;
        let short = short(liar);
        ui::line(format_args!("The liar {short} was caught by entry {entry}, and earned nothing."));
        ui::line("");
        ui::line(format_args!("$ grid node explain {liar}"));
        ui::line(format_args!("  {state}: {why}"));
        ui::line(format_args!("  {decision}"));
    }
}

/// Recomputes everything from the public log. Fails if anything differs, or if
/// the log tells another story than the relay told us.
pub(super) fn audit(
    relay: &Relay,
    nodes: &Nodes,
    caught: &Caught,
    results: &[Checked],
) -> Result<Value> {
    let state = relay.file("audit");
    let arguments = ["audit", &relay.url, "--relay-key", &relay.key, "--state"].map(OsStr::new);
    let (success, report) = relay.ask(&[&arguments[..], &[state.as_os_str()]].concat())?;
    if !success || report["ok"] != true {
        let problems = report["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let why: Vec<&str> = (problems.iter().chain([&report["error"]]))
            .filter_map(|problem| problem["message"].as_str())
            .collect();
        bail!("the audit does NOT agree with the relay:\n  {}", why.join("\n  "));
    }
    let (counts, points) = (&report["counts"], report["points"].as_array());
    let points = points.map(Vec::as_slice).unwrap_or_default();
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    let of = |key: &String| {
        let node = points.iter().find(|node| node["node"] == key.as_str());
        node.with_context(|| format!("the audited log doesn't know node {}", short(key)))
    };
    let liar = of(&nodes.liar)?;
    ensure!(
        liar["caught"] == caught.entry && liar["fuel"] == 0,
        "the audited log says otherwise of the liar: {liar}"
    );
    for key in &nodes.honest {
        let node = of(key)?;
        let fair = node["caught"].is_null() && node["fuel"].as_u64() > Some(0);
        ensure!(fair, "an honest node was caught, or earned nothing: {node}");
    }
    ensure!(
        count("settled") >= results.len() as u64,
        "the audited log settles {} tasks, but {} have results",
        count("settled"),
        results.len()
    );
    ui::line("");
    ui::line(format_args!("$ grid audit {}", relay.url));
    ui::line(format_args!(
        "  {} entries: the tree, {} receipts with signature and draw, {} settled tasks,",
        count("entries"),
        count("receipts"),
        count("settled")
    ));
    ui::line(format_args!(
        "  {} caught, the points of {} nodes: recomputed, and everything agrees.",
        count("caught"),
        points.len()
    ));
    Ok(json!({"ok": true, "counts": counts}))
}

/// Proves the task that caught the liar in one file, and checks the file.
pub(super) fn prove(relay: &Relay, caught: &Caught, results: &[Checked], out: &Path) -> Result<()> {
    // On a relay that stayed up, it may be a task that an earlier demo left.
    let task = results.iter().find(|result| result.entry == caught.entry);
    let task = task.or(results.first()).context("the job has results")?;
    let file = out.join("proof.json");
    let arguments = ["prove", &task.job, &task.name, "--out"].map(OsStr::new);
    let (success, _) = relay.ask(&[&arguments[..], &[file.as_os_str()]].concat())?;
    ensure!(success, "`grid prove` failed for {}", task.name);
    let arguments = ["verify", "--relay-key", &relay.key].map(OsStr::new);
    let (success, report) = relay.ask(&[&arguments[..], &[file.as_os_str()]].concat())?;
    let proven = &report["proof"]["proven"];
    ensure!(
        success && proven["output"] == task.output.as_str(),
        "the proof of {} does NOT hold: {}",
        task.name,
        report["proof"]["steps"]
    );
    let shown = super::relative(&file).display();
    ui::line("");
    ui::line(format_args!("$ grid prove {} {} --out {shown}", short(&task.job), task.name));
    ui::line(format_args!("$ grid verify {shown}"));
    ui::line(format_args!(
        "  Holds, off line: entry {} with {} receipts that agree is in the log, output {}.",
        task.entry,
        proven["nodes"].as_array().map_or(0, Vec::len),
        short(&task.output)
    ));
    Ok(())
}

/// Text with keys and digests cut to their first digits.
fn shortened(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        let digits = word.bytes().take_while(u8::is_ascii_hexdigit).count();
        let cut = if digits >= 32 {
            format!("{}{}", short(word), &word[digits..])
        } else {
            word.to_owned()
        };
        words.push(cut);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_and_words_are_not() {
        let key = "0123456789abcdef".repeat(4);
        let text = format!("entry 7: its answer lost against node {key}, node {key}");
        assert_eq!(
            shortened(&text),
            "entry 7: its answer lost against node 01234567, node 01234567"
        );
    }
}
