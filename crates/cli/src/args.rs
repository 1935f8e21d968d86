//! The command line.

use crate::quantity::{Bytes, Fuel};
use clap::{Parser, Subcommand};
use grid_protocol::{Digest, PublicKey};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0    done, and nothing failed
  1    the operation failed
  2    the command line makes no sense
  3    no relay answers
  4    refused: owner key, budget, admission, or no such job
  5    the tasks ran, and some of them failed
  6    a result, receipt or relay is not what it should be
  130  interrupted; a job that was being watched goes on

Settings come from flags, then the environment (GRID_RELAY, GRID_KEY), then the
file that `grid login` writes ($XDG_CONFIG_HOME/grid/config.toml, by default
~/.config/grid/config.toml).";

/// Heading of `submit`'s options for the job as a whole.
const THE_JOB: &str = "The job";

/// Submit tasks to a Grid relay, follow them, and check the results.
#[derive(Debug, Parser)]
#[command(name = "grid", version, max_term_width = 100, after_long_help = EXIT_CODES)]
#[command(after_help = "Start with `grid run MODULE --input FILE`, which needs no relay. \
    `grid --help` lists exit codes.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The relay's address [default: the one logged in to, else http://127.0.0.1:8090]
    #[arg(long, global = true, value_name = "URL", env = "GRID_RELAY", hide_env_values = true)]
    pub(crate) relay: Option<String>,
    /// Read the owner key from this file (else GRID_KEY, else what `grid login` stored)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// For machines: JSON, one object a line, on standard output; errors as JSON on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Login(LoginArgs),
    Submit(SubmitArgs),
    Status(StatusArgs),
    Results(ResultsArgs),
    Cancel(CancelArgs),
    Verify(VerifyArgs),
    Prove(ProveArgs),
    Audit(AuditArgs),
    Node(NodeArgs),
    Account(crate::commands::account::AccountArgs),
    Model(crate::commands::model::ModelArgs),
    Embed(EmbedArgs),
    Chat(ChatArgs),
    Generate(GenerateArgs),
    Batch(BatchArgs),
}

/// What tasks get besides their input: the same for `submit` and `run`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What each task gets")]
pub(crate) struct TaskArgs {
    /// A file that each task finds at /in/NAME
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = named_path)]
    pub(crate) files: Vec<(String, PathBuf)>,
    /// An argument for the module; repeat it for more (`--arg --top --arg 10`)
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
    /// An environment variable for the module
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) env: Vec<(String, String)>,
    /// Most fuel (executed instructions, about) a task may use: 5000000, 20M, 1.5G [default: 100G]
    #[arg(long, value_name = "FUEL")]
    pub(crate) fuel: Option<Fuel>,
    /// Most memory a task may have, in MiB [default: 256]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) memory: Option<u32>,
    /// Most output a task may leave: 65536, 64K, 16M (times 1024) [default: 16M]
    #[arg(long, value_name = "BYTES")]
    pub(crate) output_limit: Option<Bytes>,
    /// Where the module's randomness comes from, 64 hexadecimal digits [default: from module,
    /// arguments, environment and input]
    #[arg(long, value_name = "HEX")]
    pub(crate) seed: Option<Digest>,
}

/// Run a module here, exactly as a node would
///
/// Admits the module, then runs one task in wasmtime: the same bytes and the
/// same fuel as on any node. Needs no relay and no key. The module's standard
/// output goes to standard output; fuel and digests go to standard error.
///
/// Exits with 5 when the task failed: it did not end with exit code 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid run word-frequencies.wasm --input chapter-01.txt --arg --top --arg 10
  grid run mandelbrot.wasm --input tile-0.txt --out tile-0/
  sort words.txt | grid run word-frequencies.wasm --input - --json")]
