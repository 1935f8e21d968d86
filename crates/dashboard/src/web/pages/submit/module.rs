//! A module and its inputs.

use super::{area, field, number};
use crate::json::Read as _;
use crate::web::files::{drop_zone, read};
use crate::web::net;
use crate::web::parts::{choice, notice};
use crate::words;
use futures_util::future::join_all;
use grid_protocol::{Digest, Files, Side, limits};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Value, json};
use web_sys::File;

/// Inputs that are read and sent at a time.
const AT_A_TIME: usize = 4;
const HOW: [(&str, &str); 3] = [
    ("each", "A task for each file"),
    ("lines", "A task for each line"),
    ("all", "One task with all files"),
];

/// What was chosen: files stay with the browser until they are sent.
#[derive(Clone, Copy)]
struct Chosen {
    module: RwSignal<Option<File>, LocalStorage>,
    inputs: RwSignal<Vec<File>, LocalStorage>,
    how: RwSignal<&'static str>,
    name: RwSignal<String>,
    args: RwSignal<String>,
    fuel: RwSignal<String>,
    budget: RwSignal<String>,
    /// So many inputs of so many are sent: two numbers, or null.
    sent: RwSignal<Value>,
}

pub(super) fn form(key: RwSignal<String>) -> AnyView {
    let text = || RwSignal::new(String::new());
    let chosen = Chosen {
        module: RwSignal::new_local(None),
        inputs: RwSignal::new_local(Vec::new()),
        how: RwSignal::new("each"),
        name: text(),
        args: text(),
        fuel: text(),
        budget: text(),
        sent: RwSignal::new(Value::Null),
    };
    let failed = RwSignal::new(None::<String>);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        failed.set(None);
        chosen.sent.set(json!([0, 0]));
        spawn_local(async move {
            let submitted = send(chosen, &key.get_untracked()).await;
            // The page may be gone by now.
            if chosen.sent.try_set(Value::Null).is_none() {
                match submitted {
                    Ok(job) => drop(window().location().set_hash(&format!("/job/{job}"))),
                    Err(why) => failed.set(Some(why)),
                }
            }
        });
    };
    let module = move || chosen.module.with(|file| file.as_ref().map(described));
    let inputs = move || {
        chosen.inputs.with(|files| match files.as_slice() {
            [] => "No input: one task with empty standard input.".to_owned(),
            [only] => described(only),
            files => {
                let size: f64 = files.iter().map(|file| file.size()).sum();
                format!(
                    "{}, {}",
                    words::counted(files.len() as u64, "file"),
                    words::bytes(size as u64)
                )
            }
        })
    };
    let busy = move || chosen.sent.with(Value::is_array);
    view! {
        <form class="submit" on:submit=submit>
            {drop_zone(
                "module", "Drop a WebAssembly module here, or choose one", ".wasm,application/wasm", false,
                view! { <p class="chosen">{module}</p> }.into_any(),
                move |mut files| chosen.module.set(files.pop()),
            )}
            {drop_zone(
                "inputs", "Drop input files here, or choose them", "", true,
                view! { <p class="chosen">{inputs}</p> }.into_any(),
                move |files| chosen.inputs.set(files),
            )}
            <div class="row">{choice("Inputs become", HOW, chosen.how)}</div>
            <p class="hint">"A task for each file or line gets it on standard input; one task with \
                all files finds them under "<code>"/in"</code>". Any program for \
                "<code>"wasm32-wasip1"</code>" works."</p>
            <div class="fields">
                {field("name", "Name", chosen.name)}
                {field("fuel", "Fuel limit of a task (100,000,000,000)", chosen.fuel)}
                {field("budget", "Budget of the job, in fuel (what its limits may need)", chosen.budget)}
            </div>
            {area("args", "Arguments, one a line", "2", chosen.args)}
            <button class="main" type="submit" disabled=busy>"Submit"</button>
        </form>
        {notice(failed.into())}
        <div role="status">{move || busy().then(|| {
            let number = |at: usize| chosen.sent.with(|sent| sent[at].as_u64().unwrap_or_default());
            let (done, all) = (number(0), number(1));
            let told = format!("Sending: {} of {} inputs", words::count(done), words::count(all));
            view! {
                <label for="sent">{told}</label>
                <progress id="sent" max=all.max(1).to_string() value=done.to_string()></progress>
            }
        })}</div>
    }
    .into_any()
}

