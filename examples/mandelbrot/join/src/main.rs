//! `mandelbrot-join RESULTS PICTURE.png`: joins the tiles below a folder.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [results, output] = arguments.as_slice() else {
        bail!("usage: mandelbrot-join RESULTS PICTURE.png");
    };
    let picture = mandelbrot_join::join(Path::new(results))?;
    let context = || format!("{}", Path::new(output).display());
    let mut file = BufWriter::new(File::create(output).with_context(context)?);
    picture.write_png(&mut file)?;
    file.flush().with_context(context)?;
    println!("{} x {} pixels", picture.width, picture.height);
    Ok(())
}
