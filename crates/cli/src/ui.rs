//! What a terminal shows.

use crate::failure::Failure;
use console::{Style, style};
use grid_client::printable;
use grid_client::verify::{Mark, Step};
use grid_protocol::{ExitReason, ReceiptBody};
use std::io::{self, Write as _};

/// Said wherever one submits.
pub(crate) const PRIVACY: &str =
    "nodes are other people's machines: they can read the module, arguments and inputs";

/// One line on standard output.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    Ok(writeln!(io::stdout().lock(), "{}", text.as_ref())?)
}

/// One line on standard error. Nobody is left to tell when it is closed.
pub(crate) fn aside(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// A remark on standard error.
pub(crate) fn note(text: &str) {
    aside(format!("{} {text}", style("note:").for_stderr().cyan()));
}

/// A warning on standard error.
pub(crate) fn warn(text: &str) {
    aside(format!("{} {text}", style("warning:").for_stderr().yellow().bold()));
}

/// The mark of a check.
pub(crate) fn mark(mark: Mark) -> String {
    let (sign, look) = match mark {
        Mark::Passed => ("✓", Style::new().green()),
        Mark::Failed => ("✗", Style::new().red().bold()),
        Mark::Skipped => ("–", Style::new().dim()),
    };
    look.apply_to(sign).to_string()
}

/// A check as a line.
pub(crate) fn step(step: &Step) -> String {
    format!("{} {:<18} {}", mark(step.mark), step.check.title(), step.why)
}

/// The first digits of an id: enough to tell a few apart.
pub(crate) fn short(id: impl ToString) -> String {
    id.to_string().chars().take(12).collect()
}

/// How a run ended, in words.
pub(crate) fn ending(body: &ReceiptBody) -> String {
    reason(body.reason, body.exit_code)
}

/// How a run ended, in words.
pub(crate) fn reason(reason: ExitReason, exit_code: u32) -> String {
    match reason {
        ExitReason::Exit => format!("exit {exit_code}"),
        ExitReason::Trap => "trap".into(),
        ExitReason::OutOfFuel => "out of fuel".into(),
        ExitReason::Stack => "stack overflow".into(),
        ExitReason::OutputLimit => "output limit".into(),
    }
}

/// Whether a task did what it should.
pub(crate) fn succeeded(reason: ExitReason, exit_code: u32) -> bool {
    reason == ExitReason::Exit && exit_code == 0
}

/// A stranger's text on one line.
pub(crate) fn inline(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// A number of things: `1 task`, `2 tasks`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Standard error of a module in at most five lines, fit for a terminal: how
/// it begins and how it ends.
pub(crate) fn excerpt(stderr: &[u8]) -> Vec<String> {
    const PART: usize = 2000;
    let lines = |bytes: &[u8]| -> Vec<String> {
        let text = printable(&String::from_utf8_lossy(bytes));
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| line.chars().take(160).collect()).collect()
    };
    let mut all = if stderr.len() <= 2 * PART {
        lines(stderr)
    } else {
        [lines(&stderr[..PART]), lines(&stderr[stderr.len() - PART..])].concat()
    };
    if all.len() > 5 {
        all.splice(2..all.len() - 2, ["…".to_owned()]);
    }
    all
}

/// A table with its columns aligned; numbers are given as text.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| console::measure_text_width(&row[column]));
        cells.chain([head[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let format = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            console::pad_str(cell, *width, console::Alignment::Left, None).into_owned()
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let head = style(format(&head)).bold().to_string();
    [head].into_iter().chain(rows.iter().map(|row| format(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let rows = [vec!["a".into(), "10".into()], vec!["longer".into(), "9".into()]];
        console::set_colors_enabled(false);
        assert_eq!(table(&["NAME", "N"], &rows), ["NAME    N", "a       10", "longer  9"]);
    }

    #[test]
    fn stderr_is_short_and_can_not_steer_the_terminal() {
        assert_eq!(excerpt(b"one\n\n\x1b[31mtwo\n"), ["one", "[31mtwo"]);
        assert_eq!(excerpt(b"1\n2\n3\n4\n5\n6\n"), ["1", "2", "…", "5", "6"]);
        assert_eq!(excerpt(&[b'x'; 10_000])[0].len(), 160);
        let long = [b"first\n".to_vec(), vec![b'\n'; 10_000], b"last".to_vec()].concat();
        assert_eq!(excerpt(&long), ["first", "last"]);
        assert!(excerpt(b"").is_empty());
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([count(0, "task"), count(1, "task")], ["0 tasks", "1 task"]);
    }
}
