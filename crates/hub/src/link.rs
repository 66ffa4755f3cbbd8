//! The hub's end of an agent that runs in this process.

use futures::stream::BoxStream;
use kogge_agent::link::{Desired, HubLink, Report};

use crate::{reports::Reports, works::Works};

pub(crate) struct ClusterLink {
    cluster: String,
    works: Works,
    reports: Reports,
}

impl ClusterLink {
    pub fn new(cluster: &str, works: Works, reports: Reports) -> Self {
        Self { cluster: cluster.to_owned(), works, reports }
    }
}

impl HubLink for ClusterLink {
    fn desired(&self) -> BoxStream<'static, Desired> {
        self.works.listen(&self.cluster)
    }

    fn report(&self, report: Report) {
        self.reports.take(&self.cluster, report);
    }
}
