//! Where things live that are built or fetched once: outside the clone, shared by all clones.

use std::env;
use std::path::PathBuf;

/// `$XDG_CACHE_HOME/kogge`, or `~/.cache/kogge`; below the temporary directory where
/// neither variable is set.
pub fn root() -> PathBuf {
    let variable = |name| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("kogge")
}
