//! `cargo xtask demo --infer`: a real text embedded and a question answered by
//! browsers, each held to the same model run here; and a wrong token found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::nodes::Nodes;
use super::relay::Relay;
use super::short;
use crate::process::{command, output, stream};
use crate::ui::{self, Step};
use crate::{build, models};

/// Profiles of Chromium, each with a model of its own in memory.
const BROWSERS: usize = 2;
/// A node fetches and checks 100 MB before its first token.
const CALL: Duration = Duration::from_secs(5 * 60);
const TEXT: &str = "examples/word-frequencies/data";
/// Lines that are embedded: one task's worth.
const LINES: usize = 12;
const QUESTION: &str = "What is the capital of France? Answer in one sentence.";
const MOST: u32 = 24;

/// Installs both models in a relay that doesn't run yet.
pub(super) fn install(data: &Path) -> Result<()> {
    models::fetch()?;
    std::fs::create_dir_all(data)?;
    for name in models::NAMES {
        let step = Step::start(format!("Install {name}"));
        let mut add = command(build::program("grid-relay")?);
        add.args(["model", "add"]).arg(models::folder().join(name)).arg("--data-dir").arg(data);
        output(&mut add)?;
        step.done("");
    }
    Ok(())
}

/// Everything, on a relay with the models.
pub(super) fn run(relay: &Relay) -> Result<Value> {
    let nodes = Nodes::start(relay, BROWSERS, false)?;
    let shown = embed(relay).and_then(|embedded| Ok((embedded, chat(relay, &nodes)?)));
    let (embedded, chatted) = shown.inspect_err(|_| {
        let (relay, browsers) = (relay.log(), nodes.printed());
        ui::line(format_args!("\nThe relay's log:\n{relay}\nThe browsers':\n{browsers}"));
    })?;
    Ok(json!({ "ok": true, "nodes": nodes.honest, "embed": embedded, "chat": chatted }))
}

/// Embeds the first lines of a shipped text, and compares with this machine.
fn embed(relay: &Relay) -> Result<Value> {
    let path = text()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let step = Step::start(format!("Embed {LINES} lines of {name} in a browser"));
    let whole = std::fs::read_to_string(&path)?;
    let lines: Vec<&str> =
        whole.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES).collect();
    let mut grid = relay.grid()?;
    grid.arg("embed").args(&lines).arg("--json");
    let printed = objects(&mut grid)?;
    let (last, vectors) = printed.split_last().context("the command printed nothing")?;
    let receipt = receipt(relay, last)?;
    step.done(&format!("{} vectors", vectors.len()));
    let here = here(models::NAMES[1], &json!({ "texts": lines }), None, &receipt.seed)?;
    agree("embedding", &receipt, &here)
}

/// Asks a question, compares with this machine, then claims a wrong token.
fn chat(relay: &Relay, nodes: &Nodes) -> Result<Value> {
    ui::line("");
    ui::line(format_args!("You:   {QUESTION}"));
    let step = Step::start("Answer it in a browser");
    let mut grid = relay.grid()?;
    grid.args(["chat", QUESTION, "--max-tokens", &MOST.to_string(), "--json"]);
    let printed = objects(&mut grid)?;
    let last = printed.last().context("the command printed nothing")?;
    step.done("");
    ui::line(format_args!("Model: {}", last["text"].as_str().unwrap_or_default().trim()));
    let receipt = receipt(relay, last)?;
    if !nodes.honest.contains(&receipt.node) {
        bail!("node {} answered, which is no browser of this demo", short(&receipt.node));
    }
    let request =
        json!({ "messages": [{ "role": "user", "content": QUESTION }], "max_tokens": MOST });
    let here = here(models::NAMES[0], &request, None, &receipt.seed)?;
    let mut shown = agree("answer", &receipt, &here)?;

    let step = Step::start("Claim another token, and check the claim by one prefill");
    let mut claimed = here["answer"].clone();
    let tokens = claimed["tokens"].as_array_mut().context("an answer has tokens")?;
    let at = tokens.len() / 2;
    tokens[at] = json!(tokens[at].as_u64().unwrap_or_default() ^ 1);
    let checked = self::here(models::NAMES[0], &request, Some(&claimed), &receipt.seed)?;
    if checked["draft"]["wrong_token"] != json!(at) || checked["check"] != here["check"] {
        bail!("the wrong token {at} was not found: {}", checked["draft"]);
    }
    step.done(&format!("caught at token {at}; the answer and its digest stay"));
    shown["wrong_token_caught_at"] = json!(at);
    Ok(shown)
}

