//! What the tests across crates share: a real relay, its owner, its metrics,
//! and waiting with a bound.

use anyhow::{Context, Result, ensure};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::scalar::clamp_integer;
use curve25519_dalek::{EdwardsPoint, Scalar};
use grid_client::{Client, OwnerKey};
use grid_protocol::api::{JobInfo, NewJob};
use grid_protocol::{Digest, JobId, Signature, SigningKey};
use grid_relay::{Config, Relay, RelayHandle};
use grid_testing::{NO_OP, Owner, small_job};
use sha2::{Digest as _, Sha512};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest time to wait for anything.
pub const BOUND: Duration = Duration::from_secs(20);

/// More fuel than any test uses.
pub const BUDGET: u64 = 1 << 60;

/// A relay in this process, over real sockets, with an owner.
#[derive(Debug)]
pub struct TestRelay {
    handle: Option<RelayHandle>,
    config: Config,
    origin: String,
    /// The owner's key, as text.
    pub owner_key: String,
    _data: tempfile::TempDir,
}

impl TestRelay {
    /// A relay with its usual times.
    pub async fn start() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// A relay whose configuration the test changes.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config = Config::for_test(data.path());
        change(&mut config);
        let handle = Relay::start(config.clone()).await?;
        let owner_key = handle.add_owner("owner", BUDGET).await?;
        let origin = handle.origin().to_owned();
        config.listen = handle.address();
        Ok(Self { handle: Some(handle), config, origin, owner_key, _data: data })
    }

    /// Where it listens.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.config.data_dir
    }

    /// Ends it in order and starts it again: same data, same address.
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(handle) = self.handle.take() {
            handle.shutdown().await;
        }
        self.handle = Some(Relay::start(self.config.clone()).await?);
        Ok(())
    }

    /// An owner over bare HTTP.
    pub fn owner(&self) -> Owner {
        Owner::new(&self.origin, &self.owner_key).expect("an HTTP client can be made")
    }

    /// An owner who checks what comes.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.origin, OwnerKey::new(&self.owner_key)?)?)
    }

    /// Submits a job of tasks that do nothing.
    pub async fn submit(&self, name: &str, tasks: usize) -> Result<JobInfo> {
        self.submit_job(|module| small_job(module, name, tasks)).await
    }

    /// Submits a job of the module that does nothing.
    pub async fn submit_job(&self, job: impl FnOnce(Digest) -> NewJob) -> Result<JobInfo> {
        let owner = self.owner();
        let module = owner.submit_module(NO_OP.as_bytes()).await?;
        owner.submit_job(&job(module.source)).await
    }

    /// Waits until so many of a job's tasks are settled, which follows what
    /// their nodes are acknowledged.
    pub async fn done(&self, job: JobId, tasks: u64) -> Result<JobInfo> {
        eventually("tasks are settled", async || Ok(self.owner().job(job).await?.done == tasks))
            .await?;
        self.owner().job(job).await
    }

    /// A counter or gauge of `/metrics`; 0 where it was never counted. `name`
    /// is as in the text, labels included.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        metric(&self.origin, name).await
    }

    /// Waits until a metric has this value.
    pub async fn wait_metric(&self, name: &str, value: u64) -> Result<()> {
        eventually(&format!("{name} is {value}"), async || Ok(self.metric(name).await? == value))
            .await
    }
}

/// A counter or gauge of a relay's `/metrics`; 0 where it was never counted.
pub async fn metric(origin: &str, name: &str) -> Result<u64> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let text = http.get(format!("{origin}/metrics")).send().await?.text().await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(Ok(0), |value| Ok(value.trim().parse::<f64>()? as u64))
}

/// Waits until `holds`, asking again and again; fails after [`BOUND`].
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    eventually_in(BOUND, what, holds).await
}

/// The same with another bound.
pub async fn eventually_in(
    bound: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let until = Instant::now() + bound;
    while !holds().await? {
        ensure!(Instant::now() < until, "not in time: {what}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A key for tests: same number, same key.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

/// A signature by the key of this seed that only lax verification takes: its R
/// is off by a point of order eight, which a verification with the cofactor
/// doesn't see.
pub fn loose_signature(seed: [u8; 32], message: &[u8]) -> Signature {
    let wide = |parts: &[&[u8]]| {
        let hash = parts.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part));
        hash.finalize().into()
    };
    let secret: [u8; 64] = wide(&[&seed]);
    let mut clamped = [0; 32];
    clamped.copy_from_slice(&secret[..32]);
    let a = Scalar::from_bytes_mod_order(clamp_integer(clamped));
    let public = SigningKey::from_seed(seed).public();
    let r = Scalar::from_bytes_mod_order_wide(&wide(&[&secret[32..], message]));
    let off = EdwardsPoint::mul_base(&r) + EIGHT_TORSION[1];
    let off = off.compress().to_bytes();
    let k = Scalar::from_bytes_mod_order_wide(&wide(&[&off, &public.0, message]));
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&off);
    signature[32..].copy_from_slice(&(r + k * a).to_bytes());
    Signature(signature)
}

/// The relay's program, beside this test's. Cargo builds it first where cargo
/// runs the test; `cargo xtask test` has built it.
pub fn relay_program() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("tests lie in a target folder")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = std::process::Command::new(cargo);
        build.args(["build", "--quiet", "--package", "grid-relay", "--bin", "grid-relay"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        ensure!(build.status()?.success(), "the relay's program can't be built");
    }
    let program = folder.join("grid-relay");
    ensure!(program.exists(), "{} is not built", program.display());
    Ok(program)
}
