//! A relay as a process of its own, to be killed or measured.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time that a relay may take to listen.
const START: Duration = Duration::from_secs(30);

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
    /// in this folder, and waits until it listens.
    pub fn start(program: &Path, data: &Path) -> Result<Self> {
        Self::listen(program, data, "127.0.0.1:0")
    }

    fn listen(program: &Path, data: &Path, address: &str) -> Result<Self> {
        let log = data.join("relay.log");
        let file = std::fs::File::create(&log)
            .with_context(|| format!("can't write {}", log.display()))?;
        let child = Command::new(program)
            .args(["--listen", address, "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("can't run {}", program.display()))?;
        let (program, data) = (program.to_owned(), data.to_owned());
        let mut relay = Self { program, data, child, origin: String::new() };
        let until = Instant::now() + START;
        loop {
            let printed = std::fs::read_to_string(&log)?;
            if let Some(origin) = listening(&printed) {
                relay.origin = origin;
                return Ok(relay);
            }
            if let Some(status) = relay.child.try_wait()? {
                bail!("the relay ended at once: {status}\n{printed}");
            }
            ensure!(Instant::now() < until, "the relay is not ready\n{printed}");
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

    /// Starts it again, with the same data, at the same address.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let address = self.origin.trim_start_matches("http://").to_owned();
        *self = Self::listen(&self.program, &self.data, &address)?;
        Ok(())
    }

    /// Adds an owner with this budget in fuel; gives the owner's key.
    pub fn add_owner(&self, name: &str, budget: u64) -> Result<String> {
        let output = Command::new(&self.program)
            .args(["owner", "add", name, "--budget", &budget.to_string(), "--data"])
            .arg(&self.data)
            .output()?;
        ensure!(output.status.success(), "owner add: {}", String::from_utf8_lossy(&output.stderr));
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

/// The address in what the relay printed.
fn listening(printed: &str) -> Option<String> {
    let line = printed.lines().find(|line| line.contains("listening"))?;
    let url = line.get(line.find("http://")?..)?;
    let end = url.find(|c: char| c.is_whitespace() || c == '"' || c == ',' || c == '\u{1b}');
    Some(url[..end.unwrap_or(url.len())].trim_end_matches('/').to_owned())
}
