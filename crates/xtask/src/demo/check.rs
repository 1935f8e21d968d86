//! What the demo holds each result against: its receipt, the module run again
//! in wasmtime, and the same program built natively.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::relay::Relay;
use super::short;
use crate::process::{command, stopping};
use crate::ui::{self, Step};

/// A task's result and what checking it found.
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) job: String,
    /// The entry that settled the task.
    pub(super) entry: u64,
    pub(super) output: String,
    fuel: u64,
    /// Who agreed on it, by key; the relay's own run is `relay`.
    agreed: Vec<String>,
    /// `grid verify`: signatures, digests, and the same bytes and fuel again.
    receipt: Result<usize, String>,
    /// The native program computes the same standard output.
    native: bool,
}

impl Checked {
    pub(super) fn good(&self) -> bool {
        // No result of a new node is final alone.
        self.receipt.is_ok() && self.native && self.agreed.len() > 1
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name, "output": self.output, "fuel": self.fuel,
            "entry": self.entry, "agreed": self.agreed,
            "receipt": self.receipt.is_ok(), "native": self.native,
        })
    }
}

pub(super) fn all(
    relay: &Relay,
    module: &Path,
    native: &Path,
    inputs: &[PathBuf],
    out: &Path,
) -> Result<Vec<Checked>> {
    let mut step = Step::start("Check every result");
    let mut results = Vec::new();
    for input in inputs {
        if stopping() {
            bail!("stopped");
        }
        step.progress(&format!("{}/{}", results.len(), inputs.len()));
        results.push(one(relay, module, native, input, out)?);
    }
    step.done("receipts, a second run in wasmtime, a native run");
    Ok(results)
}

fn one(relay: &Relay, module: &Path, native: &Path, input: &Path, out: &Path) -> Result<Checked> {
    let name = input.file_name().context("an input is a file")?.to_string_lossy().into_owned();
    let folder = out.join(&name);
    let path = folder.join("receipt.json");
    let receipt = std::fs::read(&path)
        .with_context(|| format!("{} is missing: the task has no result", path.display()))?;
    let receipt: Value = serde_json::from_slice(&receipt)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let result = &receipt["result"];
    let body = &result["receipt"]["body"];
    let voter = |body: &Value| {
        if body["node"] == body["relay"] { "relay".to_owned() } else { text(&body["node"]) }
    };
    let quorum = result["quorum"].as_array().map(Vec::as_slice).unwrap_or_default();
    let others = quorum.iter().map(|receipt| voter(&receipt["body"]));
    let agreed = std::iter::once(voter(body)).chain(others).collect();

    let mut verify = relay.grid()?;
    verify.arg("verify").arg(&path).arg("--json");
    verify.arg("--module").arg(module).arg("--input").arg(input);
    let verified = verify.output()?;
    let report = serde_json::from_slice(&verified.stdout).unwrap_or_default();
    let verdict = verdict(verified.status.success(), &report);

    let computed = command(native)
        .args(super::ARGUMENTS)
        .stdin(File::open(input)?)
        .output()
        .context("can't run the native program")?;
    let stdout = std::fs::read(folder.join("stdout"))?;
    Ok(Checked {
        name,
        job: text(&receipt["job"]),
        entry: result["seq"].as_u64().unwrap_or_default(),
        output: text(&body["output"]),
        fuel: body["fuel"].as_u64().unwrap_or_default(),
        agreed,
        receipt: verdict,
        native: computed.status.success() && !stdout.is_empty() && computed.stdout == stdout,
    })
}

/// How many checks `grid verify` made, all of which must have been possible;
/// or the first that failed.
fn verdict(success: bool, report: &Value) -> Result<usize, String> {
    let checks = report["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    // What the owner asked for is checked on arrival, by `grid submit`.
    let needed = checks.iter().filter(|check| check["check"] != "request");
    match needed.clone().find(|check| check["ok"] != true) {
        Some(check) => Err(format!("{}: {}", check["check"], check["why"])),
        None if !success || report["verified"] != true => Err("not verified".to_owned()),
        None => Ok(needed.count()),
    }
}

pub(super) fn table(results: &[Checked]) -> String {
    let heading = ["task", "output", "fuel", "receipt", "native", "agreed"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for result in results {
        rows.push(vec![
            result.name.clone(),
            short(&result.output).to_owned(),
            result.fuel.to_string(),
            match &result.receipt {
                Ok(checks) => format!("{checks} checks hold"),
                Err(_) => "FAILED".to_owned(),
            },
            if result.native { "equal".to_owned() } else { "DIFFERS".to_owned() },
            result.agreed.iter().map(|voter| short(voter)).collect::<Vec<_>>().join(" "),
        ]);
    }
    let mut text = ui::table(&rows);
    for result in results {
        if let Err(why) = &result.receipt {
            text.push_str(&format!("  {}: {why}\n", result.name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_report_is_good() {
        let check = |name: &str, ok: Value| json!({"check": name, "ok": ok, "why": "so"});
        let report = |checks: &[Value]| json!({"verified": true, "checks": checks});
        let request = check("request", Value::Null);
        let good = report(&[check("signature", json!(true)), request.clone()]);
        assert_eq!(verdict(true, &good), Ok(1));
        assert!(verdict(false, &good).is_err());
        let skipped = report(&[check("signature", json!(true)), check("rerun", Value::Null)]);
        assert!(verdict(true, &skipped).unwrap_err().contains("rerun"));
        let failed = report(&[check("output", json!(false)), request]);
        assert!(verdict(true, &failed).is_err());
        assert!(verdict(true, &Value::Null).is_err());
    }
}
