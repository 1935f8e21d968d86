//! Checks everything that can be checked of a result without running the
//! module again, and says of each check what it found.
//!
//! Pure: no network, no files. `grid verify` prints the steps.

use grid_protocol::api::TaskResult;
use grid_protocol::{Digest, ExitReason, Files, PublicKey, Receipt, Runtime, Side, Spec};
use serde::{Serialize, Serializer};
use std::fmt::Display;

/// What a step checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// The node's signature over the receipt verifies strictly.
    Signature,
    /// The spec given is the one that the receipt names, and in range.
    Spec,
    /// The spec is what the owner asked for.
    Request,
    /// Exit reason, exit code and fuel agree with each other and the limits.
    Outcome,
    /// The output is the one that the receipt names, and within its limit.
    Output,
    /// The receipt was made for the relay expected.
    Relay,
    /// The relay's signature over its acknowledgement of this very receipt.
    Acknowledgement,
    /// Admitting the source again gives the module that ran. Made by callers
    /// who have the source.
    Module,
    /// The input given is the one that the receipt names. Made by callers who
    /// have the input.
    Input,
    /// Running the module again gives the same. Made by callers who can.
    Rerun,
}

impl Check {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Signature => "receipt signature",
            Self::Spec => "spec",
            Self::Request => "as submitted",
            Self::Outcome => "outcome",
            Self::Output => "output",
            Self::Relay => "relay",
            Self::Acknowledgement => "acknowledgement",
            Self::Module => "module",
            Self::Input => "input",
            Self::Rerun => "run again",
        }
    }
}

/// How a check ended. In JSON: `true`, `false`, `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// What it needs was not given.
    Skipped,
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Passed => s.serialize_bool(true),
            Self::Failed => s.serialize_bool(false),
            Self::Skipped => s.serialize_none(),
        }
    }
}

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was checked.
    pub check: Check,
    /// How it ended.
    #[serde(rename = "ok")]
    pub mark: Mark,
    /// What was found, for people.
    pub why: String,
}

impl Step {
    /// A check that holds.
    pub fn passed(check: Check, why: impl Display) -> Self {
        Self { check, mark: Mark::Passed, why: why.to_string() }
    }

    /// A check that does not hold.
    pub fn failed(check: Check, why: impl Display) -> Self {
        Self { check, mark: Mark::Failed, why: why.to_string() }
    }

    /// A check that could not be made.
    pub fn skipped(check: Check, why: impl Display) -> Self {
        Self { check, mark: Mark::Skipped, why: why.to_string() }
    }

    /// A check that holds where `result` is `Ok`; both sides say what they
    /// found.
    pub fn of<T: Display, E: Display>(check: Check, result: Result<T, E>) -> Self {
        match result {
            Ok(why) => Self::passed(check, why),
            Err(why) => Self::failed(check, why),
        }
    }
}

/// What the owner knows without asking the relay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// The relay's key.
    pub relay: Option<PublicKey>,
    /// The spec submitted ([`grid_protocol::api::NewJob::spec`]).
    pub spec: Option<&'a Spec>,
}

/// All checks of one result, in the order in which to show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub steps: Vec<Step>,
}

impl Report {
    /// True when no check failed. Some may have been skipped.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.mark != Mark::Failed)
    }

    /// The first check that failed.
    pub fn failure(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.mark == Mark::Failed)
    }
}

/// Checks a result. `output` holds the encoded output list, from wherever it
/// came; without it the output is not checked.
pub fn verify(result: &TaskResult, output: Option<&[u8]>, expected: Expected<'_>) -> Report {
    let unverified = &result.receipt;
    let receipt = unverified.clone().verify();
    let signature = match &receipt {
        Ok(receipt) => Ok(format!("valid, by node {}", receipt.body().node)),
        Err(error) => Err(error.to_string()),
    };
    let mut steps =
        vec![Step::of(Check::Signature, signature), Step::of(Check::Spec, spec(result))];
    if let Some(asked) = expected.spec {
        steps.push(Step::of(Check::Request, request(&result.spec, asked)));
    }
    steps.push(Step::of(Check::Outcome, outcome(result)));
    steps.push(match output {
        Some(bytes) => Step::of(Check::Output, files(result, bytes)),
        None => Step::skipped(Check::Output, "not checked: the output was not given"),
    });
    let named = unverified.body.relay;
    steps.push(match expected.relay {
        Some(relay) if relay == named => Step::passed(Check::Relay, format!("is {relay}")),
        Some(relay) => {
            Step::failed(Check::Relay, format!("made for {named}, expected was {relay}"))
        }
        None => {
            Step::skipped(Check::Relay, format!("says {named}; no key was given to compare with"))
        }
    });
    let (relay, whose) = match expected.relay {
        Some(relay) => (relay, "the relay"),
        None => (named, "whoever has that key"),
    };
    let ack = receipt
        .map_err(|_| "the receipt it is for is not valid".to_owned())
        .and_then(|receipt| acknowledgement(result, &receipt, relay))
        .map(|seq| format!("signed by {whose}, entry {seq}"));
    steps.push(Step::of(Check::Acknowledgement, ack));
    Report { steps }
}

