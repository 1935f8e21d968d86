//! Folders of results: `DIR/TASK/{stdout,stderr,out/...,receipt.json}`.
//!
//! A task's folder is made beside its place and renamed into it, so that it is
//! there whole or not at all. Nothing but a folder of results is ever
//! replaced, and no name that a relay, node or module chose leads out of DIR.

use crate::failure::{Exit, Failure, plain};
use crate::files::read_bounded;
use grid_client::ReceiptFile;
use grid_protocol::api::TaskResult;
use grid_protocol::{Files, FilesError, JobId, PublicKey, Side, limits};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The receipt's file in a task's folder.
pub(crate) const RECEIPT: &str = "receipt.json";
/// All that a task's folder may hold.
const PARTS: [&str; 4] = ["stdout", "stderr", "out", RECEIPT];
/// Says which job a folder of results belongs to. No task's folder starts
/// with a dot.
const MARKER: &str = ".grid-results.json";
const FORMAT: &str = "grid-results";
const MAX_SMALL: u64 = 1 << 20;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    format: String,
    version: u16,
    job: JobId,
    relay: PublicKey,
}

/// A folder of one job's results.
#[derive(Debug)]
pub(crate) struct ResultsFolder {
    root: PathBuf,
    job: JobId,
    relay: PublicKey,
    /// Name of each task's folder.
    names: Vec<String>,
    force: bool,
}

/// Whether results of a job (`None`: one yet to be submitted) may go to
/// `root`.
pub(crate) fn check(root: &Path, force: bool, job: Option<JobId>) -> Result<(), Failure> {
    let refuse = |why: &str| {
        let message = format!("{} {why}", root.display());
        Err(Failure::new(Exit::Failed, "folder_in_use", message)
            .hint("choose another folder, or say --force to use this one"))
    };
    match fs::symlink_metadata(root).and_then(|_| fs::metadata(root)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("use", root, &error)),
        Ok(meta) if !meta.is_dir() => {
            let message = format!("{} is not a folder", root.display());
            return Err(Failure::new(Exit::Failed, "not_a_folder", message));
        }
        Ok(_) if force => return Ok(()),
        Ok(_) => {}
    }
    match marker(root) {
        Some(marker) if Some(marker.job) == job => Ok(()),
        Some(marker) => refuse(&format!("holds the results of job {}", marker.job)),
        None => match fs::read_dir(root).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => refuse("holds something else already"),
            Err(error) => Err(Failure::file("read", root, &error)),
        },
    }
}

fn marker(root: &Path) -> Option<Marker> {
    let bytes = read_bounded(&root.join(MARKER), MAX_SMALL).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|marker: &Marker| marker.format == FORMAT)
}

impl ResultsFolder {
    /// Makes or takes up the folder for the results of a job whose tasks have
    /// these names.
    pub(crate) fn open(
        root: &Path,
        force: bool,
        job: JobId,
        relay: PublicKey,
        tasks: impl IntoIterator<Item = String>,
    ) -> Result<Self, Failure> {
        check(root, force, Some(job))?;
        let marker = Marker { format: FORMAT.into(), version: 1, job, relay };
        let json = serde_json::to_vec(&marker).expect("every key is text");
        fs::create_dir_all(root)
            .and_then(|()| fs::write(root.join(MARKER), json))
            .map_err(|error| Failure::file("write to", root, &error))?;
        Ok(Self { root: root.into(), job, relay, names: folder_names(tasks), force })
    }

    /// Where the folders are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a task; `None` where the job has no such task.
    pub(crate) fn task(&self, index: u32) -> Option<PathBuf> {
        self.names.get(index as usize).map(|name| self.root.join(name))
    }

    /// The receipt file of a result.
    pub(crate) fn receipt(&self, result: &TaskResult) -> ReceiptFile {
        ReceiptFile::new(self.relay, self.job, result)
    }

    /// Whether a task's folder holds this very result already, unharmed. The
    /// acknowledgement there may name an earlier state of the log.
    pub(crate) fn holds(&self, task: &Path, output: &Files, receipt: &ReceiptFile) -> bool {
        let bytes = read_bounded(&task.join(RECEIPT), MAX_SMALL).unwrap_or_default();
        let same = |mut there: ReceiptFile| {
            let now = &receipt.result;
            (there.result.ack.size, there.result.ack.root) = (now.ack.size, now.ack.root);
            there.result.ack_signature = now.ack_signature;
            there == *receipt
        };
        ReceiptFile::decode(&bytes).is_ok_and(same)
            && load_output(task).is_ok_and(|there| there.as_ref() == Some(output))
    }

    /// Writes a task's folder.
    pub(crate) fn save(
        &self,
        task: &Path,
        output: &Files,
        receipt: &ReceiptFile,
    ) -> io::Result<()> {
        write_task(task, output, Some(&receipt.encode()), self.force)
    }
}

