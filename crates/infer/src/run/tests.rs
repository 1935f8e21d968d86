use super::*;
use crate::model::{Misfit, Tensors, bert, llama};
use crate::tokenizer::{Algorithm, Kind as TokenKind, Parts, Split, Template};
use grid_protocol::infer::{EmbedAnswer, Finish, GenerateAnswer, GenerateRequest, Message, Role};
use grid_tensor::backend::Bias;
use grid_tensor::ops::attention::Pairs;
use grid_tensor::ops::norm::Norm;
use grid_tensor::weights::{Block, Kind, Weights, pack_blocks, pack_floats};
use proptest::prelude::*;

const WIDTH: usize = 64;
const INNER: usize = 96;
const VOCABULARY: usize = 259;
const CONTEXT: usize = 160;

/// Random parts of any shape, the same for the same seed.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0
    }

    /// `kv` are the columns of keys and values.
    fn shape(name: &str, kv: usize) -> (usize, usize) {
        match name.trim_end_matches(".bias").rsplit('.').next().unwrap_or(name) {
            "token_embd" => (VOCABULARY, WIDTH),
            "position_embd" => (CONTEXT, WIDTH),
            "attn_k" | "attn_v" => (kv, WIDTH),
            "ffn_gate" | "ffn_up" => (INNER, WIDTH),
            "ffn_down" => (WIDTH, INNER),
            _ => (WIDTH, WIDTH),
        }
    }
}

impl Tensors for Random {
    type Error = Misfit;

    async fn weights(&mut self, name: &str) -> Result<Weights, Misfit> {
        let (rows, cols) = Self::shape(name, 32);
        let kind = if name == "token_embd" { Kind::B8 } else { Kind::N4 };
        let blocks: Vec<Block> = (0..rows * cols / 32)
            .map(|_| Block {
                q: std::array::from_fn(|_| (self.next() * 8.0).floor() as i8),
                scale: 0.02 + self.next() * 0.01,
                min: if kind == Kind::N4 { self.next() * 0.01 } else { 0.0 },
            })
            .collect();
        pack_blocks(kind, rows, cols, &blocks).map_err(|e| Misfit(e.to_string()))
    }

    async fn norm(&mut self, _: &str) -> Result<Norm, Misfit> {
        let gains: Vec<f32> = (0..WIDTH).map(|_| 1.0 + self.next() as f32 / 2.0).collect();
        Ok(Norm::new(&gains, &[], 1e-5, llama::FRACTION))
    }

    async fn bias(&mut self, name: &str) -> Result<Bias, Misfit> {
        Err(Misfit(format!("no {name}")))
    }

    async fn words(&mut self, _: &str) -> Result<Vec<u32>, Misfit> {
        Ok((0..16).map(|i| (6.8e8 / 1e4f64.powf(f64::from(i) / 16.0)) as u32).collect())
    }
}

/// Random parts of an encoder.
struct RandomBert(Random);

impl Tensors for RandomBert {
    type Error = Misfit;

    async fn weights(&mut self, name: &str) -> Result<Weights, Misfit> {
        let (rows, cols) = Random::shape(name, WIDTH);
        let values: Vec<f32> = (0..rows * cols).map(|_| self.0.next() as f32 / 8.0).collect();
        pack_floats(rows, cols, &values).map_err(|e| Misfit(e.to_string()))
    }

    async fn norm(&mut self, _: &str) -> Result<Norm, Misfit> {
        let gains: Vec<f32> = (0..WIDTH).map(|_| 1.0 + self.0.next() as f32 / 2.0).collect();
        Ok(Norm::new(&gains, &gains, 1e-12, bert::FRACTION))
    }

    async fn bias(&mut self, name: &str) -> Result<Bias, Misfit> {
        let cols = Random::shape(name, WIDTH).0;
        Ok(Bias {
            values: (0..cols).map(|_| (self.0.next() * 1e6) as i32).collect(),
            exponent: -24,
        })
    }

    async fn words(&mut self, name: &str) -> Result<Vec<u32>, Misfit> {
        Err(Misfit(format!("no {name}")))
    }
}

