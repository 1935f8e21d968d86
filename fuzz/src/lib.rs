//! What is fuzzed, and with what to begin: each target takes any bytes, panics
//! when a promise is broken, and says whether it accepted them.
//!
//! The programs in `fuzz_targets` hand libFuzzer's bytes to one target each;
//! `tests/targets.rs` runs every target on its seeds, on mutations of them and
//! on what fuzzing found before. `cargo xtask fuzz` runs the programs.

pub mod api;
pub mod audit;
pub mod infer;
pub mod log;
pub mod mutate;
pub mod node;
pub mod protocol;
pub mod sandbox;
mod vectors;

/// One thing that takes bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name of its program.
    pub name: &'static str,
    /// Takes any bytes; true when they were accepted. Panics when a promise is
    /// broken.
    pub run: fn(&[u8]) -> bool,
    /// Bytes to begin with; each is accepted.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "admission", run: sandbox::admission, seeds: sandbox::modules },
    Target { name: "answers", run: api::answers, seeds: api::answer_seeds },
    Target { name: "checkpoint", run: log::checkpoint, seeds: log::checkpoint_seeds },
    Target { name: "entry", run: protocol::entry, seeds: protocol::entry_seeds },
    Target { name: "files", run: protocol::files, seeds: protocol::files_seeds },
    Target { name: "from_node", run: protocol::from_node, seeds: protocol::from_node_seeds },
    Target { name: "gguf", run: infer::gguf, seeds: infer::gguf_seeds },
    Target { name: "honest_relay", run: audit::honest_relay, seeds: audit::relay_seeds },
    Target { name: "host", run: sandbox::host, seeds: sandbox::host_seeds },
    Target { name: "ids", run: protocol::ids, seeds: protocol::id_seeds },
    Target { name: "leaf", run: protocol::leaf, seeds: audit::leaf_seeds },
    Target { name: "leaves", run: audit::leaves, seeds: audit::leaves_seeds },
    Target { name: "model_file", run: infer::model_file, seeds: infer::model_seeds },
    Target { name: "module", run: sandbox::module, seeds: sandbox::module_seeds },
    Target { name: "new_job", run: api::new_job, seeds: api::job_seeds },
    Target { name: "node", run: node::node, seeds: node::seeds },
    Target { name: "note", run: log::note, seeds: log::checkpoint_seeds },
    Target { name: "proof", run: log::proof, seeds: log::proof_seeds },
    Target { name: "proof_file", run: audit::proof_file, seeds: audit::proof_file_seeds },
    Target { name: "receipt", run: protocol::receipt, seeds: protocol::receipt_seeds },
    Target { name: "receipt_file", run: api::receipt_file, seeds: api::receipt_file_seeds },
    Target { name: "rules", run: audit::rules, seeds: audit::rules_seeds },
    Target { name: "safetensors", run: infer::safetensors, seeds: infer::safetensors_seeds },
    Target { name: "signature", run: protocol::signature, seeds: protocol::signature_seeds },
    Target { name: "spec", run: protocol::spec, seeds: protocol::spec_seeds },
    Target { name: "tile", run: log::tile, seeds: log::tile_seeds },
    Target { name: "to_node", run: protocol::to_node, seeds: protocol::to_node_seeds },
    Target { name: "tokenizer", run: infer::tokenizer, seeds: infer::tokenizer_seeds },
    Target { name: "vrf", run: log::vrf, seeds: log::vrf_seeds },
    Target { name: "witness", run: log::witness, seeds: log::witness_seeds },
];

/// Writes a target's seeds into the folder that the environment's
/// `GRID_FUZZ_SEEDS` names, if it does: its program calls this before libFuzzer
/// reads its corpus.
pub fn write_seeds(name: &str) {
    let Some(folder) = std::env::var_os("GRID_FUZZ_SEEDS") else { return };
    let target = TARGETS.iter().find(|target| target.name == name).expect("every target is listed");
    for (number, seed) in (target.seeds)().iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{number}"));
        if let Err(error) = std::fs::write(&path, seed) {
            eprintln!("can't write {}: {error}", path.display());
            std::process::exit(2);
        }
    }
}

/// Bytes up to `at`, and the rest; all of them and nothing where they are fewer.
fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at(at.min(bytes.len()))
}

/// The first bytes as an array, zeros where there are too few, and the rest.
fn array<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = split(bytes, N);
    let mut out = [0; N];
    out[..first.len()].copy_from_slice(first);
    (out, rest)
}

/// Pieces, each after its length as a big-endian u16; the last may be cut.
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = array::<2>(bytes);
        let (piece, rest) = split(rest, u16::from_be_bytes(length).into());
        out.push(piece);
        bytes = rest;
    }
    out
}

/// What [`pieces`] takes apart.
fn join<P: AsRef<[u8]>>(pieces: &[P]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces.iter().map(AsRef::as_ref) {
        out.extend_from_slice(&(piece.len() as u16).to_be_bytes());
        out.extend_from_slice(piece);
    }
    out
}