/// What a node signed.
struct Receipt {
    node: String,
    check: String,
    output: String,
    seed: String,
}

/// The receipt of a call, from the object that the command printed last.
fn receipt(relay: &Relay, last: &Value) -> Result<Receipt> {
    let address = last["receipt"].as_str().context("the call has no receipt")?;
    let job = address.split("/jobs/").nth(1).and_then(|rest| rest.split('/').next());
    let job = job.with_context(|| format!("{address} names no job"))?;
    let folder = relay.file("receipts").join(job);
    let mut grid = relay.grid()?;
    grid.args(["results", job, "--follow", "--force", "--out"]).arg(&folder);
    output(&mut grid)?;
    let mut found = None;
    for file in walk(&folder)? {
        if file.file_name().is_some_and(|name| name == "receipt.json") {
            found = Some(serde_json::from_slice::<Value>(&std::fs::read(&file)?)?);
        }
    }
    let file = found.with_context(|| format!("{} holds no receipt", folder.display()))?;
    let field = |place: &str| {
        let value = file.pointer(place).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("a receipt without {place}: {file}"))
    };
    Ok(Receipt {
        node: field("/result/receipt/body/node")?,
        check: field("/result/receipt/body/check")?,
        output: field("/result/receipt/body/output")?,
        seed: field("/result/spec/seed")?,
    })
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(walk(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

/// Runs a request on this machine's processor.
fn here(model: &str, request: &Value, draft: Option<&Value>, seed: &str) -> Result<Value> {
    let file = build::target().join("demo-request.json");
    std::fs::write(&file, request.to_string())?;
    let mut grid = command(build::program("grid")?);
    grid.args(["model", "run"]).arg(models::folder().join(model));
    grid.arg("--request").arg(&file).args(["--seed", seed, "--json"]);
    if let Some(draft) = draft {
        let file = build::target().join("demo-draft.json");
        std::fs::write(&file, draft.to_string())?;
        grid.arg("--draft").arg(&file);
    }
    let mut answer = Value::Null;
    // A draft that is wrong is no success of the command, and what is wanted here.
    stream(&mut grid, CALL, |line| {
        if let Ok(object) = serde_json::from_str(line) {
            answer = object;
        }
    })?;
    Ok(answer)
}

fn agree(what: &str, receipt: &Receipt, here: &Value) -> Result<Value> {
    let (check, output) = (here["check"].as_str(), here["output"].as_str());
    ui::line(format_args!(
        "       node {}: check {}, output {}",
        short(&receipt.node),
        short(&receipt.check),
        short(&receipt.output)
    ));
    ui::line(format_args!(
        "       this machine:  check {}, output {}",
        short(check.unwrap_or("?")),
        short(output.unwrap_or("?"))
    ));
    if (check, output) != (Some(receipt.check.as_str()), Some(receipt.output.as_str())) {
        bail!("the browser's {what} is NOT what this machine computes");
    }
    ui::line(format_args!("       The same, bit for bit."));
    Ok(
        json!({ "node": receipt.node, "check": receipt.check, "output": receipt.output, "fuel": here["fuel"] }),
    )
}

/// The objects that a command prints, a line each.
fn objects(command: &mut Command) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    let status = stream(command, CALL, |line| objects.extend(serde_json::from_str::<Value>(line)))?;
    if !status.success() {
        bail!("the command ended with {status}: {objects:?}");
    }
    Ok(objects)
}

/// A shipped text.
fn text() -> Result<PathBuf> {
    let mut files = walk(&crate::root().join(TEXT))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files.into_iter().next().with_context(|| format!("{TEXT} holds no text"))
}