/// Writes `folder` with a task's output, and its receipt where there is one.
/// A folder that holds results is replaced when `force` says so; anything else
/// in that place is an error.
pub(crate) fn write_task(
    folder: &Path,
    output: &Files,
    receipt: Option<&[u8]>,
    force: bool,
) -> io::Result<()> {
    let name = folder.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let parent = folder.parent().unwrap_or(Path::new(""));
    let beside = |what: &str| parent.join(format!(".{name:.40}.{what}-{}", std::process::id()));
    let (new, old) = (beside("new"), beside("old"));
    let there = replaceable(folder, force)?;
    if !parent.as_os_str().is_empty() {
        fs::create_dir_all(parent)?;
    }
    // A leftover of a killed process with the same id, if anything.
    let _ = fs::remove_dir_all(&new);
    let written = fill(&new, output, receipt).and_then(|()| {
        if there {
            fs::rename(folder, &old)?;
        }
        fs::rename(&new, folder)
    });
    match &written {
        Ok(()) if there => fs::remove_dir_all(&old)?,
        Ok(()) => {}
        Err(_) => {
            let _ = fs::remove_dir_all(&new);
            if there && !folder.exists() {
                let _ = fs::rename(&old, folder);
            }
        }
    }
    written
}

/// Whether something is in the folder's place; an error unless it may go.
fn replaceable(folder: &Path, force: bool) -> io::Result<bool> {
    let meta = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let in_the_way = |why: &str| Err(io::Error::new(io::ErrorKind::AlreadyExists, why.to_owned()));
    if !meta.is_dir() {
        return in_the_way("something that is no folder is in its place");
    }
    let mut empty = true;
    for entry in fs::read_dir(folder)? {
        empty = false;
        if !PARTS.iter().any(|part| entry.as_ref().is_ok_and(|entry| entry.file_name() == *part)) {
            return in_the_way("the folder holds something that is no result");
        }
    }
    if empty || force {
        Ok(true)
    } else {
        in_the_way("it holds another result (--force replaces it)")
    }
}

/// Makes the folder `root` with the files of `output`. A decoded list has
/// relative parts only, so that every path stays below `root`; all that is
/// there was made here, so that no link leads out of it.
fn fill(root: &Path, output: &Files, receipt: Option<&[u8]>) -> io::Result<()> {
    fs::create_dir(root)?;
    for stream in ["stdout", "stderr"] {
        fs::write(root.join(stream), output.get(stream).unwrap_or_default())?;
    }
    for (path, bytes) in output.iter().filter(|(path, _)| path.starts_with("/out/")) {
        let target = root.join(path.trim_start_matches('/'));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        // Where a file system takes two names for one, the second is refused.
        File::create_new(&target)?.write_all(bytes)?;
    }
    match receipt {
        Some(receipt) => fs::write(root.join(RECEIPT), receipt),
        None => Ok(()),
    }
}

/// Reads back what [`fill`] wrote; `None` where there is no output at all.
pub(crate) fn load_output(root: &Path) -> io::Result<Option<Files>> {
    let mut output = Files::new(Side::Output);
    let mut left = limits::MAX_OUTPUT;
    let mut any = false;
    for stream in ["stdout", "stderr", "out"] {
        let path = root.join(stream);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
            Ok(meta) if meta.is_dir() && stream == "out" => {
                load_folder(&path, "/out", &mut output, &mut left)?;
            }
            Ok(_) => load_file(&path, stream, &mut output, &mut left)?,
        }
        any = true;
    }
    Ok(any.then_some(output))
}

fn load_folder(root: &Path, name: &str, output: &mut Files, left: &mut u64) -> io::Result<()> {
    if name.len() > limits::MAX_PATH {
        return Err(invalid(FilesError::Path(name.into())));
    }
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let part = entry.file_name().into_string();
        let part = part.map_err(|part| invalid(format!("{part:?} is no name in UTF-8")))?;
        let name = format!("{name}/{part}");
        if entry.file_type()?.is_dir() {
            load_folder(&entry.path(), &name, output, left)?;
        } else {
            load_file(&entry.path(), &name, output, left)?;
        }
    }
    Ok(())
}

fn load_file(path: &Path, name: &str, output: &mut Files, left: &mut u64) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(invalid(format!("{} is no plain file", path.display())));
    }
    let bytes = read_bounded(path, *left)?;
    *left -= bytes.len() as u64;
    output.insert(name, bytes).map_err(invalid)
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// What went wrong with saving a task, for people.
pub(crate) fn save_error(folder: &Path, error: &io::Error) -> String {
    format!("can't write {}: {}", folder.display(), plain(error))
}

/// A folder's name for each task, made of the task's name: one component that
/// any file system takes, no dot first, no two alike even where upper and
/// lower case are. The same tasks always give the same names.
fn folder_names(tasks: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::new();
    for (index, task) in tasks.into_iter().enumerate() {
        let plain = plain_name(&task, index);
        let mut name = plain.clone();
        let mut number = index;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

fn plain_name(task: &str, index: usize) -> String {
    let safe = |c: char| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c };
    let mut name: String = task.chars().map(safe).collect();
    if name.starts_with('.') {
        name.replace_range(..1, "_");
    }
    // At most 255 bytes with a number after it and a mark around it.
    let end = (0..=200).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
    name.truncate(end);
    let name = name.trim_end_matches(['.', ' ']);
    if name.is_empty() { format!("task-{index}") } else { name.to_owned() }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
