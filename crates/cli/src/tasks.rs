//! From the command line to tasks: inputs, shared files, limits.

use crate::args::TaskArgs;
use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use grid_client::{TaskInput, new_job};
use grid_protocol::api::NewJob;
use grid_protocol::{Digest, Files, Side, limits};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Pages of 64 KiB in a MiB.
const PAGES_PER_MIB: u32 = 16;
/// Longest name of a task, in characters.
const MAX_NAME: usize = 200;

/// A task's name and the file that is its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// The tasks that `--input` names.
#[derive(Debug, Default)]
pub(crate) struct TaskFiles {
    pub(crate) tasks: Vec<TaskFile>,
    /// Entries of folders that are no tasks: folders and hidden files.
    pub(crate) left_out: usize,
}

/// A task for each file, and for each file of a folder.
pub(crate) fn list(inputs: &[PathBuf]) -> Result<TaskFiles, Failure> {
    let mut found = TaskFiles::default();
    let mut names = HashSet::new();
    for input in inputs {
        let meta = fs::metadata(input).map_err(|error| Failure::file("read", input, &error))?;
        if !meta.is_dir() {
            found.add(input, &mut names);
            continue;
        }
        let before = found.tasks.len();
        let mut paths = fs::read_dir(input)
            .and_then(|entries| {
                entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()
            })
            .map_err(|error| Failure::file("read", input, &error))?;
        paths.sort();
        for path in paths {
            if hidden(&path) || !fs::metadata(&path).is_ok_and(|meta| meta.is_file()) {
                found.left_out += 1;
            } else {
                found.add(&path, &mut names);
            }
        }
        if found.tasks.len() == before {
            let message = format!("the folder {} holds no files", input.display());
            return Err(Failure::usage(message).hint("folders in it are not looked into"));
        }
    }
    if found.tasks.len() > limits::MAX_TASKS {
        let message =
            format!("these are {} tasks; a job may have {}", found.tasks.len(), limits::MAX_TASKS);
        return Err(Failure::usage(message).hint("submit them as several jobs"));
    }
    Ok(found)
}

impl TaskFiles {
    fn add(&mut self, path: &Path, names: &mut HashSet<String>) {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let plain: String = file.chars().take(MAX_NAME - 8).collect();
        let mut name = plain.clone();
        let mut number = 1;
        while !names.insert(name.clone()) {
            number += 1;
            name = format!("{plain}-{number}");
        }
        self.tasks.push(TaskFile { name, path: path.into() });
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The files that each task finds under `/in`.
#[derive(Debug)]
pub(crate) struct Shared(Files);

impl Shared {
    pub(crate) fn load(files: &[(String, PathBuf)]) -> Result<Self, Failure> {
        let mut list = Files::new(Side::Input);
        let mut left = limits::MAX_INPUT as u64;
        for (name, path) in files {
            let place = format!("/in/{name}");
            if list.get(&place).is_some() {
                return Err(Failure::usage(format!("--file {name} is given twice")));
            }
            let bytes =
                read_bounded(path, left).map_err(|error| Failure::file("read", path, &error))?;
            left -= bytes.len() as u64;
            if list.len() + 1 >= limits::MAX_FILES {
                return Err(Failure::usage("too many --file"));
            }
            list.insert(&place, bytes)
                .map_err(|error| Failure::usage(format!("--file {name}: {error}")))?;
        }
        Ok(Self(list))
    }

    /// The input list of a task with these bytes on standard input.
    pub(crate) fn with(&self, stdin: Vec<u8>) -> Files {
        let mut files = self.0.clone();
        files
            .insert("stdin", stdin)
            .expect("there is room for standard input beside the shared files");
        files
    }

    /// Reads a task's input.
    pub(crate) fn task(&self, task: TaskFile) -> io::Result<TaskInput> {
        let stdin = read_bounded(&task.path, limits::MAX_INPUT as u64).map_err(|error| {
            let why = crate::failure::plain(&error);
            io::Error::new(error.kind(), format!("{}: {why}", task.path.display()))
        })?;
        Ok(TaskInput { name: task.name, files: self.with(stdin) })
    }
}

/// The module's bytes.
pub(crate) fn read_module(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(path, limits::MAX_MODULE as u64)
        .map_err(|error| Failure::file("read the module", path, &error))
}

/// The job that the command line describes, without its tasks. Its ranges are
/// checked here, before anything is sent.
pub(crate) fn job(module: Digest, args: &TaskArgs) -> Result<NewJob, Failure> {
    let job = NewJob {
        args: args.args.clone(),
        env: args.env.clone(),
        seed: args.seed,
        fuel: args.fuel.map(|fuel| fuel.0),
        memory_pages: args.memory.map(|mib| mib * PAGES_PER_MIB),
        output_bytes: args.output_limit.map(|bytes| bytes.0),
        ..new_job(module)
    };
    job.spec(Digest::ZERO, 0, Digest::ZERO)
        .check()
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(job)
}

/// Refuses a memory limit that the module can't even start with.
pub(crate) fn check_memory(job: &NewJob, needed: u32) -> Result<(), Failure> {
    let limit = job.memory_pages.unwrap_or(limits::DEFAULT_MEMORY_PAGES);
    if needed <= limit {
        return Ok(());
    }
    let mib = |pages: u32| pages.div_ceil(PAGES_PER_MIB);
    let message = format!(
        "the module starts with {} MiB of memory, the limit is {}",
        mib(needed),
        mib(limit)
    );
    Err(Failure::new(Exit::Usage, "memory_limit", message)
        .hint(format!("allow more with --memory {}", mib(needed))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inputs: &[PathBuf]) -> Vec<String> {
        list(inputs).unwrap().tasks.into_iter().map(|task| task.name).collect()
    }

    #[test]
    fn a_folder_is_its_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["b", "a", ".hidden"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::create_dir(root.join("folder")).unwrap();
        fs::write(root.join("folder/deep"), "").unwrap();
        assert_eq!(names(&[root.into()]), ["a", "b"]);
        assert_eq!(list(&[root.into()]).unwrap().left_out, 2);
        let inputs = [root.join("b"), root.into(), root.join("folder")];
        assert_eq!(names(&inputs), ["b", "a", "b-2", "deep"]);
        fs::create_dir(root.join("empty")).unwrap();
        assert!(list(&[root.join("empty")]).is_err());
        assert!(list(&[root.join("missing")]).is_err());
    }

    #[test]
    fn shared_files_are_under_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        fs::write(&path, "rules").unwrap();
        let shared = Shared::load(&[("a/rules.csv".into(), path.clone())]).unwrap();
        let files = shared.with(b"text".to_vec());
        let paths: Vec<_> = files.iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(paths, ["/in/a/rules.csv", "stdin"]);
        for bad in ["../x", "a//b", "."] {
            assert!(Shared::load(&[(bad.into(), path.clone())]).is_err(), "{bad}");
        }
        assert!(Shared::load(&[("a".into(), path.clone()), ("a".into(), path)]).is_err());
    }
}