fn described(file: &File) -> String {
    format!("{}, {}", file.name(), words::bytes(file.size() as u64))
}

/// Sends module, inputs and job; gives back the job's id.
async fn send(chosen: Chosen, key: &str) -> Result<String, String> {
    let module = chosen.module.get_untracked().ok_or("Choose a module first.")?;
    let inputs = chosen.inputs.get_untracked();
    let mut job = json!({
        "name": chosen.name.get_untracked(),
        "args": chosen.args.get_untracked().lines().collect::<Vec<_>>(),
    });
    for (member, name, text) in [
        ("fuel", "The fuel limit", chosen.fuel.get_untracked()),
        ("budget", "The budget", chosen.budget.get_untracked()),
    ] {
        if let Some(number) = number(name, &text)? {
            job[member] = number.into();
        }
    }
    if module.size() > limits::MAX_MODULE as f64 {
        return Err(format!("{} is larger than the 32 MiB that a module may have.", module.name()));
    }
    let answer = net::upload("POST", "v1/modules", key, &read(&module).await?).await?;
    let module = net::read("v1/modules", &answer.bytes().await?)?;
    job["module"] = module.text("source").into();
    let tasks = tasks(chosen.how.get_untracked(), inputs).await?;
    let all = tasks.len() as u64;
    let _ = chosen.sent.try_set(json!([0, all]));
    let put = |(name, task): (String, Task)| async move {
        let list = task.list().await?;
        let digest = Digest::of(&list);
        net::upload("PUT", &format!("v1/blobs/{digest}"), key, &list).await?;
        let _ = chosen.sent.try_update(|sent| {
            sent[0] = (sent[0].as_u64().unwrap_or_default() + 1).into();
        });
        Ok::<_, String>(json!({"name": name, "input": digest.to_string()}))
    };
    let mut described = Vec::with_capacity(tasks.len());
    let mut tasks = tasks.into_iter();
    loop {
        let some: Vec<_> = tasks.by_ref().take(AT_A_TIME).map(put).collect();
        if some.is_empty() {
            break;
        }
        for task in join_all(some).await {
            described.push(task?);
        }
    }
    job["tasks"] = described.into();
    let answer = net::send("POST", "v1/jobs", key, Some(&job.to_string().into())).await?;
    Ok(net::read("v1/jobs", &answer.bytes().await?)?.text("id").to_owned())
}

/// A task's input before it is read.
enum Task {
    Text(Vec<u8>),
    Stdin(File),
    In(Vec<File>),
}

impl Task {
    /// The encoded input list.
    async fn list(self) -> Result<Vec<u8>, String> {
        let files = match self {
            Self::Text(bytes) => Files::stdin(bytes),
            Self::Stdin(file) => Files::stdin(read(&file).await?),
            Self::In(several) => {
                let mut files = Files::new(Side::Input);
                for file in several {
                    let wrong = |why| format!("{}: {why}", file.name());
                    let path = format!("/in/{}", file.name());
                    files.insert(&path, read(&file).await?).map_err(wrong)?;
                }
                files
            }
        };
        if files.size() > limits::MAX_INPUT as u64 {
            return Err("A task's input is larger than the 64 MiB that it may have.".into());
        }
        Ok(files.encode())
    }
}

/// The tasks that the files make, by name.
async fn tasks(how: &str, files: Vec<File>) -> Result<Vec<(String, Task)>, String> {
    let tasks = match how {
        _ if files.is_empty() => vec![(String::new(), Task::Text(Vec::new()))],
        "each" => files.into_iter().map(|file| (file.name(), Task::Stdin(file))).collect(),
        "lines" => {
            let mut tasks = Vec::new();
            for file in &files {
                let bytes = read(file).await?;
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                let task = |(at, line): (usize, &[u8])| {
                    (format!("{}:{}", file.name(), at + 1), Task::Text(line.to_vec()))
                };
                tasks.extend(lines.enumerate().map(task).take(limits::MAX_TASKS + 1));
            }
            tasks
        }
        _ => vec![(words::counted(files.len() as u64, "file"), Task::In(files))],
    };
    match tasks.len() {
        0 => Err("The files have no lines.".into()),
        count if count > limits::MAX_TASKS => {
            Err("A job has at most 10,000 tasks: submit several.".into())
        }
        _ => Ok(tasks),
    }
}
