//! Text that goes on.
//!
//! Each token is chosen from the logits after all tokens before it. A draft is
//! a guess at what will be chosen: as many guessed tokens as a chunk takes go
//! through the layers together, and those that turn out as guessed cost no
//! pass of their own. That is how a generation is checked by one prefill, and
//! why a wrong draft can't change the answer. (Speculative decoding: Leviathan
//! et al., arXiv 2211.17192, section 2; with exact arithmetic nothing of the
//! rejection sampling is needed.)

use super::{Answer, Halt, Pace, Task, pause, request};
use crate::model::llama::Llama;
use crate::tokenizer::{Message, Specials, Stream, Tokenizer};
use grid_protocol::Digest;
use grid_protocol::infer::{
    Finish, GenerateAnswer, GenerateRequest, MAX_STOPS, MAX_TEMPERATURE, MAX_TOKENS, Role,
};
use grid_tensor::activation::Activation;
use grid_tensor::backend::Backend;
use grid_tensor::ops::sample::{Temperature, draw};
use sha2::{Digest as _, Sha256};

pub(super) async fn run<B: Backend>(
    device: &B,
    model: &Llama<B>,
    tokenizer: &Tokenizer,
    task: Task<'_>,
    pace: &mut impl Pace,
) -> Result<Answer, Halt<B::Error>> {
    let request: GenerateRequest = request(task.stdin)?;
    let prompt = prompt(tokenizer, &request).map_err(Halt::Refused)?;
    let context = model.config().context;
    if !(1..context).contains(&prompt.len()) {
        let (have, most) = (prompt.len(), context - 1);
        return Err(Halt::Refused(format!(
            "the prompt has {have} tokens, where 1 to {most} are taken"
        )));
    }
    let text = Text::new(tokenizer, &request.stop);
    let mut generation = Generation {
        draft: draft(task.draft, &request, model.vocabulary()),
        most: (request.max_tokens as usize).min(context - prompt.len()),
        tokens: prompt.clone(),
        prompt: prompt.len(),
        hidden: Sha256::new(),
        text,
        finish: None,
    };
    let mut session = model.session(device);
    while generation.finish.is_none() {
        let ids = generation.next(session.len(), pace.chunk());
        let first = session.len();
        let mut pass = model.start(device, &session, &ids);
        while model.advance(device, &mut session, &mut pass) {
            pause(device, pace).await?;
        }
        pause(device, pace).await?;
        // The last token of the prompt, and each after it, chooses one.
        let choosing = (first + ids.len()).saturating_sub(generation.prompt - 1).min(ids.len());
        if choosing == 0 {
            continue;
        }
        let (hidden, logits) = model.finish(device, &pass, choosing);
        let hidden = device.read_activation(&hidden).await.map_err(Halt::Device)?;
        let chosen = match Temperature::new(request.temperature) {
            None => device.argmax(&logits).await.map_err(Halt::Device)?,
            Some(temperature) => {
                let logits = device.read(&logits).await.map_err(Halt::Device)?;
                let index = generation.tokens.len() - generation.prompt;
                (0..choosing)
                    .map(|row| {
                        draw(
                            logits.row(row),
                            logits.exponents[row],
                            temperature,
                            random(task.seed, index + row),
                        )
                    })
                    .collect()
            }
        };
        for (row, token) in chosen.into_iter().enumerate() {
            let count = (generation.tokens.len() - generation.prompt + 1) as u64;
            if model.cost((generation.prompt as u64) + count - 1, count) > task.fuel {
                return Err(Halt::Fuel);
            }
            let more = generation.choose(token, &hidden, row);
            if !more.is_empty() {
                pace.text(&more);
            }
            let guess = ids.get(ids.len() - choosing + row + 1);
            if generation.finish.is_some() || guess != Some(&token) {
                // Whatever was guessed beyond here was guessed wrong.
                model.truncate(device, &mut session, generation.tokens.len() - 1);
                if guess.is_some() {
                    generation.draft.clear();
                }
                break;
            }
        }
    }
    generation.answer(model)
}

