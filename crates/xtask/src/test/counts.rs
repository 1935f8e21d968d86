//! How many tests passed, from what the runners print: libtest's
//! `test result:` lines, and `N passed, N failed, N skipped` of our own.

/// Counts of one layer, and why anything failed or was skipped.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    pub(super) notes: Vec<String>,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.notes.extend(other.notes.iter().cloned());
    }

    /// One check that is no test runner: passed, or failed with a note.
    pub(super) fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.notes.push(format!("failed: {name}"));
        }
    }

    /// Takes up a runner's line if it counts, or says why a test did not run.
    pub(super) fn read(&mut self, runner: &str, line: &str) {
        let line = line.trim();
        if let Some(counts) = closing_line(line) {
            self.passed += counts.passed;
            self.failed += counts.failed;
            self.skipped += counts.skipped;
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| {
            rest.strip_suffix(" ... FAILED").or_else(|| rest.strip_suffix(" - FAILED"))
        }) {
            self.notes.push(format!("failed: {runner}: {name}"));
        } else if let Some(rest) = line.strip_prefix("SKIP ") {
            self.notes.push(format!("skipped: {runner}: {rest}"));
        } else if let Some(rest) = line.strip_prefix("FAIL ") {
            self.notes.push(format!("failed: {runner}: {rest}"));
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...` or
/// `3 passed, 0 failed, 1 skipped`.
fn closing_line(line: &str) -> Option<Counts> {
    let line = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ").map(|(_, counts)| counts)?,
        None => line,
    };
    let mut counts = Counts::default();
    let mut seen = 0;
    for part in line.split([',', ';']) {
        let mut words = part.split_whitespace();
        let (count, what) = (words.next()?, words.next()?);
        let Ok(count) = count.parse::<usize>() else { break };
        match what {
            "passed" => counts.passed = count,
            "failed" => counts.failed = count,
            "skipped" | "ignored" => counts.skipped = count,
            _ => break,
        }
        seen += 1;
    }
    (seen == 3).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_count() {
        let libtest = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 4 filtered \
                       out; finished in 0.01s";
        let expected = Counts { passed: 3, failed: 2, skipped: 1, notes: Vec::new() };
        assert_eq!(closing_line(libtest), Some(expected.clone()));
        assert_eq!(closing_line("3 passed, 2 failed, 1 skipped"), Some(expected));
        for other in ["", "ok", "3 passed", "3 apples, 2 failed, 1 skipped", "test result: ok."] {
            assert_eq!(closing_line(other), None, "{other}");
        }
    }

    #[test]
    fn lines_add_up_and_reasons_are_kept() {
        let mut counts = Counts::default();
        counts.read("grid-relay", "test store::sync ... FAILED");
        counts.read("grid-relay", "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured");
        counts.read("browser", "SKIP battery: no battery here");
        counts.read("browser", "7 passed, 0 failed, 1 skipped");
        assert_eq!((counts.passed, counts.failed, counts.skipped), (7, 1, 1));
        assert_eq!(
            counts.notes,
            ["failed: grid-relay: store::sync", "skipped: browser: battery: no battery here"]
        );
    }
}
