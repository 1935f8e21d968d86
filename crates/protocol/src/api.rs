//! JSON of the HTTP API under `/v1` (docs/api.md): shared by relay, client and
//! dashboard. Binary fields are hexadecimal or base64, as each says.

mod people;

pub use people::*;

use crate::infer::ARITHMETIC;
use crate::{
    Ack, Digest, ExitReason, JobId, PublicKey, Runtime, Signature, Spec, UnverifiedReceipt,
    default_seed, limits,
};
use serde::{Deserialize, Serialize};

/// Body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorDetail {
    /// Stable code, `snake_case`.
    pub code: String,
    /// For people: what happened and what to do.
    pub message: String,
}

/// Answer to `POST /v1/modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleInfo {
    /// Digest of the module as submitted: what jobs name.
    pub source: Digest,
    /// Digest of the admitted module: what nodes run.
    pub admitted: Digest,
    /// Version of admission.
    pub admission: u16,
    /// Bytes as submitted.
    pub source_bytes: u64,
    /// Bytes after admission.
    pub admitted_bytes: u64,
    /// Pages of memory the module starts with.
    pub memory_pages: u32,
}

/// Body of `POST /v1/jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        extend("oneOf" = [{"required": ["module"]}, {"required": ["model"]}]),
        transform = module_or_model
    )
)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// What executes its tasks.
    #[serde(default)]
    pub runtime: Runtime,
    /// Digest of a module submitted before, or (as `model`) of a model.
    #[serde(alias = "model")]
    pub module: Digest,
    /// Version of the arithmetic of [`Runtime::Infer`]; left out, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<u16>,
    /// A name for people; at most 200 characters.
    #[serde(default)]
    pub name: String,
    /// Arguments of every task.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment of every task.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Seed of every task, 64 hex digits; left out, each task's default.
    #[serde(default)]
    pub seed: Option<Digest>,
    /// Fuel limit of a task.
    #[serde(default)]
    pub fuel: Option<u64>,
    /// Memory limit of a task, in 64 KiB pages.
    #[serde(default)]
    pub memory_pages: Option<u32>,
    /// Output limit of a task, in bytes.
    #[serde(default)]
    pub output_bytes: Option<u64>,
    /// Fuel that the whole job may use, replicas included; left out, twice the
    /// tasks' limits together. It is taken from the owner's budget at once;
    /// what is left comes back when the job ends.
    #[serde(default)]
    pub budget: Option<u64>,
    /// Highest probability of a wrong canonical result that the owner accepts,
    /// in 10^-9, 1 to 10^9; left out, 10^-4 ([`DEFAULT_ERROR_PPB`]). The lower,
    /// the more replicas.
    #[serde(default)]
    pub error_ppb: Option<u32>,
    /// The tasks.
    pub tasks: Vec<NewTask>,
}

/// In a schema: the module may be called `model`.
#[cfg(feature = "schema")]
fn module_or_model(schema: &mut schemars::Schema) {
    let fields = schema.get_mut("properties").and_then(|fields| fields.as_object_mut());
    if let Some(fields) = fields
        && let Some(module) = fields.get("module").cloned()
    {
        fields.insert("model".to_owned(), module);
    }
    if let Some(required) = schema.get_mut("required").and_then(|names| names.as_array_mut()) {
        required.retain(|name| name != "module");
    }
}

impl NewJob {
    /// The spec of this job's task with that input list. Relay and command
    /// line both build specs here, so that they can't differ.
    ///
    /// Environment is sorted by name. The caller runs [`Spec::check`].
    pub fn spec(&self, admitted: Digest, admission: u16, input: Digest) -> Spec {
        let mut env = self.env.clone();
        env.sort();
        let seed = match &self.seed {
            Some(seed) => seed.0,
            None => default_seed(&self.module, &self.args, &env, &input),
        };
        let arithmetic = match self.runtime {
            Runtime::Wasm => self.arithmetic.unwrap_or(0),
            Runtime::Infer => self.arithmetic.unwrap_or(ARITHMETIC),
        };
        Spec {
            runtime: self.runtime,
            arithmetic,
            source: self.module,
            module: admitted,
            admission,
            args: self.args.clone(),
            env,
            seed,
            input,
            fuel: self.fuel.unwrap_or(limits::DEFAULT_FUEL),
            memory_pages: self.memory_pages.unwrap_or(limits::DEFAULT_MEMORY_PAGES),
            output_bytes: self.output_bytes.unwrap_or(limits::DEFAULT_OUTPUT),
        }
    }
}

