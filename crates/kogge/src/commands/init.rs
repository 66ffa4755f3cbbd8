//! `kogge init`: the layout that users start from, `manifests/` and `scripts/apply.sh`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// What is written, by path; the second figure is the file's mode.
pub const FILES: [(&str, u32, &str); 4] = [
    ("manifests/namespace.yaml", 0o644, include_str!("../../templates/namespace.yaml")),
    ("manifests/deployment.yaml", 0o644, include_str!("../../templates/deployment.yaml")),
    ("manifests/service.yaml", 0o644, include_str!("../../templates/service.yaml")),
    ("scripts/apply.sh", 0o755, include_str!("../../templates/apply.sh")),
];

/// Scaffold manifests/ and scripts/apply.sh
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write to; made if it is missing
    #[arg(default_value = ".")]
    directory: PathBuf,
}

pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    write_files(&args.directory)?;
    for (path, ..) in FILES {
        writeln!(out, "{}", args.directory.join(path).display())?;
    }
    writeln!(out, "\nTo apply it to the current context: ./scripts/apply.sh")?;
    Ok(())
}

/// Writes all files or, where one is there already, none.
pub fn write_files(directory: &Path) -> anyhow::Result<()> {
    for (path, ..) in FILES {
        let target = directory.join(path);
        if target.exists() {
            bail!("{} exists already; nothing was written", target.display());
        }
    }
    for (path, mode, content) in FILES {
        let target = directory.join(path);
        let parent = target.parent().expect("every path here has a folder");
        fs::create_dir_all(parent)
            .with_context(|| format!("could not make {}", parent.display()))?;
        fs::write(&target, content)
            .with_context(|| format!("could not write {}", target.display()))?;
        set_mode(&target, mode)?;
    }
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("could not set the mode of {}", path.display()))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_is_kept() {
        let dir = tempfile::tempdir().expect("temp dir");
        fs::create_dir_all(dir.path().join("manifests")).expect("mkdir");
        fs::write(dir.path().join("manifests/service.yaml"), "mine").expect("write");
        let error = write_files(dir.path()).expect_err("refused");
        assert!(error.to_string().contains("service.yaml exists already"), "{error}");
        assert!(!dir.path().join("scripts").exists());
    }

    #[test]
    fn the_script_can_be_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temp dir");
        write_files(dir.path()).expect("written");
        let mode = fs::metadata(dir.path().join("scripts/apply.sh")).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o755);
    }
}
