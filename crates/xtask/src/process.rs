//! Child processes: each in a process group of its own, bounded in time, and
//! ended with everything it started, whether we fail, finish or are stopped.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a group may take to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long to go on reading from a pipe that a grandchild holds open after
/// the child itself has ended.
const DRAIN: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);
/// A child's line longer than this is cut, so that output can't fill memory.
const LINE_LIMIT: usize = 64 * 1024;

struct Live {
    groups: BTreeSet<i32>,
    stopping: bool,
}

static LIVE: Mutex<Live> = Mutex::new(Live { groups: BTreeSet::new(), stopping: false });
static TEMPORARY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn live() -> MutexGuard<'static, Live> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on Ctrl-C, SIGTERM and SIGHUP end every child before us.
pub(crate) fn end_children_on_signals() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .context("can't listen for signals")?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let groups = {
                let mut live = live();
                live.stopping = true;
                live.groups.clone()
            };
            for &group in &groups {
                signal_group(group, Signal::TERM);
            }
            let end = Instant::now() + GRACE;
            while Instant::now() < end && groups.iter().any(|&group| group_exists(group)) {
                std::thread::park_timeout(TICK);
            }
            for &group in &groups {
                signal_group(group, Signal::KILL);
            }
            let folders =
                std::mem::take(&mut *TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner));
            for folder in folders {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Whether a signal stops us: then failures are its doing, and nothing is left
/// to do but wait for the end.
pub(crate) fn stopping() -> bool {
    live().stopping
}

fn signal_group(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        // ESRCH: the group has ended already.
        let _ = kill_process_group(pid, signal);
    }
}

fn group_exists(group: i32) -> bool {
    Pid::from_raw(group).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
}

/// A command in the repository's root, with nothing on its standard input.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(crate::root()).stdin(Stdio::null());
    command
}

/// Ends the group that an earlier run of ours left, if it is still there.
pub(crate) fn end_group(group: i32) {
    signal_group(group, Signal::TERM);
    let end = Instant::now() + GRACE;
    while Instant::now() < end && group_exists(group) {
        std::thread::park_timeout(TICK);
    }
    signal_group(group, Signal::KILL);
}

/// Waits until `ready` gives a value, looking often; `None` after `limit`.
pub(crate) fn wait_until<T>(
    limit: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready()? {
            return Ok(Some(value));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::park_timeout(TICK / 2);
    }
}

/// A child and its group. Dropping it ends both.
pub(crate) struct Process {
    child: Child,
    group: i32,
    name: String,
    lines: Option<Receiver<String>>,
}

