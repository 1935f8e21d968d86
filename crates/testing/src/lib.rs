//! For tests and benchmarks: nodes that run natively over real sockets (one,
//! or a swarm of thousands), a raw peer for hostile tests, a relay as a process
//! to be killed, the relay's benchmark, its answers held against its OpenAPI document, and models in plain floats. Nothing
//! here ships.

mod bench;
pub mod document;
mod driver;
mod executor;
pub mod float_models;
mod infer;
pub mod log_server;
mod owner;
mod process;
mod scripted;
mod socket;
mod swarm;

pub use bench::{BenchConfig, Figures, bench_relay};
pub use driver::{NodeHandle, NodeSetup, start_node};
pub use executor::{Executor, Task, echo};
pub use infer::{DIMENSIONS, InferNode, InferNodeSetup, MadeUp, TOO_LONG};
pub use owner::{NO_OP, Owner, small_job};
pub use process::{CHECKED, PRIVATE, RelayProcess};
pub use scripted::{Challenge, ScriptedNode, result_message};
pub use swarm::{Swarm, SwarmConfig, SwarmError, is_loopback};
