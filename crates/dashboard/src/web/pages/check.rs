//! A proof, checked here: the same code as `grid verify`, and once this page is
//! loaded, without a network.

use crate::json::Read as _;
use crate::web::checker::{self, Checker};
use crate::web::files::{drop_zone, save};
use crate::web::net;
use crate::web::parts::{Cell, facts, notice, verdict, words_of};
use crate::words;
use grid_protocol::PublicKey;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Value, json};
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

/// Longest proof file that is read, in bytes, as `grid verify` has it.
const MAX_BYTES: f64 = 1_048_576.0;
/// The steps of a check, in order: what each is for.
const STEPS: [(&str, &str, &str); 5] = [
    ("file", "The file", "A proof as `grid prove` writes it, whole and of a version known here."),
    ("relay", "The relay", "Whose log it is. Anyone can run a relay: compare the key."),
    (
        "checkpoint",
        "The checkpoint",
        "The relay signed the size of its log and the root of the tree over all entries.",
    ),
    (
        "inclusion",
        "Inclusion",
        "Each entry of this proof leads, hash by hash, up to that root: it is in the log.",
    ),
    (
        "quorum",
        "Receipts and quorum",
        "Each node signed its own receipt; the receipts are those committed before anyone knew \
         the checker; the draws are the relay's; enough agree on the answer.",
    ),
];

pub(in crate::web) fn check(entry: Option<u64>) -> AnyView {
    // Null, or a file's name and content with its report, null until it is checked.
    let checked = RwSignal::new(Value::Null);
    let failed = RwSignal::new(None::<String>);
    let status = RwSignal::new("Loading the checker…");
    let key = RwSignal::new(String::new());
    let worker = checker::kept();
    let first = StoredValue::new(true);

    let show = move |name: String, file: String| {
        let relay = match key.get_untracked().trim() {
            "" => None,
            text => match text.parse::<PublicKey>() {
                Ok(_) => Some(text.to_owned()),
                Err(_) => {
                    return failed
                        .set(Some("A relay's key is 64 digits, 0 to 9 and a to f.".into()));
                }
            },
        };
        failed.set(None);
        let ask = json!({"check": {"proof": file, "relay": relay}});
        checked.set(json!({"name": name, "file": file}));
        worker.with_value(|worker| worker.as_ref().map(|worker| worker.ask(&ask)));
    };
    let hear = move |news: &str, told: &Value| {
        let text = || told.as_str().unwrap_or_default().to_owned();
        match news {
            "ready" if entry.is_none() => status.set("Ready: from here on no network is needed."),
            "proof" => {
                status.set("");
                show(format!("proof-{}.json", entry.unwrap_or_default()), text());
            }
            "report" => checked.update(|checked| checked["report"] = told.clone()),
            "failed" => {
                let told = text();
                spawn_local(async move {
                    match settled(
                        entry.filter(|_| first.try_update_value(std::mem::take) == Some(true)),
                    )
                    .await
                    {
                        Some(Value::Null) => status.set(
                            "This receipt is in the log, and its task isn't settled yet: other \
                             nodes check it first. Come back in a while.",
                        ),
                        Some(seq) => {
                            let ask = json!({"prove": {"seq": seq}});
                            worker.with_value(|worker| worker.as_ref().map(|it| it.ask(&ask)));
                        }
                        None => {
                            status.set("");
                            failed.set(Some(told));
                        }
                    }
                });
            }
            _ => {}
        }
    };
    worker.set_value(Checker::start(hear));
    if let Some(seq) = entry {
        status.set("Fetching the entries and their hashes…");
        let ask = json!({"prove": {"seq": seq}});
        worker.with_value(|worker| worker.as_ref().map(|worker| worker.ask(&ask)));
    }
    let open = move |file: File| {
        spawn_local(async move {
            if file.size() > MAX_BYTES {
                failed.set(Some(format!("{} is larger than a proof can be.", file.name())));
                return;
            }
            match JsFuture::from(file.text()).await {
                Ok(text) => show(file.name(), text.as_string().unwrap_or_default()),
                Err(_) => failed.set(Some(format!("{} can't be read.", file.name()))),
            }
        });
    };
    let again = move |_| {
        let checked = checked.get_untracked();
        if checked.is_object() {
            show(checked.text("name").to_owned(), checked.text("file").to_owned());
        }
    };
    view! {
        <h1>"Check a proof"</h1>
        <p class="lead">"A proof shows that a task's result was signed by the nodes that computed \
            it, that enough of them agree, and that the relay's public log holds it. It is checked \
            in this browser, by the code of "<code>"grid verify"</code>"; once this page is \
            loaded no network is needed."</p>
        {drop_zone(
            "file", "Drop a proof file here, or choose one", ".json,application/json", false,
            view! { <p class="hint">"Made by "<code>"grid prove JOB TASK --out proof.json"</code></p> }.into_any(),
            move |mut files| if let Some(file) = files.pop() { open(file) },
        )}
        <details class="more">
            <summary>"The relay's key that you know"</summary>
            <label for="key">"Public key, 64 digits; without it any relay's proof is checked"</label>
            <input
                id="key" class="wide" autocomplete="off" spellcheck="false"
                prop:value=move || key.get()
                on:input=move |event| key.set(event_target_value(&event))
                on:change=again
            />
        </details>
        {notice(failed.into())}
        <p role="status">{move || status.get()}</p>
        {move || checked.with(told)}
    }
    .into_any()
}

