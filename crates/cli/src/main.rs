//! `grid`: the command of job owners.

mod args;
mod collect;
mod commands;
mod config;
mod failure;
mod files;
mod folder;
mod local;
mod progress;
mod quantity;
mod tasks;
mod ui;

use args::{Args, Command};
use clap::Parser as _;
use failure::{Exit, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let exit = dispatch(&args).unwrap_or_else(|failure| {
        failure.report(args.global.json);
        failure.exit()
    });
    ExitCode::from(exit as u8)
}

fn dispatch(args: &Args) -> Result<Exit, Failure> {
    let global = &args.global;
    match &args.command {
        Command::Model(args) => commands::model::model(global, args),
        Command::Run(args) => commands::run::run(global, args),
        Command::Verify(args) => commands::verify::verify(global, args),
        Command::Login(_) => wait(commands::login::login(global)),
        Command::Submit(args) => wait(commands::submit::submit(global, args)),
        Command::Status(args) => wait(commands::status::status(global, args)),
        Command::Results(args) => wait(commands::results(global, args)),
        Command::Cancel(args) => wait(commands::cancel(global, args)),
        Command::Prove(args) => wait(commands::prove::prove(global, args)),
        Command::Audit(args) => wait(commands::audit::audit(global, args)),
        Command::Node(args) => wait(commands::node::node(global, args)),
        Command::Account(args) => wait(commands::account::account(global, args)),
        Command::Embed(args) => wait(commands::infer::embed(global, args)),
        Command::Chat(args) => wait(commands::infer::chat(global, args)),
        Command::Generate(args) => wait(commands::infer::generate(global, args)),
        Command::Batch(args) => wait(commands::batch::batch(global, args)),
    }
}

/// Runs what talks to a relay.
fn wait(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

/// Help and version go to standard output; a wrong command line is an error
/// like any other, as JSON where that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if error.use_stderr() && json {
        // The first paragraph says what is wrong; the rest is for people.
        let text = error.render().to_string();
        let text = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        let failure =
            Failure::usage(words.join(" ")).hint("`grid help` lists commands and options");
        failure.report(true);
        return ExitCode::from(failure.exit() as u8);
    }
    // Nobody is left to tell when the output is closed.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Ok } as u8)
}