pub(crate) struct RunArgs {
    /// The task module: WebAssembly for WASI preview 1 (wasm32-wasip1)
    pub(crate) module: PathBuf,
    /// The task's standard input; `-` for this command's own
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Write stdout, stderr and out/ to this folder instead of printing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the results that the folder holds
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// Store a relay's address and your owner key
///
/// Reads the key from standard input (or from --key-file), tries it, and
/// writes it to the configuration file, readable by you only. It also notes
/// the relay's public key, so that no other relay can pass for it later.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid login --relay https://relay.example.org
  grid-relay owner add me | grid login --relay http://127.0.0.1:8090")]
pub(crate) struct LoginArgs {}

/// Submit a job: a module and one task for each input
///
/// Each --input file is one task that gets the file as its standard input. A
/// folder is one task for each file in it, sorted by name; folders in it and
/// hidden files are left out. A task is named after its file.
///
/// Nodes are other people's machines: they can read the module, arguments and
/// inputs. Submit nothing that strangers must not see.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid submit word-frequencies.wasm --input texts/ --watch --out results/
  grid submit word-frequencies.wasm --input a.txt --input b.txt --arg --top --arg 10
  grid submit csv-stats.wasm --input parts/ --file units.csv=./units.csv --fuel 5G --json")]
pub(crate) struct SubmitArgs {
    /// The task module: WebAssembly for WASI preview 1 (wasm32-wasip1)
    pub(crate) module: PathBuf,
    /// A file (one task), or a folder (one task for each file in it, not recursive); repeat it
    #[arg(long = "input", value_name = "PATH", required = true, help_heading = THE_JOB)]
    pub(crate) inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Fuel that the whole job may use, replicas included [default: twice the tasks' limits]
    #[arg(long, value_name = "FUEL", help_heading = THE_JOB)]
    pub(crate) budget: Option<Fuel>,
    /// Accept a result when its probability of being wrong is below this, 1e-9 to 1; the lower,
    /// the more replicas [default: 1e-4]
    #[arg(long, value_name = "RATE", value_parser = error_rate, help_heading = THE_JOB)]
    pub(crate) error_rate: Option<u32>,
    /// A name for the job [default: the module's file name]
    #[arg(long, help_heading = THE_JOB)]
    pub(crate) name: Option<String>,
    /// Follow the job until it is over, with a progress bar
    #[arg(long, help_heading = THE_JOB)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) out: OutArgs,
}

/// Where results go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct OutArgs {
    /// Write DIR/TASK/{stdout,stderr,out/...,receipt.json} as results come (follows a new job)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Use the folder even when it holds something else; results in it are replaced
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// Show your jobs, or one of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid status
  grid status 3f9a")]
pub(crate) struct StatusArgs {
    /// The job: its id, or the first digits of it
    pub(crate) job: Option<String>,
}

/// Check a job's results, and write them to a folder
///
/// Every signature and digest is checked before anything is written. Results
/// that the folder already holds are left alone, so the command can be run
/// again and again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid results 3f9a --out results/
  grid results 3f9a --out results/ --follow
  grid results 3f9a --json")]
pub(crate) struct ResultsArgs {
    /// The job: its id, or the first digits of it
    pub(crate) job: String,
    /// Wait for the results that are still missing
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) out: OutArgs,
}

/// Cancel a job; results that are there stay
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  grid cancel 3f9a")]
pub(crate) struct CancelArgs {
    /// The job: its id, or the first digits of it
    pub(crate) job: String,
}

/// Check a receipt, and whatever else you have of its task
///
/// Checks the signatures of node and relay, the spec's digest, and the output
/// that lies beside the receipt (stdout, stderr, out/). With --module, admits
/// the source again and compares. With --module and --input (and the --file of
/// the submission), runs the task again and compares output, fuel and exit.
/// Needs no relay and no key. Exits with 6 when a check fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid verify results/chapter-01.txt/receipt.json
  grid verify results/chapter-01.txt/receipt.json --module word-frequencies.wasm --input chapter-01.txt
  grid verify receipt.json --relay-key 5d3c... --json
  grid verify chapter-01.proof.json")]
pub(crate) struct VerifyArgs {
    /// The receipt.json that `grid submit --out` or `grid results --out` wrote, or what
    /// `grid prove` wrote
    pub(crate) receipt: PathBuf,
    /// The module as it was submitted
    #[arg(long, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,
    /// The task's standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// A file that the task found at /in/NAME
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = named_path)]
    pub(crate) files: Vec<(String, PathBuf)>,
    /// The relay's public key [default: the one noted by `grid login`]
    #[arg(long, value_name = "HEX")]
    pub(crate) relay_key: Option<PublicKey>,
}

/// Write one file that proves a task's canonical result
///
/// The file holds the settlement, the receipts of its quorum, and their
/// inclusion proofs in a checkpoint that the relay signed. Anyone checks it
/// with `grid verify FILE`, off line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid prove 3f9a chapter-01.txt --out chapter-01.proof.json
  grid prove 3f9a 0 | grid verify /dev/stdin")]
