//! What the user reads: one line per step, and a line that moves while a
//! long step works. On a terminal the moving line is rewritten in place; in a
//! log it appears every fifteen seconds.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// With `--json` standard output carries one JSON object and nothing else, so
/// everything for people goes to standard error.
static STDERR: AtomicBool = AtomicBool::new(false);

pub(crate) fn lines_to_stderr() {
    STDERR.store(true, Ordering::Relaxed);
}

/// One line for people.
pub(crate) fn line(text: impl Display) {
    put(&format!("{text}\n"));
}

fn put(text: &str) {
    // A closed pipe (`| head`) is no reason to stop working.
    if STDERR.load(Ordering::Relaxed) {
        let _ = std::io::stderr().write_all(text.as_bytes());
    } else {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }
}

fn on_terminal() -> bool {
    if STDERR.load(Ordering::Relaxed) {
        std::io::stderr().is_terminal()
    } else {
        std::io::stdout().is_terminal()
    }
}

/// A duration as people read it: `0.4 s`, `12.3 s`, `3 min 05 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let all = time.as_secs_f64();
    if all < 100.0 {
        format!("{all:.1} s")
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// Bytes as people read them: `812 B`, `151.2 KB`.
pub(crate) fn bytes(count: u64) -> String {
    if count < 1000 { format!("{count} B") } else { format!("{:.1} KB", count as f64 / 1000.0) }
}

/// A step under way. Ends with `done`; dropped without it, it failed.
pub(crate) struct Step {
    title: String,
    start: Instant,
    shown: Instant,
    terminal: bool,
    ended: bool,
}

const LOG_EVERY: Duration = Duration::from_secs(15);
const REDRAW_EVERY: Duration = Duration::from_millis(100);

impl Step {
    pub(crate) fn start(title: impl Into<String>) -> Self {
        let start = Instant::now();
        let step = Self {
            title: title.into(),
            start,
            shown: start,
            terminal: on_terminal(),
            ended: false,
        };
        step.draw("");
        step
    }

    /// Says how far the step is. Cheap to call for every line a child prints.
    pub(crate) fn progress(&mut self, text: &str) {
        let every = if self.terminal { REDRAW_EVERY } else { LOG_EVERY };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        self.draw(text);
    }

    fn draw(&self, text: &str) {
        let time = seconds(self.start.elapsed());
        if self.terminal {
            let text: String = text.chars().take(60).collect();
            put(&format!("\r\x1b[K  … {} {time}  {text}", self.title));
        } else if !text.is_empty() {
            put(&format!("  … {} {time}  {text}\n", self.title));
        }
    }

    pub(crate) fn done(mut self, note: &str) {
        self.end("✓", note);
    }

    /// Ends without a line: there was nothing to do.
    pub(crate) fn vanish(mut self) {
        self.ended = true;
        if self.terminal {
            put("\r\x1b[K");
        }
    }

    fn end(&mut self, mark: &str, note: &str) {
        self.ended = true;
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let time = seconds(self.start.elapsed());
        let note = if note.is_empty() { String::new() } else { format!("  {note}") };
        put(&format!("{clear}  {mark} {:<34} {time:>9}{note}\n", self.title));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            let note = if crate::process::stopping() { "stopped" } else { "failed" };
            self.end("✗", note);
        }
    }
}

/// Columns padded to their widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(151_234), "151.2 KB");
    }

    #[test]
    fn columns_line_up_without_trailing_blanks() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let text = table(&[row("layer", "time"), row("unit", "1 s"), row("browser", "")]);
        assert_eq!(text, "  layer    time\n  unit     1 s\n  browser\n");
    }
}