fn ensure(ok: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(why()) }
}

fn spec(result: &TaskResult) -> Result<String, String> {
    let (spec, body) = (&result.spec, &result.receipt.body);
    spec.check().map_err(|error| format!("out of range: {error}"))?;
    let digest = spec.digest();
    ensure(digest == body.spec, || {
        format!("the receipt is for spec {}, this one is {digest}", body.spec)
    })?;
    ensure(spec.input == body.input, || {
        format!("the receipt is for input {}, the spec names {}", body.input, spec.input)
    })?;
    Ok(format!("is {digest}"))
}

/// Names the first field that is not what was asked for.
fn request(spec: &Spec, asked: &Spec) -> Result<&'static str, String> {
    let differs = [
        ("runtime", spec.runtime != asked.runtime || spec.arithmetic != asked.arithmetic),
        ("source module", spec.source != asked.source),
        ("admission version", spec.admission != asked.admission),
        ("admitted module", spec.module != asked.module),
        ("arguments", spec.args != asked.args),
        ("environment", spec.env != asked.env),
        ("input", spec.input != asked.input),
        ("seed", spec.seed != asked.seed),
        ("limits", spec != asked),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        Some((field, _)) => Err(format!("another {field} than the one submitted")),
        None => Ok("module, arguments, input, seed and limits are those submitted"),
    }
}

fn outcome(result: &TaskResult) -> Result<String, String> {
    let (spec, body) = (&result.spec, &result.receipt.body);
    let (fuel, limit) = (body.fuel, spec.fuel);
    ensure(fuel <= limit, || format!("{fuel} fuel used of {limit} allowed"))?;
    ensure(body.reason != ExitReason::OutOfFuel || fuel == limit, || {
        format!("out of fuel, it says, after {fuel} of {limit}")
    })?;
    ensure(body.reason == ExitReason::Exit || body.exit_code == 0, || {
        format!("an exit code with the reason {}", body.reason.name())
    })?;
    let answered = (body.reason, body.exit_code) == (ExitReason::Exit, 0);
    let has_check = spec.runtime == Runtime::Infer && answered;
    ensure((body.check != Digest::ZERO) == has_check, || {
        let has =
            if has_check { "no check digest, which every" } else { "a check digest, which no" };
        let kind = if spec.runtime == Runtime::Infer { "answer" } else { "module" };
        format!("{has} {kind} has")
    })?;
    let reason = match body.reason {
        ExitReason::Exit => format!("exit code {}", body.exit_code),
        other => other.name().replace('_', " "),
    };
    Ok(format!("{reason}, {fuel} fuel"))
}

fn files(result: &TaskResult, bytes: &[u8]) -> Result<String, String> {
    let body = &result.receipt.body;
    let digest = Digest::of(bytes);
    ensure(digest == body.output, || {
        format!("the receipt is for output {}, this one is {digest}", body.output)
    })?;
    let files = Files::decode(Side::Output, bytes).map_err(|error| error.to_string())?;
    let (size, limit) = (files.size(), result.spec.output_bytes);
    ensure(size <= limit, || format!("{size} bytes of output of {limit} allowed"))?;
    Ok(format!("is {digest}, files: {}, bytes: {size}", files.len()))
}

fn acknowledgement(
    result: &TaskResult,
    receipt: &Receipt,
    relay: PublicKey,
) -> Result<u64, String> {
    let ack = &result.ack;
    ensure(ack.receipt == receipt.digest(), || {
        format!("it is for receipt {}, this one is {}", ack.receipt, receipt.digest())
    })?;
    ensure(ack.lease == receipt.body().lease, || "it is for another lease".into())?;
    relay
        .verify_strict(&ack.encode(), &result.ack_signature)
        .map_err(|_| "the relay's signature is not valid".to_owned())?;
    Ok(ack.seq)
}
