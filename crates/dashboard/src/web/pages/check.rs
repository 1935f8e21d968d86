//! A proof, checked here: the same code as `grid verify`, and once this page is
//! loaded, without a network.

use crate::prove::{Next, Prove, checkpoint};
use crate::web::app::save;
use crate::web::net;
use crate::web::parts::{Cell, facts, notice, verdict, words_of};
use crate::words;
use grid_audit::proof::{self, MAX_BYTES, Proven, Report};
use grid_protocol::{Digest, PublicKey};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

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

/// A proof that was checked.
#[derive(Clone)]
struct Checked {
    name: String,
    bytes: Vec<u8>,
    report: Report,
}

pub(in crate::web) fn check(entry: Option<u64>) -> AnyView {
    let checked = RwSignal::new(None::<Checked>);
    let failed = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let key = RwSignal::new(String::new());
    let over = RwSignal::new(false);

    let show = move |name: String, bytes: Vec<u8>| {
        let trusted = match key.get_untracked().trim() {
            "" => None,
            text => match text.parse::<PublicKey>() {
                Ok(key) => Some(key),
                Err(_) => {
                    return failed
                        .set(Some("A relay's key is 64 digits, 0 to 9 and a to f.".into()));
                }
            },
        };
        failed.set(None);
        let report = proof::check(&bytes, trusted.as_ref());
        checked.set(Some(Checked { name, bytes, report }));
    };
    let open = move |file: File| {
        spawn_local(async move {
            if file.size() > MAX_BYTES as f64 {
                failed.set(Some(format!("{} is larger than a proof can be.", file.name())));
                return;
            }
            match JsFuture::from(file.array_buffer()).await {
                Ok(buffer) => show(file.name(), js_sys::Uint8Array::new(&buffer).to_vec()),
                Err(_) => failed.set(Some(format!("{} can't be read.", file.name()))),
            }
        });
    };
    let fetch = move |seq: u64| {
        busy.set(true);
        failed.set(None);
        spawn_local(async move {
            let made = made(seq).await;
            if busy.try_set(false).is_none() {
                match made {
                    Ok(bytes) => show(format!("proof-{seq}.json"), bytes),
                    Err(why) => failed.set(Some(why)),
                }
            }
        });
    };
    if let Some(seq) = entry {
        fetch(seq);
    }
    let dropped = move |event: leptos::ev::DragEvent| {
        event.prevent_default();
        over.set(false);
        if let Some(file) = event.data_transfer().and_then(|data| data.files()?.get(0)) {
            open(file);
        }
    };
    let chosen = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            open(file);
        }
        // The same file may be chosen again, altered meanwhile.
        input.set_value("");
    };
    let again = move |_| {
        if let Some(Checked { name, bytes, .. }) = checked.get_untracked() {
            show(name, bytes);
        }
    };
    view! {
        <h1>"Check a proof"</h1>
        <p class="lead">"A proof shows that a task's result was signed by the nodes that computed \
            it, that enough of them agree, and that the relay's public log holds it. It is checked \
            in this browser, by the code of "<code>"grid verify"</code>"; once this page is \
            loaded no network is needed."</p>
        <div
            class="drop"
            class:over=move || over.get()
            on:dragover=move |event| { event.prevent_default(); over.set(true); }
            on:dragleave=move |_| over.set(false)
            on:drop=dropped
        >
            <label for="file">"Drop a proof file here, or choose one"</label>
            <input id="file" type="file" accept=".json,application/json" on:change=chosen/>
            <p class="hint">"Made by "<code>"grid prove JOB TASK --out proof.json"</code></p>
        </div>
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
        <p role="status">{move || busy.get().then_some("Fetching the entries and their hashes…")}</p>
        {move || checked.get().map(told)}
    }
    .into_any()
}

fn told(checked: Checked) -> AnyView {
    let Checked { name, bytes, report } = checked;
    let good = report.proven.is_some();
    let title = if good { "The proof holds" } else { "The proof does not hold" };
    let steps = STEPS.map(|(step, title, what)| {
        let found = report.steps.iter().find(|found| found.name == step);
        let (state, word) = match found {
            Some(found) if found.ok => ("good", "Holds"),
            Some(_) => ("bad", "Fails"),
            None => ("unreached", "Not reached"),
        };
        view! {
            <li class=state data-step=step>
                <h3>{title}" "<span class="tag">{word}</span></h3>
                {words_of("found", found.map(|found| found.why.clone()))}
                <p class="hint">{what}</p>
            </li>
        }
        .into_any()
    });
    let steps = Vec::from(steps);
    let (shown, proven) = (name.clone(), report.proven.map(proven));
    let told = view! {
        <p class="hint">{shown}</p>
        <ol class="steps">{steps}</ol>
        {proven}
        <button type="button" on:click=move |_| save(&name, &bytes)>"Save the file"</button>
    };
    verdict(good, title, told.into_any())
}

fn proven(proven: Proven) -> AnyView {
    let digest = |digest: Digest| Cell::Code(digest.to_string());
    view! {
        <h3>"What is proven"</h3>
        {facts(vec![
            ("Job", Cell::Code(proven.job.to_string())),
            ("Task", Cell::Text(proven.index.to_string())),
            ("It ended", Cell::ending(proven.reason, Some(proven.exit_code))),
            ("Output digest", digest(proven.output)),
            ("Input digest", digest(proven.input)),
            ("Spec digest", digest(proven.spec)),
            ("Fuel", Cell::Text(words::count(proven.fuel))),
            ("Computed by", Cell::Keys(proven.nodes)),
        ])}
    }
    .into_any()
}

/// The proof of the settlement in entry `seq`, made from the relay's log.
async fn made(seq: u64) -> Result<Vec<u8>, String> {
    let relay = net::relay().await?;
    let signed = checkpoint(&net::bytes("log/checkpoint").await?, &relay)?;
    let mut prove = Prove::new(relay, signed, seq);
    loop {
        match prove.next()? {
            Next::Done(file) => return Ok(file),
            Next::Fetch(path) => prove.give(path, &net::tile(path).await?)?,
        }
    }
}
