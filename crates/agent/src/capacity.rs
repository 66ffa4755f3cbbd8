//! How the cluster is: whether it answers, what it serves, what room it has.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kogge_member::{Client, Error, Fault, Resource};

use crate::{
    link::{ClusterState, HubLink, Report, Unready},
    run::Config,
    view::View,
};

/// Between probes of a cluster that answers.
const PROBE: Duration = Duration::from_secs(5);

/// Between probes of one that does not: it is waited for.
const PROBE_FAILED: Duration = Duration::from_secs(1);

/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(4);

/// One lost probe is no news; two are.
const FAILURES: u32 = 2;

/// Kinds come and go with CRDs, which is rare.
const DISCOVER_EVERY: u32 = 6;

pub(crate) struct Capacity {
    client: Client,
    link: Arc<dyn HubLink>,
    view: View,
}

impl Capacity {
    pub fn new(config: &Config, view: View) -> Self {
        Self { client: config.client.clone(), link: config.link.clone(), view }
    }

    /// Probes for ever, and reports what has changed.
    pub async fn run(self) {
        let mut state = ClusterState::default();
        let mut reported = None;
        let (mut failures, mut round) = (0, 0_u32);
        loop {
            let full = round.is_multiple_of(DISCOVER_EVERY) || state.kubernetes_version.is_empty();
            match tokio::time::timeout(PATIENCE, self.probe(&mut state, full)).await {
                Ok(Ok(())) => {
                    failures = 0;
                    round = round.wrapping_add(1);
                    state.ready = Some(Ok(()));
                    self.view.summarise(&mut state);
                }
                Ok(Err(error)) => {
                    failures += 1;
                    self.note_failure(&mut state, failures, unready(&error));
                }
                Err(_) => {
                    failures += 1;
                    let message =
                        format!("the API server did not answer within {} s", PATIENCE.as_secs());
                    self.note_failure(
                        &mut state,
                        failures,
                        Unready { reason: "ClusterNotReachable", message },
                    );
                }
            }
            if state.ready.is_some() && reported.as_ref() != Some(&state) {
                self.link.report(Report::Cluster(Box::new(state.clone())));
                reported = Some(state.clone());
            }
            let wait = if failures == 0 { PROBE } else { PROBE_FAILED };
            // Room that has changed is told sooner than the next probe.
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.view.changed(), if failures == 0 => {}
            }
        }
    }

    fn note_failure(&self, state: &mut ClusterState, failures: u32, unready: Unready) {
        if FAILURES <= failures || state.ready.is_none() {
            state.ready = Some(Err(unready));
        }
    }

    async fn probe(&self, state: &mut ClusterState, full: bool) -> Result<(), Error> {
        self.client.raw("/readyz").await?;
        if full {
            state.kubernetes_version = self.version().await?;
            let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
            let system = self.client.get_metadata(&namespaces, "", "kube-system").await?;
            kogge_member::object::uid(&system).clone_into(&mut state.uid);
            state.api_enablements = self.served().await?;
        }
        Ok(())
    }

    async fn version(&self) -> Result<String, Error> {
        let text = self.client.raw("/version").await?;
        let version: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        Ok(version["gitVersion"].as_str().unwrap_or("unknown").to_owned())
    }

    async fn served(&self) -> Result<BTreeMap<String, Vec<(String, String)>>, Error> {
        let mut served: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for resource in self.client.discover().await? {
            served
                .entry(resource.api_version())
                .or_default()
                .push((resource.plural, resource.kind));
        }
        Ok(served)
    }
}

fn unready(error: &Error) -> Unready {
    let reason = match &error.fault {
        Fault::Unauthorized(_) | Fault::Forbidden(_) => "CredentialsRefused",
        Fault::Unreachable(_) => "ClusterNotReachable",
        _ => "ClusterNotReady",
    };
    Unready { reason, message: error.chain() }
}
