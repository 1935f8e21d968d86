//! What the contexts say to each other over message ports: one CBOR value a
//! message, as the bytes of one array buffer, which every boundary between
//! them lets through.

use grid_node::RunReport;
use grid_protocol::{Digest, ExitReason, GiveBackReason, LeaseId};
use minicbor::{Decode, Encode};

/// From the node to the supervisor.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum ToSupervisor {
    /// Run a task.
    #[n(0)]
    Run(#[n(0)] LeaseId, #[n(1)] Job),
    /// Stop a run, or forget a finished one.
    #[n(1)]
    Drop(#[n(0)] LeaseId),
    /// Shares that runs may use, in percent: of one core, where 0 pauses, and
    /// of the GPU.
    #[n(2)]
    Pace(#[n(0)] u8, #[n(1)] u8),
    /// The end of this run has arrived.
    #[n(3)]
    Seen(#[n(0)] LeaseId),
    /// Keep a spare worker ready, or don't (to measure what it saves).
    #[n(4)]
    Spare(#[n(0)] bool),
    /// Say what is held and that work can be taken, once it can.
    #[n(5)]
    Hello,
    /// Run a task of runtime `infer`.
    #[n(6)]
    Infer(#[n(0)] LeaseId, #[n(1)] Inference),
}

/// From the supervisor to the node.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum FromSupervisor {
    /// Work can be taken; these runs are held, working or finished.
    #[n(0)]
    Ready(#[n(0)] Vec<LeaseId>),
    /// A run used so much fuel so far.
    #[n(1)]
    Progress(#[n(0)] LeaseId, #[n(1)] u64),
    /// A run ended with an answer.
    #[n(2)]
    Finished(#[n(0)] LeaseId, #[n(1)] Finished),
    /// A run ended without one: why ([`GiveBackReason::number`]), and in words.
    #[n(3)]
    Failed(#[n(0)] LeaseId, #[n(1)] u16, #[n(2)] String),
    /// Mains (or charging)? `None` where the browser doesn't tell.
    #[n(4)]
    Power(#[n(0)] Option<bool>),
    /// The model of a run is being fetched or loaded.
    #[n(5)]
    Loading(#[n(0)] LeaseId, #[n(1)] Loading),
    /// More text of a run.
    #[n(6)]
    Text(#[n(0)] LeaseId, #[n(1)] Text),
    /// Exactly these models are kept whole now.
    #[n(7)]
    Models(#[n(0)] Vec<Model>),
}

/// From the supervisor to a worker.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum ToWorker {
    /// The one task of this worker's life, the share it may use, and the
    /// milliseconds of sleep that runs before it still owe.
    #[n(0)]
    Run(#[n(0)] Job, #[n(1)] u8, #[n(2)] f64),
    /// The share changed. Answered with a `Progress` at once.
    #[n(1)]
    Pace(#[n(0)] u8),
    /// Run a task of the executor's own, whose result nobody wants: the real
    /// one then finds everything compiled.
    #[n(2)]
    Rehearse,
}

/// From a worker to the supervisor.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum FromWorker {
    /// Instantiated and waiting.
    #[n(0)]
    Ready,
    /// Alive, and so much fuel was used.
    #[n(1)]
    Progress(#[n(0)] u64),
    /// Ended with an answer.
    #[n(2)]
    Finished(#[n(0)] Finished),
    /// Ended without one.
    #[n(3)]
    Failed(#[n(0)] String),
}

/// From the supervisor to the worker that infers.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum ToInference {
    /// Run this task; none is running.
    #[n(0)]
    Run(#[n(0)] LeaseId, #[n(1)] Inference),
    /// Give up the run of this lease. Answered as if it had failed.
    #[n(1)]
    Stop(#[n(0)] LeaseId),
    /// The shares changed: of one core, of the GPU. Answered with
    /// [`FromInference::Alive`].
    #[n(2)]
    Pace(#[n(0)] u8, #[n(1)] u8),
}

/// From the worker that infers to the supervisor.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum FromInference {
    /// Instantiated and waiting.
    #[n(0)]
    Ready,
    /// Alive.
    #[n(1)]
    Alive,
    /// See [`FromSupervisor::Loading`].
    #[n(2)]
    Loading(#[n(0)] LeaseId, #[n(1)] Loading),
    /// See [`FromSupervisor::Text`].
    #[n(3)]
    Text(#[n(0)] LeaseId, #[n(1)] Text),
    /// See [`FromSupervisor::Models`].
    #[n(4)]
    Models(#[n(0)] Vec<Model>),
    /// The run of this lease ended with an answer.
    #[n(5)]
    Finished(#[n(0)] LeaseId, #[n(1)] Finished),
    /// It ended without one, as [`FromSupervisor::Failed`] says.
    #[n(6)]
    Failed(#[n(0)] LeaseId, #[n(1)] u16, #[n(2)] String),
}

/// A task of runtime `infer`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Inference {
    /// [`grid_protocol::Spec::encode`].
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub spec: Vec<u8>,
    /// The encoded input list, its digest checked.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub input: Vec<u8>,
    /// What another node claims to be its standard output.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub draft: Option<Vec<u8>>,
    /// Where the model can be fetched.
    #[n(3)]
    pub origin: String,
    /// Most bytes of models to keep.
    #[n(4)]
    pub quota: u64,
}

/// How far a model is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Loading {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Bytes that are here.
    #[n(1)]
    pub bytes: u64,
    /// Bytes in all.
    #[n(2)]
    pub total: u64,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Text {
    /// Bytes of the text before it.
    #[n(0)]
    pub offset: u32,
    /// The piece: whole characters.
    #[n(1)]
    pub text: String,
    /// Pieces so far, this one included; a token makes one, or none.
    #[n(2)]
    pub pieces: u32,
}

/// A model that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Model {
    /// Its digest.
    #[n(0)]
    pub digest: Digest,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// Its size.
    #[n(2)]
    pub bytes: u64,
}

/// A task to run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Job {
    /// [`grid_protocol::Spec::encode`].
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub spec: Vec<u8>,
    /// The admitted module, its digest checked.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub module: Vec<u8>,
    /// The encoded input list, its digest checked.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub input: Vec<u8>,
}

/// How a run ended, and what it took.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Finished {
    /// [`ExitReason::number`].
    #[n(0)]
    pub reason: u8,
    /// See [`RunReport`], as the next three.
    #[n(1)]
    pub exit_code: u32,
    /// The encoded output list.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub output: Vec<u8>,
    /// Fuel used.
    #[n(3)]
    pub fuel: u64,
    /// What the engine said of a trap.
    #[n(4)]
    pub hint: Option<String>,
    /// Milliseconds between entering the module and leaving it, pauses
    /// included.
    #[n(5)]
    pub module_ms: f64,
    /// Milliseconds of sleep the run owed when it ended.
    #[n(6)]
    pub owed_ms: f64,
    /// Whether a spare worker was ready when the run came.
    #[n(7)]
    pub warm: bool,
    /// Check digest of an inference, zero for modules.
    #[n(8)]
    pub check: Digest,
}

impl Finished {
    /// Packs a report.
    pub fn new(report: RunReport, module_ms: f64, owed_ms: f64) -> Self {
        let RunReport { reason, exit_code, output, check, fuel, hint } = report;
        let reason = reason.number();
        Self { reason, exit_code, output, fuel, hint, module_ms, owed_ms, warm: false, check }
    }

    /// Unpacks it; `None` when the reason has no such number.
    pub fn report(self) -> Option<RunReport> {
        Some(RunReport {
            reason: ExitReason::from_number(self.reason)?,
            exit_code: self.exit_code,
            output: self.output,
            check: self.check,
            fuel: self.fuel,
            hint: self.hint,
        })
    }
}

/// The reason for giving back that a message names.
pub fn give_back_reason(number: u16) -> GiveBackReason {
    GiveBackReason::from_number(number).unwrap_or(GiveBackReason::Device)
}

/// Encodes one message.
pub fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    match minicbor::to_vec(message) {
        Ok(bytes) => bytes,
        Err(error) => match error.into_write() {
            Some(infallible) => match infallible {},
            None => Vec::new(), // no message has an encoder that fails
        },
    }
}

/// Decodes one message; anything else is none. The worker's side is hostile
/// once a module broke out of it.
pub fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> FromWorker {
        let report = RunReport {
            reason: ExitReason::Trap,
            exit_code: 0,
            output: vec![1, 2, 3],
            check: Digest::ZERO,
            fuel: 7,
            hint: Some("unreachable".into()),
        };
        FromWorker::Finished(Finished::new(report, 1.5, 0.5))
    }

    #[test]
    fn an_unknown_reason_is_no_report() {
        let FromWorker::Finished(mut finished) = sample() else { panic!("it is one") };
        finished.reason = 200;
        assert_eq!(finished.report(), None);
    }

    proptest! {
        #[test]
        fn round_trip(module: Vec<u8>, share: u8, owed: f32) {
            let job = Job { spec: vec![], module, input: vec![0] };
            let message = ToWorker::Run(job, share, f64::from(owed));
            prop_assert_eq!(encode(&decode::<ToWorker>(&encode(&message)).unwrap()), encode(&message));
        }

        #[test]
        fn mutated_bytes(at: prop::sample::Index, to: u8, cut: prop::sample::Index, any: Vec<u8>) {
            let mut bytes = encode(&sample());
            let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
            prop_assert!(decode::<FromWorker>(&bytes[..cut]).is_none());
            bytes[at] = to;
            let _ = decode::<FromWorker>(&bytes).map(|message| encode(&message));
            let _ = decode::<ToSupervisor>(&any);
        }
    }
}
