//! A task's spec: everything that decides its result.

use crate::bytes::{DecodeError, Reader, header, put_bytes};
use crate::infer::Work;
use crate::{Digest, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const DOMAIN: &str = "grid-spec";
const VERSION: u16 = 1;

/// What executes the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Runtime {
    /// A WebAssembly task module (`wasm32-wasip1` command). Number 0.
    #[default]
    Wasm,
    /// Inference with a model in integer arithmetic ([`crate::infer`]). Number
    /// 1. Source and module are the model's digest.
    Infer,
}

impl Runtime {
    /// All of them, by number.
    pub const ALL: [Self; 2] = [Self::Wasm, Self::Infer];

    /// Its number in specs and entries.
    pub fn number(self) -> u8 {
        match self {
            Self::Wasm => 0,
            Self::Infer => 1,
        }
    }

    /// The runtime with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Why a spec was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The bytes are not a spec.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A field is outside its range.
    #[error("{0}")]
    Range(&'static str),
}

/// A task's spec. Its digest, not the task's name, is what receipts carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spec {
    /// What executes it.
    pub runtime: Runtime,
    /// Version of the arithmetic (docs/arithmetic.md), from 1; 0 for
    /// [`Runtime::Wasm`].
    pub arithmetic: u16,
    /// SHA-256 of the module as its owner submitted it; the model's digest for
    /// [`Runtime::Infer`].
    pub source: Digest,
    /// SHA-256 of the module that admission made of it, and nodes run.
    pub module: Digest,
    /// Version of admission that made it; 0 for [`Runtime::Infer`].
    pub admission: u16,
    /// Arguments after the program's name (which is always `task`).
    pub args: Vec<String>,
    /// Environment, sorted by name, no name twice.
    pub env: Vec<(String, String)>,
    /// Where the module's randomness comes from.
    #[serde(with = "hex::serde")]
    #[cfg_attr(feature = "schema", schemars(with = "Digest"))]
    pub seed: [u8; 32],
    /// Digest of the input list ([`crate::Files`]).
    pub input: Digest,
    /// Fuel the run may use, 1 to [`limits::MAX_FUEL`].
    pub fuel: u64,
    /// Memory the module may have, in 64 KiB pages.
    pub memory_pages: u32,
    /// Bytes of output ([`crate::Files::size`]) the run may leave.
    pub output_bytes: u64,
}

impl Spec {
    /// Checks every range; a decoded spec has passed this.
    pub fn check(&self) -> Result<(), SpecError> {
        let ensure = |ok: bool, why| if ok { Ok(()) } else { Err(SpecError::Range(why)) };
        let strings = || self.args.iter().chain(self.env.iter().flat_map(|(k, v)| [k, v]));
        match self.runtime {
            Runtime::Wasm => {
                ensure(self.arithmetic == 0, "arithmetic version must be 0 for the wasm runtime")?;
            }
            Runtime::Infer => {
                ensure(self.arithmetic >= 1, "inference names a version of the arithmetic")?;
                ensure(self.admission == 0, "inference has no admission: its version must be 0")?;
                ensure(self.module == self.source, "inference runs the model that it names")?;
                ensure(self.env.is_empty(), "inference has no environment")?;
                ensure(
                    matches!(&self.args[..], [work] if Work::of(work).is_some()),
                    "inference has one argument: `embed` or `generate`",
                )?;
            }
        }
        ensure(self.args.len() <= limits::MAX_ARGS, "too many arguments")?;
        ensure(self.env.len() <= limits::MAX_ARGS, "too many environment variables")?;
        ensure(
            strings().map(|s| s.len() + 1).sum::<usize>() <= limits::MAX_ARGS_BYTES,
            "arguments and environment are over 16 KiB",
        )?;
        ensure(strings().all(|s| !s.contains('\0')), "arguments and environment can't hold NUL")?;
        ensure(
            self.env.iter().all(|(k, _)| !k.is_empty() && !k.contains('=')),
            "an environment name is empty or holds '='",
        )?;
        ensure(
            self.env.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "environment must be sorted by name, no name twice",
        )?;
        ensure((1..=limits::MAX_FUEL).contains(&self.fuel), "fuel limit must be 1 to 2^50")?;
        ensure(
            self.memory_pages <= limits::MAX_MEMORY_PAGES,
            "memory limit must be at most 16384 pages (1 GiB)",
        )?;
        ensure(self.output_bytes <= limits::MAX_OUTPUT, "output limit must be at most 64 MiB")
    }

