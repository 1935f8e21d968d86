//! Statistics of each column of a CSV. The same code is the task module (built
//! for `wasm32-wasip1`) and the native program whose output it must equal.

mod column;
mod table;

use std::io::{self, Read, Write};

/// What `--help` prints, and what follows a wrong argument.
pub const USAGE: &str = "\
usage: csv-stats [--delimiter C] [--skip-malformed] < TABLE

Prints a CSV with one row for each column of the table, whose first row must
name its columns:

  column    the column's name
  type      number (every value is one), text, or empty (no values)
  count     values that are not missing
  missing   cells that are empty, NA, N/A, NaN or null, in upper or lower case
  min, max, mean, median, deviation
            of a column of numbers; the deviation is that of a sample (n - 1)
  distinct  different values of a column of text

  --delimiter C      the character between cells, or `tab` (default: ,)
  --skip-malformed   leave malformed rows out instead of failing

Exit code 1: a malformed table (each malformed row is named on stderr).
Exit code 2: wrong arguments.
";

/// Malformed rows named on stderr, at most.
const NAMED: usize = 10;

/// Runs the program: `arguments` are those after the program's name. Returns
/// the exit code, as the usage explains it.
///
/// # Errors
/// Only those of reading `input` and of writing `output` and `errors`.
pub fn run(
    arguments: impl Iterator<Item = String>,
    mut input: impl Read,
    mut output: impl Write,
    mut errors: impl Write,
) -> io::Result<u8> {
    let options = match parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            output.write_all(USAGE.as_bytes())?;
            return Ok(0);
        }
        Err(message) => {
            write!(errors, "csv-stats: {message}\n\n{USAGE}")?;
            return Ok(2);
        }
    };
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let table = match table::read(&bytes, options.delimiter) {
        Ok(table) => table,
        Err(message) => {
            writeln!(errors, "csv-stats: {message}")?;
            return Ok(1);
        }
    };
    for row in table.malformed.iter().take(NAMED) {
        writeln!(errors, "csv-stats: line {}: {}", row.line, row.problem)?;
    }
    if table.malformed.len() > NAMED {
        writeln!(errors, "csv-stats: and {} more malformed rows", table.malformed.len() - NAMED)?;
    }
    if !table.malformed.is_empty() && !options.skip_malformed {
        writeln!(errors, "csv-stats: nothing counted; --skip-malformed leaves such rows out")?;
        return Ok(1);
    }
    let mut writer = csv::Writer::from_writer(&mut output);
    writer.write_record(column::HEADINGS)?;
    for column in table.columns {
        writer.write_record(column.finish().cells())?;
    }
    writer.flush()?;
    Ok(0)
}

struct Options {
    delimiter: u8,
    skip_malformed: bool,
}

