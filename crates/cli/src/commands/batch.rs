//! `grid batch`: the calls of a JSON Lines file, a few at a time.

use crate::args::{BatchArgs, Global};
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use crate::progress::{Progress, Tally};
use crate::ui;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use grid_client::{Client, ClientError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// Largest batch file, and largest file of answers.
const MAX_FILE: u64 = 4 << 30;
/// Where a call may go.
const URLS: [&str; 3] = ["/v1/embeddings", "/v1/chat/completions", "/v1/completions"];
/// Attempts of one call while the relay is busy or can't be reached.
const ATTEMPTS: u32 = 5;

/// One line of a batch file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    custom_id: String,
    method: String,
    url: String,
    body: Value,
}

/// `grid batch`
pub(crate) async fn batch(global: &Global, args: &BatchArgs) -> Result<Exit, Failure> {
    let calls = calls(&args.input)?;
    let (done, mut out) = answers(&args.out)?;
    let client = Session::open(global)?.client;
    let mut tally = Tally { total: calls.len() as u64, ..Tally::default() };
    let mut left: VecDeque<Line> =
        calls.into_iter().filter(|call| !done.contains(&call.custom_id)).collect();
    tally.done = tally.total - left.len() as u64;
    let mut progress = Progress::new(tally.total, global.json);
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < usize::from(args.parallel)
            && let Some(line) = left.pop_front()
        {
            under_way.push(make(&client, line));
        }
        progress.show(&tally, &format!("{} under way", under_way.len()));
        let Some((line, answer)) = under_way.next().await else { break };
        let answer = match answer {
            // It is no call's fault, and no other call would fare better.
            Err(error) if stops(&error) => {
                progress.end();
                return Err(Failure::from(error)
                    .hint("run the command again to go on: answers that came are kept"));
            }
            answer => answer,
        };
        tally.done += 1;
        tally.failed += u64::from(answer.is_err());
        write(&mut out, &args.out, &line, answer)?;
    }
    progress.end();
    let Tally { total, failed, .. } = tally;
    if global.json {
        ui::line(json!({"calls": total, "failed": failed, "out": args.out}).to_string())?;
    } else {
        let name = args.out.display();
        ui::line(format!(
            "{} answered, {failed} failed: {name}",
            ui::count(total - failed, "call")
        ))?;
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::TasksFailed })
}

fn calls(path: &Path) -> Result<Vec<Line>, Failure> {
    let bytes =
        read_bounded(path, MAX_FILE).map_err(|error| Failure::file("read", path, &error))?;
    let mut calls = Vec::new();
    let mut ids = HashSet::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |why: String| {
            let message = format!("{}, line {}: {why}", path.display(), number + 1);
            Failure::new(Exit::Failed, "bad_batch", message)
        };
        let call: Line =
            serde_json::from_slice(line).map_err(|error| wrong(format!("not a call: {error}")))?;
        if call.method != "POST" {
            return Err(wrong("`method` must be POST".into()));
        }
        if !URLS.contains(&call.url.as_str()) {
            return Err(wrong(format!("`url` must be one of {}", URLS.join(", "))));
        }
        if call.body["stream"] == true {
            return Err(wrong("`stream` makes no sense in a batch".into()));
        }
        if !ids.insert(call.custom_id.clone()) {
            return Err(wrong(format!("`custom_id` {:?} was there before", call.custom_id)));
        }
        calls.push(call);
    }
    if calls.is_empty() {
        return Err(Failure::usage(format!("{} holds no call", path.display())));
    }
    Ok(calls)
}

/// Calls that are answered already, and the file, where the next answer goes.
/// What a break left half-written is cut off, and failed calls' lines are left
/// out: those are made again.
fn answers(path: &Path) -> Result<(HashSet<String>, File), Failure> {
    let failed = |error: io::Error| Failure::file("read or write", path, &error);
    let before = match read_bounded(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let whole = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (mut done, mut kept) = (HashSet::new(), Vec::new());
    for line in before[..whole].split_inclusive(|byte| *byte == b'\n') {
        let answer: Value = serde_json::from_slice(line).unwrap_or_default();
        let Some(id) = answer["custom_id"].as_str() else {
            let message = format!("{} holds something that is no answer", path.display());
            return Err(Failure::new(Exit::Failed, "bad_batch", message)
                .hint("name another file with --out"));
        };
        if answer["response"]["status_code"] == 200 {
            done.insert(id.to_owned());
            kept.extend_from_slice(line);
        }
    }
    if kept.len() != before.len() {
        // Beside and renamed: a break leaves one or the other.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, &kept)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(failed)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    Ok((done, file))
}

async fn make(client: &Client, line: Line) -> (Line, Result<Value, ClientError>) {
    let mut attempt = 1;
    loop {
        let answer = client.call(line.url.trim_start_matches('/'), &line.body).await;
        match answer {
            Err(error) if again(&error) && attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
                attempt += 1;
            }
            answer => {
                let answer = answer.map(|answer| {
                    json!({"status_code": 200, "request_id": answer.receipt, "body": answer.body})
                });
                return (line, answer);
            }
        }
    }
}

/// May the same call succeed a little later?
fn again(error: &ClientError) -> bool {
    error.retry() && error.code() != "insufficient_quota"
}

/// Is it in vain to go on?
fn stops(error: &ClientError) -> bool {
    again(error)
        || matches!(error.status(), None | Some(401))
        || error.code() == "insufficient_quota"
}

/// One line of the answers, in the shape that OpenAI's batches have.
fn write(
    out: &mut File,
    path: &Path,
    line: &Line,
    answer: Result<Value, ClientError>,
) -> Result<(), Failure> {
    let id = format!("batch_req_{}", line.custom_id);
    let (response, error) = match answer {
        Ok(response) => (response, Value::Null),
        Err(error) => {
            let (code, message) = (error.code(), error.to_string());
            let body = json!({"error": {"code": code, "message": message}});
            let response = json!({"status_code": error.status(), "request_id": null, "body": body});
            (response, json!({"code": code, "message": message}))
        }
    };
    let answer =
        json!({"id": id, "custom_id": line.custom_id, "response": response, "error": error});
    let line = answer.to_string() + "\n";
    out.write_all(line.as_bytes()).map_err(|error| Failure::file("write", path, &error))
}
