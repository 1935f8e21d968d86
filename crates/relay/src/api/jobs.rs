//! Jobs.

use super::Id;
use super::auth::Owner;
use super::body::{commit, compute, ensure_writes, read};
use super::modules::find;
use crate::core::random;
use crate::error::{AppError, Code};
use crate::inference::fuel_for;
use crate::job::{Input, Job};
use crate::state::{Shared, unix_ms};
use crate::store::{
    JobRow, ModelRow, NewBody, NewJobRow, NewTaskRow, OwnerId, OwnerRow, Write, rows,
};
use crate::writer::Then;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use bytes::Bytes;
use grid_protocol::api::{DEFAULT_ERROR_PPB, JobInfo, JobState, NewJob, TaskInfo, TaskState};
use grid_protocol::{Digest, Files, JobId, Runtime, Side, limits};
use grid_scheduler::Task;
use std::sync::Arc;
use tokio::sync::watch;

/// Largest body of `POST /v1/jobs`: beyond, inputs are put as blobs.
const MAX_JOB: usize = 64 << 20;
/// Most jobs that one answer lists.
const MAX_LIST: usize = 1000;

/// `POST /v1/jobs`
pub(crate) async fn submit(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<JobInfo>), AppError> {
    ensure_writes(&shared)?;
    let received = read(&shared, &headers, body, MAX_JOB).await?;
    let bytes = received.bytes.clone();
    let (mut job, tasks) = compute(move || parse(&bytes)).await?;
    let program = match job.runtime {
        Runtime::Infer => {
            let model = model(&shared, job.module).await?;
            job.fuel.get_or_insert(fuel_for(&model, 2 * u64::from(model.context)));
            Program::of_model(&model)
        }
        _ => Program::of_module(&shared, &owner, job.module).await?,
    };
    let (tasks, bodies) = inputs(&shared, owner.id, tasks).await?;
    let inputs = Inputs { tasks, bodies };
    let info = start(&shared, &owner, JobId(random()), job, program, inputs).await?;
    Ok((StatusCode::CREATED, Json(info)))
}

/// What a job runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    admitted: Digest,
    admission: u16,
    /// Size of the admitted module, or of the model's header.
    bytes: u32,
}

impl Program {
    pub(crate) fn of_model(model: &ModelRow) -> Self {
        Self { admitted: model.digest, admission: 0, bytes: model.header_bytes }
    }

    async fn of_module(
        shared: &Shared,
        owner: &OwnerRow,
        module: Digest,
    ) -> Result<Self, AppError> {
        let module = find(shared, owner, module).await?.ok_or_else(|| {
            Code::ModuleUnknown.because("submit the module first, by POST /v1/modules")
        })?;
        let bytes = module.admitted_bytes as u32;
        Ok(Self { admitted: module.admitted, admission: module.admission, bytes })
    }
}

async fn model(shared: &Shared, digest: Digest) -> Result<ModelRow, AppError> {
    let found = shared.reads.run(move |db| crate::store::model(db, digest)).await?;
    found.ok_or_else(|| {
        Code::ModelUnknown.because("this relay has no such model: GET /v1/models lists them")
    })
}

/// A job's tasks, and the input lists that come with them.
pub(crate) struct Inputs {
    pub(crate) tasks: Vec<NewTaskRow>,
    pub(crate) bodies: Vec<NewBody>,
}

