//! `grid submit`

use crate::args::{Global, SubmitArgs};
use crate::collect::{Asked, Collector};
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::folder::{self, ResultsFolder};
use crate::progress::spinner;
use crate::{local, quantity, tasks, ui};
use grid_client::Submitted;
use grid_protocol::api::{ModuleInfo, NewJob};
use grid_protocol::limits;
use serde_json::json;

pub(crate) async fn submit(global: &Global, args: &SubmitArgs) -> Result<Exit, Failure> {
    let wasm = tasks::read_module(&args.module)?;
    let found = tasks::list(&args.inputs)?;
    let shared = tasks::Shared::load(&args.task.files)?;
    if let Some(root) = &args.out.out {
        folder::check(root, args.out.force, None)?;
    }
    let module = local::admit(&wasm)?;
    let mut job = tasks::job(module.source, &args.task)?;
    tasks::check_memory(&job, module.memory_pages)?;
    job.budget = args.budget.map(|budget| budget.0);
    job.error_ppb = args.error_rate;
    let file = args.module.file_name().unwrap_or_default().to_string_lossy();
    job.name = args.name.clone().unwrap_or_else(|| file.chars().take(200).collect());
    let session = Session::open(global)?;
    if !global.json {
        ui::note(ui::PRIVACY);
        if found.left_out > 0 {
            ui::note(&format!("left out: {} (hidden, or a folder in a folder)", found.left_out));
        }
    }
    let names: Vec<String> = found.tasks.iter().map(|task| task.name.clone()).collect();
    let text = format!("submitting {}", ui::count(names.len() as u64, "task"));
    let working = spinner(&text, global.json);
    let sent = async {
        let relay = session.relay_key().await?;
        let info = session.client.submit_module(wasm).await?;
        same_admission(&info, &module)?;
        let inputs = found.tasks.into_iter().map(|task| shared.task(task));
        let submitted = session.client.submit_job(job.clone(), inputs).await?;
        Ok::<_, Failure>((relay, info, submitted))
    };
    let sent = sent.await;
    if let Some(working) = working {
        working.finish_and_clear();
    }
    let (relay, info, submitted) = sent?;
    let watch = args.watch || args.out.out.is_some();
    tell(global, &job, &info, &submitted, watch)?;
    if !watch {
        return Ok(Exit::Ok);
    }
    let id = submitted.job.id;
    let folder = match &args.out.out {
        Some(root) => Some(ResultsFolder::open(root, args.out.force, id, relay, names)?),
        None => None,
    };
    let asked = Asked {
        job,
        admitted: module.admitted,
        admission: local::VERSION,
        inputs: submitted.inputs,
    };
    let client = &session.client;
    Collector::new(client, submitted.job, relay, Some(asked), folder, true, global.json)
        .collect()
        .await
}

/// The relay must have made of the module what this command made of it.
fn same_admission(info: &ModuleInfo, module: &local::Module) -> Result<(), Failure> {
    if info.admission != local::VERSION {
        let message = format!(
            "the relay admits modules by version {}, this command by version {}",
            info.admission,
            local::VERSION
        );
        return Err(Failure::new(Exit::Failed, "admission_version", message)
            .hint("use a `grid` of the relay's version"));
    }
    if info.admitted != module.admitted {
        let message = "the relay made another module of yours than admission makes of it";
        return Err(Failure::new(Exit::NotVerified, "wrong_module", message)
            .hint("nothing was run; don't trust this relay, and tell its operator"));
    }
    Ok(())
}

fn tell(
    global: &Global,
    job: &NewJob,
    info: &ModuleInfo,
    submitted: &Submitted,
    watch: bool,
) -> Result<(), Failure> {
    let id = submitted.job.id;
    if global.json {
        let line = json!({
            "type": "submitted", "job": submitted.job, "module": info, "note": ui::PRIVACY,
        });
        return ui::line(line.to_string());
    }
    let limit = job.fuel.unwrap_or(limits::DEFAULT_FUEL);
    ui::line(format!(
        "Submitted job {id}: {} of at most {} fuel each.",
        ui::count(submitted.job.tasks, "task"),
        quantity::fuel(limit)
    ))?;
    if !watch {
        ui::line(format!("  grid results {id} --follow --out DIR   to take its results"))?;
        ui::line(format!("  grid status {id}                       to see where it stands"))?;
        ui::line(format!("  grid cancel {id}                       to end it"))?;
    }
    Ok(())
}
