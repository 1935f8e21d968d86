//! The demo's relay and its owner.

use std::fs::{File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Process, command, end_group, output, wait_until};
use crate::ui::{self, Step};
use crate::{build, ext};

const READY: Duration = Duration::from_secs(30);
/// The address that the extension offers first.
const USUAL: &str = "127.0.0.1:8090";

pub(super) struct Relay {
    process: Process,
    pub(super) url: String,
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
        let log = data.join("relay.log");
        let file = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        let mut relay = command(build::program("grid-relay")?);
        relay.args(["--listen", if usual { USUAL } else { "127.0.0.1:0" }]);
        relay.arg("--data").arg(data);
        // Not to pipes of ours, which would close when we end and it stays.
        relay.stdout(file.try_clone()?).stderr(file);
        let mut process = Process::spawn(&mut relay)?;
        std::fs::write(data.join("relay.pid"), process.id().to_string())?;
        let url = wait_until(READY, || {
            let printed = std::fs::read_to_string(&log)?;
            if let Some(url) = address(&printed) {
                return Ok(Some(url));
            }
            if process.ended()? {
                bail!("the relay ended at once\n{printed}");
            }
            Ok(None)
        })?;
        let url = url.with_context(|| format!("the relay is not ready, see {}", log.display()))?;
        step.done(&url);
        Ok(Self { process, url, data: data.to_owned() })
    }

    /// Adds an owner and logs the `grid` command in, with a configuration of
    /// its own: the user's stays as it is.
    pub(super) fn log_in(&self) -> Result<()> {
        let step = Step::start("Add an owner and log in");
        let mut add = command(build::program("grid-relay")?);
        add.args(["owner", "add", "demo", "--data"]).arg(&self.data);
        let key = output(&mut add)?;
        let file = self.key_file();
        std::fs::write(&file, "")?;
        std::fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        std::fs::write(&file, key.trim())?;
        let mut login = self.grid()?;
        login.arg("login").arg("--relay").arg(&self.url).arg("--key-file").arg(&file);
        output(&mut login)?;
        step.done("");
        Ok(())
    }

    fn key_file(&self) -> PathBuf {
        self.data.join("owner.key")
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

/// The address in what the relay printed.
fn address(printed: &str) -> Option<String> {
    let line = printed.lines().find(|line| line.contains("listening"))?;
    let at = line.find("http://")?;
    let url: String = line
        .get(at..)?
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ":/.[]-".contains(*c))
        .collect();
    Some(url.trim_end_matches(['/', '.']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_address_is_found_in_the_log() {
        let found = |text| address(text).unwrap_or_default();
        assert_eq!(found("listening on http://127.0.0.1:4321\n"), "http://127.0.0.1:4321");
        let log = "INFO start\n{\"message\":\"listening on http://[::1]:80/\"}\n";
        assert_eq!(found(log), "http://[::1]:80");
        assert_eq!(address("starting"), None);
    }
}