/// Tokens of the request's prompt.
fn prompt(tokenizer: &Tokenizer, request: &GenerateRequest) -> Result<Vec<u32>, String> {
    if !(1..=MAX_TOKENS).contains(&request.max_tokens) {
        return Err(format!("max_tokens is 1 to {MAX_TOKENS}"));
    }
    if request.temperature > MAX_TEMPERATURE {
        return Err(format!("temperature is 0 to {MAX_TEMPERATURE} thousandths"));
    }
    if request.stop.len() > MAX_STOPS || request.stop.iter().any(String::is_empty) {
        return Err(format!("stop has at most {MAX_STOPS} strings, none of them empty"));
    }
    match (&request.prompt, request.messages.as_slice()) {
        (Some(prompt), []) => Ok(tokenizer.encode_whole(prompt, Specials::Text, usize::MAX)),
        (None, messages @ [_, ..]) => {
            let messages: Vec<Message> = messages
                .iter()
                .map(|m| Message { role: role(m.role), content: &m.content })
                .collect();
            tokenizer.chat(&messages).map_err(|error| error.to_string())
        }
        _ => Err("a request has either messages or a prompt".into()),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// The tokens of a draft; nothing where it makes no sense, for it is only a guess.
fn draft(draft: Option<&[u8]>, request: &GenerateRequest, vocabulary: usize) -> Vec<u32> {
    let answer = draft.and_then(|bytes| serde_json::from_slice::<GenerateAnswer>(bytes).ok());
    let mut tokens = answer.map(|answer| answer.tokens).unwrap_or_default();
    tokens.truncate(request.max_tokens as usize);
    if tokens.iter().any(|token| *token as usize >= vocabulary) {
        tokens.clear();
    }
    tokens
}

/// 64 random bits for the token with this index, from the spec's seed.
fn random(seed: [u8; 32], index: usize) -> u64 {
    let mut hash = Sha256::new();
    hash.update(b"grid-sample-v1");
    hash.update(seed);
    hash.update((index as u64).to_le_bytes());
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

struct Generation<'a> {
    /// Guessed tokens, from the first one that is generated.
    draft: Vec<u32>,
    /// Most tokens to generate.
    most: usize,
    /// The prompt, then what was chosen.
    tokens: Vec<u32>,
    prompt: usize,
    hidden: Sha256,
    text: Text<'a>,
    finish: Option<Finish>,
}

impl Generation<'_> {
    /// What goes through the layers next, when `seen` tokens have: at most a chunk of known tokens
    /// and of guessed ones.
    fn next(&self, seen: usize, chunk: usize) -> Vec<u32> {
        let known = &self.tokens[seen..];
        let chosen = self.tokens.len() - self.prompt;
        // The last token is never seen: nothing is chosen after it.
        let guesses = self
            .draft
            .get(chosen..self.draft.len().min(self.most.saturating_sub(1)))
            .unwrap_or_default();
        known.iter().chain(guesses).copied().take(chunk).collect()
    }

    /// Takes a token; returns the text that is certain to stay.
    fn choose(&mut self, token: u32, hidden: &Activation, row: usize) -> String {
        let (cols, blocks) = (hidden.cols, hidden.cols / grid_tensor::weights::BLOCK);
        for mantissa in &hidden.mantissas[row * cols..(row + 1) * cols] {
            self.hidden.update(mantissa.to_le_bytes());
        }
        self.hidden.update(&hidden.shifts[row * blocks..(row + 1) * blocks]);
        self.hidden.update(hidden.exponents[row].to_le_bytes());
        self.tokens.push(token);
        let (more, stopped) = self.text.push(token);
        if stopped {
            self.finish = Some(Finish::Stop);
        } else if self.tokens.len() - self.prompt >= self.most {
            self.finish = Some(Finish::Length);
        }
        more
    }

    fn answer<B: Backend>(self, model: &Llama<B>) -> Result<Answer, Halt<B::Error>> {
        let tokens = self.tokens[self.prompt..].to_vec();
        let (prompt, chosen) = (self.prompt as u64, tokens.len() as u64);
        let answer = GenerateAnswer {
            text: self.text.finish(),
            tokens,
            finish: self.finish.unwrap_or(Finish::Length),
            prompt_tokens: prompt,
        };
        Ok(Answer {
            json: serde_json::to_vec(&answer).expect("strings and numbers are always JSON"),
            check: Digest(self.hidden.finalize().into()),
            fuel: model.cost(prompt + chosen - 1, chosen),
        })
    }
}

/// The text of a generation, and where it stops.
struct Text<'a> {
    tokenizer: &'a Tokenizer,
    stops: &'a [String],
    stream: Stream,
    text: String,
    /// Bytes of it that were given out.
    given: usize,
}

impl<'a> Text<'a> {
    fn new(tokenizer: &'a Tokenizer, stops: &'a [String]) -> Self {
        Self { tokenizer, stops, stream: Stream::default(), text: String::new(), given: 0 }
    }

    /// The text that a token makes certain, and whether the text ends with it.
    fn push(&mut self, token: u32) -> (String, bool) {
        if self.tokenizer.stops(token) {
            return (self.give(self.text.len()), true);
        }
        let more = self.stream.push(self.tokenizer.bytes(token));
        // A stop string may begin in what was there before.
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let from = floor(&self.text, self.text.len().saturating_sub(longest));
        self.text.push_str(&more);
        let found =
            self.stops.iter().filter_map(|stop| self.text[from..].find(stop.as_str())).min();
        if let Some(at) = found {
            self.text.truncate(from + at);
            self.stream = Stream::default();
            return (self.give(self.text.len()), true);
        }
        // What could yet become a stop string is kept back.
        let tail = |stop: &String| {
            (1..stop.len())
                .rev()
                .find(|n| stop.is_char_boundary(*n) && self.text.ends_with(&stop[..*n]))
        };
        let kept = self.stops.iter().filter_map(tail).max().unwrap_or(0);
        (self.give(self.text.len() - kept), false)
    }

    fn give(&mut self, until: usize) -> String {
        let until = until.max(self.given);
        let more = self.text.get(self.given..until).unwrap_or_default().to_owned();
        self.given = until;
        more
    }

    fn finish(mut self) -> String {
        let rest = self.stream.finish();
        self.text + &rest
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