/// Every byte is a token; three marks.
fn tokenizer(stops: Vec<u32>) -> Tokenizer {
    let marks = ["<|im_start|>", "<|im_end|>", "<|end|>"];
    let bytes = (0..=255_u8).map(|b| vec![b]);
    let tokens = bytes.chain(marks.iter().map(|m| m.as_bytes().to_vec())).collect();
    let mut kinds = vec![TokenKind::Normal; 256];
    kinds.extend([TokenKind::Control; 3]);
    Tokenizer::new(Parts {
        algorithm: Algorithm::Bytes,
        split: Split::Gpt2,
        template: Template::ChatMl,
        add_begin: false,
        add_end: false,
        space_prefix: false,
        uncased: false,
        begin: None,
        end: None,
        unknown: None,
        stops,
        kinds,
        tokens,
        merges: [].into(),
        scores: vec![],
    })
    .unwrap()
}

fn decoder(device: Cpu) -> Runner<Cpu> {
    let config = llama::Config {
        layers: 2,
        width: WIDTH,
        inner: INNER,
        vocabulary: VOCABULARY,
        heads: 2,
        kv_heads: 1,
        head_dim: 32,
        pairs: Pairs::Halves,
        context: CONTEXT,
        tied: true,
    };
    let model = Model::Decoder(now(Llama::load(&device, config, &mut Random(1))).unwrap());
    Runner { device, tokenizer: tokenizer(vec![257, 258]), model }
}

fn encoder(device: Cpu) -> Runner<Cpu> {
    let config = bert::Config {
        layers: 2,
        width: WIDTH,
        inner: INNER,
        vocabulary: VOCABULARY,
        positions: CONTEXT,
        heads: 2,
        head_dim: 32,
        context: CONTEXT,
    };
    let model =
        Model::Encoder(now(Bert::load(&device, config, &mut RandomBert(Random(2)))).unwrap());
    Runner { device, tokenizer: tokenizer(vec![257, 258]), model }
}

#[derive(Default)]
struct Listen {
    text: String,
    steps: usize,
    stop_at: Option<usize>,
    chunk: Option<usize>,
}

impl Pace for Listen {
    fn chunk(&self) -> usize {
        self.chunk.unwrap_or(CHUNK)
    }

    async fn step(&mut self) -> ControlFlow<()> {
        self.steps += 1;
        if self.stop_at == Some(self.steps) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn text(&mut self, more: &str) {
        self.text.push_str(more);
    }
}

fn task(work: Work, stdin: &[u8]) -> Task<'_> {
    Task { work, stdin, seed: [7; 32], draft: None, fuel: u64::MAX, output: 1 << 20 }
}

fn generate(
    runner: &Runner<Cpu>,
    request: &GenerateRequest,
    draft: Option<&[u8]>,
) -> (Outcome, Listen) {
    let stdin = serde_json::to_vec(request).unwrap();
    let mut listen = Listen::default();
    let outcome =
        now(runner.run(Task { draft, ..task(Work::Generate, &stdin) }, &mut listen)).unwrap();
    (outcome, listen)
}

fn answer(outcome: &Outcome) -> GenerateAnswer {
    serde_json::from_slice(outcome.output.get("stdout").expect("an answer")).unwrap()
}

