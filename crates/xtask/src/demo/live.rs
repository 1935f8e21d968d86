//! `cargo xtask demo --live`: a relay that always has work, for whoever wants
//! to try Grid with a browser of their own. Two simulated nodes give the second
//! opinions that a newcomer's results need.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::relay::Relay;
use super::{ARGUMENTS, EXAMPLE, JOB, inputs};
use crate::process::{Process, TemporaryFolder, command, output, stream, wait_until};
use crate::ui::{self, Step};
use crate::{build, ext};

/// Simulated nodes, besides whoever comes.
const OTHERS: &str = "2";
/// They leave by themselves after so many seconds, and are started again.
const STAY: &str = "3600";
/// From the end of a job to the next one.
const PAUSE: Duration = Duration::from_secs(3);

/// Gives work until a signal ends this program.
pub(super) fn run(relay: &Relay, infer: bool) -> Result<()> {
    let (_host, host) = start_host(relay)?;
    explain(relay, &host, infer);
    let module = build::example_module(EXAMPLE);
    let inputs = inputs()?;
    let out = TemporaryFolder::new("live")?;
    let mut others = start_others(relay)?;
    let mut step = Step::start("Give work (Ctrl-C ends it)");
    let started = Instant::now();
    for jobs in 1_u64.. {
        let mut grid = relay.grid()?;
        grid.arg("submit").arg(&module);
        for input in &inputs {
            grid.arg("--input").arg(input);
        }
        for argument in ARGUMENTS {
            grid.arg("--arg").arg(argument);
        }
        grid.args(["--name", "word counts", "--force", "--json", "--out"]).arg(out.path());
        done(&mut grid)?;
        if infer {
            embed(relay, &inputs[0], out.path())?;
        }
        step.progress(&format!("{jobs} jobs in {}", ui::seconds(started.elapsed())));
        wait_until(PAUSE, || Ok(others.ended()?.then_some(())))?;
        if others.ended()? {
            others = start_others(relay)?;
        }
    }
    Ok(())
}

fn start_others(relay: &Relay) -> Result<Process> {
    let mut swarm = command(build::program("grid-swarm")?);
    swarm.args(["--relay", &relay.url, "--nodes", OTHERS, "--slots", "1", "--seconds", STAY]);
    Process::start(&mut swarm)
}

/// A site that holds the widget, and where it is: examples/hosts.
fn start_host(relay: &Relay) -> Result<(Process, String)> {
    const NAME: &str = "Harbour weather";
    let port = [8000, 0].into_iter().find_map(|port| {
        TcpListener::bind(("127.0.0.1", port)).and_then(|socket| socket.local_addr()).ok()
    });
    let port = port.context("no port is free")?.port();
    let origin = format!("http://localhost:{port}");
    let site = |arguments: &[&str]| -> Result<Value> {
        let mut site = command(build::program("grid-relay")?);
        site.arg("site").args(arguments).args(["--json", "--data-dir"]).arg(relay.file(""));
        Ok(serde_json::from_str(&output(&mut site)?)?)
    };
    let listed = site(&["list"])?;
    let ours = |site: &&Value| site["name"] == NAME && site["origins"] == json!([origin]);
    let found = listed.as_array().and_then(|sites| sites.iter().find(ours)).cloned();
    let found = found.map_or_else(|| site(&["add", NAME, "--origin", &origin]), Ok)?;
    let mut host = command("node");
    host.args(["examples/hosts/serve.mjs", "--relay", &relay.url, "--port", &port.to_string()]);
    host.arg("--site").arg(found["key"].as_str().context("a site has a key")?);
    Ok((Process::start(&mut host)?, format!("{origin}/plain/")))
}

/// A request that only runtime `infer` answers: the simulated nodes can't, so
/// it waits for a browser, but not for long.
fn embed(relay: &Relay, text: &Path, folder: &Path) -> Result<()> {
    const NODE: Duration = Duration::from_secs(20);
    let lines: String =
        std::fs::read_to_string(text)?.lines().take(8).map(|line| format!("{line}\n")).collect();
    let file = folder.join("lines.txt");
    std::fs::write(&file, lines)?;
    let mut grid = relay.grid()?;
    grid.arg("embed").arg("--file").arg(file).arg("--json");
    // Nobody who can: the next round asks again.
    let _ = stream(&mut grid, NODE, |_| {});
    Ok(())
}

fn done(grid: &mut Command) -> Result<()> {
    let mut said = String::new();
    let status = stream(grid, JOB, |line| said = line.to_owned())?;
    if !status.success() {
        bail!("a job did not end well: {status}\n{said}");
    }
    Ok(())
}

/// What a newcomer does next.
fn explain(relay: &Relay, host: &str, infer: bool) {
    let dist = ext::folder();
    let dist = dist.parent().unwrap_or(&dist).display();
    let url = &relay.url;
    ui::line("");
    ui::line(format_args!("1. Lend a browser, one of:"));
    ui::line(format_args!("   this page         {url}/node/  (any browser)"));
    ui::line(format_args!(
        "   Chrome, Edge      chrome://extensions, Developer mode, Load unpacked: {dist}/chrome"
    ));
    ui::line(format_args!(
        "   Firefox           about:debugging, This Firefox, Load Temporary Add-on: {dist}/firefox-full/manifest.json"
    ));
    if infer {
        ui::line(format_args!(
            "                     ({dist}/firefox is for Mozilla's store: AI models only)"
        ));
    }
    ui::line(format_args!("   Open its popup, check that the relay is {url}, and switch it on."));
    ui::line(format_args!("2. Watch it            {url}"));
    ui::line(format_args!(
        "3. Find yourself       {url}/#/leaders  (the popup shows your node's key)"
    ));
    ui::line("4. Check a receipt     in the popup, under the last tasks: Check");
    ui::line(format_args!("5. The widget          {host}  (your own site: {url}/embed/)"));
    ui::line("6. Stop everything     the switch in the popup, or Stop in the page");
    ui::line("");
}
