//! `grid verify`

use crate::args::{Global, VerifyArgs};
use crate::config::Config;
use crate::failure::{Exit, Failure, plain};
use crate::files::read_bounded;
use crate::{folder, local, progress, quantity, tasks, ui};
use grid_client::ReceiptFile;
use grid_client::verify::{Check, Expected, Mark, Report, Step, verify as verify_result};
use grid_protocol::{Files, ReceiptBody, Spec, limits};
use grid_sandbox::Outcome;
use serde_json::json;
use std::path::Path;

/// Largest receipt file.
const MAX_RECEIPT: u64 = 1 << 20;

pub(crate) fn verify(global: &Global, args: &VerifyArgs) -> Result<Exit, Failure> {
    let bytes = read_bounded(&args.receipt, MAX_RECEIPT)
        .map_err(|error| Failure::file("read the receipt", &args.receipt, &error))?;
    if is_proof(&bytes) {
        return proof(global, args, &bytes);
    }
    let file = ReceiptFile::decode(&bytes)?;
    let source = args.module.as_deref().map(tasks::read_module).transpose()?;
    let input = input(args)?;
    let relay = match args.relay_key {
        Some(key) => Some(key),
        None => Config::load()?.relay_key,
    };
    let parent = args.receipt.parent().filter(|parent| !parent.as_os_str().is_empty());
    let (output, unreadable) = match folder::load_output(parent.unwrap_or(Path::new("."))) {
        Ok(output) => (output.map(|output| output.encode()), None),
        Err(error) => (None, Some(Step::failed(Check::Output, plain(&error)))),
    };
    let result = &file.result;
    let mut report = verify_result(result, output.as_deref(), Expected { relay, spec: None });
    if let Some(unreadable) = unreadable {
        replace(&mut report, unreadable);
    } else if output.is_none() {
        let why = "not checked: there is no stdout, stderr or out/ beside the receipt";
        replace(&mut report, Step::skipped(Check::Output, why));
    }
    if file.relay != result.receipt.body.relay {
        let (file, made) = (file.relay, result.receipt.body.relay);
        replace(
            &mut report,
            Step::failed(
                Check::Relay,
                format!("the file names {file}, the receipt was made for {made}"),
            ),
        );
    }
    report.steps.extend(again(global, &file, source.as_deref(), input)?);
    print(global, &file, &report)?;
    Ok(if report.passed() { Exit::Ok } else { Exit::NotVerified })
}

/// Is this what `grid prove` wrote?
fn is_proof(bytes: &[u8]) -> bool {
    let value: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
    value.is_ok_and(|value| value.get("grid_proof").is_some())
}

/// Checks a proof file.
fn proof(global: &Global, args: &VerifyArgs, bytes: &[u8]) -> Result<Exit, Failure> {
    let relay = match args.relay_key {
        Some(key) => Some(key),
        None => Config::load()?.relay_key,
    };
    let report = grid_audit::proof::check(bytes, relay.as_ref());
    if global.json {
        ui::line(
            serde_json::json!({ "ok": report.proven.is_some(), "proof": report }).to_string(),
        )?;
    } else {
        for step in &report.steps {
            let mark = ui::mark(if step.ok { Mark::Passed } else { Mark::Failed });
            ui::line(format!("{mark} {:<18} {}", step.name, ui::inline(&step.why)))?;
        }
        if let Some(proven) = &report.proven {
            ui::line(format!("Task     {} of job {}", proven.index, proven.job))?;
            ui::line(format!("Spec     {}", proven.spec))?;
            let ending = ui::reason(proven.reason, proven.exit_code);
            ui::line(format!("Result   {ending}, {} fuel", quantity::fuel(proven.fuel)))?;
            ui::line(format!("Output   {}", proven.output))?;
        }
    }
    Ok(if report.proven.is_some() { Exit::Ok } else { Exit::NotVerified })
}

fn replace(report: &mut Report, step: Step) {
    for old in report.steps.iter_mut().filter(|old| old.check == step.check) {
        *old = step.clone();
    }
}

/// The input list that the command line gives, if any.
fn input(args: &VerifyArgs) -> Result<Option<Files>, Failure> {
    if args.input.is_none() && args.files.is_empty() {
        return Ok(None);
    }
    let stdin = match &args.input {
        Some(path) => read_bounded(path, limits::MAX_INPUT as u64)
            .map_err(|error| Failure::file("read", path, &error))?,
        None => Vec::new(),
    };
    Ok(Some(tasks::Shared::load(&args.files)?.with(stdin)))
}

