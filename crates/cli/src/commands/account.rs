//! `grid account`

use crate::args::Global;
use crate::config::{Config, Session, relay};
use crate::failure::{Exit, Failure};
use crate::files::{read_all, read_bounded, write_private};
use crate::{quantity, ui};
use clap::Subcommand;
use grid_account::Phrase;
use grid_client::{AccountClient, Client};
use grid_protocol::Name;
use grid_protocol::api::{MadeInvitation, NewInvitation, PersonInfo};
use grid_protocol::entry::InvitationKind;
use serde_json::json;
use std::io;
use std::path::PathBuf;

/// Largest file of a phrase.
const MAX_PHRASE: u64 = 4 << 10;

/// Show what is left of your budget; or manage the account of your nodes
///
/// Alone: the owner's name and budget. The subcommands are about another
/// account: the one that your nodes belong to, whose points they earn. It is a
/// key, made of a recovery phrase of 12 or 24 words that is kept on this
/// machine, readable by you only. The same words in the extension's options
/// make nodes elsewhere count together.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  grid account
  grid account new
  grid account show
  grid account invite
  grid account invite --site 'My blog' --origin https://blog.example
  grid account team join 'Red Pandas'
  grid account export > everything.json")]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    command: Option<AccountCommand>,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Make an account; prints its recovery phrase, to be written down
    New {
        /// 24 words instead of 12
        #[arg(long)]
        long: bool,
    },
    /// Take up an account by its recovery phrase, read from standard input
    Restore,
    /// Print the recovery phrase
    Phrase,
    /// Show the account: its nodes, points and team
    Show,
    /// Say what the account wants to be called on leaderboards
    Name {
        /// 3 to 32 letters, digits, single spaces, . _ ' & -
        name: Name,
    },
    /// Make an invitation code: for friends or, with --site, for a site's widget
    Invite {
        /// For the visitors of a site of this name
        #[arg(long, value_name = "NAME", requires = "origins")]
        site: Option<Name>,
        /// An origin of the site, https://host; repeat it
        #[arg(long = "origin", value_name = "ORIGIN", requires = "site")]
        origins: Vec<String>,
        /// How many nodes may come by it
        #[arg(long, value_name = "NUMBER")]
        uses: Option<u32>,
    },
    /// List the account's invitation codes
    Invitations,
    /// Make, join or leave a team
    #[command(subcommand)]
    Team(TeamCommand),
    /// Print everything that the relay holds of the account, as JSON
    Export,
    /// Delete the account: the relay forgets what its log doesn't hold, and
    /// rewards stop; receipts stay, and name only keys
    Delete {
        /// Yes, delete it
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum TeamCommand {
    /// Make a team, and be its first member
    Make {
        /// 3 to 32 letters, digits, single spaces, . _ ' & -
        name: Name,
    },
    /// Join a team
    Join {
        /// Its name
        name: Name,
    },
    /// Leave a team
    Leave {
        /// Its name
        name: Name,
    },
}

pub(crate) async fn account(global: &Global, args: &AccountArgs) -> Result<Exit, Failure> {
    match &args.command {
        None => return budget(global).await,
        Some(AccountCommand::New { long }) => return new(global, *long),
        Some(AccountCommand::Restore) => return restore(global),
        Some(AccountCommand::Phrase) => {
            ui::line(stored()?.to_string())?;
            return Ok(Exit::Ok);
        }
        _ => {}
    }
    let client = client(global).await?;
    match &args.command {
        Some(AccountCommand::Name { name }) => {
            show(global, &client.set_name(name.clone()).await?)?;
        }
        Some(AccountCommand::Invite { site, origins, uses }) => {
            let kind = match site {
                Some(_) => InvitationKind::Site,
                None => InvitationKind::Friend,
            };
            let (name, origins) = (site.clone(), origins.clone());
            let new = NewInvitation { kind, name, origins, uses: *uses };
            invitations(global, &[client.invite(&new).await?])?;
        }
        Some(AccountCommand::Invitations) => invitations(global, &client.invitations().await?)?,
        Some(AccountCommand::Team(team)) => {
            let team = match team {
                TeamCommand::Make { name } => client.make_team(name.clone()).await?,
                TeamCommand::Join { name } => client.join_team(name).await?,
                TeamCommand::Leave { name } => client.leave_team(name).await?,
            };
            if global.json {
                ui::line(json!({ "team": team }).to_string())?;
            } else {
                let name = team.name.map(|name| name.to_string()).unwrap_or_default();
                let members = ui::count(team.members, "member");
                ui::line(format!("Team    {name}, {members}"))?;
                ui::line(format!("Points  {}", quantity::fuel(team.total)))?;
            }
        }
        Some(AccountCommand::Export) => {
            let export = serde_json::to_string_pretty(&client.export().await?);
            ui::line(export.expect("every key is text"))?;
        }
        Some(AccountCommand::Delete { .. }) => {
            client.delete().await?;
            if !global.json {
                ui::line(format!("Deleted {} there; its phrase is kept here.", client.key()))?;
            }
        }
        _ => show(global, &client.person().await?)?,
    }
    Ok(Exit::Ok)
}

async fn budget(global: &Global) -> Result<Exit, Failure> {
    let session = Session::open(global)?;
    let account = session.client.account().await?;
    if global.json {
        ui::line(json!({ "relay": session.client.relay(), "account": account }).to_string())?;
    } else {
        ui::line(format!("Relay   {}", session.client.relay()))?;
        ui::line(format!("Owner   {}", ui::inline(&account.name)))?;
        ui::line(format!("Budget  {} fuel left", quantity::fuel(account.budget)))?;
    }
    Ok(Exit::Ok)
}

/// Beside the configuration file.
fn path() -> Result<PathBuf, Failure> {
    let path = Config::path().map(|path| path.with_file_name("account"));
    path.ok_or_else(|| {
        Failure::new(Exit::Failed, "no_home", "there is no place for the recovery phrase")
            .hint("set HOME or XDG_CONFIG_HOME")
    })
}

fn stored() -> Result<Phrase, Failure> {
    let path = path()?;
    let bytes = match read_bounded(&path, MAX_PHRASE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(Exit::Failed, "no_account", "there is no account here")
                .hint("make one with `grid account new`, or `grid account restore`"));
        }
        Err(error) => return Err(Failure::file("read", &path, &error)),
    };
    parsed(&bytes)
}

