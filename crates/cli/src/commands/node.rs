//! `grid node`

use crate::args::{ExplainArgs, Global, NodeArgs, NodeCommand};
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::{quantity, ui};
use grid_client::Client;
use grid_protocol::PublicKey;
use grid_protocol::api::{NodeStanding, Trusted};

pub(crate) async fn node(global: &Global, args: &NodeArgs) -> Result<Exit, Failure> {
    match &args.command {
        NodeCommand::Explain(args) => explain(global, args).await,
    }
}

async fn explain(global: &Global, args: &ExplainArgs) -> Result<Exit, Failure> {
    let (relay, _) = config::relay(global, &Config::load().unwrap_or_default());
    let client = Client::without_key(&relay)?;
    let node = find(&client, &args.id).await?;
    let standing = client.node(&node).await?;
    if global.json {
        ui::line(serde_json::json!({ "node": standing }).to_string())?;
    } else {
        words(&standing)?;
    }
    Ok(Exit::Ok)
}

/// A whole key, or the first digits of a node's that is on line.
async fn find(client: &Client, text: &str) -> Result<PublicKey, Failure> {
    let text = text.trim().to_lowercase();
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::usage(format!("{text:?} is no node's key")));
    }
    let nodes = client.network().await?.nodes;
    let mut found = nodes.into_iter().filter(|node| node.node.to_string().starts_with(&text));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node.node),
        (Some(_), Some(_)) => Err(Failure::usage(format!("more than one node begins with {text}"))
            .hint("give more digits")),
        (None, _) => {
            let message = format!("no node on line begins with {text}");
            Err(Failure::new(Exit::Refused, "not_found", message)
                .hint("give all 64 digits of one that is off line"))
        }
    }
}

fn words(node: &NodeStanding) -> Result<(), Failure> {
    let state = match node.state {
        Trusted::New => "new: every result of it is checked",
        Trusted::Trusted => "trusted: some of its results are checked",
        Trusted::Caught => "caught: it gets no more leases",
    };
    ui::line(format!("Node     {}", node.node))?;
    ui::line(format!("State    {state}{}", if node.online { ", on line" } else { "" }))?;
    ui::line(format!("Why      {}", ui::inline(&node.why)))?;
    ui::line(format!(
        "Checks   {} agreed; {:.1}% of its results are checked; one that isn't is wrong with \
         probability {:.1e}",
        node.passes,
        100.0 * node.check_rate,
        node.error_rate
    ))?;
    let results = ui::count(node.tasks, "canonical result");
    ui::line(format!(
        "Work     {} fuel for {results}, {} open",
        quantity::fuel(node.fuel),
        node.open
    ))?;
    if !node.decisions.is_empty() {
        let rows: Vec<Vec<String>> = (node.decisions.iter())
            .map(|decision| {
                let (what, why) = (ui::inline(&decision.what), ui::inline(&decision.why));
                vec![decision.seq.to_string(), what.replace('_', " "), why]
            })
            .collect();
        ui::line("")?;
        for line in ui::table(&["ENTRY", "DECISION", "WHY"], &rows) {
            ui::line(line)?;
        }
    }
    Ok(())
}
