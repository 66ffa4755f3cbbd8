//! Why a tree does not render, and where: what a Kustomization's Ready condition says.

use super::place;
use crate::error::TreeError;

/// Nothing was rendered. Every variant names what to change.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file does not say what it should. Line 0 is the file as a whole.
    #[error("{}: {reason}", place(.file, *.line))]
    Invalid { file: String, line: usize, reason: String },
    /// kustomize refused.
    #[error("{file}: kustomize: {reason}")]
    Kustomize { file: String, reason: String },
    #[error("{file} needs kustomize or kubectl on this machine, and neither is installed")]
    NoKustomize { file: String },
    /// A field of the Kustomization that is not built yet.
    #[error("{field} is not supported yet")]
    Unsupported { field: &'static str },
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Something on this machine is in the way, a full disk for one.
    #[error("could not render on this machine")]
    Machine(#[from] std::io::Error),
}

impl BuildError {
    pub(crate) fn invalid(file: &str, line: usize, reason: impl Into<String>) -> Self {
        Self::Invalid { file: file.to_owned(), line, reason: reason.into() }
    }
}
