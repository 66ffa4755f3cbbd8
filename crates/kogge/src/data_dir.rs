//! Where kogge keeps its data on one machine.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// `$XDG_DATA_HOME/kogge`, else `~/.local/share/kogge`.
pub fn default() -> anyhow::Result<PathBuf> {
    let absolute = |it: &PathBuf| it.is_absolute();
    let xdg = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(absolute);
    let base = match xdg {
        Some(dir) => dir,
        None => env::home_dir()
            .context("there is no home directory; name a directory with --data-dir")?
            .join(".local/share"),
    };
    Ok(base.join("kogge"))
}

/// Makes the directory, readable by its owner only.
pub fn create(dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("could not make data directory {}", dir.display());
    fs::create_dir_all(dir).with_context(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).with_context(failed)?;
    }
    Ok(())
}

/// Keeps other processes off the directory until it is dropped, or this process ends.
pub fn lock(dir: &Path) -> anyhow::Result<File> {
    let failed = || format!("could not lock data directory {}", dir.display());
    let file = File::create(dir.join("lock")).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another agent runs on {}; each cluster's agent has its own --data-dir",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}
