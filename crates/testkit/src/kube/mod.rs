//! A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler.
//!
//! `tests/kube` is its source, one Go binary that `cargo xtask kube` builds into the cache.
//! [`binary`] finds it, [`Cluster::start`] runs it. Reading order: `certs` (who may do what),
//! `components` (the flags), `probe` (a small HTTPS client), `cluster` (start and stop).

mod certs;
mod cluster;
mod components;
mod probe;

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

pub use cluster::{Cluster, Options};

/// Points at a binary that was built elsewhere; it wins over the cache.
pub const BINARY: &str = "KOGGE_KUBE";

/// The Kubernetes release that `tests/kube/go.mod` names.
pub const VERSION: &str = "1.37.2";

/// What the binary is made of; its name in the cache changes with any of it.
const SOURCES: [&str; 3] = [
    include_str!("../../../../tests/kube/go.mod"),
    include_str!("../../../../tests/kube/go.sum"),
    include_str!("../../../../tests/kube/main.go"),
];

/// Where `cargo xtask kube` puts the binary: `CACHE/kube-HASH/kube`.
pub fn cached() -> PathBuf {
    let digest = SOURCES.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    let mut name = String::from("kube-");
    for byte in &digest[..8] {
        write!(name, "{byte:02x}").expect("a String takes all that is written to it");
    }
    crate::cache::root().join(name).join("kube")
}

/// The control plane's binary, if it was built.
pub fn binary() -> Option<PathBuf> {
    let named = env::var_os(BINARY).filter(|it| !it.is_empty()).map(PathBuf::from);
    Some(named.unwrap_or_else(cached)).filter(|it| it.is_file())
}

/// The binary, or `None` for a test to return: see [`crate::skip::unless`].
#[track_caller]
pub fn or_skip() -> Option<PathBuf> {
    crate::skip::unless(
        binary(),
        "the Kubernetes testbed is not built; cargo xtask kube builds it with Go, once",
    )
}