/// `None` when help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { delimiter: b',', skip_malformed: false };
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        match name {
            "--help" | "-h" => return Ok(None),
            "--skip-malformed" if value.is_none() => options.skip_malformed = true,
            "--delimiter" => {
                let value = value.or_else(|| arguments.next()).unwrap_or_default();
                options.delimiter = match value.as_bytes() {
                    b"tab" => b'\t',
                    [byte] if !matches!(byte, b'"' | b'\r' | b'\n' | 0x80..) => *byte,
                    _ => return Err(format!("--delimiter can't be {value:?}")),
                };
            }
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(arguments: &[&str], input: &[u8]) -> (u8, String, String) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let arguments = arguments.iter().map(|a| (*a).to_owned());
        let code = run(arguments, input, &mut output, &mut errors).unwrap();
        (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
    }

    /// The rows without their heading.
    fn check(arguments: &[&str], input: &[u8], expect: &[&str]) {
        let (code, output, errors) = output(arguments, input);
        let rows: Vec<_> = output.lines().skip(1).collect();
        assert_eq!(rows, expect, "{errors}");
        assert_eq!((code, errors.as_str()), (0, ""));
    }

    #[test]
    fn numbers_text_and_missing() {
        let table = b"n,t,e\n1,x,\n2,y,NA\n,x,n/a\n 4 ,null,NaN\n";
        let third = "2.3333333333333335,1.5275252316519468,2";
        let first = format!("n,number,3,1,1,4,{third},");
        check(&[], table, &[&first, "t,text,3,1,,,,,,2", "e,empty,0,4,,,,,,"]);
    }

    #[test]
    fn one_word_makes_a_column_text() {
        check(&[], b"a\n1\ntwo\n1\n", &["a,text,3,0,,,,,,2"]);
        check(&[], b"a\ninf\n1e999\n", &["a,text,2,0,,,,,,2"]);
        check(&[], b"a\n7\n", &["a,number,1,0,7,7,7,,7,"]);
        check(&[], b"a\n-0\n0\n", &["a,number,2,0,0,0,0,0,0,"]);
    }

    #[test]
    fn quoting_line_ends_and_delimiters() {
        check(
            &[],
            b"\xef\xbb\xbfa\r\n1\r\n\r\n2\r\n",
            &["a,number,2,0,1,2,1.5,0.7071067811865476,1.5,"],
        );
        check(
            &[],
            b"\"a, \"\"b\"\"\n\",c\n\"1\",\"x\ny\"",
            &["\"a, \"\"b\"\"", "\",number,1,0,1,1,1,,1,", "c,text,1,0,,,,,,1"],
        );
        check(
            &["--delimiter", ";"],
            b"a;b\n1,5;2\n",
            &["a,text,1,0,,,,,,1", "b,number,1,0,2,2,2,,2,"],
        );
        check(
            &["--delimiter=tab"],
            b"a\tb\n1\t2\n",
            &["a,number,1,0,1,1,1,,1,", "b,number,1,0,2,2,2,,2,"],
        );
        check(&[], b"a,a\n1,2\n", &["a,number,1,0,1,1,1,,1,", "a,number,1,0,2,2,2,,2,"]);
        check(&[], b"a,b", &["a,empty,0,0,,,,,,", "b,empty,0,0,,,,,,"]);
    }

    #[test]
    fn malformed_rows_are_named() {
        let table = b"a,b\r\n1,2\r\n3\r\n\r\n4,5,6\r\n7,\xff\r\n8,9\r\n";
        let (code, out, errors) = output(&[], table);
        assert_eq!((code, out.as_str()), (1, ""));
        let expect = "\
csv-stats: line 3: 1 cells where the header has 2
csv-stats: line 5: 3 cells where the header has 2
csv-stats: line 6: cell 2 is not UTF-8
csv-stats: nothing counted; --skip-malformed leaves such rows out
";
        assert_eq!(errors, expect);
        let (code, out, errors) = output(&["--skip-malformed"], table);
        assert_eq!(code, 0);
        assert!(out.contains("\na,number,2,0,1,8,"), "{out}");
        assert_eq!(errors.lines().count(), 3);
    }

    #[test]
    fn a_quote_that_is_never_closed() {
        let (code, _, errors) = output(&[], b"a,b\n1,2\n3,\"4\n5,6\n7,8\n");
        assert_eq!(code, 1);
        assert!(errors.starts_with("csv-stats: line 3: a quote is never closed"), "{errors}");
        let (code, _, errors) = output(&["--skip-malformed"], b"\"a,b\n1,2\n");
        assert_eq!(code, 1);
        assert!(errors.contains("header"), "{errors}");
    }

    #[test]
    fn many_malformed_rows_are_counted() {
        let table = format!("a,b\n{}", "1\n".repeat(1000));
        let (code, _, errors) = output(&[], table.as_bytes());
        assert_eq!((code, errors.lines().count()), (1, NAMED + 2));
        assert!(errors.contains("and 990 more"), "{errors}");
    }

    #[test]
    fn no_table_at_all() {
        for table in [&b""[..], b"\n\r\n", b"\xef\xbb\xbf", b"\xff,a\n1,2\n"] {
            let (code, out, errors) = output(&["--skip-malformed"], table);
            assert_eq!((code, out.as_str()), (1, ""), "{table:?}");
            assert!(errors.contains("header"), "{errors}");
        }
    }

    /// Any bytes end with an answer, and no row counts in some columns only.
    #[test]
    fn any_bytes() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            // Knuth's constants (MMIX); the high bits are the random ones.
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let (mut tables, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let bytes: Vec<u8> =
                (0..random(30)).map(|_| b"\",\n\r a1-\xff\xef\xbb\xbf"[random(12)]).collect();
            let (code, out, errors) = output(&["--skip-malformed"], &bytes);
            if code == 1 {
                assert!(out.is_empty() && errors.contains("header"), "{bytes:?} {errors}");
                refused += 1;
                continue;
            }
            let rows = |row: csv::StringRecord| -> usize {
                row[2].parse::<usize>().unwrap() + row[3].parse::<usize>().unwrap()
            };
            let mut reader = csv::Reader::from_reader(out.as_bytes());
            let counts: Vec<_> = reader.records().map(|row| rows(row.unwrap())).collect();
            assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{bytes:?} {out}");
            tables += 1;
        }
        assert!(tables > 1000 && refused > 1000, "{tables} {refused}");
    }

    #[test]
    fn wrong_arguments() {
        let wrong = [
            &["--delimiter"][..],
            &["--delimiter", "\""],
            &["--delimiter=ab"],
            &["--delimiter=ä"],
            &["x"],
            &["--skip-malformed=1"],
        ];
        for arguments in wrong {
            let (code, output, errors) = output(arguments, b"a\n1\n");
            assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
            assert!(errors.contains("usage:"), "{errors}");
        }
        assert_eq!(output(&["-h"], b""), (0, USAGE.into(), String::new()));
    }
}