impl Process {
    /// Starts a command; its output, both streams, is read as lines.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut process = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (sender, lines) = channel();
        if let Some(stdout) = process.child.stdout.take() {
            read_lines(stdout, sender.clone());
        }
        if let Some(stderr) = process.child.stderr.take() {
            read_lines(stderr, sender);
        }
        process.lines = Some(lines);
        Ok(process)
    }

    /// Starts a command whose output is what the command says: a file, or ours.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let name = describe(command);
        // Under the lock, so that a signal either sees this child or stops it
        // from starting.
        let mut live = live();
        if live.stopping {
            bail!("stopped");
        }
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("can't start {name}"))?;
        let group = i32::try_from(child.id()).context("a process id out of range")?;
        live.groups.insert(group);
        Ok(Self { child, group, name, lines: None })
    }

    /// The process's id, which is its group's as well.
    pub(crate) fn id(&self) -> i32 {
        self.group
    }

    /// Whether the child has ended.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Lets the child live on after us.
    pub(crate) fn release(self) {
        live().groups.remove(&self.group);
        std::mem::forget(self);
    }

    /// The first line that `wanted` makes something of, within `limit`; or an
    /// error that holds what the child printed instead.
    pub(crate) fn wait_for<T>(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        let mut seen = Vec::new();
        let lines = self.lines.as_ref().context("its output is read already")?;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match wanted(&line) {
                    Some(found) => return Ok(found),
                    None => seen.push(line),
                },
                Err(RecvTimeoutError::Timeout) => bail!(
                    "{} was not ready after {} s\n{}",
                    self.name,
                    limit.as_secs(),
                    tail(&seen)
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended too early\n{}", self.name, tail(&seen))
                }
            }
        }
    }

    /// What the child printed since, without waiting.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.lines.as_ref().map(|lines| lines.try_iter().collect()).unwrap_or_default()
    }

    /// Reads to the end, at most until `limit`, which ends the group.
    fn follow(mut self, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<ExitStatus> {
        // Without pipes only the end is waited for: both ends of this one are here.
        let (_held, none) = channel();
        let lines = self.lines.take().unwrap_or(none);
        let mut end = Instant::now() + limit;
        let mut status = None;
        loop {
            match lines.recv_timeout(TICK) {
                Ok(line) => on_line(&line),
                Err(RecvTimeoutError::Timeout) => {}
                // Both pipes closed: what is left is the exit itself.
                Err(RecvTimeoutError::Disconnected) if status.is_some() => break,
                Err(RecvTimeoutError::Disconnected) => std::thread::park_timeout(TICK / 10),
            }
            if status.is_none() {
                status = self.child.try_wait()?;
                if status.is_some() {
                    end = Instant::now() + DRAIN;
                    continue;
                }
            }
            if Instant::now() >= end {
                if status.is_some() {
                    break;
                }
                bail!("{} took longer than {} and was ended", self.name, minutes(limit));
            }
        }
        status.context("no exit status")
    }

    fn end(&mut self) {
        signal_group(self.group, Signal::TERM);
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) && !group_exists(self.group) {
                break;
            }
            std::thread::park_timeout(TICK / 5);
        }
        signal_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        live().groups.remove(&self.group);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn minutes(limit: Duration) -> String {
    let seconds = limit.as_secs();
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

/// Hands over lines as they come. A progress bar ends its line with a return,
/// so each of its states is a line here.
fn read_lines(stream: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            let Ok(bytes) = reader.fill_buf() else { return };
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.unwrap_or(bytes.len());
            let room = LINE_LIMIT.saturating_sub(line.len());
            line.extend(bytes.iter().take(taken.min(room)));
            reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        }
        if !line.is_empty() {
            // The receiver may be gone: nobody wants the rest.
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
}

fn tail(lines: &[String]) -> String {
    let from = lines.len().saturating_sub(60);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// Runs a command to its end and hands over each line as it comes.
pub(crate) fn stream(
    command: &mut Command,
    limit: Duration,
    on_line: impl FnMut(&str),
) -> Result<ExitStatus> {
    Process::start(command)?.follow(limit, on_line)
}

/// Runs a command that prints where the command itself says.
pub(crate) fn shown(command: &mut Command, limit: Duration) -> Result<ExitStatus> {
    Process::spawn(command)?.follow(limit, |_| {})
}

/// Runs a command quietly; what it printed is in the error if it fails.
pub(crate) fn quiet(
    command: &mut Command,
    limit: Duration,
    mut progress: impl FnMut(&str),
) -> Result<()> {
    let name = describe(command);
    let mut seen: Vec<String> = Vec::new();
    let status = stream(command, limit, |line| {
        if !crate::cargo::progress_only(line) {
            seen.push(line.to_owned());
        }
        progress(line);
    });
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{}\n{name}: {status}", seen.join("\n")),
        Err(error) => Err(error.context(seen.join("\n"))),
    }
}

/// Runs a command and returns its standard output; its standard error is in
/// the error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.output().with_context(|| format!("can't start {name}"))?;
    if !output.status.success() {
        bail!("{}\n{name}: {}", String::from_utf8_lossy(&output.stderr).trim_end(), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no text"))
}

/// The command as one would type it, as far as it fits a line.
fn describe(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        if text.len() > 100 {
            text.push_str(" …");
            break;
        }
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// A new folder that goes away with this value, and on Ctrl-C.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// In the system's folder for temporary files.
    pub(crate) fn new(name: &str) -> Result<Self> {
        Self::within(&std::env::temp_dir(), name)
    }

    /// Beside something that it may replace by being renamed.
    pub(crate) fn within(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(format!("grid-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut shell = command("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_failed_command_tells_what_it_printed() {
        let error = quiet(&mut shell("echo out; echo err >&2; exit 3"), SOON, |_| {}).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("out") && text.contains("err") && text.contains("exit status: 3"));
    }

    #[test]
    fn a_command_past_its_limit_ends_with_all_it_started() {
        // The grandchild ignores SIGTERM's usual end only if its group is not
        // the one signalled.
        let script = "sleep 600 & echo $!; wait";
        let mut grandchild = None;
        let error = stream(&mut shell(script), Duration::from_millis(500), |line| {
            grandchild = line.parse::<i32>().ok();
        })
        .unwrap_err();
        assert!(error.to_string().contains("took longer"));
        let pid = Pid::from_raw(grandchild.unwrap()).unwrap();
        // Reaped by init or still a zombie of it: both are ended.
        let end = Instant::now() + SOON;
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            match stat {
                Err(_) => break,
                Ok(stat) if stat.contains(") Z ") => break,
                Ok(_) => assert!(Instant::now() < end, "the grandchild still runs"),
            }
            std::thread::park_timeout(TICK);
        }
    }

    #[test]
    fn a_pipe_held_open_by_a_leftover_does_not_block() {
        let start = Instant::now();
        let status = stream(&mut shell("sleep 600 & exit 0"), SOON, |_| {}).unwrap();
        assert!(status.success());
        assert!(start.elapsed() < SOON);
    }

    #[test]
    fn waiting_for_a_line_fails_with_what_came_instead() {
        let mut process = Process::start(&mut shell("echo nonsense; exit 1")).unwrap();
        let error = process.wait_for(SOON, |line| line.strip_prefix("ready ").map(str::to_owned));
        assert!(format!("{:#}", error.unwrap_err()).contains("nonsense"));
    }
}