/// Error rate of a job whose owner names none, in 10^-9.
pub const DEFAULT_ERROR_PPB: u32 = 100_000;

/// One task: an input list, by digest or here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// A name for people; at most 200 characters.
    #[serde(default)]
    pub name: String,
    /// Digest of an encoded input list put before by `PUT /v1/blobs/{digest}`.
    #[serde(default)]
    pub input: Option<Digest>,
    /// The encoded input list itself, base64; at most 64 KiB decoded.
    #[serde(default)]
    pub inline: Option<String>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Tasks wait or run.
    Running,
    /// Every task has a canonical result.
    Done,
    /// Its owner cancelled it.
    Cancelled,
    /// The budget doesn't cover one more task; the rest was not run.
    OutOfBudget,
}

/// A job, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobInfo {
    /// Its id.
    pub id: JobId,
    /// What executes its tasks.
    #[serde(default)]
    pub runtime: Runtime,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// Module, as submitted; the model, for [`Runtime::Infer`].
    pub module: Digest,
    /// When it was submitted: milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Tasks in all.
    pub tasks: u64,
    /// Tasks that have a canonical result.
    pub done: u64,
    /// Of those, tasks that did not end with exit code 0.
    pub failed: u64,
    /// Tasks that have a provisional result; 0 once the job is over.
    pub provisional: u64,
    /// Tasks that nodes hold now.
    pub leased: u64,
    /// Highest probability of a wrong canonical result, in 10^-9.
    pub error_ppb: u32,
    /// Fuel that the job may use.
    pub budget: u64,
    /// Fuel that its results used.
    pub spent: u64,
    /// What keeps a task of it from ending, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for a node.
    Waiting,
    /// A node holds it.
    Leased,
    /// Has a provisional result: more has to be known of who computed it.
    Provisional,
    /// Has its canonical result.
    Done,
    /// Won't be run: the job is over.
    Dropped,
}

/// A task, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskInfo {
    /// Its place in the job, from 0.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Digest of its input list.
    pub input: Digest,
    /// Where it stands.
    pub state: TaskState,
}

/// How sure a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResultStanding {
    /// It may still be replaced.
    #[default]
    Provisional,
    /// It is final.
    Canonical,
}

/// A line of `GET /v1/jobs/{id}/results`: one task's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskResult {
    /// Place in the order of arrival within the relay, which is the number of
    /// the entry that made it so: ask for results `?after=` it to go on.
    pub seq: u64,
    /// Canonical, or (asked with `provisional=true`) provisional.
    pub standing: ResultStanding,
    /// The task's place in the job.
    pub index: u32,
    /// The task's name.
    pub name: String,
    /// The task's spec, whole, so that its digest can be checked.
    pub spec: Spec,
    /// The node's receipt.
    pub receipt: UnverifiedReceipt,
    /// The relay's acknowledgement.
    pub ack: Ack,
    /// The relay's signature over it.
    pub ack_signature: Signature,
    /// Other receipts that agree with it.
    #[serde(default)]
    pub quorum: Vec<UnverifiedReceipt>,
    /// The encoded output list, base64, where it is at most 64 KiB; a larger
    /// one is at `/v1/jobs/{id}/tasks/{index}/output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What the node's engine said of a trap. Not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Answer to `GET /v1/account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountInfo {
    /// The owner's name, as the operator gave it.
    pub name: String,
    /// Fuel not yet reserved by a job.
    pub budget: u64,
}

