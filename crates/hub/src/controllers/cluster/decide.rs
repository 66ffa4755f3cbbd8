//! The rules. Pure: what is known of one Cluster in, what to do out.

use jiff::Timestamp;
use kogge_agent::{
    MANAGED_LABEL, SYSTEM_NAMESPACE,
    link::{ClusterState, Unready},
};
use kogge_api::{
    Condition,
    ConditionStatus::{False, True, Unknown},
    find_condition,
    fleet::{
        ApiEnablement, ApiResource, Cluster, ClusterStatus, NodeSummary, ResourceSummary, SyncMode,
    },
    set_condition,
};
use kogge_member::ObjectKey;

use super::credentials::{Access, Missing, join_command, secret_key};
use super::{recovery, route, silence};

/// As agents report it.
const UNREACHABLE: &str = "ClusterNotReachable";
const HELD: &str = "DeletionsHeld";

/// Another Cluster is the same one, and was there first.
pub(crate) const DUPLICATE: &str = "Duplicate";

/// The annotation by which a person agrees to deletions that are held.
pub(super) const APPROVE_DELETIONS: &str = "kogge.dev/approve-deletions";

/// What was seen of one Cluster, frozen at one instant.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub now: Timestamp,
    /// `None`: deleted.
    pub cluster: Option<Cluster>,
    /// As it was when it was deleted, until that is seen to.
    pub deleted: Option<Cluster>,
    /// The name that the same cluster joined by before.
    pub twin: Option<String>,
    pub access: Result<Access, Missing>,
    /// What the running agent was started with.
    pub running: Option<Access>,
    /// What the agent last reported.
    pub state: Option<ClusterState>,
    /// Deletions on the member that wait for a person: how many, of how many.
    pub held: Option<(usize, usize)>,
    /// When its agent last dialled, or brought something; none if the hub dials.
    pub heard: Option<Timestamp>,
    /// The member that carries what the agent says, where one does.
    pub carrier: Option<String>,
    /// When the hub started.
    pub since: Timestamp,
    /// What the hub waits for before it decides anything.
    pub recovering: Option<String>,
    /// The fleet says that the hub removed it.
    pub was_removed: bool,
    /// A person applied it as a whole.
    pub given_back: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// To the agent: a person agrees to what is held.
    ApproveDeletions,
    UseUpApproval,
    SetId(String),
    RemoveSecret(ObjectKey),
    Say {
        warning: bool,
        reason: &'static str,
        message: String,
    },
    /// It is no guess any more that it is a member.
    EndAdoption,
    /// Deletes it, as long as it has this uid: it was a member no more.
    LetGo(String),
    /// Its agent, that dialled the hub, speaks for nobody any more.
    Forget,
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
    let mut effects = approval(seen);
    let wanted = seen
        .cluster
        .as_ref()
        .filter(|it| {
            it.spec.sync_mode == SyncMode::Push && it.metadata.deletion_timestamp.is_none()
        })
        .filter(|_| seen.twin.is_none())
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
    effects.extend(seen.deleted.iter().flat_map(|it| farewell(seen, it)));
    effects.extend(recovery::adoption(seen));
    if let Some(cluster) = &seen.cluster {
        let uid = seen.state.as_ref().map_or("", |it| it.uid.as_str());
        if cluster.spec.id.is_empty() && !uid.is_empty() {
            effects.push(Effect::SetId(uid.to_owned()));
        }
        let status = status(seen, cluster);
        if status != cluster.status {
            effects.push(Effect::SetStatus(Box::new(status)));
        }
    }
    Plan { effects }
}

/// A word that finds nothing held is taken off unheard: kept, it would let go what is held one day.
fn approval(seen: &Observed) -> Vec<Effect> {
    let word = seen.cluster.as_ref().and_then(|it| it.metadata.annotations.get(APPROVE_DELETIONS));
    match word {
        None => Vec::new(),
        Some(_) if is_approved(seen) => vec![Effect::ApproveDeletions, Effect::UseUpApproval],
        Some(_) => {
            let message = format!("{APPROVE_DELETIONS} was taken off: no deletions are held");
            let say = Effect::Say { warning: false, reason: "NothingHeld", message };
            vec![Effect::UseUpApproval, say]
        }
    }
}

