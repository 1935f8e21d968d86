//! A prompt, whose answer comes as it is written, and texts to embed.

use super::{area, field, number};
use crate::json::Read as _;
use crate::web::files::save;
use crate::web::net::{self, Answer, Failed, Running, Shown};
use crate::web::parts::notice;
use crate::words;
use leptos::prelude::*;
use serde_json::{Value, json};

/// Texts of one call.
const MOST_TEXTS: usize = 2_048;

/// What is asked, and what comes of it.
#[derive(Clone, Copy)]
struct Asking {
    key: RwSignal<String>,
    model: RwSignal<String>,
    text: RwSignal<String>,
    failed: RwSignal<Option<String>>,
    /// The job that computes it, once the relay says so.
    job: RwSignal<Option<String>>,
    /// What is on its way. The relay ends a job whose answer nobody waits for.
    running: RwSignal<Option<Running>>,
}

impl Asking {
    fn new(key: RwSignal<String>) -> Self {
        let text = || RwSignal::new(String::new());
        Self {
            key,
            model: text(),
            text: text(),
            failed: RwSignal::new(None),
            job: RwSignal::new(None),
            running: RwSignal::new(None),
        }
    }

    /// Asks, and hears about it until it is over, was stopped or the page left.
    fn ask(self, asking: impl AsyncFnOnce(Self) -> Result<(), Failed> + 'static) {
        self.failed.set(None);
        self.job.set(None);
        let running = net::run(async move {
            let asked = asking(self).await;
            self.running.set(None);
            self.failed.set(asked.err().map(String::from));
        });
        self.running.set(Some(running));
    }

    fn is_busy(self) -> bool {
        self.running.with(Option::is_some)
    }

    async fn post(self, path: &str, body: Value) -> Result<Answer, Failed> {
        let key = self.key.get_untracked();
        let answer = net::send("POST", path, &key, Some(&body.to_string().into())).await?;
        // `https://relay.example/v1/jobs/ID/...`: where the receipt is.
        let receipt = answer.header("grid-receipt");
        let mut parts = receipt.split('/').skip_while(|part| *part != "jobs");
        self.job.set(parts.nth(1).map(str::to_owned));
        Ok(answer)
    }

    /// What to press, and what went wrong.
    fn below(self, say: &'static str) -> AnyView {
        let busy = move || self.is_busy();
        let stop = move |_| self.running.set(None);
        view! {
            <p class="row">
                <button class="main" type="submit" disabled=busy>{say}</button>
                <button type="button" hidden=move || !busy() on:click=stop>"Stop"</button>
                {move || self.job.get().map(|job| view! {
                    <a href=format!("#/job/{job}")>"The job, its receipts and proofs"</a>
                })}
            </p>
            {notice(self.failed.into())}
        }
        .into_any()
    }
}

/// Which model: those installed that do this.
fn model(models: Shown, work: &'static str, chosen: RwSignal<String>) -> AnyView {
    let names = move || -> Vec<String> {
        models.value.with(|models| {
            let able = models.list("data").iter().filter(|model| model.text("work") == work);
            able.map(|model| model.text("id").to_owned()).collect()
        })
    };
    Effect::new(move |_| {
        let names = names();
        if !names.contains(&chosen.get_untracked()) {
            chosen.set(names.first().cloned().unwrap_or_default());
        }
    });
    let option = |name: String| {
        let value = name.clone();
        view! { <option value=value>{name}</option> }.into_any()
    };
    let none = move || {
        (models.value.with(Value::is_object) && names().is_empty())
            .then(|| view! { <p class="hint">"This relay has no model for that."</p> })
    };
    view! {
        <div class="field">
            <label for="model">"Model"</label>
            <select id="model" on:change=move |event| chosen.set(event_target_value(&event))>
                {move || names().into_iter().map(option).collect::<Vec<_>>()}
            </select>
            {none}
        </div>
    }
    .into_any()
}

