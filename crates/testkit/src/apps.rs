//! Real applications to test with. They are not part of the repository: `podinfo` (kustomize bases
//! and overlays) and `microservices-demo` (plain, kustomized, with components), as published.

use std::env;
use std::path::{Path, PathBuf};

/// Names the folder that holds both.
pub const FOLDER: &str = "KOGGE_TEST_APPS";

/// The folder, else the one in `../shared/data` beside the repository, if it is there.
pub fn folder() -> Option<PathBuf> {
    let named = env::var_os(FOLDER).filter(|it| !it.is_empty()).map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = named.unwrap_or_else(beside);
    let holds = |it: &str| folder.join(it).is_dir();
    (holds("podinfo") && holds("microservices-demo")).then_some(folder)
}

/// The folder, or `None` for a test to return: see [`crate::skip::unless_given`].
pub fn or_skip() -> Option<PathBuf> {
    let missing = format!("{FOLDER} names no folder with podinfo and microservices-demo");
    crate::skip::unless_given(folder(), &missing)
}