/// Starts a job that this owner pays.
pub(crate) async fn start(
    shared: &Shared,
    owner: &OwnerRow,
    id: JobId,
    mut job: NewJob,
    program: Program,
    Inputs { tasks, bodies }: Inputs,
) -> Result<JobInfo, AppError> {
    if job.runtime == Runtime::Infer {
        // What a device needs is the model's, not the task's.
        job.memory_pages.get_or_insert(limits::MAX_MEMORY_PAGES);
    }
    let spec = job.spec(program.admitted, program.admission, Digest::ZERO);
    spec.check().map_err(|error| Code::BadSpec.because(error.to_string()))?;
    let error_ppb = job.error_ppb.unwrap_or(DEFAULT_ERROR_PPB);
    if !(1..=1_000_000_000).contains(&error_ppb) {
        return Err(Code::BadRequest.because("`error_ppb` is 1 to 1000000000, in 10^-9"));
    }
    // Kept as they are now: another version may have other defaults.
    job.arithmetic = (spec.arithmetic > 0).then_some(spec.arithmetic);
    job.error_ppb = Some(error_ppb);
    job.fuel = Some(spec.fuel);
    job.memory_pages = Some(spec.memory_pages);
    job.output_bytes = Some(spec.output_bytes);
    let budget = match job.budget {
        Some(budget) => budget,
        // Most tasks are run by one node; new nodes' are run by two or more.
        None => spec.fuel.saturating_mul(2 * tasks.len() as u64),
    };
    if budget < spec.fuel {
        return Err(Code::BudgetTooSmall.because(format!(
            "a budget of {budget} fuel doesn't cover one task, which may use {}",
            spec.fuel
        )));
    }

    let row = NewJobRow {
        id,
        owner: owner.id,
        created_ms: unix_ms(),
        runtime: spec.runtime,
        template: serde_json::to_string(&job)
            .map_err(|error| Code::Internal.because(error.to_string()))?,
        admitted: program.admitted,
        admission: program.admission,
        module_bytes: program.bytes,
        budget,
        fuel: spec.fuel,
        error_ppb,
        tasks,
        bodies,
    };
    let info = JobInfo {
        id,
        runtime: job.runtime,
        name: job.name.clone(),
        state: JobState::Running,
        module: job.module,
        created_ms: row.created_ms,
        tasks: row.tasks.len() as u64,
        done: 0,
        failed: 0,
        provisional: 0,
        leased: 0,
        error_ppb,
        budget,
        spent: 0,
        note: None,
    };
    let started = Arc::new(Job {
        id,
        owner: owner.name.clone(),
        template: job,
        admitted: row.admitted,
        admission: row.admission,
        module_bytes: row.module_bytes,
        inputs: row
            .tasks
            .iter()
            .map(|task| Input { digest: task.input, size: task.input_bytes })
            .collect(),
        changed: watch::Sender::new(0),
    });
    for body in &row.bodies {
        if let Some(bytes) = &body.bytes {
            shared.bodies.put(body.digest, bytes.clone());
        }
    }
    commit(shared, Write::SubmitJob(Box::new(row)), Then::Start(started)).await?;
    tracing::info!(job = %id, tasks = info.tasks, "a job was submitted");
    Ok(info)
}

/// A task as submitted: its name, and its input by digest or here.
struct Submitted {
    name: String,
    input: Result<Digest, Bytes>,
}

/// Parses and checks what needs no lookup.
fn parse(bytes: &[u8]) -> Result<(NewJob, Vec<Submitted>), AppError> {
    let bad = |message: String| Code::BadRequest.because(message);
    let mut job: NewJob =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("not a job: {error}")))?;
    let tasks = std::mem::take(&mut job.tasks);
    if tasks.is_empty() || tasks.len() > limits::MAX_TASKS {
        return Err(bad(format!("a job has 1 to {} tasks", limits::MAX_TASKS)));
    }
    let long = |name: &str| name.chars().count() > limits::MAX_JOB_NAME;
    if long(&job.name) || tasks.iter().any(|task| long(&task.name)) {
        return Err(bad(format!("a name has at most {} characters", limits::MAX_JOB_NAME)));
    }
    let mut submitted = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.into_iter().enumerate() {
        let input = match (task.input, task.inline) {
            (Some(digest), None) => Ok(digest),
            (None, Some(text)) => {
                let wrong = |what: String| bad(format!("task {index}: {what}"));
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .map_err(|error| wrong(format!("`inline` is not base64: {error}")))?;
                if bytes.len() > limits::INLINE_BODY {
                    return Err(wrong("`inline` is over 64 KiB: put it as a blob".into()));
                }
                Files::decode(Side::Input, &bytes)
                    .map_err(|error| wrong(format!("`inline` is not an input list: {error}")))?;
                Err(bytes.into())
            }
            _ => return Err(bad(format!("task {index}: give either `input` or `inline`"))),
        };
        submitted.push(Submitted { name: task.name, input });
    }
    Ok((job, submitted))
}