fn parsed(bytes: &[u8]) -> Result<Phrase, Failure> {
    Phrase::parse(&String::from_utf8_lossy(bytes))
        .map_err(|error| Failure::new(Exit::Failed, error.code(), error.to_string()))
}

/// Keeps a phrase, where there is none: another's would be lost.
fn keep(phrase: &Phrase) -> Result<(), Failure> {
    let path = path()?;
    if path.exists() {
        let message = format!("{} holds an account already", path.display());
        return Err(Failure::new(Exit::Failed, "account_exists", message)
            .hint("write its phrase down (`grid account phrase`) and remove the file"));
    }
    let text = format!("{phrase}\n");
    write_private(&path, text.as_bytes()).map_err(|error| Failure::file("write", &path, &error))
}

fn new(global: &Global, long: bool) -> Result<Exit, Failure> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)
        .map_err(|_| Failure::new(Exit::Failed, "random", "the system has no random bytes"))?;
    let phrase = Phrase::from_entropy(&entropy[..if long { 32 } else { 16 }])
        .map_err(|error| Failure::new(Exit::Failed, error.code(), error.to_string()))?;
    keep(&phrase)?;
    if global.json {
        let line = json!({ "account": phrase.key().public(), "phrase": phrase.to_string() });
        ui::line(line.to_string())?;
    } else {
        ui::note("write these words down, in this order: whoever has them has the account");
        ui::line(phrase.to_string())?;
        ui::note(&format!("the account is {}", phrase.key().public()));
    }
    Ok(Exit::Ok)
}

fn restore(global: &Global) -> Result<Exit, Failure> {
    let bytes = read_all(io::stdin().lock(), MAX_PHRASE)?;
    let phrase = parsed(&bytes)?;
    keep(&phrase)?;
    let account = phrase.key().public();
    if global.json {
        ui::line(json!({ "account": account }).to_string())?;
    } else {
        ui::line(format!("Account {account}"))?;
    }
    Ok(Exit::Ok)
}

/// The relay, asked by the account that is kept here.
async fn client(global: &Global) -> Result<AccountClient, Failure> {
    let config = Config::load()?;
    let (url, known) = relay(global, &config);
    let client = Client::without_key(&url)?;
    let relay = match config.relay_key.filter(|_| known) {
        Some(key) => key,
        None => client.network().await?.relay,
    };
    Ok(client.account_client(stored()?.key(), relay))
}

fn show(global: &Global, person: &PersonInfo) -> Result<(), Failure> {
    if global.json {
        return ui::line(json!({ "person": person }).to_string());
    }
    let name = person.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    ui::line(format!("Account  {}{name}", person.key))?;
    let points = &person.points;
    let parts = [
        ("work", points.work),
        ("sites", points.site),
        ("invitations", points.invited),
        ("campaigns", points.campaign),
        ("availability", points.availability),
        ("reliability", points.reliability),
    ];
    let parts = parts.iter().filter(|(_, fuel)| *fuel > 0);
    let parts: Vec<_> =
        parts.map(|(what, fuel)| format!("{what} {}", quantity::fuel(*fuel))).collect();
    let of = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    ui::line(format!("Earned   {} fuel{of}", quantity::fuel(person.total)))?;
    ui::line(format!(
        "         {} today, {} in a week, {} held",
        quantity::fuel(person.today),
        quantity::fuel(person.week),
        quantity::fuel(person.held)
    ))?;
    ui::line(format!("Nodes    {}", person.nodes_count))?;
    let team = person.team.as_ref().and_then(|team| team.name.as_ref());
    if let Some(name) = team {
        ui::line(format!("Team     {name}"))?;
    }
    ui::line(format!("Invited  {}", person.invited))
}

fn invitations(global: &Global, made: &[MadeInvitation]) -> Result<(), Failure> {
    for one in made {
        if global.json {
            ui::line(json!({ "invitation": one }).to_string())?;
            continue;
        }
        let name = one.name.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
        let kind = match one.kind {
            InvitationKind::Friend => "for friends",
            InvitationKind::Site => "for a site",
        };
        ui::line(format!("{}  {kind}{name}: {} of {} used", one.code, one.used, one.uses))?;
    }
    Ok(())
}
