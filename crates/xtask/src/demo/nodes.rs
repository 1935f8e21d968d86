//! The demo's nodes: three browsers, and a liar.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::Value;

use super::relay::Relay;
use super::short;
use crate::process::{Process, TemporaryFolder, command};
use crate::ui::Step;
use crate::{build, ext};

/// A browser that is not a node by then won't become one.
const JOIN: Duration = Duration::from_secs(90);
/// The liar leaves by itself after so many seconds, if nothing else ends it.
const LIES: &str = "900";

/// Nodes that have joined. Dropping them ends their processes.
pub(super) struct Nodes {
    browsers: Process,
    pub(super) honest: Vec<String>,
    _liar: Option<Process>,
    /// Empty where there is none.
    pub(super) liar: String,
    /// The profiles. Goes when the browsers have ended.
    _profiles: TemporaryFolder,
}

impl Nodes {
    /// Starts all at once, and returns when the relay has welcomed each: so the
    /// liar is there when tasks are given out.
    pub(super) fn start(relay: &Relay, count: usize, with_liar: bool) -> Result<Self> {
        let mut step = Step::start(format!(
            "Start {count} Chromium profiles{}",
            if with_liar { ", a liar" } else { "" }
        ));
        let mut node = command("node");
        node.arg("tests/browser/demo.mjs").arg("--ext").arg(ext::folder());
        node.args(["--browsers", &count.to_string(), "--relay", &relay.url]);
        let profiles = TemporaryFolder::new("demo-profiles")?;
        node.env("TMPDIR", profiles.path());
        // They end when this pipe closes.
        let mut browsers = Process::start(node.stdin(Stdio::piped()))?;
        let (liar_process, liar) = match with_liar {
            true => start_liar(relay).map(|(process, key)| (Some(process), key))?,
            false => (None, String::new()),
        };
        let mut honest = Vec::new();
        while honest.len() < count {
            step.progress(&format!(
                "{} of {} joined",
                honest.len() + 1,
                count + usize::from(with_liar)
            ));
            honest.push(browsers.wait_for(JOIN, |line| {
                let joined: Value = serde_json::from_str(line).ok()?;
                joined["node"].as_str().map(str::to_owned)
            })?);
        }
        let keys: Vec<&str> = honest.iter().map(|key| short(key)).collect();
        step.done(&match with_liar {
            true => format!("nodes {}; liar {}", keys.join(" "), short(&liar)),
            false => format!("nodes {}", keys.join(" ")),
        });
        Ok(Self { browsers, honest, _liar: liar_process, liar, _profiles: profiles })
    }

    /// What the browsers said since they joined.
    pub(super) fn printed(&self) -> String {
        self.browsers.printed().join("\n")
    }
}

/// A node that lies, and its key.
fn start_liar(relay: &Relay) -> Result<(Process, String)> {
    let mut swarm = command(build::program("grid-swarm")?);
    swarm.args(["--relay", &relay.url, "--nodes", "1", "--slots", "1", "--keys"]);
    swarm.args(["--executor", "liar", "--seconds", LIES, "--seed", &seed().to_string()]);
    let mut process = Process::start(&mut swarm)?;
    let key = process.wait_for(JOIN, |line| {
        let key = line.strip_prefix("node ")?.strip_suffix(" joined")?;
        Some(key.to_owned())
    })?;
    Ok((process, key))
}

/// Where the liar's key comes from: a relay that stays up shut the last one out.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}