/// Finds the inputs that were put before.
async fn inputs(
    shared: &Shared,
    owner: OwnerId,
    tasks: Vec<Submitted>,
) -> Result<(Vec<NewTaskRow>, Vec<NewBody>), AppError> {
    let found = shared.reads.run(move |db| {
        let (mut rows, mut bodies) = (Vec::with_capacity(tasks.len()), Vec::new());
        for Submitted { name, input } in tasks {
            let (input, input_bytes) = match input {
                Ok(digest) => match rows::input(db, owner, digest)? {
                    Some(size) => (digest, size),
                    None => return Ok(Err(digest)),
                },
                Err(bytes) => {
                    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
                    bodies.push(NewBody { digest, size, bytes: Some(bytes) });
                    (digest, size)
                }
            };
            rows.push(NewTaskRow { name, input, input_bytes });
        }
        Ok(Ok((rows, bodies)))
    });
    found.await?.map_err(|digest| {
        Code::InputUnknown
            .because(format!("put the input {digest} first, by PUT /v1/blobs/{digest}"))
    })
}

/// `GET /v1/jobs`: newest first.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
) -> Result<Json<Vec<JobInfo>>, AppError> {
    let jobs = shared.reads.run(move |db| rows::jobs(db, owner.id, MAX_LIST)).await?;
    let core = shared.core();
    let leased = |job: &JobRow| core.scheduler.job_leased(job.id) as u64;
    Ok(Json(jobs.iter().map(|job| job.info(leased(job))).collect()))
}

/// `GET /v1/jobs/{id}`
pub(crate) async fn info(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(id): Id<JobId>,
) -> Result<Json<JobInfo>, AppError> {
    let job = job(&shared, owner.id, id).await?;
    let note = shared.core().votes.note(id);
    Ok(Json(JobInfo { note, ..job.info(shared.leased(id)) }))
}

pub(crate) async fn job(shared: &Shared, owner: OwnerId, id: JobId) -> Result<JobRow, AppError> {
    let found = shared.reads.run(move |db| rows::job(db, owner, id)).await?;
    found.ok_or_else(AppError::not_found)
}

/// `GET /v1/jobs/{id}/tasks`
pub(crate) async fn tasks(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(id): Id<JobId>,
) -> Result<Json<Vec<TaskInfo>>, AppError> {
    let job = job(&shared, owner.id, id).await?;
    let state = job.state;
    let tasks = shared.reads.run(move |db| rows::tasks(db, &job)).await?;
    let core = shared.core();
    let info = tasks.into_iter().map(|task| {
        let leased = core.scheduler.is_leased(Task { job: id, index: task.index });
        let state = match task.result {
            Some(_) => TaskState::Done,
            None if state != JobState::Running => TaskState::Dropped,
            None if task.voted => TaskState::Provisional,
            None if leased => TaskState::Leased,
            None => TaskState::Waiting,
        };
        TaskInfo { index: task.index, name: task.name, input: task.input, state }
    });
    Ok(Json(info.collect()))
}

/// `POST /v1/jobs/{id}/cancel`: harmless when the job is over.
pub(crate) async fn cancel(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(id): Id<JobId>,
) -> Result<Json<JobInfo>, AppError> {
    let row = job(&shared, owner.id, id).await?;
    if row.state != JobState::Running {
        return Ok(Json(row.info(0)));
    }
    let write = Write::EndJob { job: id, state: JobState::Cancelled, at_ms: unix_ms() };
    commit(&shared, write, Then::End(id)).await?;
    let row = job(&shared, owner.id, id).await?;
    Ok(Json(row.info(shared.leased(id))))
}
