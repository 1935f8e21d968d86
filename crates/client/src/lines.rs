//! Newline-delimited JSON out of chunks of any size.

/// Longest line that is kept: a result with 64 KiB of output in base64 and the
/// largest spec needs some 200 KiB.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// A line is longer than [`MAX_LINE`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong;

/// Collects chunks and gives whole lines, without their line break. Empty
/// lines, which keep a silent connection alive, are left out.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Start of the first line not given yet.
    start: usize,
    /// Up to where `buffer` holds no line break.
    searched: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            let end = found.map_or(self.buffer.len(), |at| self.searched + at);
            if end - self.start > MAX_LINE {
                return Err(LineTooLong);
            }
            if found.is_none() {
                self.searched = end;
                return Ok(None);
            }
            let line = self.start..end;
            self.start = end + 1;
            self.searched = end + 1;
            if !self.buffer[line.clone()].trim_ascii().is_empty() {
                return Ok(Some(&self.buffer[line]));
            }
        }
    }

    /// Whether bytes of an unfinished line are left.
    pub(crate) fn unfinished(&self) -> bool {
        !self.buffer[self.start..].trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next().unwrap() {
                out.push(line.to_vec());
            }
        }
        (out, lines.unfinished())
    }

    #[test]
    fn chunks_of_any_size() {
        let text = b"one\n\n  \r\ntwo\nthree\nrest";
        let whole = collect(&[text]);
        assert_eq!(whole.0, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        assert!(whole.1);
        for size in 1..text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(collect(&chunks), whole, "chunks of {size}");
        }
        assert!(!collect(&[b"one\n"]).1);
    }

    #[test]
    fn a_line_has_a_bound() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"\n");
        assert_eq!(lines.next().unwrap().unwrap().len(), MAX_LINE);
        lines.push(&vec![b'x'; MAX_LINE + 1]);
        assert_eq!(lines.next(), Err(LineTooLong));
    }
}
