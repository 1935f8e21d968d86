//! `grid login`

use crate::args::Global;
use crate::config::{self, Config};
use crate::failure::{Exit, Failure, KEY_HINT};
use crate::files::read_all;
use crate::{quantity, ui};
use grid_client::{Client, OwnerKey};
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};

pub(crate) async fn login(global: &Global) -> Result<Exit, Failure> {
    let (relay, _) = config::relay(global, &Config::load().unwrap_or_default());
    if !global.json {
        config::warn_when_open(&relay);
    }
    // Before the key is asked for: is it a relay at all?
    let network = Client::without_key(&relay)?.network().await?;
    let key = key(global)?;
    let client = Client::new(&relay, OwnerKey::new(&key)?)?;
    let account = client.account().await?;
    let config = Config {
        relay: Some(relay.clone()),
        relay_key: Some(network.relay),
        key: Some(key.trim().to_owned()),
    };
    let path = config.store()?;
    if global.json {
        let line = json!({
            "relay": relay, "relay_key": network.relay, "account": account, "file": path,
        });
        ui::line(line.to_string())?;
    } else {
        let name = ui::inline(&account.name);
        ui::line(format!(
            "Logged in to {relay} as {name}: {} fuel left.",
            quantity::fuel(account.budget)
        ))?;
        ui::line(format!("The relay's key is {}.", network.relay))?;
        ui::line(format!("Stored in {}.", path.display()))?;
    }
    Ok(Exit::Ok)
}

/// The key: from `--key-file` or GRID_KEY, else typed unseen or piped in.
fn key(global: &Global) -> Result<String, Failure> {
    if let Some(key) = config::given_key(global)? {
        return Ok(key);
    }
    let stdin = io::stdin();
    let read = if stdin.is_terminal() {
        // Nobody is left to ask when standard error is closed.
        let _ = write!(io::stderr(), "Owner key: ");
        console::Term::stderr().read_secure_line()
    } else {
        read_all(stdin.lock(), 64 << 10).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let key = read.map_err(|error| {
        Failure::new(Exit::Failed, "input", format!("can't read the key: {error}"))
    })?;
    if key.trim().is_empty() {
        return Err(Failure::usage("no owner key was given").hint(KEY_HINT));
    }
    Ok(key)
}
