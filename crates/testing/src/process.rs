//! A relay as a process of its own, to be killed or measured.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time that a relay may take to listen.
const START: Duration = Duration::from_secs(30);

/// Configuration of a relay that believes every node: one receipt settles a
/// task.
pub const PRIVATE: &str = "[trust]\ndiversity = false\nreferee = false\nfaulty_ppm = 0\n\
    floor_ppm = 0\nnewcomer = 0\nhold = 0\n";

/// Configuration of a relay that has nodes check each other by the default
/// rules, on loopback; it runs nothing itself, since simulated nodes don't
/// really run their modules.
pub const CHECKED: &str = "[trust]\ndiversity = false\nreferee = false\n";

/// A relay as a process of its own. Dropping it kills it.
#[derive(Debug)]
pub struct RelayProcess {
    program: PathBuf,
    data: PathBuf,
    child: Child,
    origin: String,
}

impl RelayProcess {
    /// Starts a relay on a free port of the loopback interface, with its data
    /// in this folder, that believes every node ([`PRIVATE`]); waits until it
    /// listens.
    pub fn start(program: &Path, data: &Path) -> Result<Self> {
        Self::start_with(program, data, PRIVATE)
    }

    /// The same, with this configuration file.
    pub fn start_with(program: &Path, data: &Path, config: &str) -> Result<Self> {
        std::fs::write(data.join("grid-relay.toml"), config)?;
        Self::listen(program, data, "127.0.0.1:0", None)
    }

    fn listen(program: &Path, data: &Path, address: &str, file_kib: Option<u64>) -> Result<Self> {
        let (out, log) = (data.join("relay.out"), data.join("relay.log"));
        let file = |path: &Path| {
            std::fs::File::create(path).with_context(|| format!("can't write {}", path.display()))
        };
        let child = command(program, file_kib)
            .args(["serve", "--listen", address, "--data-dir"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(file(&out)?)
            .stderr(file(&log)?)
            .spawn()
            .with_context(|| format!("can't run {}", program.display()))?;
        let (program, data) = (program.to_owned(), data.to_owned());
        let mut relay = Self { program, data, child, origin: String::new() };
        let until = Instant::now() + START;
        loop {
            if let Some(origin) = listening(&std::fs::read_to_string(&out)?) {
                relay.origin = origin;
                return Ok(relay);
            }
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = relay.child.try_wait()? {
                bail!("the relay ended at once: {status}\n{}", said());
            }
            ensure!(Instant::now() < until, "the relay is not ready\n{}", said());
            // tidy-allow(sleep): polls a file, with a bound.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where it listens.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again, with the same data, at the same address; kills it
    /// first where it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.restart_limited(None)
    }

    /// The same, on a disk that is full once a file has this many KiB: writing
    /// more of it fails.
    pub fn restart_limited(&mut self, file_kib: Option<u64>) -> Result<()> {
        self.kill()?;
        let address = self.origin.trim_start_matches("http://").to_owned();
        *self = Self::listen(&self.program, &self.data, &address, file_kib)?;
        Ok(())
    }

    /// Adds an owner with this budget in fuel; gives the owner's key.
    pub fn add_owner(&self, name: &str, budget: u64) -> Result<String> {
        let output = command(&self.program, None)
            .args(["owner", "add", name, "--budget", &budget.to_string(), "--data-dir"])
            .arg(&self.data)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "owner add: {said}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Its resident memory in bytes (Linux).
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
        Ok(kib.trim().parse::<u64>()? * 1024)
    }

    /// Processor time it used so far (Linux).
    pub fn cpu_time(&self) -> Result<Duration> {
        cpu_time(self.id())
    }
}

/// Processor time that a process used so far (Linux: 100 ticks a second).
pub(crate) fn cpu_time(id: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after = stat.rsplit_once(')').context("no stat")?.1;
    let field = |n: usize| after.split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok());
    let (user, system) = field(11).zip(field(12)).context("no times")?;
    Ok(Duration::from_millis((user + system) * 10))
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The relay's program, without the environment's say. A limit of the size of
/// files is the shell's to set; a write beyond it then fails, because the
/// signal for it is ignored.
fn command(program: &Path, file_kib: Option<u64>) -> Command {
    let mut command = match file_kib {
        None => Command::new(program),
        Some(kib) => {
            let mut shell = Command::new("sh");
            // In units of 512 bytes (POSIX).
            let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", 2 * kib);
            shell.args(["-c", &script]).arg(program);
            shell
        }
    };
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRID_") {
            command.env_remove(name);
        }
    }
    command
}

/// The address in what the relay printed: one line of JSON.
fn listening(printed: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(printed.lines().next()?).ok()?;
    Some(line.get("listening")?.as_str()?.to_owned())
}
