//! `grid model run`

use crate::args::Global;
use crate::failure::{Exit, Failure};
use crate::files::{read_all, read_bounded};
use crate::ui;
use futures_util::FutureExt as _;
use grid_infer::convert;
use grid_infer::file::{Header, Span};
use grid_infer::run::{Cpu, Outcome, Pace, Runner, Task};
use grid_protocol::infer::GenerateAnswer;
use grid_protocol::limits;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest request or draft.
const MAX_REQUEST: u64 = 64 << 20;

/// Run a request on this machine, as a node would
///
/// Takes the request that a task has on standard input (docs/api.md), such as
/// {"prompt":"Once","max_tokens":20} or {"texts":["a","b"]}, and gives the
/// answer, the check digest and the fuel that every node must give. With a
/// draft, which is somebody's answer, the draft is checked in one pass.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  echo '{\"prompt\":\"Once upon a time\",\"max_tokens\":20}' | grid model run smollm2-135m.gridmodel
  grid model run smollm2-135m.gridmodel --request request.json --draft answer.json --json
  echo '{\"texts\":[\"a cat\"]}' | grid model run minilm-l6.gridmodel --plain --json")]
pub(super) struct RunArgs {
    /// The model file
    file: PathBuf,
    /// The request; `-` for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    request: PathBuf,
    /// The spec's seed, in hexadecimal; only a temperature above 0 asks for it
    #[arg(long, value_name = "HEX")]
    seed: Option<grid_protocol::Digest>,
    /// An answer to check: what a node left on standard output
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
    /// Compute by the definition, number by number, instead of in vectors
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(global: &Global, args: &RunArgs) -> Result<Exit, Failure> {
    let request = read(&args.request)?;
    let draft = args.draft.as_deref().map(read).transpose()?;
    let start = Instant::now();
    let runner = open(&args.file, if args.plain { Cpu::reference() } else { Cpu::simd() })?;
    let loaded = start.elapsed();
    let task = Task {
        work: runner.work(),
        stdin: &request,
        seed: args.seed.map_or([0; 32], |seed| seed.0),
        draft: draft.as_deref(),
        fuel: limits::MAX_FUEL,
        output: u64::MAX,
    };
    let start = Instant::now();
    let mut shown = Shown { slices: 0, show: !global.json };
    let outcome = runner.run(task, &mut shown).now_or_never();
    let outcome =
        outcome.and_then(Result::ok).expect("the processor never waits and is never lost");
    let took = start.elapsed();
    let drafted = draft.as_deref().map(|draft| compare(draft, &outcome));
    if global.json {
        let text = |path| outcome.output.get(path).map(String::from_utf8_lossy);
        let line = json!({
            "answer": outcome.output.get("stdout").and_then(|b| serde_json::from_slice::<Value>(b).ok()),
            "stderr": text("stderr"),
            "reason": outcome.reason,
            "exit_code": outcome.exit_code,
            "output": outcome.output.digest(),
            "check": outcome.check,
            "fuel": outcome.fuel,
            "draft": drafted.as_ref().map(|drafted| json!({"same": drafted.same, "wrong_token": drafted.wrong})),
            "slices": shown.slices,
            "load_seconds": loaded.as_secs_f64(),
            "seconds": took.as_secs_f64(),
        });
        ui::line(line.to_string())?;
    } else {
        print(&outcome, drafted.as_ref(), took.as_secs_f64())?;
    }
    let agrees = outcome.exit_code == 0 && drafted.is_none_or(|drafted| drafted.same);
    Ok(if agrees { Exit::Ok } else { Exit::NotVerified })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = if path == Path::new("-") {
        read_all(io::stdin().lock(), MAX_REQUEST)
    } else {
        read_bounded(path, MAX_REQUEST)
    };
    bytes.map_err(|error| Failure::file("read", path, &error))
}

/// Reads a model, and checks every block that it reads.
fn open(path: &Path, device: Cpu) -> Result<Runner<Cpu>, Failure> {
    let failed = |error: io::Error| Failure::file("read", path, &error);
    let broken = |error: String| Failure::new(Exit::NotVerified, "model", error);
    let mut file = File::open(path).map_err(failed)?;
    let header = convert::read_header(&mut file)
        .map_err(failed)?
        .map_err(|error| broken(error.to_string()))?;
    let begins = Header::data_begins(header.encode().len());
    for number in 0..header.blocks.len() {
        let block = header.block(number).expect("the number is in range");
        let bytes = span(&mut file, begins, block.span).map_err(failed)?;
        block.check(&bytes).map_err(|error| broken(format!("block {number}: {error}")))?;
    }
    Runner::open(device, &header, |at| span(&mut file, begins, at).ok())
        .map_err(|error| broken(error.to_string()))
}

fn span(file: &mut File, begins: u64, span: Span) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(begins + span.offset))?;
    let mut bytes = Vec::new();
    file.take(span.length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Text as it comes, for people.
struct Shown {
    slices: u64,
    show: bool,
}

impl Pace for Shown {
    async fn step(&mut self) -> ControlFlow<()> {
        self.slices += 1;
        ControlFlow::Continue(())
    }

    fn text(&mut self, more: &str) {
        if self.show {
            // Whoever closed the pipe wants no text.
            let _ = write!(io::stdout(), "{}", ui::inline(more));
            let _ = io::stdout().flush();
        }
    }
}

/// What a draft was worth.
struct Drafted {
    same: bool,
    /// The first token that is another one.
    wrong: Option<usize>,
}

fn compare(draft: &[u8], outcome: &Outcome) -> Drafted {
    let answer = outcome.output.get("stdout").unwrap_or_default();
    let tokens = |bytes| {
        let answer = serde_json::from_slice::<GenerateAnswer>(bytes);
        answer.map(|answer| answer.tokens).unwrap_or_default()
    };
    let (claimed, right) = (tokens(draft), tokens(answer));
    let wrong = (0..claimed.len().max(right.len())).find(|at| claimed.get(*at) != right.get(*at));
    // However it is spaced and ordered.
    let value = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    Drafted { same: value(draft) == value(answer), wrong }
}

fn print(outcome: &Outcome, drafted: Option<&Drafted>, seconds: f64) -> Result<(), Failure> {
    ui::line("")?;
    if let Some(why) = outcome.output.get("stderr") {
        ui::line(format!("Refused  {}", ui::inline(&String::from_utf8_lossy(why))))?;
    }
    ui::line(format!("Ended    {}", ui::reason(outcome.reason, outcome.exit_code)))?;
    ui::line(format!("Check    {}", outcome.check))?;
    ui::line(format!("Fuel     {} in {seconds:.2} s", outcome.fuel))?;
    match drafted {
        Some(Drafted { same: true, .. }) => ui::line("Draft    right, in every token"),
        Some(Drafted { wrong: Some(at), .. }) => {
            ui::line(format!("Draft    WRONG from token {at} on"))
        }
        Some(Drafted { wrong: None, .. }) => {
            ui::line("Draft    WRONG: the same tokens, but another answer")
        }
        None => Ok(()),
    }
}
