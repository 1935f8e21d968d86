//! `grid embed`, `grid chat` and `grid generate`

use crate::args::{ChatArgs, EmbedArgs, GenerateArgs, Global, SamplingArgs};
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::files::{read_all, read_bounded};
use crate::ui;
use grid_client::{Client, printable};
use grid_protocol::infer::Work;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

/// Largest text that is read from a file.
const MAX_TEXT: u64 = 64 << 20;
/// Texts in one call.
const TEXTS: usize = 512;

/// The model to ask: the one named, or the relay's first that does the work.
async fn model(client: &Client, named: Option<&String>, work: Work) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name.clone());
    }
    let models = client.models().await?;
    let first = models.into_iter().find(|model| model.work == work);
    first.map(|model| model.id).ok_or_else(|| {
        let does = if work == Work::Embed { "makes embeddings" } else { "generates text" };
        let message = format!("{} has no model that {does}", client.relay());
        Failure::new(Exit::Refused, "model_not_found", message)
            .hint("the operator installs models with `grid-relay model add`")
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = if path == Path::new("-") {
        read_all(io::stdin().lock(), MAX_TEXT)
    } else {
        read_bounded(path, MAX_TEXT)
    };
    let bytes = bytes.map_err(|error| Failure::file("read", path, &error))?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{} is not a text in UTF-8", path.display());
        Failure::new(Exit::Failed, "file", message)
    })
}

/// `grid embed`
pub(crate) async fn embed(global: &Global, args: &EmbedArgs) -> Result<Exit, Failure> {
    let texts: Vec<String> = match &args.file {
        Some(path) => {
            let text = read(path)?;
            text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
        }
        None => args.texts.clone(),
    };
    if texts.is_empty() {
        return Err(Failure::usage("there is no text to embed"));
    }
    let client = Session::open(global)?.client;
    let model = model(&client, args.model.as_ref(), Work::Embed).await?;
    for (part, texts) in texts.chunks(TEXTS).enumerate() {
        let body = json!({"model": model, "input": texts, "encoding_format": "float"});
        let answer = client.call("v1/embeddings", &body).await?;
        let data = answer.body["data"].as_array().filter(|data| data.len() == texts.len());
        let data = data.ok_or_else(|| bad("it holds other than one embedding a text"))?;
        for (at, (text, item)) in texts.iter().zip(data).enumerate() {
            let embedding = &item["embedding"];
            ui::line(if global.json {
                let index = part * TEXTS + at;
                json!({"index": index, "text": text, "embedding": embedding}).to_string()
            } else {
                embedding.to_string()
            })?;
        }
        if global.json {
            let last = json!({"receipt": answer.receipt, "usage": answer.body["usage"]});
            ui::line(last.to_string())?;
        }
    }
    Ok(Exit::Ok)
}

/// `grid generate`
pub(crate) async fn generate(global: &Global, args: &GenerateArgs) -> Result<Exit, Failure> {
    let prompt = match args.prompt.as_str() {
        "-" => read(Path::new("-"))?,
        prompt => prompt.to_owned(),
    };
    let client = Session::open(global)?.client;
    let body = body(&client, &args.sampling).await?;
    say(global, &client, "v1/completions", with(&body, "prompt", json!(prompt))).await?;
    Ok(Exit::Ok)
}

/// `grid chat`
pub(crate) async fn chat(global: &Global, args: &ChatArgs) -> Result<Exit, Failure> {
    let client = Session::open(global)?.client;
    let body = body(&client, &args.sampling).await?;
    let mut messages: Vec<Value> = Vec::new();
    messages.extend(args.system.iter().map(|text| json!({"role": "system", "content": text})));
    if let Some(message) = &args.message {
        messages.push(json!({"role": "user", "content": message}));
        say(global, &client, "v1/chat/completions", with(&body, "messages", json!(messages)))
            .await?;
        return Ok(Exit::Ok);
    }
    let person = io::stdin().is_terminal() && !global.json;
    if person {
        ui::note("nodes see what you say; end with Ctrl-D");
    }
    loop {
        if person {
            // Nobody is left to ask when standard error is closed.
            let _ = write!(io::stderr(), "> ");
        }
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(Exit::Ok);
        }
        if line.trim().is_empty() {
            continue;
        }
        messages.push(json!({"role": "user", "content": line.trim()}));
        let body = with(&body, "messages", json!(messages));
        let said = say(global, &client, "v1/chat/completions", body).await?;
        messages.push(json!({"role": "assistant", "content": said}));
    }
}

async fn body(client: &Client, args: &SamplingArgs) -> Result<Value, Failure> {
    let model = model(client, args.model.as_ref(), Work::Generate).await?;
    let mut body = json!({
        "model": model, "max_tokens": args.max_tokens, "temperature": args.temperature,
        "stream": true, "stream_options": {"include_usage": true},
    });
    if let Some(seed) = args.seed {
        body["seed"] = json!(seed);
    }
    if !args.stop.is_empty() {
        body["stop"] = json!(args.stop);
    }
    Ok(body)
}

fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

/// Prints an answer as it comes; as one object where machines read it. Gives
/// back the text.
async fn say(global: &Global, client: &Client, path: &str, body: Value) -> Result<String, Failure> {
    let mut stream = client.stream(path, &body).await?;
    let (mut text, mut finish, mut usage) = (String::new(), Value::Null, Value::Null);
    while let Some(event) = stream.next().await? {
        let choice = &event["choices"][0];
        let piece = choice["delta"]["content"].as_str().or(choice["text"].as_str());
        let piece = piece.unwrap_or_default();
        text.push_str(piece);
        if !choice["finish_reason"].is_null() {
            finish = choice["finish_reason"].clone();
        }
        if !event["usage"].is_null() {
            usage = event["usage"].clone();
        }
        if !global.json {
            let mut out = io::stdout().lock();
            write!(out, "{}", printable(piece))?;
            out.flush()?;
        }
    }
    if global.json {
        let line = json!({
            "text": text, "finish_reason": finish, "usage": usage, "receipt": stream.receipt,
        });
        ui::line(line.to_string())?;
    } else {
        ui::line("")?;
    }
    Ok(text)
}

fn bad(why: &str) -> Failure {
    Failure::new(Exit::Failed, "bad_answer", format!("the relay's answer makes no sense: {why}"))
}