pub(crate) struct ProveArgs {
    /// The job: its id, or the first digits of it
    pub(crate) job: String,
    /// The task: its name, or its place in the job, from 0
    pub(crate) task: String,
    /// Write the proof to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Recompute everything that a relay decided from its public log
///
/// Downloads the log, verifies its tree, every signature, draw and decision,
/// recomputes every point, and says where the relay differs. What was
/// downloaded and verified is kept, so that the next audit goes on from there
/// and notices when history was rewritten. Needs no key. Exits with 6 when
/// something is not as it should be.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid audit https://relay.example.org
  grid audit --ack dropped.json
  grid audit --witness ~/witness --json")]
pub(crate) struct AuditArgs {
    /// The relay's address [default: as for every command]
    pub(crate) url: Option<String>,
    /// The relay's public key [default: the one noted by `grid login`, else what it says itself]
    #[arg(long, value_name = "HEX")]
    pub(crate) relay_key: Option<PublicKey>,
    /// An acknowledgement that a node kept: prove that the log holds its receipt; repeat it
    #[arg(long = "ack", value_name = "FILE")]
    pub(crate) acks: Vec<PathBuf>,
    /// Where to keep what was verified [default: $XDG_CACHE_HOME/grid/audit/RELAY-KEY]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Forget what was verified before, and begin again
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Be a witness: cosign the checkpoint when it follows from the last one, with the key in
    /// this folder (made when missing)
    #[arg(long, value_name = "DIR")]
    pub(crate) witness: Option<PathBuf>,
}

/// Show a node's standing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  grid node explain 5d3c0f")]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    pub(crate) command: NodeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    Explain(ExplainArgs),
}

/// Say where a node stands, and which decisions brought it there
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  grid node explain 5d3c0f...")]
pub(crate) struct ExplainArgs {
    /// The node's key, 64 hexadecimal digits, or the first digits of one that is on line
    pub(crate) id: String,
}

/// Which model answers, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Generation")]
pub(crate) struct SamplingArgs {
    /// The model's name or digest [default: the relay's first that generates text]
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Most tokens of the answer, 1 to 4096
    #[arg(long, value_name = "TOKENS", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) max_tokens: u32,
    /// 0 takes the likeliest token each time; up to 2, the higher the more surprising
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    pub(crate) temperature: f64,
    /// Where chance comes from: the same number, the same answer [default: a new one each time]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) seed: Option<i64>,
    /// End the answer before this text; repeat it for up to four
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
}

/// Turn texts into embeddings
///
/// Prints one line for each text, in order: its embedding as a JSON list. With
/// --json, one object a line with `index`, `text` and `embedding`, then one
/// with `receipt` and `usage`. Nodes see the texts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid embed 'a text' 'another'
  grid embed --file sentences.txt --json > embeddings.jsonl
  head -3 sentences.txt | grid embed --file -")]
pub(crate) struct EmbedArgs {
    /// Texts
    #[arg(required_unless_present = "file")]
    pub(crate) texts: Vec<String>,
    /// Embed each line of this file that isn't empty; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub(crate) file: Option<PathBuf>,
    /// The model's name or digest [default: the relay's first that makes embeddings]
    #[arg(long)]
    pub(crate) model: Option<String>,
}

/// Talk to a model
///
/// With a message, prints the answer. Without, answers each line of standard
/// input in turn, and remembers what was said. What is printed while it is
/// generated is provisional until its receipt is settled. Nodes see all of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid chat 'Why is the sky blue?'
  grid chat --system 'Answer in one sentence.'
  grid chat 'Name a colour.' --temperature 0.8 --seed 7 --json")]
pub(crate) struct ChatArgs {
    /// What to say [default: the lines of standard input]
    pub(crate) message: Option<String>,
    /// What the model shall know before anything is said
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

/// Let a model go on with a text
///
/// Prints what follows the text, as it is generated: provisional until its
/// receipt is settled. Nodes see the text.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  grid generate 'Once upon a time' --max-tokens 64")]
pub(crate) struct GenerateArgs {
    /// The text; `-` for standard input
    pub(crate) prompt: String,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

/// Make the calls of a batch file
///
/// Each line of IN is a call as OpenAI's batch files have it: `custom_id`,
/// `method` (POST), `url` (/v1/embeddings, /v1/chat/completions or
/// /v1/completions), `body`. Each answer is a line of OUT, in the order in
/// which they come. Run again after a break: calls whose answer OUT has are
/// left out; calls that failed are made again. Nodes see the prompts.
///
/// Exits with 5 when some calls failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  grid batch calls.jsonl --out answers.jsonl --parallel 16")]
pub(crate) struct BatchArgs {
    /// The batch file, one JSON object a line
    pub(crate) input: PathBuf,
    /// The file that gets the answers; what it holds is kept
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Calls under way at a time, 1 to 64
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
}

fn split<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name, value)),
        _ => Err(format!("expected {form}")),
    }
}

fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    split(text, "NAME=PATH").map(|(name, path)| (name.into(), path.into()))
}

/// An error rate, in 10^-9.
fn error_rate(text: &str) -> Result<u32, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number like 1e-4".to_owned())?;
    if !(1e-9..=1.0).contains(&rate) {
        return Err("expected 1e-9 to 1".into());
    }
    Ok((rate * 1e9).round() as u32)
}

fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Args::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("grid {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
    }

    #[test]
    fn no_key_is_an_argument() {
        assert!(Args::try_parse_from(["grid", "--key", "x", "status"]).is_err());
    }
}
