//! The rules. Pure: what is known of one Cluster in, what to do out.

use jiff::Timestamp;
use kogge_agent::link::{ClusterState, Unready};
use kogge_api::{
    Condition,
    ConditionStatus::{False, True, Unknown},
    find_condition,
    fleet::{
        ApiEnablement, ApiResource, Cluster, ClusterStatus, NodeSummary, ResourceSummary, SyncMode,
    },
    set_condition,
};

use super::credentials::{Access, Missing, join_command};

/// As agents report it.
const UNREACHABLE: &str = "ClusterNotReachable";
const HELD: &str = "DeletionsHeld";

/// The annotation by which a person agrees to deletions that are held.
pub(super) const APPROVE_DELETIONS: &str = "kogge.dev/approve-deletions";

/// What was seen of one Cluster, frozen at one instant.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub now: Timestamp,
    /// `None`: deleted.
    pub cluster: Option<Cluster>,
    pub access: Result<Access, Missing>,
    /// What the running agent was started with.
    pub running: Option<Access>,
    /// What the agent last reported.
    pub state: Option<ClusterState>,
    /// Deletions on the member that wait for a person: how many, of how many.
    pub held: Option<(usize, usize)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    StopAgent,
    StartAgent(Access),
    RenewConnections,
    SetStatus(Box<ClusterStatus>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub effects: Vec<Effect>,
}

pub(super) fn decide(seen: &Observed) -> Plan {
    let mut effects = Vec::new();
    let wanted = seen
        .cluster
        .as_ref()
        .filter(|it| {
            it.spec.sync_mode == SyncMode::Push && it.metadata.deletion_timestamp.is_none()
        })
        .and_then(|_| seen.access.as_ref().ok());
    if seen.running.as_ref() != wanted {
        if seen.running.is_some() {
            effects.push(Effect::StopAgent);
        }
        if let Some(access) = wanted {
            effects.push(Effect::StartAgent(access.clone()));
        }
    } else if wanted.is_some() && is_back(seen) {
        effects.push(Effect::RenewConnections);
    }
    if let Some(cluster) = &seen.cluster {
        let status = status(seen, cluster);
        if status != cluster.status {
            effects.push(Effect::SetStatus(Box::new(status)));
        }
    }
    Plan { effects }
}

/// Whether a cluster answers that could not be reached. Its agent's watches may hang on connections
/// that died without a word, and would hear of nothing for minutes.
fn is_back(seen: &Observed) -> bool {
    let known = seen.cluster.as_ref().map(|it| &it.status.conditions[..]).unwrap_or_default();
    let was_away = find_condition(known, "Ready").is_some_and(|it| it.reason == UNREACHABLE);
    was_away && seen.state.as_ref().is_some_and(|it| it.ready == Some(Ok(())))
}

fn status(seen: &Observed, cluster: &Cluster) -> ClusterStatus {
    let mut status = cluster.status.clone();
    if let Some(state) = &seen.state {
        fill(&mut status, state);
    }
    set_condition(&mut status.conditions, ready(seen, cluster), seen.now);
    let known = status.conditions.iter().any(|it| it.kind == HELD);
    if known || seen.held.is_some() {
        set_condition(&mut status.conditions, held(seen.held), seen.now);
    }
    status
}

fn held(held: Option<(usize, usize)>) -> Condition {
    match held {
        Some((count, of)) => Condition::new(
            HELD,
            True,
            "WaitsForApproval",
            format!(
                "{count} of {of} objects would be deleted at once; to agree, run \
                 kubectl annotate cluster NAME {APPROVE_DELETIONS}=true"
            ),
        ),
        None => Condition::new(HELD, False, "NothingHeld", ""),
    }
}

fn ready(seen: &Observed, cluster: &Cluster) -> Condition {
    if cluster.spec.sync_mode == SyncMode::Push
        && let Err(missing) = &seen.access
    {
        return Condition::new("Ready", False, missing.reason, &missing.message);
    }
    match seen.state.as_ref().and_then(|it| it.ready.as_ref()) {
        None => Condition::new("Ready", Unknown, "Connecting", "waiting for its first answer"),
        Some(Ok(())) => {
            Condition::new("Ready", True, "ClusterReady", "the cluster answers and is in step")
        }
        Some(Err(Unready { reason, message })) => {
            let mut message = message.clone();
            if *reason == "CredentialsRefused" {
                let command = join_command(&cluster.metadata.name);
                message.push_str(&format!("; for new credentials, run: {command}"));
            }
            Condition::new("Ready", False, reason, message)
        }
    }
}

fn fill(status: &mut ClusterStatus, state: &ClusterState) {
    if !state.kubernetes_version.is_empty() {
        status.kubernetes_version.clone_from(&state.kubernetes_version);
        status.api_enablements = state
            .api_enablements
            .iter()
            .map(|(group_version, kinds)| ApiEnablement {
                group_version: group_version.clone(),
                resources: kinds
                    .iter()
                    .map(|(name, kind)| ApiResource { name: name.clone(), kind: kind.clone() })
                    .collect(),
            })
            .collect();
    }
    status.node_summary =
        Some(NodeSummary { total_num: state.nodes_total, ready_num: state.nodes_ready });
    status.resource_summary = Some(ResourceSummary {
        allocatable: state.allocatable.clone(),
        allocating: std::collections::BTreeMap::new(),
        allocated: state.allocated.clone(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::Kubeconfig { server: "https://a".into(), text: String::new() }
    }

    fn cluster(ready: Result<(), Unready>) -> Observed {
        Observed {
            now: Timestamp::UNIX_EPOCH,
            cluster: Some(Cluster::default()),
            access: Ok(access()),
            running: Some(access()),
            state: Some(ClusterState { ready: Some(ready), ..ClusterState::default() }),
            held: None,
        }
    }

    fn unready(reason: &'static str) -> Result<(), Unready> {
        Err(Unready { reason, message: "no".into() })
    }

    /// Writes the status that a plan sets; returns the plan's other effects.
    fn play(seen: &mut Observed) -> Vec<Effect> {
        let plan = decide(seen);
        let (statuses, others): (Vec<_>, Vec<_>) =
            plan.effects.into_iter().partition(|it| matches!(it, Effect::SetStatus(_)));
        for status in statuses {
            if let (Effect::SetStatus(status), Some(cluster)) = (status, &mut seen.cluster) {
                cluster.status = *status;
            }
        }
        others
    }

    #[test]
    fn a_cluster_that_is_back_is_spoken_to_over_new_connections() {
        let mut seen = cluster(unready(UNREACHABLE));
        assert_eq!(play(&mut seen), []);
        seen.state = cluster(Ok(())).state;
        assert_eq!(play(&mut seen), [Effect::RenewConnections]);
        assert_eq!(decide(&seen), Plan::default());
        seen.state = cluster(unready("ClusterNotReady")).state;
        play(&mut seen);
        seen.state = cluster(Ok(())).state;
        assert_eq!(play(&mut seen), [], "it was reached all the time");
    }

    #[test]
    fn refused_credentials_name_the_command_that_helps() {
        let mut seen = cluster(unready("CredentialsRefused"));
        play(&mut seen);
        let conditions = seen.cluster.map(|it| it.status.conditions).unwrap_or_default();
        let ready = find_condition(&conditions, "Ready").map(|it| it.message.as_str());
        let want = "no; for new credentials, run: kogge join  --cluster-kubeconfig FILE";
        assert_eq!(ready, Some(want));
    }
}
