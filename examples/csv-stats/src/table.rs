//! Reading a table: every row is checked before any of its cells counts.

use crate::column::Column;

/// A table's columns, and the rows that are in none of them.
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) malformed: Vec<Malformed>,
}

/// A row that was left out.
pub(crate) struct Malformed {
    /// Where it begins, the table's first line being 1.
    pub(crate) line: usize,
    pub(crate) problem: String,
}

/// Reads a table whose first row names its columns. Empty lines don't count.
pub(crate) fn read(bytes: &[u8], delimiter: u8) -> Result<Table, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(bytes);
    let mut lines = Lines { bytes, at: 0, line: 1 };
    let mut record = csv::ByteRecord::new();
    let mut columns: Vec<Column> = Vec::new();
    let mut malformed = Vec::new();
    loop {
        let start = reader.position().byte() as usize;
        if !reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
            break;
        }
        let raw = &bytes[start..reader.position().byte() as usize];
        let first = columns.is_empty();
        match (cells(&record, raw), first) {
            (Ok(names), true) => columns.extend(names.iter().map(|name| Column::new(name))),
            (Err(problem), true) => return Err(format!("the header: {problem}")),
            (Ok(cells), false) if cells.len() == columns.len() => {
                for (column, cell) in columns.iter_mut().zip(cells) {
                    column.add(cell);
                }
            }
            (found, false) => {
                let problem = match found {
                    Ok(cells) => {
                        format!("{} cells where the header has {}", cells.len(), columns.len())
                    }
                    Err(problem) => problem,
                };
                malformed.push(Malformed { line: lines.of(start), problem });
            }
        }
    }
    if columns.is_empty() {
        return Err("no header: the table is empty".into());
    }
    Ok(Table { columns, malformed })
}

/// The cells of a row as text. `raw` are the bytes it was read from.
fn cells<'a>(record: &'a csv::ByteRecord, raw: &[u8]) -> Result<Vec<&'a str>, String> {
    // The reader forgives a quote that is still open at the end of the table;
    // all rows from there on would be one cell.
    if raw.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
        return Err("a quote is never closed, or stands in a cell without quotes".into());
    }
    let text =
        |(at, cell)| std::str::from_utf8(cell).map_err(|_| format!("cell {} is not UTF-8", at + 1));
    record.iter().enumerate().map(text).collect()
}

/// Counts lines up to growing positions, each byte once.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line on which the row begins that was read from `start` on: line
    /// ends and empty lines before it are read with it.
    fn of(&mut self, start: usize) -> usize {
        let empty =
            self.bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let to = start + empty;
        self.line += self.bytes[self.at..to].iter().filter(|byte| **byte == b'\n').count();
        self.at = to;
        self.line
    }
}