/// Answer to `GET /v1/network`, and each event of `/v1/network/live`: what
/// anyone may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NetworkInfo {
    /// The relay's key.
    pub relay: PublicKey,
    /// The relay's version.
    pub version: String,
    /// Versions of node messages it speaks.
    pub protocol: Vec<u16>,
    /// Nodes on line.
    pub nodes: Vec<NodeInfo>,
    /// Nodes on line in all (`nodes` holds at most 100).
    pub nodes_online: u64,
    /// Tasks that wait for a node.
    pub tasks_waiting: u64,
    /// Tasks that nodes hold.
    pub tasks_leased: u64,
    /// Tasks that have a result.
    pub tasks_done: u64,
    /// Fuel of all accepted receipts.
    pub fuel: u64,
    /// The last accepted receipts, newest first, at most 20.
    pub receipts: Vec<ReceiptInfo>,
}

/// A node on line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeInfo {
    /// Its key.
    pub node: PublicKey,
    /// What it said it runs.
    pub agent: String,
    /// Leases it holds.
    pub leased: u64,
    /// Its accepted receipts.
    pub tasks: u64,
    /// Fuel of its accepted receipts.
    pub fuel: u64,
}

/// An accepted receipt, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptInfo {
    /// Digest of its body.
    pub receipt: Digest,
    /// The node.
    pub node: PublicKey,
    /// How the run ended.
    pub reason: ExitReason,
    /// Fuel used.
    pub fuel: u64,
    /// Number of the entry that holds it.
    pub seq: u64,
    /// When it was accepted: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
}

/// Answer to `GET /v1/nodes/{key}`: a node's standing, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeStanding {
    /// Its key.
    pub node: PublicKey,
    /// On line now?
    pub online: bool,
    /// Where it stands.
    pub state: Trusted,
    /// Checks of its results that agreed with the canonical result.
    pub passes: u64,
    /// Probability that one of its results is wrong, as the rules estimate it.
    pub error_rate: f64,
    /// Share of its results that are checked.
    pub check_rate: f64,
    /// Fuel of its receipts that agree with canonical results.
    pub fuel: u64,
    /// Those receipts.
    pub tasks: u64,
    /// Its receipts on tasks that are not settled.
    pub open: u64,
    /// In words: which rule makes its state what it is.
    pub why: String,
    /// State, passes, rates and words above are of module tasks; here are those
    /// of every runtime, in which it is new until it passed checks there.
    #[serde(default)]
    pub runtimes: Vec<RuntimeStanding>,
    /// The last decisions about it, newest first, at most 100.
    pub decisions: Vec<NodeDecision>,
}

/// A node's standing in one runtime, as in [`NodeStanding`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuntimeStanding {
    /// The runtime.
    pub runtime: Runtime,
    /// Where it stands.
    pub state: Trusted,
    /// Checks of its results that agreed with the canonical result.
    pub passes: u64,
    /// Probability that one of its results is wrong, as the rules estimate it.
    pub error_rate: f64,
    /// Share of its results that are checked.
    pub check_rate: f64,
    /// In words: which rule makes its state what it is.
    pub why: String,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trusted {
    /// Every result of it is checked.
    New,
    /// Some of its results are checked.
    Trusted,
    /// A result of it was wrong: it gets no more leases.
    Caught,
}

/// A decision about a node, and the entry that anyone can look up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeDecision {
    /// Number of the entry that holds it.
    pub seq: u64,
    /// When: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// What was decided: `passed`, `agreed_alone`, `caught`, `unanswered`,
    /// `refused`.
    pub what: String,
    /// Why, in words.
    pub why: String,
}

/// Answer to `GET /v1/receipts/{seq}`: what became of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptPlace {
    /// Number of the receipt's entry.
    pub seq: u64,
    /// Number of the entry that settled its task, once there is one.
    pub settled: Option<u64>,
}

/// Answer to `GET /v1/points`: what the relay says that nodes earned, so that
/// an auditor can say where it differs from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PointsInfo {
    /// Number of the last entry that is counted.
    pub seq: u64,
    /// Every node that earned something, by key.
    pub nodes: Vec<Earned>,
}

/// What a node earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Earned {
    /// The node.
    pub node: PublicKey,
    /// Fuel of its receipts that agree with canonical results.
    pub fuel: u64,
    /// Those receipts.
    pub tasks: u64,
}
