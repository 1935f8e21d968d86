//! `grid run`

use crate::args::{Global, RunArgs};
use crate::failure::{Exit, Failure};
use crate::files::{read_all, read_bounded};
use crate::folder::{save_error, write_task};
use crate::progress::spinner;
use crate::{local, quantity, tasks, ui};
use console::style;
use grid_protocol::{Spec, limits};
use grid_sandbox::Outcome;
use serde_json::json;
use std::io::{self, Write as _};
use std::path::Path;

pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<Exit, Failure> {
    let source = tasks::read_module(&args.module)?;
    let stdin = args.input.as_deref().map(read_stdin).transpose()?.unwrap_or_default();
    let input = tasks::Shared::load(&args.task.files)?.with(stdin);
    let module = local::admit(&source)?;
    let job = tasks::job(module.source, &args.task)?;
    tasks::check_memory(&job, module.memory_pages)?;
    let spec = job.spec(module.admitted, local::VERSION, input.digest());
    let working = spinner("running", global.json);
    let shown = working.clone();
    let limit = quantity::fuel(spec.fuel);
    let outcome = local::run(&module, &spec, input, move |fuel| {
        if let Some(working) = &shown {
            working.set_message(format!("running: {} of {limit} fuel", quantity::fuel(fuel)));
        }
    });
    if let Some(working) = working {
        working.finish_and_clear();
    }
    let outcome = outcome?;
    if let Some(folder) = &args.out {
        write_task(folder, &outcome.output, None, args.force).map_err(|error| {
            let failure = Failure::new(Exit::Failed, "file", save_error(folder, &error));
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    failure.hint("choose another folder; --force replaces results only")
                }
                _ => failure,
            }
        })?;
    }
    if global.json {
        ui::line(as_json(&module, &spec, &outcome).to_string())?;
    } else {
        if args.out.is_none() {
            print(&outcome)?;
        }
        summary(&spec, &outcome, args.out.as_deref());
    }
    let succeeded = ui::succeeded(outcome.reason, outcome.exit_code);
    Ok(if succeeded { Exit::Ok } else { Exit::TasksFailed })
}

fn read_stdin(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = limits::MAX_INPUT as u64;
    let read = match path.to_str() {
        Some("-") => read_all(io::stdin().lock(), limit),
        _ => read_bounded(path, limit),
    };
    read.map_err(|error| Failure::file("read", path, &error))
}

/// The module's own streams, byte for byte.
fn print(outcome: &Outcome) -> Result<(), Failure> {
    let stream = |name| outcome.output.get(name).unwrap_or_default();
    let mut stdout = io::stdout().lock();
    stdout.write_all(stream("stdout"))?;
    stdout.flush()?;
    // Nobody is left to tell when standard error is closed.
    let _ = io::stderr().lock().write_all(stream("stderr"));
    Ok(())
}

fn summary(spec: &Spec, outcome: &Outcome, folder: Option<&Path>) {
    let mut lines = vec![
        format!("{}, {} fuel", ui::reason(outcome.reason, outcome.exit_code), outcome.fuel),
        format!("module {}  input {}", ui::short(spec.module), ui::short(spec.input)),
        format!("spec   {}", spec.digest()),
        format!("output {}", outcome.output.digest()),
    ];
    lines.extend(outcome.hint.as_deref().map(ui::inline));
    let files = outcome.output.iter().filter(|(path, _)| path.starts_with("/out/"));
    let count = files.count();
    match folder {
        Some(folder) => lines.push(format!("written to {}", folder.display())),
        None if count > 0 => lines.push(format!(
            "{} under /out; --out DIR writes it all",
            ui::count(count as u64, "file")
        )),
        None => {}
    }
    let sign = style("grid:").for_stderr().dim();
    for line in lines {
        ui::aside(format!("{sign} {line}"));
    }
}

fn as_json(module: &local::Module, spec: &Spec, outcome: &Outcome) -> serde_json::Value {
    let size = |(path, bytes): (&str, &[u8])| json!({ "path": path, "bytes": bytes.len() });
    json!({
        "reason": outcome.reason,
        "exit_code": outcome.exit_code,
        "fuel": outcome.fuel,
        "hint": outcome.hint,
        "source": module.source,
        "module": module.admitted,
        "admission": local::VERSION,
        "spec": spec.digest(),
        "input": spec.input,
        "output": outcome.output.digest(),
        "files": outcome.output.iter().map(size).collect::<Vec<_>>(),
    })
}