/// What can be done with the source and the input: admit, compare, run.
fn again(
    global: &Global,
    file: &ReceiptFile,
    source: Option<&[u8]>,
    input: Option<Files>,
) -> Result<Vec<Step>, Failure> {
    let spec = &file.result.spec;
    let mut steps = Vec::new();
    let module = match source {
        Some(source) => {
            let admitted = admitted(spec, source);
            let step = admitted.as_ref().map(|module| format!("admits to {}", module.admitted));
            steps.push(Step::of(Check::Module, step));
            Some(admitted)
        }
        None => {
            steps.push(Step::skipped(Check::Module, "not checked: give it with --module"));
            None
        }
    };
    let right = match &input {
        Some(input) => {
            let same = input_is(spec, input);
            let right = same.is_ok();
            steps.push(Step::of(Check::Input, same));
            right
        }
        None => {
            let why =
                "not checked: give it with --input (and --file, where the job had shared files)";
            steps.push(Step::skipped(Check::Input, why));
            false
        }
    };
    steps.push(match (module, input) {
        (Some(Ok(module)), Some(input)) if right && spec.check().is_ok() => {
            let outcome = rerun(global, file, &module, input)?;
            Step::of(Check::Rerun, same(&outcome, &file.result.receipt.body))
        }
        (Some(_), Some(_)) => {
            Step::skipped(Check::Rerun, "not run: spec, module or input are not those of the task")
        }
        _ => Step::skipped(Check::Rerun, "not run: needs --module and --input"),
    });
    Ok(steps)
}

fn admitted(spec: &Spec, source: &[u8]) -> Result<local::Module, String> {
    if spec.admission != local::VERSION {
        let (theirs, ours) = (spec.admission, local::VERSION);
        return Err(format!("was admitted by version {theirs}, this command has version {ours}"));
    }
    let module = local::admit(source).map_err(|failure| failure.message().to_owned())?;
    if module.source != spec.source {
        return Err(format!(
            "the task's source is {}, this file is {}",
            spec.source, module.source
        ));
    }
    if module.admitted != spec.module {
        let (ran, right) = (spec.module, module.admitted);
        return Err(format!("nodes ran {ran}, but this source admits to {right}"));
    }
    Ok(module)
}

fn input_is(spec: &Spec, input: &Files) -> Result<String, String> {
    let digest = input.digest();
    if digest == spec.input {
        return Ok(format!("is {digest}"));
    }
    Err(format!("the task's input is {}, this one is {digest}", spec.input))
}

/// Runs the task again; an error says that this machine can't.
fn rerun(
    global: &Global,
    file: &ReceiptFile,
    module: &local::Module,
    input: Files,
) -> Result<Outcome, Failure> {
    const TEXT: &str = "running the task again";
    let working = progress::spinner(TEXT, global.json);
    let shown = working.clone();
    let outcome = local::run(module, &file.result.spec, input, move |fuel| {
        if let Some(working) = &shown {
            working.set_message(format!("{TEXT}: {} fuel", quantity::fuel(fuel)));
        }
    });
    if let Some(working) = working {
        working.finish_and_clear();
    }
    outcome
}

/// Whether a run here gave what the receipt says.
fn same(outcome: &Outcome, body: &ReceiptBody) -> Result<String, String> {
    let output = outcome.output.digest();
    if output != body.output {
        return Err(format!("its output is {output}, the receipt says {}", body.output));
    }
    if outcome.fuel != body.fuel {
        return Err(format!("it used {} fuel, the receipt says {}", outcome.fuel, body.fuel));
    }
    if (outcome.reason, outcome.exit_code) != (body.reason, body.exit_code) {
        let (here, there) = (ui::reason(outcome.reason, outcome.exit_code), ui::ending(body));
        return Err(format!("it ended with {here}, the receipt says {there}"));
    }
    Ok(format!("the same output, {} fuel, {}", body.fuel, ui::ending(body)))
}

fn print(global: &Global, file: &ReceiptFile, report: &Report) -> Result<(), Failure> {
    let (result, body) = (&file.result, &file.result.receipt.body);
    if global.json {
        let line = json!({
            "verified": report.passed(),
            "job": file.job,
            "index": result.index,
            "name": result.name,
            "receipt": result.ack.receipt,
            "checks": report.steps,
        });
        return ui::line(line.to_string());
    }
    ui::line(format!("Task {} of job {}", ui::inline(&result.name), file.job))?;
    for step in &report.steps {
        ui::line(ui::step(step))?;
    }
    let failure = report.failure();
    if failure.is_some_and(|step| step.check == Check::Relay) {
        ui::line("If it is from another relay than the one you logged in to: --relay-key HEX.")?;
    }
    let reran = |step: &Step| step.check == Check::Rerun && step.mark == Mark::Passed;
    ui::line(match failure {
        Some(step) => format!("NOT VERIFIED: {}", step.check.title()),
        None if report.steps.iter().any(reran) => {
            "Verified: this machine computes the same result.".into()
        }
        None => format!(
            "Verified: node {} signed this result, and its relay took it.",
            ui::short(body.node)
        ),
    })
}
