//! OpenAI's official clients, unchanged, against a relay. `cargo xtask setup`
//! installs them.

#[path = "mod.rs"]
mod common;

use anyhow::{Context as _, Result, ensure};
use common::Fixture;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Longest that a client's test may take.
const BOUND: Duration = Duration::from_secs(60);

/// `target/openai`, which is beside this test's profile.
fn installed() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().find(|folder| folder.join("openai").is_dir());
    Ok(target.context("the clients are missing: run `cargo xtask setup`")?.join("openai"))
}

async fn content(program: PathBuf, script: &str) -> Result<()> {
    ensure!(
        program.components().count() == 1 || program.exists(),
        "{} is missing: run `cargo xtask setup`",
        program.display()
    );
    let test = Fixture::start(|_| {}).await?;
    let _nodes = [test.node(1).await?, test.node(2).await?];
    let poor = test.relay.add_owner("poor", 10).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openai").join(script);
    let mut client = Command::new(program);
    client.arg(script).args([&test.origin, &test.key]).env("POOR_KEY", poor);
    client.env("OPENAI_NODE", installed()?.join("node")).kill_on_drop(true);
    for proxy in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        client.env_remove(proxy);
    }
    let ended = timeout(BOUND, client.output()).await.context("the client never ends")??;
    let said = [ended.stdout, ended.stderr].concat();
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

#[tokio::test]
async fn the_client_for_node_js() -> Result<()> {
    content("node".into(), "client.mjs").await
}

#[tokio::test]
async fn the_client_for_python() -> Result<()> {
    content(installed()?.join("python/bin/python"), "client.py").await
}