/// Which entry settled the task of the receipt in this one: a receipt's own
/// number leads to its proof. Null while nothing did; `None` where it is none.
async fn settled(receipt: Option<u64>) -> Option<Value> {
    let place = net::json(&format!("v1/receipts/{}", receipt?), "").await.ok()?;
    Some(place["settled"].clone())
}

fn told(checked: &Value) -> Option<AnyView> {
    let (name, file) = (checked.text("name").to_owned(), checked.text("file").to_owned());
    let report = &checked["report"];
    if report.is_null() {
        return None;
    }
    let good = report["proven"].is_object();
    let title = if good { "The proof holds" } else { "The proof does not hold" };
    let steps = STEPS.map(|(step, title, what)| {
        let found = report.list("steps").iter().find(|found| found.text("name") == step);
        let (state, word) = match found {
            Some(found) if found.flag("ok") => ("good", "Holds"),
            Some(_) => ("bad", "Fails"),
            None => ("unreached", "Not reached"),
        };
        view! {
            <li class=state data-step=step>
                <h3>{title}" "<span class="tag">{word}</span></h3>
                {words_of("found", found.map(|found| found.text("why").to_owned()))}
                <p class="hint">{what}</p>
            </li>
        }
        .into_any()
    });
    let steps = Vec::from(steps);
    let (shown, proven) = (name.clone(), good.then(|| proven(&report["proven"])));
    let told = view! {
        <p class="hint">{shown}</p>
        <ol class="steps">{steps}</ol>
        {proven}
        <button type="button" on:click=move |_| save(&name, file.as_bytes())>"Save the file"</button>
    };
    Some(verdict(good, title, told.into_any()))
}

fn proven(proven: &Value) -> AnyView {
    let digest = |name| Cell::Code(proven.text(name).to_owned());
    let count = |name| Cell::Text(words::count(proven.number(name)));
    let nodes = proven.list("nodes").iter().filter_map(|node| Some(node.as_str()?.to_owned()));
    view! {
        <h3>"What is proven"</h3>
        {facts(vec![
            ("Job", digest("job")),
            ("Task", count("index")),
            ("It ended", Cell::ending(proven.text("reason"), proven["exit_code"].as_u64())),
            ("Output digest", digest("output")),
            ("Input digest", digest("input")),
            ("Spec digest", digest("spec")),
            ("Fuel", count("fuel")),
            ("Computed by", Cell::Keys(nodes.collect())),
        ])}
    }
    .into_any()
}
