//! Git, as Flux says it: where sources are, and what of them is applied.

mod git_repository;
mod kustomization;

pub use git_repository::{Artifact, GitRef, GitRepository, GitRepositorySpec, GitRepositoryStatus};
pub use kustomization::{
    Dependency, Inventory, InventoryEntry, Kustomization, KustomizationSpec, KustomizationStatus,
    SourceRef,
};

use crate::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![git_repository::row(), kustomization::row()]
}
