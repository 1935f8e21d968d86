//! The state of a job while one waits: a bar on a terminal, a line now and
//! then elsewhere, nothing for machines.

use crate::quantity::{fuel, span};
use crate::ui;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

/// Least time between two plain lines.
const LINES_EVERY: Duration = Duration::from_secs(2);

/// What there is to show.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    pub(crate) done: u64,
    /// Of those: did not end with exit code 0.
    pub(crate) failed: u64,
    /// Of those: a check of the result failed.
    pub(crate) refused: u64,
    pub(crate) fuel: u64,
}

/// Shows a [`Tally`] on standard error.
#[derive(Debug)]
pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines { started: Instant, last: Option<Instant>, shown: u64 },
    Silent,
}

impl Progress {
    pub(crate) fn new(total: u64, silent: bool) -> Self {
        if silent {
            return Self::Silent;
        }
        if !stderr().is_terminal() {
            return Self::Lines { started: Instant::now(), last: None, shown: 0 };
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = "{spinner:.cyan} {bar:24.cyan/dim} {pos}/{len} tasks  {elapsed}  {wide_msg}";
        let style = ProgressStyle::with_template(style).expect("the template is sound");
        bar.set_style(style.progress_chars("━━─"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Bar(bar)
    }

    /// The tally changed; `state` says what the rest of the tasks do.
    pub(crate) fn show(&mut self, tally: &Tally, state: &str) {
        match self {
            Self::Bar(bar) => {
                let to_go = match bar.eta() {
                    eta if tally.done == 0 || tally.done == tally.total || eta.is_zero() => {
                        String::new()
                    }
                    eta => format!("{} to go, ", span(eta)),
                };
                bar.set_message(to_go + &counts(tally, state));
                bar.set_position(tally.done);
            }
            Self::Lines { started, last, shown } => {
                let now = Instant::now();
                let due = last.is_none_or(|last| now - last >= LINES_EVERY);
                let changed = tally.done != *shown || last.is_none();
                if changed && (due || tally.done == tally.total) {
                    let to_go = match tally.done {
                        0 => String::new(),
                        done if done == tally.total => String::new(),
                        done => {
                            let each = started.elapsed().div_f64(done as f64);
                            format!(", {} to go", span(each.mul_f64((tally.total - done) as f64)))
                        }
                    };
                    ui::aside(format!(
                        "{}/{} tasks  {}{to_go}",
                        tally.done,
                        tally.total,
                        counts(tally, state)
                    ));
                    *last = Some(now);
                    *shown = tally.done;
                }
            }
            Self::Silent => {}
        }
    }

    /// Prints lines without breaking the bar.
    pub(crate) fn around<T>(&self, print: impl FnOnce() -> T) -> T {
        match self {
            Self::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn counts(tally: &Tally, state: &str) -> String {
    let mut out = format!("{} fuel, {} failed", fuel(tally.fuel), tally.failed);
    if tally.refused > 0 {
        out += &format!(", {} not verified", tally.refused);
    }
    if !state.is_empty() && tally.done < tally.total {
        out += &format!(", {state}");
    }
    out
}

/// A count of things of which the number is known.
#[derive(Debug)]
pub(crate) struct Work(Option<ProgressBar>);

impl Work {
    pub(crate) fn new(things: &'static str, total: u64, silent: bool) -> Self {
        if silent || !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = "{spinner:.cyan} {bar:24.cyan/dim} {pos}/{len} {msg}  {elapsed}  {per_sec}, {eta} to go";
        let style = ProgressStyle::with_template(style).expect("the template is sound");
        bar.set_style(style.progress_chars("━━─"));
        bar.set_message(things);
        Self(Some(bar))
    }

    pub(crate) fn add(&self, more: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(more);
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A spinner for one thing of unknown length; `None` where nobody sees it.
pub(crate) fn spinner(text: &str, silent: bool) -> Option<ProgressBar> {
    if silent || !stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{spinner:.cyan} {msg}").expect("the template is sound"),
    );
    bar.set_message(text.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    Some(bar)
}
