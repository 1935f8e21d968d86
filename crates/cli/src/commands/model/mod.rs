//! `grid model`

mod run;

use crate::args::Global;
use crate::failure::{Exit, Failure};
use crate::progress::Work;
use crate::{quantity, ui};
use clap::Subcommand;
use grid_infer::convert::{self, ConvertError};
use grid_infer::file::{Header, Number};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Convert models, look into them, run them here
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid model convert SmolLM2-135M-Instruct.Q4_1.gguf
  grid model inspect SmolLM2-135M-Instruct.Q4_1.gridmodel")]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    Convert(ConvertArgs),
    Inspect(InspectArgs),
    Run(run::RunArgs),
}

/// Convert a model to Grid's format
///
/// Takes a GGUF file (llama and gemma3; weights in Q4_0, Q4_1, Q5_0, Q8_0,
/// Q4_K, Q6_K, F16, BF16 or F32), or a folder with model.safetensors,
/// config.json and tokenizer.json (bert). The same input gives the same bytes,
/// and so the same digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid model convert SmolLM2-135M-Instruct.Q4_1.gguf
  grid model convert all-MiniLM-L6-v2/ --out minilm.gridmodel")]
struct ConvertArgs {
    /// The GGUF file, or the folder with safetensors
    input: PathBuf,
    /// Where to write [default: the input's name with .gridmodel, in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Show what a model file holds, and check every block of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid model inspect minilm.gridmodel
  grid model inspect minilm.gridmodel --json")]
struct InspectArgs {
    /// The model file
    file: PathBuf,
}

pub(crate) fn model(global: &Global, args: &ModelArgs) -> Result<Exit, Failure> {
    match &args.command {
        ModelCommand::Convert(args) => convert(global, args),
        ModelCommand::Inspect(args) => inspect(global, &args.file),
        ModelCommand::Run(args) => run::run(global, args),
    }
}

fn convert(global: &Global, args: &ConvertArgs) -> Result<Exit, Failure> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => default_output(&args.input)?,
    };
    let mut work: Option<Work> = None;
    let header = convert::convert(&args.input, &out, &mut |progress| {
        let work =
            work.get_or_insert_with(|| Work::new("tensors", progress.total as u64, global.json));
        work.add(u64::from(progress.done > 0));
    });
    if let Some(work) = &work {
        work.finish();
    }
    let header = header.map_err(|error| refused(&error))?;
    if global.json {
        let line = json!({ "file": out, "digest": header.digest(), "bytes": size(&header) });
        ui::line(line.to_string())?;
    } else {
        ui::line(format!("Wrote {} ({}).", out.display(), quantity::bytes(size(&header))))?;
        ui::line(format!("Model   {}", header.digest()))?;
    }
    Ok(Exit::Ok)
}

fn default_output(input: &Path) -> Result<PathBuf, Failure> {
    let whole = input.canonicalize().map_err(|error| Failure::file("read", input, &error))?;
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    let mut name = name.map(ToOwned::to_owned).unwrap_or_else(|| "model".into());
    name.push(".gridmodel");
    Ok(name.into())
}

fn refused(error: &ConvertError) -> Failure {
    match error {
        ConvertError::File { what, path, source } => Failure::file(what, path, source),
        error => Failure::new(Exit::Failed, "model", error.to_string())
            .hint("`grid model convert --help` says which models can be converted"),
    }
}

/// Size of the file.
fn size(header: &Header) -> u64 {
    Header::data_begins(header.encode().len()) + header.length
}

fn inspect(global: &Global, path: &Path) -> Result<Exit, Failure> {
    let read = |error: std::io::Error| Failure::file("read", path, &error);
    let mut file = File::open(path).map_err(read)?;
    let header = convert::read_header(&mut file).map_err(read)?.map_err(|error| {
        let failure = Failure::new(Exit::NotVerified, "model", error.to_string());
        failure.hint("`grid model convert` makes model files from GGUF and safetensors")
    })?;
    let work = Work::new("blocks", header.blocks.len() as u64, global.json);
    let mut bad = Vec::new();
    let mut bytes = Vec::new();
    for number in 0..header.blocks.len() {
        let block = header.block(number).expect("the number is in range");
        bytes.clear();
        file.by_ref().take(block.span.length).read_to_end(&mut bytes).map_err(read)?;
        if block.check(&bytes).is_err() {
            bad.push(number);
        }
        work.add(1);
    }
    // Bytes after the data belong to nobody's digest.
    let more = file.take(1).read_to_end(&mut bytes).map_err(read)? > 0;
    work.finish();
    let whole = bad.is_empty() && !more;
    if global.json {
        ui::line(as_json(&header, &bad, whole).to_string())?;
    } else {
        print(&header)?;
        let blocks = ui::count(header.blocks.len() as u64, "block");
        ui::line(match (bad.first(), more) {
            (Some(first), _) => format!("BROKEN: {} of {blocks}, the first is {first}", bad.len()),
            (None, true) => "BROKEN: bytes follow the data".to_owned(),
            (None, false) => format!("All {blocks} are what the digest says."),
        })?;
    }
    Ok(if whole { Exit::Ok } else { Exit::NotVerified })
}

fn number(number: &Number) -> Value {
    match number {
        Number::Int(number) => json!(number),
        Number::Float(number) => json!(number),
    }
}

fn as_json(header: &Header, bad: &[usize], whole: bool) -> Value {
    let parameters = header.parameters.0.iter().map(|(name, value)| (name.clone(), number(value)));
    let tensors = header.tensors.iter().map(|tensor| {
        json!({
            "name": tensor.name,
            "format": tensor.format.name(),
            "rows": tensor.rows,
            "cols": tensor.cols,
            "exponent": tensor.exponent,
            "offset": tensor.span.offset,
            "bytes": tensor.span.length,
        })
    });
    json!({
        "digest": header.digest(),
        "name": header.name,
        "licence": header.licence,
        "family": header.family.name(),
        "bytes": size(header),
        "blocks": header.blocks.len(),
        "parameters": parameters.collect::<serde_json::Map<_, _>>(),
        "tensors": tensors.collect::<Vec<_>>(),
        "verified": whole,
        "bad_blocks": bad,
    })
}

fn print(header: &Header) -> Result<(), Failure> {
    ui::line(format!("Model    {}", header.digest()))?;
    ui::line(format!("Name     {}", ui::inline(&header.name)))?;
    if !header.licence.is_empty() {
        ui::line(format!("Licence  {}", ui::inline(&header.licence)))?;
    }
    ui::line(format!("Family   {}", header.family.name()))?;
    ui::line(format!("Size     {}", quantity::bytes(size(header))))?;
    for (name, value) in &header.parameters.0 {
        ui::line(format!("  {name:<16} {}", number(value)))?;
    }
    // A line for each format says more than hundreds of tensors.
    let mut formats: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for tensor in &header.tensors {
        let (count, bytes) = formats.entry(tensor.format.name()).or_default();
        (*count, *bytes) = (*count + 1, *bytes + tensor.span.length);
    }
    for (format, (count, bytes)) in formats {
        ui::line(format!(
            "  {format:<16} {}, {}",
            ui::count(count, "tensor"),
            quantity::bytes(bytes)
        ))?;
    }
    Ok(())
}
