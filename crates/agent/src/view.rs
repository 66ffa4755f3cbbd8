//! The cluster's nodes and pods, compact and up to date.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::link::ClusterState;

/// Shared by what reports room and by what adds and takes nodes.
#[derive(Clone, Default)]
pub(crate) struct View {
    changed: Arc<Notify>,
}

impl View {
    /// Returns when room has changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Fills in what nodes and pods say.
    pub fn summarise(&self, _state: &mut ClusterState) {}
}
