//! `grid-relay`: runs a relay, and manages its owners. See docs/operating.md.

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use grid_protocol::CampaignId;
use grid_relay::store::ModelRow;
use grid_relay::{DEFAULT_DATA_DIR, LogFormat, Native, Options, Relay};
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Grid's relay: gives tasks to nodes, verifies their receipts, and serves
/// owners. Each option may be a flag, an environment variable or a key of the
/// configuration file; flags win over the environment, which wins over the
/// file.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Folder of the relay's database, blobs and key; made when missing
    #[arg(long, env = "GRID_DATA_DIR", default_value = DEFAULT_DATA_DIR, global = true)]
    #[arg(value_name = "DIR")]
    data_dir: PathBuf,
    /// Configuration file, TOML [default: grid-relay.toml in the data
    /// directory, if it is there]
    #[arg(long, env = "GRID_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay until SIGTERM or SIGINT
    Serve(Box<Options>),
    /// Print the configuration that `serve` with the same flags would run with
    Config(Box<Options>),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Manage owners; works while the relay runs
    #[command(subcommand)]
    Owner(Owner),
    /// Manage operators; works while the relay runs
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Manage models; works while the relay runs
    #[command(subcommand)]
    Model(Model),
    /// Manage sites whose pages may hold the widget; works while the relay runs
    #[command(subcommand)]
    Site(SiteCommand),
    /// Manage campaigns; works while the relay runs
    #[command(subcommand)]
    Campaign(Campaign),
    /// Print the rules of rewards that hold, as a file for `--rewards`
    Rewards,
    /// List whom to look at: self-invitations, rings of invitations, owners who
    /// pay one node nearly alone
    Suspects {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every entry, signature and output, and that all tables follow
    /// from the entries; works while the relay runs
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Owner {
    /// Add an owner, or give one whose key was revoked a new key; prints the
    /// key, which is shown this once
    Add {
        /// 1 to 64 letters, digits, `.`, `_` or `-`: who lends a device sees it
        name: String,
        /// Fuel that its jobs may use; 1000000000 fuel is one point
        #[arg(long, value_name = "FUEL", default_value_t = 1_000_000_000_000_000)]
        budget: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End an owner's key; jobs that run go on
    Revoke {
        /// The owner's name
        name: String,
    },
    /// List owners
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Keys that open the operator's page
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make an operator's key; prints it, this once
    New {
        /// 1 to 64 letters, digits, `.`, `_` or `-`
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End an operator's key, at once
    Revoke {
        /// Its name
        name: String,
    },
    /// List operators
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Model {
    /// Install a model file, as `grid model convert` writes it: from then on
    /// anyone who reaches the relay may read it, and owners may ask it
    Add {
        /// The model file
        file: PathBuf,
        /// What owners call it: 1 to 64 letters, digits, `.`, `_` or `-`
        /// [default: the file's name without its ending]
        #[arg(long)]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a model that no running job needs
    Remove {
        /// The model's name
        name: String,
    },
    /// List models
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum SiteCommand {
    /// List a site; prints the key that its pages name it by, which is public
    Add {
        /// What visitors are told of who asks them: 1 to 64 characters
        name: String,
        /// An origin whose pages may hold the widget: https://shop.example
        #[arg(long = "origin", value_name = "URL", required = true)]
        origins: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a site: its pages can't hold the widget from then on
    Remove {
        /// The site's key
        key: String,
    },
    /// List sites
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Campaign {
    /// Open the campaign that a file describes: name, start, end (times with
    /// their offset), goal (fuel), `bonus_ppm` (issued on top of verified work,
    /// in millionths of it), and perhaps runtime; prints its id
    Open {
        /// The file, TOML
        file: PathBuf,
    },
    /// Close a campaign before its end
    Close {
        /// Its id
        id: CampaignId,
    },
    /// List campaigns
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn main() -> Result<()> {
    let Arguments { data_dir, config, command } = Arguments::parse();
    let options = |flags: Options| -> Result<Options> {
        Ok(flags.or(Options::read(config.as_deref(), &data_dir)?))
    };
    match command {
        Command::Serve(flags) => serve(&data_dir, &options(*flags)?),
        Command::Config(flags) => {
            let options = options(*flags)?;
            options.config(&data_dir)?;
            print!("{}", toml::to_string(&options.or(Options::defaults()))?);
            Ok(())
        }
        Command::Openapi => {
            print!("{}", grid_relay::openapi());
            Ok(())
        }
        Command::Owner(owner) => manage(&data_dir, owner),
        Command::Operator(OperatorCommand::Key(key)) => operator_keys(&data_dir, key),
        Command::Model(model) => models(&data_dir, model),
        Command::Site(site) => sites(&data_dir, site),
        Command::Campaign(campaign) => campaigns(&data_dir, campaign),
        Command::Rewards => {
            print!("{}", toml::to_string(&grid_relay::rewards(&data_dir)?)?);
            Ok(())
        }
        Command::Suspects { json } => suspects(&data_dir, json),
        Command::Check { json } => {
            let report = grid_relay::check_store(&data_dir)?;
            let (entries, receipts, fuel) = (report.entries, report.receipts, report.fuel);
            if json {
                println!("{}", json!({"entries": entries, "receipts": receipts, "fuel": fuel}));
            } else {
                println!("{entries} entries hold; {receipts} are receipts, of {fuel} fuel in all");
            }
            Ok(())
        }
    }
}

fn models(data_dir: &Path, command: Model) -> Result<()> {
    match command {
        Model::Add { file, name, json } => {
            let stem = || file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = name.unwrap_or_else(stem);
            let model = grid_relay::add_model(data_dir, &file, &name)?;
            if json {
                println!("{}", described(&model));
            } else {
                println!("{} is installed: {}", model.name, model.digest);
            }
        }
        Model::Remove { name } => grid_relay::remove_model(data_dir, &name)?,
        Model::List { json } => {
            let models = grid_relay::models(data_dir)?;
            if json {
                println!("{}", serde_json::Value::from_iter(models.iter().map(described)));
            } else {
                println!("{:<32} {:<9} {:>8} {:>8}  DIGEST", "NAME", "DOES", "CONTEXT", "MIB");
                for model in models {
                    let (does, size) = (model.work.name(), model.bytes.div_ceil(1 << 20));
                    let (name, context) = (model.name, model.context);
                    println!("{name:<32} {does:<9} {context:>8} {size:>8}  {}", model.digest);
                }
            }
        }
    }
    Ok(())
}

fn sites(data_dir: &Path, command: SiteCommand) -> Result<()> {
    match command {
        SiteCommand::Add { name, origins, json } => {
            let site = grid_relay::add_site(data_dir, &name, &origins)?;
            match json {
                true => println!("{}", json!(site)),
                false => println!("{}", site.key),
            }
        }
        SiteCommand::Remove { key } => grid_relay::remove_site(data_dir, &key)?,
        SiteCommand::List { json } => {
            let sites = grid_relay::sites(data_dir)?;
            if json {
                println!("{}", json!(sites));
            } else {
                println!("{:<16} {:<32} ORIGINS", "KEY", "NAME");
                for site in sites {
                    println!("{:<16} {:<32} {}", site.key, site.name, site.origins.join(" "));
                }
            }
        }
    }
    Ok(())
}

fn campaigns(data_dir: &Path, command: Campaign) -> Result<()> {
    match command {
        Campaign::Open { file } => println!("{}", grid_relay::open_campaign(data_dir, &file)?),
        Campaign::Close { id } => grid_relay::close_campaign(data_dir, id)?,
        Campaign::List { json } => {
            let campaigns = grid_relay::campaigns(data_dir)?;
            if json {
                println!("{}", serde_json::to_string(&campaigns)?);
            } else {
                println!("{:<32}  {:>16} {:>16}  NAME", "ID", "FUEL SO FAR", "GOAL");
                for one in campaigns {
                    println!("{}  {:>16} {:>16}  {}", one.id, one.work, one.goal, one.name);
                }
            }
        }
    }
    Ok(())
}

fn suspects(data_dir: &Path, json: bool) -> Result<()> {
    let suspects = grid_relay::suspects(data_dir)?;
    if json {
        println!("{}", serde_json::to_string(&suspects)?);
    } else {
        for one in suspects {
            let other = one.other.map(|other| format!(", {other}")).unwrap_or_default();
            println!("{}{other}: {}; {} fuel issued", one.person, one.words, one.paid);
        }
    }
    Ok(())
}

fn described(model: &ModelRow) -> serde_json::Value {
    json!({
        "name": model.name, "digest": model.digest, "work": model.work,
        "context": model.context, "bytes": model.bytes,
    })
}

fn operator_keys(data_dir: &Path, command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::New { name, json } => {
            let key = grid_relay::add_operator(data_dir, &name)?;
            if json {
                println!("{}", json!({"name": name, "key": key}));
            } else {
                eprintln!("The operator's key of {name}, shown this once:");
                println!("{key}");
            }
        }
        KeyCommand::Revoke { name } => grid_relay::revoke_operator(data_dir, &name)?,
        KeyCommand::List { json } => {
            let keys = grid_relay::operators(data_dir)?;
            if json {
                let keys =
                    keys.iter().map(|key| json!({"name": key.name, "created_ms": key.created_ms}));
                println!("{}", serde_json::Value::from_iter(keys));
            } else {
                keys.iter().for_each(|key| println!("{}", key.name));
            }
        }
    }
    Ok(())
}

fn manage(data_dir: &Path, command: Owner) -> Result<()> {
    match command {
        Owner::Add { name, budget, json } => {
            let key = grid_relay::add_owner(data_dir, &name, budget)?;
            if json {
                println!("{}", json!({"name": name, "key": key, "budget": budget}));
            } else {
                eprintln!("The key of {name}, shown this once:");
                println!("{key}");
            }
        }
        Owner::Revoke { name } => grid_relay::revoke_owner(data_dir, &name)?,
        Owner::List { json } => {
            let owners = grid_relay::owners(data_dir)?;
            if json {
                let owners = owners.iter().map(
                    |owner| json!({"name": owner.name, "key": owner.key.is_some(), "budget": owner.balance}),
                );
                println!("{}", serde_json::Value::from_iter(owners));
            } else {
                println!("{:<32} {:<8} FUEL LEFT", "NAME", "KEY");
                for owner in owners {
                    let key = if owner.key.is_some() { "valid" } else { "revoked" };
                    println!("{:<32} {key:<8} {}", owner.name, owner.balance);
                }
            }
        }
    }
    Ok(())
}

fn serve(data_dir: &Path, options: &Options) -> Result<()> {
    let config = options.config(data_dir)?;
    start_log(options)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let relay = Relay::start_inferring(config, Arc::new(Native::default())).await?;
        let ready = json!({
            "listening": format!("http://{}", relay.address()),
            "origin": relay.origin(),
            "relay": relay.key(),
        });
        if let Some(file) = &options.ready_file {
            write_whole(file, &format!("{ready}\n"))
                .with_context(|| format!("can't write {}", file.display()))?;
        }
        println!("{ready}");
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => match relay.reload_rewards() {
                    Ok(changed) => tracing::info!(changed, "the rules of rewards were read"),
                    Err(error) => tracing::error!(%error, "the rules of rewards can't be read"),
                },
            }
        }
        relay.shutdown().await;
        Ok(())
    })
}

/// Whoever waits for the file never reads half of it.
fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    std::fs::write(&name, text)?;
    std::fs::rename(name, file)
}

fn start_log(options: &Options) -> Result<()> {
    let filter = options.log.as_deref().unwrap_or("info");
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .with_context(|| format!("{filter:?} is not a log filter"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match options.log_format {
        Some(LogFormat::Json) => log.json().init(),
        _ => log.init(),
    }
    Ok(())
}
