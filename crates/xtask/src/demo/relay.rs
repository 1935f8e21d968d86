//! The demo's relay and its owner.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{Process, command, end_group, output, stream, wait_until};
use crate::ui::{self, Step};
use crate::{build, ext};

const READY: Duration = Duration::from_secs(30);
/// No command that asks the relay something takes longer.
const ANSWER: Duration = Duration::from_secs(60);
/// The address that the extension offers first.
const USUAL: &str = "127.0.0.1:8090";

pub(super) struct Relay {
    process: Process,
    pub(super) url: String,
    /// Its public key.
    pub(super) key: String,
    data: PathBuf,
}

impl Relay {
    /// Starts a relay with its data in this folder. One that stays takes the
    /// usual address if it is free, the others any free port.
    pub(super) fn start(data: &Path, stays: bool) -> Result<Self> {
        end_earlier(data)?;
        let step = Step::start("Start the relay");
        std::fs::create_dir_all(data)?;
        std::fs::set_permissions(data, Permissions::from_mode(0o700))?;
        let usual = stays && TcpListener::bind(USUAL).is_ok();
        let (log, ready) = (data.join("relay.log"), data.join("relay.json"));
        let file = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        let _ = std::fs::remove_file(&ready);
        let mut relay = command(build::program("grid-relay")?);
        relay.args(["serve", "--listen", if usual { USUAL } else { "127.0.0.1:0" }]);
        relay.arg("--data-dir").arg(data).arg("--ready-file").arg(&ready);
        // All nodes are on this machine, so none is of another network.
        relay.args(["--diversity", "false"]);
        // Not to pipes of ours, which would close when we end and it stays.
        relay.stdout(file.try_clone()?).stderr(file);
        let mut process = Process::spawn(&mut relay)?;
        std::fs::write(data.join("relay.pid"), process.id().to_string())?;
        let ready = wait_until(READY, || {
            if let Ok(text) = std::fs::read(&ready) {
                let ready: Value = serde_json::from_slice(&text)?;
                let text = |key: &str| ready[key].as_str().map(str::to_owned);
                return Ok(text("listening").zip(text("relay")));
            }
            if process.ended()? {
                bail!("the relay ended at once\n{}", std::fs::read_to_string(&log)?);
            }
            Ok(None)
        })?;
        let (url, key) =
            ready.with_context(|| format!("the relay is not ready, see {}", log.display()))?;
        step.done(&url);
        Ok(Self { process, url, key, data: data.to_owned() })
    }

    /// Adds an owner and logs the `grid` command in, with a configuration of
    /// its own: the user's stays as it is.
    pub(super) fn log_in(&self) -> Result<()> {
        let step = Step::start("Add an owner and log in");
        let file = self.key_file();
        // With --keep the owner of an earlier run is still there.
        if !file.is_file() {
            let mut add = command(build::program("grid-relay")?);
            add.args(["owner", "add", "demo", "--data-dir"]).arg(&self.data);
            write_private(&file, output(&mut add)?.trim())?;
        }
        let mut login = self.grid()?;
        login.arg("login").arg("--relay").arg(&self.url).arg("--key-file").arg(&file);
        output(&mut login)?;
        step.done("");
        Ok(())
    }

    /// The end of what the relay logged.
    pub(super) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.data.join("relay.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
    }

    /// A place in the relay's folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn key_file(&self) -> PathBuf {
        self.data.join("owner.key")
    }

    /// The object that the `grid` command prints with `--json`, and whether the
    /// command succeeded.
    pub(super) fn ask(&self, arguments: &[&OsStr]) -> Result<(bool, Value)> {
        let mut grid = self.grid()?;
        grid.args(arguments).arg("--json");
        let mut answer = Value::Null;
        let status = stream(&mut grid, ANSWER, |line| {
            if let Ok(object) = serde_json::from_str(line) {
                answer = object;
            }
        })?;
        Ok((status.success(), answer))
    }

    /// The `grid` command, logged in here.
    pub(super) fn grid(&self) -> Result<Command> {
        let mut grid = command(build::program("grid")?);
        grid.env("XDG_CONFIG_HOME", self.data.join("config"));
        grid.env_remove("GRID_RELAY").env_remove("GRID_KEY").stderr(Stdio::inherit());
        Ok(grid)
    }

    /// Leaves the relay up and says how to go on.
    pub(super) fn keep(self) -> Result<()> {
        let key = self.key_file();
        let grid = build::program("grid")?;
        ui::line("");
        ui::line(format_args!("The relay stays up:   {}", self.url));
        ui::line(format_args!("Owner key:            {}", key.display()));
        ui::line(format_args!("Extension to load:    {}", ext::folder().display()));
        ui::line(format_args!(
            "Submit:               {} submit MODULE --input FILE --watch --relay {} --key-file {}",
            grid.display(),
            self.url,
            key.display()
        ));
        ui::line(format_args!("Stop it:              kill {}", self.process.id()));
        self.process.release();
        Ok(())
    }
}

/// Ends the relay that an earlier `--keep` left on this folder: two can't
/// share it.
fn end_earlier(data: &Path) -> Result<()> {
    let Ok(pid) = std::fs::read_to_string(data.join("relay.pid")) else { return Ok(()) };
    let Ok(pid) = pid.trim().parse::<i32>() else { return Ok(()) };
    // The number may be another process's by now. After a new build the
    // program it runs is a deleted file.
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    if program.to_string_lossy().trim_end_matches(" (deleted)").ends_with("/grid-relay") {
        let step = Step::start("End the relay of an earlier demo");
        end_group(pid);
        step.done("");
    }
    Ok(())
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, "")?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}