fn request() -> impl Strategy<Value = GenerateRequest> {
    let temperature = prop_oneof![Just(0), 200..2000u32];
    let stop = prop::collection::vec("[a-z ]{1,2}", 0..3);
    ("[a-z ]{1,90}", 1..30u32, temperature, stop, any::<bool>()).prop_map(
        |(text, max_tokens, temperature, stop, chat)| {
            let content = text.clone();
            GenerateRequest {
                messages: if chat { vec![Message { role: Role::User, content }] } else { vec![] },
                prompt: if chat { None } else { Some(text) },
                max_tokens,
                temperature,
                stop,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A draft is a guess: right, wrong somewhere, cut short or too long, it changes nothing.
    #[test]
    fn a_draft_never_changes_the_answer(request in request(), at in 0usize..40, token in 0u32..400, junk: Vec<u8>) {
        let runner = decoder(Cpu::simd());
        let (plain, listen) = generate(&runner, &request, None);
        let right = answer(&plain);
        prop_assert!(right.tokens.len() <= request.max_tokens as usize);
        prop_assert!(right.text.starts_with(&listen.text));
        let mut wrong = right.clone();
        match wrong.tokens.get_mut(at) {
            Some(t) => *t = token,
            None => wrong.tokens.push(token),
        }
        let mut short = right.clone();
        short.tokens.truncate(at);
        let drafts = [&right, &wrong, &short].map(|d| serde_json::to_vec(d).unwrap());
        for draft in drafts.iter().map(Vec::as_slice).chain([junk.as_slice()]) {
            let (checked, _) = generate(&runner, &request, Some(draft));
            prop_assert_eq!(&checked, &plain);
        }
    }

    #[test]
    fn vectors_give_what_the_definition_gives(request in request(), texts in prop::collection::vec("[a-z ]{1,60}", 1..6)) {
        let (plain, _) = generate(&decoder(Cpu::reference()), &request, None);
        prop_assert_eq!(generate(&decoder(Cpu::simd()), &request, None).0, plain);
        let stdin = serde_json::to_vec(&serde_json::json!({ "texts": texts })).unwrap();
        let embed = |device| now(encoder(device).run(task(Work::Embed, &stdin), &mut Freely)).unwrap();
        prop_assert_eq!(embed(Cpu::simd()), embed(Cpu::reference()));
    }

    #[test]
    fn shorter_slices_change_nothing(request in request(), texts in prop::collection::vec("[a-z ]{1,60}", 1..6), chunk in 1..CHUNK) {
        let shorter = || Listen { chunk: Some(chunk), ..Listen::default() };
        let runner = decoder(Cpu::simd());
        let (plain, _) = generate(&runner, &request, None);
        let draft = plain.output.get("stdout");
        let stdin = serde_json::to_vec(&request).unwrap();
        let checked = Task { draft, ..task(Work::Generate, &stdin) };
        prop_assert_eq!(&now(runner.run(checked, &mut shorter())).unwrap(), &plain);
        let (runner, stdin) = (encoder(Cpu::simd()), serde_json::to_vec(&serde_json::json!({ "texts": texts })).unwrap());
        let embed = |mut pace: Listen| now(runner.run(task(Work::Embed, &stdin), &mut pace)).unwrap();
        prop_assert_eq!(embed(shorter()), embed(Listen::default()));
    }

    /// Each text by itself gives the vector that it has among others, and vectors have length 1.
    #[test]
    fn texts_do_not_see_each_other(texts in prop::collection::vec("[a-z ]{1,60}", 2..6)) {
        let runner = encoder(Cpu::simd());
        let embed = |texts: &[String]| -> EmbedAnswer {
            let stdin = serde_json::to_vec(&serde_json::json!({ "texts": texts })).unwrap();
            let outcome = now(runner.run(task(Work::Embed, &stdin), &mut Freely)).unwrap();
            serde_json::from_slice(outcome.output.get("stdout").expect("an answer")).unwrap()
        };
        let all = embed(&texts);
        for (text, vector) in texts.iter().zip(&all.embeddings) {
            prop_assert_eq!(&embed(std::slice::from_ref(text)).embeddings[0], vector);
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(vector).unwrap();
            let length: f64 = bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)).powi(2)).sum();
            prop_assert!((length - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn a_right_draft_costs_one_pass_instead_of_many() {
    let runner = decoder(Cpu::simd());
    let request =
        GenerateRequest { prompt: Some("once".into()), max_tokens: 40, ..Default::default() };
    let (plain, alone) = generate(&runner, &request, None);
    let draft = plain.output.get("stdout").expect("an answer").to_vec();
    let (_, checked) = generate(&runner, &request, Some(&draft));
    assert_eq!(answer(&plain).tokens.len(), 40, "a generation to check");
    // Two layers: a step after each pass's first layer, and one after it.
    assert_eq!((alone.steps, checked.steps), (80, 2));
}

#[test]
fn a_chunk_is_what_a_slice_has_at_most() {
    let request =
        GenerateRequest { prompt: Some("a".repeat(40)), max_tokens: 1, ..Default::default() };
    let stdin = serde_json::to_vec(&request).unwrap();
    let steps = |chunk| {
        let mut listen = Listen { chunk: Some(chunk), ..Listen::default() };
        now(decoder(Cpu::simd()).run(task(Work::Generate, &stdin), &mut listen)).unwrap();
        listen.steps
    };
    // Two layers: two steps a pass.
    assert_eq!((steps(64), steps(16), steps(8)), (2, 6, 10));
}

#[test]
fn what_ends_a_generation() {
    let runner = decoder(Cpu::simd());
    let request = |max_tokens, stop: &[&str]| GenerateRequest {
        prompt: Some("once upon a time".into()),
        max_tokens,
        stop: stop.iter().map(|s| (*s).to_owned()).collect(),
        temperature: 1500,
        ..Default::default()
    };
    let whole = answer(&generate(&runner, &request(30, &[]), None).0);
    assert_eq!((whole.tokens.len(), whole.finish), (30, Finish::Length));
    let found = whole.text.char_indices().nth(5).expect("some text");
    let stop = whole.text[found.0..].chars().take(2).collect::<String>();
    let (outcome, listen) = generate(&runner, &request(30, &[&stop]), None);
    let stopped = answer(&outcome);
    assert_eq!(stopped.finish, Finish::Stop);
    assert_eq!(Some(stopped.text.as_str()), whole.text.split(&stop).next());
    assert_eq!(listen.text, stopped.text, "no part of a stop string is given out");
    // The context ends it, too, where no token does.
    let runner = Runner { tokenizer: tokenizer(vec![]), ..runner };
    let long = answer(&generate(&runner, &request(4000, &[]), None).0);
    assert_eq!(long.prompt_tokens as usize + long.tokens.len(), CONTEXT);
}

#[test]
fn fuel_is_what_the_shapes_say() {
    let runner = decoder(Cpu::simd());
    let request =
        GenerateRequest { prompt: Some("abc".into()), max_tokens: 5, ..Default::default() };
    let stdin = serde_json::to_vec(&request).unwrap();
    let run =
        |fuel| now(runner.run(Task { fuel, ..task(Work::Generate, &stdin) }, &mut Freely)).unwrap();
    let plain = run(u64::MAX);
    let dense = 2 * (2 * (WIDTH * WIDTH) + 2 * (32 * WIDTH) + 3 * (WIDTH * INNER));
    let keys = (1..=7).sum::<usize>();
    let expect = 7 * dense + 2 * 2 * 64 * keys + 5 * VOCABULARY * WIDTH;
    assert_eq!((plain.fuel, plain.reason), (expect as u64, ExitReason::Exit));
    assert_eq!(run(plain.fuel), plain);
    let short = run(plain.fuel - 1);
    assert_eq!((short.reason, short.check), (ExitReason::OutOfFuel, Digest::ZERO));
    assert_eq!((short.fuel, short.output.is_empty()), (plain.fuel - 1, true));
}

#[test]
fn what_is_refused_is_an_answer_too() {
    let check = |runner: &Runner<Cpu>, work, stdin: &str, why: &str| {
        let outcome = now(runner.run(task(work, stdin.as_bytes()), &mut Freely)).unwrap();
        assert_eq!(
            (outcome.reason, outcome.exit_code, outcome.fuel),
            (ExitReason::Exit, REFUSED, 0),
            "{stdin}"
        );
        let said =
            String::from_utf8_lossy(outcome.output.get("stderr").expect("a reason")).into_owned();
        assert!(said.contains(why), "{stdin}: {said}");
    };
    let (llama, bert) = (decoder(Cpu::simd()), encoder(Cpu::simd()));
    check(&llama, Work::Embed, r#"{"texts":["a"]}"#, "does not embed");
    check(&llama, Work::Generate, "junk", "the request");
    check(&llama, Work::Generate, r#"{"max_tokens":3}"#, "either messages or a prompt");
    check(&llama, Work::Generate, r#"{"prompt":"a","max_tokens":0}"#, "max_tokens");
    check(
        &llama,
        Work::Generate,
        r#"{"prompt":"a","max_tokens":1,"temperature":2001}"#,
        "temperature",
    );
    check(
        &llama,
        Work::Generate,
        &format!(r#"{{"prompt":"{}","max_tokens":1}}"#, "a".repeat(CONTEXT)),
        "tokens",
    );
    check(&bert, Work::Embed, r#"{"texts":[]}"#, "1 to 16");
    check(&bert, Work::Embed, &format!(r#"{{"texts":["{}"]}}"#, "a".repeat(CONTEXT + 1)), "text 0");
}

#[test]
fn a_run_can_be_stopped_at_any_slice() {
    let runner = decoder(Cpu::simd());
    let stdin = br#"{"prompt":"abc","max_tokens":5}"#;
    for stop_at in [1, 2, 7] {
        let mut listen = Listen { stop_at: Some(stop_at), ..Listen::default() };
        let ended = now(runner.run(task(Work::Generate, stdin), &mut listen));
        assert!(matches!(ended, Err(RunError::Stopped)));
        assert_eq!(listen.steps, stop_at);
    }
}

#[test]
fn output_has_a_limit() {
    let runner = decoder(Cpu::simd());
    let stdin = br#"{"prompt":"abc","max_tokens":5}"#;
    let outcome =
        now(runner.run(Task { output: 10, ..task(Work::Generate, stdin) }, &mut Freely)).unwrap();
    assert_eq!((outcome.reason, outcome.output.is_empty()), (ExitReason::OutputLimit, true));
}
