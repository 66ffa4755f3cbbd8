//! Finds the kubectl and helm that `cargo xtask tools` fetches.

use std::path::PathBuf;
use std::process::Command;

use crate::cache;

/// The versions that kogge is tested with: the newest, and the oldest that is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1_37,
    V1_33,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::V1_37, Self::V1_33];

    /// As people write it: `1.37`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_37 => "1.37",
            Self::V1_33 => "1.33",
        }
    }

    /// Where `cargo xtask tools` puts it.
    pub fn cached(self) -> PathBuf {
        tools().join(format!("kubectl-{}", self.name())).join("kubectl")
    }
}

/// The folder of fetched tools in the cache.
pub fn tools() -> PathBuf {
    cache::root().join("tools")
}

/// kubectl of that version, if it was fetched.
pub fn path(version: Version) -> Option<PathBuf> {
    Some(version.cached()).filter(|it| it.is_file())
}

/// helm, if it was fetched.
pub fn helm() -> Option<PathBuf> {
    Some(tools().join("helm").join("helm")).filter(|it| it.is_file())
}

/// kubectl of that version, or `None` for a test to return: see [`crate::skip::unless`].
#[track_caller]
pub fn or_skip(version: Version) -> Option<PathBuf> {
    let missing = format!("kubectl {} is missing; cargo xtask tools fetches it", version.name());
    crate::skip::unless(path(version), &missing)
}

/// A kubectl command against a kubeconfig, with a home of its own beside it: neither the
/// user's configuration nor the discovery cache of another test gets in.
pub fn command(kubectl: &std::path::Path, kubeconfig: &std::path::Path) -> Command {
    let mut command = Command::new(kubectl);
    if let Some(home) = kubeconfig.parent() {
        command.env("HOME", home).env("KUBECACHEDIR", home.join("kubectl-cache"));
    }
    command.env("KUBECONFIG", kubeconfig).env_remove("KUBECTL_EXTERNAL_DIFF");
    command
}