    /// The bytes whose SHA-256 is the spec digest.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = header(DOMAIN, VERSION);
        out.push(self.runtime.number());
        out.extend_from_slice(&self.arithmetic.to_le_bytes());
        out.extend_from_slice(&self.source.0);
        out.extend_from_slice(&self.module.0);
        out.extend_from_slice(&self.admission.to_le_bytes());
        put_strings(&mut out, &self.args, &self.env);
        out.extend_from_slice(&self.seed);
        out.extend_from_slice(&self.input.0);
        out.extend_from_slice(&self.fuel.to_le_bytes());
        out.extend_from_slice(&self.memory_pages.to_le_bytes());
        out.extend_from_slice(&self.output_bytes.to_le_bytes());
        out
    }

    /// Decodes and checks.
    pub fn decode(bytes: &[u8]) -> Result<Self, SpecError> {
        let mut r = Reader::header(bytes, DOMAIN, VERSION)?;
        let runtime = Runtime::from_number(r.u8()?).ok_or(DecodeError::Range("runtime"))?;
        let arithmetic = r.u16()?;
        let source = Digest(r.array()?);
        let module = Digest(r.array()?);
        let admission = r.u16()?;
        let mut args = Vec::new();
        for _ in 0..bounded(r.u32()?)? {
            args.push(r.text("argument")?.to_owned());
        }
        let mut env = Vec::new();
        for _ in 0..bounded(r.u32()?)? {
            env.push((r.text("environment")?.to_owned(), r.text("environment")?.to_owned()));
        }
        let spec = Self {
            runtime,
            arithmetic,
            source,
            module,
            admission,
            args,
            env,
            seed: r.array()?,
            input: Digest(r.array()?),
            fuel: r.u64()?,
            memory_pages: r.u32()?,
            output_bytes: r.u64()?,
        };
        r.end()?;
        spec.check()?;
        Ok(spec)
    }

    /// SHA-256 of [`Spec::encode`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

/// The seed of a task whose owner names none: SHA-256 of `grid-seed-v1`, the
/// source module's digest, arguments, environment and the input's digest.
pub fn default_seed(
    source: &Digest,
    args: &[String],
    env: &[(String, String)],
    input: &Digest,
) -> [u8; 32] {
    let mut out = b"grid-seed-v1".to_vec();
    out.extend_from_slice(&source.0);
    put_strings(&mut out, args, env);
    out.extend_from_slice(&input.0);
    Digest::of(&out).0
}

fn put_strings(out: &mut Vec<u8>, args: &[String], env: &[(String, String)]) {
    out.extend_from_slice(&(args.len() as u32).to_le_bytes());
    for arg in args {
        put_bytes(out, arg.as_bytes());
    }
    out.extend_from_slice(&(env.len() as u32).to_le_bytes());
    for (name, value) in env {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

fn bounded(count: u32) -> Result<u32, DecodeError> {
    if count as usize > limits::MAX_ARGS {
        return Err(DecodeError::Range("count"));
    }
    Ok(count)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample() -> Spec {
        Spec {
            runtime: Runtime::Wasm,
            arithmetic: 0,
            source: Digest::of(b"source"),
            module: Digest::of(b"module"),
            admission: 1,
            args: vec!["--top".into(), "10".into()],
            env: vec![("LANG".into(), "C".into())],
            seed: [7; 32],
            input: Digest::of(b"input"),
            fuel: 1_000_000,
            memory_pages: 256,
            output_bytes: 65_536,
        }
    }

    fn inference() -> Spec {
        let model = Digest::of(b"model");
        Spec {
            runtime: Runtime::Infer,
            arithmetic: 1,
            source: model,
            module: model,
            admission: 0,
            args: vec!["generate".into()],
            env: vec![],
            ..sample()
        }
    }

    #[test]
    fn inference_has_ranges_of_its_own() {
        assert_eq!(Spec::decode(&inference().encode()), Ok(inference()));
        let check = |change: fn(&mut Spec)| {
            let mut spec = inference();
            change(&mut spec);
            assert!(matches!(Spec::decode(&spec.encode()), Err(SpecError::Range(_))));
        };
        check(|s| s.arithmetic = 0);
        check(|s| s.admission = 1);
        check(|s| s.module = Digest::of(b"other"));
        check(|s| s.env.push(("A".into(), String::new())));
        check(|s| s.args.clear());
        check(|s| s.args = vec!["generate".into(), "embed".into()]);
        check(|s| s.args = vec!["sing".into()]);
        check(|s| s.runtime = Runtime::Wasm);
    }

    #[test]
    fn ranges() {
        let check = |change: fn(&mut Spec)| {
            let mut spec = sample();
            change(&mut spec);
            assert!(matches!(Spec::decode(&spec.encode()), Err(SpecError::Range(_))));
        };
        check(|s| s.arithmetic = 1);
        check(|s| s.fuel = 0);
        check(|s| s.fuel = u64::MAX);
        check(|s| s.memory_pages = 65536);
        check(|s| s.output_bytes = u64::MAX);
        check(|s| s.args.push("a\0b".into()));
        check(|s| s.args.push("x".repeat(20_000)));
        check(|s| s.env.push(("A".into(), String::new())));
        check(|s| s.env.push(("LANG".into(), String::new())));
        check(|s| s.env.push(("a=b".into(), String::new())));
    }

    proptest! {
        #[test]
        fn round_trip(args in proptest::collection::vec("[^\0]{0,20}", 0..5), fuel in 1u64..1 << 50) {
            let spec = Spec { args, fuel, ..sample() };
            prop_assert_eq!(Spec::decode(&spec.encode()).unwrap(), spec);
        }

        #[test]
        fn one_encoding(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = sample().encode();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(spec) = Spec::decode(&bytes) {
                prop_assert_eq!(spec.encode(), bytes.clone());
            }
            prop_assert!(Spec::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