fn is_approved(seen: &Observed) -> bool {
    let annotations = seen.cluster.as_ref().map(|it| &it.metadata.annotations);
    let word = annotations.and_then(|it| it.get(APPROVE_DELETIONS));
    seen.held.is_some() && word.is_some_and(|it| it == "true")
}

/// What goes with a Cluster that was deleted, and what a person has to know of what does not.
fn farewell(seen: &Observed, deleted: &Cluster) -> Vec<Effect> {
    if seen.cluster.is_some() {
        return Vec::new();
    }
    let name = &deleted.metadata.name;
    if deleted.spec.sync_mode == SyncMode::Pull {
        let message = format!(
            "{name} left the fleet: its workloads go on running there; its agent takes the label \
             {MANAGED_LABEL} off them and stops, as soon as it hears of it"
        );
        let say = Effect::Say { warning: false, reason: "LeftTheFleet", message };
        return vec![Effect::Forget, say];
    }
    let mut message = format!(
        "{name} left the fleet, and its workloads go on running there; unless kogge unjoin took \
         them off, they still have the label {MANAGED_LABEL}, and namespace {SYSTEM_NAMESPACE} and \
         ClusterRoleBinding kogge are still there"
    );
    let mut effects = Vec::new();
    let secret = deleted.spec.secret_ref.as_ref().map(secret_key);
    let joined = ObjectKey::new("", "Secret", SYSTEM_NAMESPACE, &format!("cluster-{name}"));
    if let Some(secret) = secret {
        if secret == joined {
            effects.push(Effect::RemoveSecret(secret));
        } else {
            let place = format!("{}/{}", secret.namespace, secret.name);
            message.push_str(&format!("; so is Secret {place} here, with its credentials"));
        }
    }
    effects.push(Effect::Say { warning: false, reason: "LeftTheFleet", message });
    effects
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
    route::tell(&mut status.conditions, seen, cluster);
    recovery::tell(&mut status.conditions, seen, cluster);
    let known = status.conditions.iter().any(|it| it.kind == HELD);
    let waiting = seen.held.filter(|_| !is_approved(seen));
    if known || waiting.is_some() {
        let held = held(&cluster.metadata.name, waiting);
        set_condition(&mut status.conditions, held, seen.now);
    }
    status
}

fn held(cluster: &str, held: Option<(usize, usize)>) -> Condition {
    match held {
        Some((count, of)) => Condition::new(
            HELD,
            True,
            "WaitsForApproval",
            format!(
                "{count} of {of} objects would be deleted at once; to agree, run \
                 kubectl annotate cluster {cluster} {APPROVE_DELETIONS}=true"
            ),
        ),
        None => Condition::new(HELD, False, "NothingHeld", ""),
    }
}

fn ready(seen: &Observed, cluster: &Cluster) -> Condition {
    if let Some(twin) = &seen.twin {
        let message = format!(
            "{twin} is the same cluster: both have spec.id {}, the uid of its namespace \
             kube-system; delete one of the two Clusters",
            cluster.spec.id
        );
        return Condition::new("Ready", False, DUPLICATE, message);
    }
    match (cluster.spec.sync_mode, &seen.access) {
        (SyncMode::Pull, _) => {
            if let Some(condition) = silence::ready(seen, cluster) {
                return condition;
            }
        }
        (SyncMode::Push, Err(missing)) => {
            return Condition::new("Ready", False, missing.reason, &missing.message);
        }
        (SyncMode::Push, Ok(_)) => {}
    }
    match seen.state.as_ref().and_then(|it| it.ready.as_ref()) {
        None => Condition::new("Ready", Unknown, "Connecting", "waiting for its first answer"),
        Some(Ok(())) => {
            Condition::new("Ready", True, "ClusterReady", "the cluster answers and is in step")
        }
        Some(Err(Unready { reason, message })) => {
            let mut message = message.clone();
            if reason == "CredentialsRefused" {
                let help = match cluster.spec.sync_mode {
                    SyncMode::Push => {
                        let command = join_command(&cluster.metadata.name);
                        format!("; for new credentials, run: {command}")
                    }
                    SyncMode::Pull => "; see the kubeconfig that its agent was given".to_owned(),
                };
                message.push_str(&help);
            }
            Condition::new("Ready", False, reason.as_ref(), message)
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
mod tests;
