//! What the failover controller keeps between runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kogge_api::{fleet, work::ResourceBinding};
use kogge_member::ObjectKey;
use kogge_placement::failover::{Millis, Placed};
use tokio::time::Instant;

use super::decide::Places;

/// Nothing that the store does not give again.
#[derive(Default)]
pub(super) struct Memory {
    /// Without what they report of themselves.
    pub clusters: BTreeMap<String, fleet::Cluster>,
    pub places: BTreeMap<ObjectKey, Places>,
    /// As last read, by the revisions of template and binding: many wait while few move.
    pub read: BTreeMap<ObjectKey, ((u64, u64), Arc<Subject>)>,
    /// The clusters that are being left.
    pub left: BTreeSet<String>,
    /// When the last moves were.
    pub recent: Vec<Millis>,
    /// Templates are not looked at before.
    pub rests_until: Option<Instant>,
}

/// One template that a failed cluster concerns.
pub(super) struct Subject {
    pub key: ObjectKey,
    pub binding: ResourceBinding,
    pub placed: Placed,
}

/// A cluster without what it reports of itself, which changes all the time.
pub(super) fn essence(mut cluster: fleet::Cluster) -> fleet::Cluster {
    cluster.status.api_enablements.clear();
    cluster.status.node_summary = None;
    cluster.status.resource_summary = None;
    cluster.metadata.generation = 0;
    cluster
}