pub(super) fn prompt(key: RwSignal<String>, models: Shown) -> AnyView {
    let asking = Asking::new(key);
    let most = RwSignal::new("256".to_owned());
    let answer = RwSignal::new(String::new());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        answer.set(String::new());
        asking.ask(async move |asking: Asking| {
            let most = number("The most tokens", &most.get_untracked())?;
            let body = json!({
                "model": asking.model.get_untracked(),
                "messages": [{"role": "user", "content": asking.text.get_untracked()}],
                "max_completion_tokens": most.unwrap_or(256),
                "temperature": 0,
                "stream": true,
            });
            let stream = asking.post("v1/chat/completions", body).await?;
            let hear = &mut |line: &[u8]| {
                let data = line.strip_prefix(b"data:").unwrap_or_default();
                let event: Value = serde_json::from_slice(data).unwrap_or_default();
                if let Some(error) = event.get("error") {
                    return Err(error.text("message").to_owned());
                }
                let piece = &event["choices"][0]["delta"];
                answer.update(|answer| answer.push_str(piece.text("content")));
                Ok(true)
            };
            Ok(stream.lines(hear).await?)
        });
    };
    view! {
        <form class="submit" on:submit=submit>
            {model(models, "generate", asking.model)}
            {area("prompt", "Prompt", "5", asking.text)}
            {field("most", "Most tokens of the answer", most)}
            {asking.below("Ask")}
        </form>
        <h2>"Answer"</h2>
        <p class="hint">"As a node writes it. It is provisional until the relay has checked it; the \
            job's page has the result that was settled, with its proof."</p>
        <div class="answer" role="status" aria-live="polite" aria-busy=move || asking.is_busy().to_string()>
            {move || answer.get()}
        </div>
    }
    .into_any()
}

pub(super) fn embed(key: RwSignal<String>, models: Shown) -> AnyView {
    let asking = Asking::new(key);
    let found = RwSignal::new(Value::Null);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        found.set(Value::Null);
        asking.ask(async move |asking: Asking| {
            let text = asking.text.get_untracked();
            let texts: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            if !(1..=MOST_TEXTS).contains(&texts.len()) {
                return Err(format!("Give 1 to {} texts, one a line.", words::count(2_048)).into());
            }
            let body = json!({"model": asking.model.get_untracked(), "input": texts});
            let answer = asking.post("v1/embeddings", body).await?;
            let answer = net::read("v1/embeddings", &answer.bytes().await?)?;
            let rows = texts.iter().zip(answer.list("data"));
            let row =
                |(text, row): (&&str, &Value)| json!({"text": text, "embedding": row["embedding"]});
            found.set(rows.map(row).collect());
            Ok(())
        });
    };
    let rows = move || found.with(|found| found.as_array().map_or(0, Vec::len) as u64);
    let told = move || {
        let wide = found.with(|found| found[0].list("embedding").len() as u64);
        (rows() > 0).then(|| {
            format!("{} of {} numbers.", words::counted(rows(), "vector"), words::count(wide))
        })
    };
    let as_json = move |_| save("embeddings.json", found.get_untracked().to_string().as_bytes());
    let as_csv = move |_| save("embeddings.csv", found.with_untracked(csv).as_bytes());
    view! {
        <form class="submit" on:submit=submit>
            {model(models, "embed", asking.model)}
            {area("texts", "Texts, one a line", "6", asking.text)}
            {asking.below("Embed")}
        </form>
        <p role="status">{told}</p>
        <p class="row" hidden=move || rows() == 0>
            <button type="button" on:click=as_csv>"Save as CSV"</button>
            <button type="button" on:click=as_json>"Save as JSON"</button>
        </p>
    }
    .into_any()
}

/// A line for each text: the text in quotes, then its numbers (RFC 4180).
fn csv(rows: &Value) -> String {
    let mut csv = String::new();
    for row in rows.as_array().into_iter().flatten() {
        csv.push('"');
        csv.push_str(&row.text("text").replace('"', "\"\""));
        csv.push('"');
        for number in row.list("embedding") {
            csv.push(',');
            csv.push_str(&number.to_string());
        }
        csv.push_str("\r\n");
    }
    csv
}
