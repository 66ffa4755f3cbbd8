//! What the hub hears of a plan. No IO.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kogge_api::nodes::{ClusterAutoscalerSpec, ClusterNodeCounts};
use kogge_autoscale::{Plan, Spec};
use kogge_model::Node;
use serde_json::{Value, json};

use crate::link::{Note, Report};

/// Reasons that people want to be told of, the most pressing first. What else a plan says only
/// explains why nothing is done.
const NEWS: [(&str, bool); 10] = [
    ("Overlap", true),
    ("MinAvailableNotReached", true),
    ("AboveMaxAvailable", true),
    ("MaxPodsReached", true),
    ("NotTriggerScaleUp", true),
    ("NodeLost", true),
    ("TriggeredScaleUp", false),
    ("ScaleDownCancelled", false),
    ("ScaleDown", false),
    ("WaitingForPods", false),
];

/// What one autoscaler was last said to do.
#[derive(Default)]
pub(super) struct Told {
    pub unneeded_since: BTreeMap<String, Timestamp>,
    status: Value,
    events: Vec<Note>,
}

/// What there is to say after a round.
pub(super) struct Message {
    pub counts: ClusterNodeCounts,
    pub events: Vec<Note>,
}

impl Told {
    /// What of a message is new; an event that only goes on being true is not.
    pub fn news(&mut self, name: &str, message: Message) -> Option<Report> {
        let status = json!(message.counts);
        let new = |it: &&Note| !self.events.contains(it);
        let events: Vec<Note> = message.events.iter().filter(new).cloned().collect();
        self.events = message.events;
        if status == self.status && events.is_empty() {
            return None;
        }
        self.status = status.clone();
        Some(Report::Autoscaler { name: name.to_owned(), status, events })
    }
}

/// The bounds as the rule reads them. The hub has checked them; an error says what it let through.
pub(super) fn spec(value: &Value) -> Result<Spec, String> {
    let spec: ClusterAutoscalerSpec =
        serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let unneeded_time = kogge_api::parse_duration(&spec.scale_down_unneeded_time)
        .and_then(|it| SignedDuration::try_from(it).ok())
        .ok_or_else(|| {
            let text = &spec.scale_down_unneeded_time;
            format!("spec.scaleDownUnneededTime: {text:?} is no duration, such as 10m")
        })?;
    let size = |of: u32| usize::try_from(of).unwrap_or(usize::MAX);
    Ok(Spec {
        node_selector: spec.node_selector,
        min_available: size(spec.min_available),
        max_available: spec.max_available.map(size),
        min_pods: size(spec.min_pods),
        max_pods: spec.max_pods.map(size),
        scale_down: spec.scale_down_unneeded_workloads,
        unneeded_time,
    })
}

pub(super) fn refused(cluster: &str, message: String) -> Message {
    fault(ClusterNodeCounts::new(cluster, 0, 0, 0), "InvalidSpec", message)
}

/// The cluster does not let its node groups be seen, so no node comes or goes.
pub(super) fn no_groups(cluster: &str, nodes: &[Node], why: &str) -> Message {
    let ready = nodes.iter().filter(|it| it.ready && !it.control_plane).count();
    let message = format!(
        "{why}; until kogge may list, watch and patch nodegroups.kogge.dev on this cluster, no \
         node comes or goes: give its credentials a ClusterRole with these verbs"
    );
    let ready = u32::try_from(ready).unwrap_or(u32::MAX);
    fault(ClusterNodeCounts::new(cluster, ready, 0, 0), "NodeGroupsRefused", message)
}

fn fault(counts: ClusterNodeCounts, reason: &str, message: String) -> Message {
    let reason = reason.to_owned();
    let events = vec![Note { warning: true, reason: reason.clone(), message: message.clone() }];
    Message { counts: ClusterNodeCounts { reason, message, ..counts }, events }
}

pub(super) fn of(cluster: &str, plan: &Plan) -> Message {
    let mut events = Vec::new();
    for (reason, warning) in NEWS {
        for (_, message) in plan.reasons.iter().filter(|it| it.0 == reason) {
            events.push(Note { warning, reason: reason.into(), message: message.clone() });
        }
    }
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let status = &plan.status;
    let mut counts = ClusterNodeCounts::new(
        cluster,
        count(status.current_node_count),
        count(status.desired_scale_up_count),
        count(status.desired_scale_down_count),
    );
    let first = NEWS.iter().find_map(|(reason, _)| plan.reasons.iter().find(|it| it.0 == *reason));
    if let Some((reason, message)) = first {
        counts = ClusterNodeCounts { reason: (*reason).into(), message: message.clone(), ..counts };
    }
    Message { counts, events }
}
