//! The module's `_start`: see the library for what it does.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1);
    let output = io::BufWriter::new(io::stdout().lock());
    match csv_stats::run(arguments, io::stdin().lock(), output, io::stderr().lock()) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("csv-stats: {error}");
            ExitCode::FAILURE
        }
    }
}
