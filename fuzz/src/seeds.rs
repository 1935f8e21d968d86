//! Writes what fuzzing begins with: `seeds FOLDER` makes `FOLDER/TARGET/seed-N`
//! for every target. `seeds` alone names the targets.

use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    for target in grid_fuzz::TARGETS {
        println!("{}", target.name);
        let Some(folder) = folder.as_ref().map(|folder| folder.join(target.name)) else { continue };
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let path = folder.join(format!("seed-{number}"));
            fs::write(&path, seed).with_context(|| format!("can't write {}", path.display()))?;
        }
    }
    Ok(())
}
