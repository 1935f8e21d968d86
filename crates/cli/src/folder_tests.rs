use super::*;
use grid_protocol::Digest;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn files(entries: &[(&str, &str)]) -> Files {
    let mut files = Files::new(Side::Output);
    for (path, text) in entries {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    files
}

fn sample() -> Files {
    files(&[("stdout", "hello"), ("/out/a/b", "deep"), ("/out/c", "")])
}

fn list(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn root() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let task = dir.path().join("task");
    (dir, task)
}

const JOB: JobId = JobId([1; 16]);
const RELAY: PublicKey = PublicKey([2; 32]);

#[test]
fn what_is_written_reads_back_the_same() {
    let (dir, task) = root();
    for output in [sample(), files(&[]), files(&[("stderr", "x")])] {
        write_task(&task, &output, Some(b"{}"), true).unwrap();
        assert_eq!(load_output(&task).unwrap(), Some(output));
        assert_eq!(list(dir.path()), ["task"], "nothing is left beside it");
    }
    assert_eq!(list(&task), ["receipt.json", "stderr", "stdout"]);
}

#[test]
fn nothing_but_results_is_replaced() {
    let (_dir, task) = root();
    write_task(&task, &sample(), None, false).unwrap();
    let other = files(&[("stdout", "other")]);
    let again = write_task(&task, &other, None, false).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(load_output(&task).unwrap(), Some(sample()));
    write_task(&task, &other, None, true).unwrap();
    assert_eq!(load_output(&task).unwrap(), Some(other.clone()));
    // A thesis in the folder keeps the folder.
    fs::write(task.join("thesis.tex"), "years").unwrap();
    assert!(write_task(&task, &sample(), None, true).is_err());
    assert_eq!(fs::read_to_string(task.join("thesis.tex")).unwrap(), "years");
    assert_eq!(fs::read_to_string(task.join("stdout")).unwrap(), "other");
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let (dir, task) = root();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &task).unwrap();
    assert!(write_task(&task, &sample(), None, true).is_err());
    assert!(list(&elsewhere).is_empty());
}

#[test]
fn what_can_not_be_written_leaves_nothing() {
    let (dir, task) = root();
    let long = format!("/out/{}", "x".repeat(300));
    assert!(write_task(&task, &files(&[(&long, "")]), None, false).is_err());
    assert!(list(dir.path()).is_empty());
    // What was there before stays.
    write_task(&task, &sample(), None, false).unwrap();
    assert!(write_task(&task, &files(&[(&long, "")]), None, true).is_err());
    assert_eq!(load_output(&task).unwrap(), Some(sample()));
    assert_eq!(list(dir.path()), ["task"]);
}

#[test]
fn reading_back_takes_plain_files_only() {
    let (dir, task) = root();
    assert_eq!(load_output(dir.path()).unwrap(), None);
    write_task(&task, &sample(), None, false).unwrap();
    fs::write(dir.path().join("secret"), "s").unwrap();
    symlink(dir.path().join("secret"), task.join("out/link")).unwrap();
    assert!(load_output(&task).unwrap_err().to_string().contains("no plain file"));
    fs::remove_file(task.join("out/link")).unwrap();
    symlink(&task, task.join("out/loop")).unwrap();
    assert!(load_output(&task).is_err());
    fs::remove_file(task.join("out/loop")).unwrap();
    fs::write(task.join("out/more"), "").unwrap();
    assert_ne!(load_output(&task).unwrap(), Some(sample()), "a file too many shows");
}

#[test]
fn names_stay_in_the_folder_and_apart() {
    let check = |tasks: &[&str], expect: &[&str]| {
        let names = folder_names(tasks.iter().map(ToString::to_string));
        assert_eq!(names, expect, "{tasks:?}");
    };
    check(&["a.txt", "b"], &["a.txt", "b"]);
    check(&["..", ".", "", "../../etc/passwd"], &["_", "_-1", "task-2", "_._.._etc_passwd"]);
    check(&["/etc/passwd", "a\\b", "c:d"], &["_etc_passwd", "a_b", "c_d"]);
    check(&["a\0b\n\u{1b}[2J", ".grid-results.json"], &["a_b__[2J", "_grid-results.json"]);
    check(&["x", "X", "x", "x-1"], &["x", "X-1", "x-2", "x-1-3"]);
    check(&["x ", "y..."], &["x", "y"]);
    let long = folder_names(["é".repeat(300), "é".repeat(300)]);
    assert!(long.iter().all(|name| name.len() < 220));
    assert_ne!(long[0], long[1]);
}

#[test]
fn a_folder_holds_one_jobs_results() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("results");
    let open = |job, force| ResultsFolder::open(&root, force, job, RELAY, ["a".to_owned()]);
    assert!(check(&root, false, None).is_ok(), "not there yet");
    open(JOB, false).unwrap();
    open(JOB, false).unwrap();
    let other = JobId([9; 16]);
    assert!(open(other, false).is_err());
    assert!(check(&root, false, None).is_err(), "a new job");
    open(other, true).unwrap();
    assert!(open(JOB, false).is_err());
    // Someone's files.
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(check(dir.path(), false, Some(JOB)).is_err());
    assert!(check(&dir.path().join("file"), true, Some(JOB)).is_err());
    assert!(check(dir.path(), true, Some(JOB)).is_ok());
}

#[test]
fn a_result_that_is_there_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let folder = ResultsFolder::open(dir.path(), false, JOB, RELAY, ["a".to_owned()]).unwrap();
    let task = folder.task(0).unwrap();
    assert_eq!(folder.task(1), None);
    let receipt = folder.receipt(&result(1));
    assert!(!folder.holds(&task, &sample(), &receipt));
    folder.save(&task, &sample(), &receipt).unwrap();
    assert!(folder.holds(&task, &sample(), &receipt));
    let mut later = receipt.clone();
    later.result.ack.size += 1;
    assert!(folder.holds(&task, &sample(), &later), "the log grew meanwhile");
    later.result.ack.seq += 1;
    assert!(!folder.holds(&task, &sample(), &later), "another entry");
    fs::write(task.join("stdout"), "harmed").unwrap();
    assert!(!folder.holds(&task, &sample(), &receipt));
    assert!(folder.save(&task, &sample(), &receipt).is_err(), "without --force it stays");
    assert!(!folder.holds(&task, &sample(), &folder.receipt(&result(2))));
}

fn result(fuel: u64) -> TaskResult {
    let text = format!(
        r#"{{"seq":1,"index":0,"name":"a",
        "spec":{{"runtime":"wasm","arithmetic":0,"source":"{z}","module":"{z}","admission":1,
            "args":[],"env":[],"seed":"{z}","input":"{z}","fuel":9,"memory_pages":1,
            "output_bytes":9}},
        "receipt":{{"body":{{"relay":"{z}","lease":"{h}","spec":"{z}","input":"{z}",
            "reason":"exit","exit_code":0,"output":"{z}","check":"{z}","fuel":{fuel},
            "node":"{z}"}},"signature":"{z}{z}"}},
        "standing":"canonical",
        "ack":{{"receipt":"{z}","lease":"{h}","seq":1,"salt":"{z}","size":1,"root":"{z}"}},
        "ack_signature":"{z}{z}"}}"#,
        z = Digest::ZERO,
        h = JobId([0; 16]),
    );
    serde_json::from_str(&text).unwrap()
}
