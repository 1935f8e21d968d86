//! Cargo as a child: quiet, with its own progress in our line.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::{command, quiet};

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The same, saying how far it is although nobody looks at a terminal.
pub(crate) fn with_progress() -> Command {
    let mut cargo = cargo();
    cargo.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "120");
    cargo
}

/// Cargo's progress bar, which says how far a build is.
pub(crate) fn progress(line: &str) -> Option<String> {
    let line = line.trim();
    let rest = line.strip_prefix("Building [")?;
    let (_, rest) = rest.split_once(']')?;
    Some(rest.trim().to_owned())
}

/// Whether a line only says that work goes on, and is no loss when work fails.
pub(crate) fn progress_only(line: &str) -> bool {
    let words = ["Blocking", "Building", "Checking", "Compiling", "Downloaded", "Downloading"];
    let first = line.split_whitespace().next();
    first.is_none_or(|first| words.contains(&first))
}

/// Runs cargo quietly with its own progress in the step's line.
pub(crate) fn step(title: &str, arguments: &[&str], limit: Duration) -> Result<()> {
    run(title, with_progress().args(arguments), limit)
}

/// The same with a cargo that was made ready.
pub(crate) fn run(title: &str, cargo: &mut Command, limit: Duration) -> Result<()> {
    let mut step = crate::ui::Step::start(title);
    quiet(cargo, limit, |line| {
        if let Some(text) = progress(line) {
            step.progress(&text);
        }
    })?;
    step.done("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_messages() {
        let bar = "    Building [=======>    ] 12/34: serde, wasmtime(build)";
        assert_eq!(progress(bar).unwrap(), "12/34: serde, wasmtime(build)");
        assert!(progress("   Compiling serde v1.0.0").is_none());
        assert!(progress_only(bar) && progress_only("   Compiling serde v1.0.0"));
        assert!(progress_only("") && !progress_only("error[E0425]: cannot find value"));
    }
}
