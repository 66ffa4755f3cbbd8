//! How the cluster is: whether it answers, what it serves, what room it has.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kogge_member::{Client, Error, Fault, Resource};
use tokio::{sync::watch, time::Instant};

use crate::{
    link::{ClusterState, HubLink, Report, Unready},
    run::{Config, Found},
    view::View,
};

/// Why a cluster is not ready whose API server does not answer.
pub(crate) const NOT_REACHABLE: &str = "ClusterNotReachable";

/// Between probes of a cluster that answers.
const PROBE: Duration = Duration::from_secs(5);

/// Between probes of one that does not: it is waited for.
const PROBE_FAILED: Duration = Duration::from_secs(1);

/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two reports of room.
const GATHER: Duration = Duration::from_secs(1);

/// One lost probe is no news; two are.
const FAILURES: u32 = 2;

/// Kinds come and go with CRDs, which is rare.
const DISCOVER_EVERY: u32 = 6;

pub(crate) struct Capacity {
    client: Client,
    link: Arc<dyn HubLink>,
    view: View,
    /// Another hub that has the cluster.
    owner: watch::Receiver<Option<String>>,
    owned: watch::Receiver<Option<usize>>,
}

impl Capacity {
    pub fn new(config: &Config, view: View, found: &Found) -> Self {
        Self {
            client: config.client.clone(),
            link: config.link.clone(),
            view,
            owner: found.foreign.subscribe(),
            owned: found.owned.subscribe(),
        }
    }

    /// Probes for ever, and reports what has changed.
    pub async fn run(mut self) {
        let mut state = ClusterState::default();
        let mut reported = None;
        let (mut failures, mut round) = (0, 0_u32);
        let mut changes = self.view.changes();
        let mut probe_at = Instant::now();
        loop {
            if probe_at <= Instant::now() {
                let full = round.is_multiple_of(DISCOVER_EVERY) || state.api_enablements.is_empty();
                match self.patient_probe(&mut state, full).await {
                    Ok(()) => {
                        failures = 0;
                        round = round.wrapping_add(1);
                        state.ready = Some(Ok(()));
                    }
                    Err(unready) => {
                        failures += 1;
                        note_failure(&mut state, failures, unready);
                    }
                }
                probe_at = Instant::now() + if failures == 0 { PROBE } else { PROBE_FAILED };
            }
            self.view.summarise(&mut state);
            state.owned = *self.owned.borrow_and_update();
            if let Some(owner) = &*self.owner.borrow_and_update() {
                state.ready = Some(Err(owned_by_another(owner)));
            }
            if state.ready.is_some() && reported.as_ref() != Some(&state) {
                self.link.report(Report::Cluster(Box::new(state.clone())));
                reported = Some(state.clone());
            }
            // The first room is told at once; after that, a burst is one report.
            let gathered =
                state.rooms.as_ref().map_or_else(Instant::now, |_| Instant::now() + GATHER);
            tokio::select! {
                () = tokio::time::sleep_until(probe_at) => {}
                Ok(()) = self.owner.changed() => probe_at = Instant::now(),
                Ok(()) = changes.changed() => tokio::time::sleep_until(gathered).await,
                Ok(()) = self.owned.changed() => tokio::time::sleep_until(gathered).await,
            }
        }
    }

    async fn patient_probe(&self, state: &mut ClusterState, full: bool) -> Result<(), Unready> {
        match tokio::time::timeout(PATIENCE, self.probe(state, full)).await {
            Ok(probed) => probed.map_err(|error| unready(&error)),
            Err(_) => Err(Unready {
                reason: NOT_REACHABLE.into(),
                message: format!("the API server did not answer within {} s", PATIENCE.as_secs()),
            }),
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

fn note_failure(state: &mut ClusterState, failures: u32, unready: Unready) {
    if FAILURES <= failures || state.ready.is_none() {
        state.ready = Some(Err(unready));
    }
}

fn owned_by_another(hub: &str) -> Unready {
    Unready {
        reason: "OwnedByAnotherHub".into(),
        message: format!(
            "hub {hub} has this cluster, so nothing is done here; to take it from a hub that is \
             gone: kogge join NAME --cluster-kubeconfig FILE --take-over"
        ),
    }
}

fn unready(error: &Error) -> Unready {
    let reason = match &error.fault {
        Fault::Unauthorized(_) | Fault::Forbidden(_) => "CredentialsRefused",
        Fault::Unreachable(_) | Fault::Untrusted(_) => NOT_REACHABLE,
        _ => "ClusterNotReady",
    };
    Unready { reason: reason.into(), message: error.chain() }
}
