//! Pods: the state of many containers in one word.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Printer,
    age::{age, human_duration},
    cells::{NONE, condition as condition_of, list, name, number, or, text},
};
use crate::registry::Resource;

pub static POD: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Status", "string", 0),
        ("Restarts", "string", 0),
        ("Age", "string", 0),
        ("IP", "string", 1),
        ("Node", "string", 1),
        ("Nominated Node", "string", 1),
        ("Readiness Gates", "string", 1),
    ],
    cells,
};

/// What is told of a pod that is done.
pub fn condition(resource: &Resource, object: &Value) -> Option<Value> {
    if !resource.is("", "pods") {
        return None;
    }
    let phase = text(&object["status"], "phase");
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": phase, "message": message}))
}

#[derive(Default)]
struct State {
    reason: String,
    ready: i64,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl State {
    fn restarted(&mut self, status: &Value) {
        self.restarts += number(status, "restartCount");
        let finished = text(&status["lastState"]["terminated"], "finishedAt").parse().ok();
        self.last_restart = self.last_restart.max(finished);
    }
}

fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let state = state(pod);
    let sidecars = list(spec, "initContainers").iter().filter(|it| is_sidecar(it)).count();
    let total = list(spec, "containers").len() + sidecars;
    let restarts = match state.last_restart {
        Some(at) if state.restarts > 0 => {
            format!("{} ({} ago)", state.restarts, human_duration(now.duration_since(at)))
        }
        _ => state.restarts.to_string(),
    };
    let address = text(&status["podIPs"][0], "ip");
    vec![
        name(pod),
        format!("{}/{total}", state.ready).into(),
        state.reason.into(),
        restarts.into(),
        age(pod, now),
        or(or(address, text(status, "podIP")), NONE).into(),
        or(text(spec, "nodeName"), NONE).into(),
        or(text(status, "nominatedNodeName"), NONE).into(),
        gates(pod).into(),
    ]
}

fn gates(pod: &Value) -> String {
    let gates = list(&pod["spec"], "readinessGates");
    if gates.is_empty() {
        return NONE.into();
    }
    let met = |gate: &&Value| condition_of(pod, text(gate, "conditionType")) == "True";
    format!("{}/{}", gates.iter().filter(met).count(), gates.len())
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn state(pod: &Value) -> State {
    let status = &pod["status"];
    let phase = text(status, "phase");
    let mut state =
        State { reason: or(text(status, "reason"), phase).to_owned(), ..State::default() };
    let scheduled = list(status, "conditions").iter().find(|it| it["type"] == "PodScheduled");
    if scheduled.is_some_and(|it| it["reason"] == "SchedulingGated") {
        state.reason = "SchedulingGated".into();
    }
    let sidecars = initializing(pod, &mut state);
    let done = sidecars.is_some() || condition_of(pod, "Initialized") == "True";
    if done {
        // From here on, restarts of what only prepared the pod do not count.
        let sidecars = sidecars.unwrap_or_default();
        (state.restarts, state.last_restart) = (sidecars.restarts, sidecars.last_restart);
        running(pod, &mut state);
    }
    if text(&pod["metadata"], "deletionTimestamp").is_empty() {
        return state;
    }
    if text(status, "reason") == "NodeLost" {
        state.reason = "Unknown".into();
    } else if !matches!(phase, "Succeeded" | "Failed") {
        state.reason = "Terminating".into();
    }
    state
}

/// Goes through the containers that come first. When all are done: the restarts of sidecars.
fn initializing(pod: &Value, state: &mut State) -> Option<State> {
    let all = list(&pod["spec"], "initContainers");
    let mut sidecars = State::default();
    for (index, status) in list(&pod["status"], "initContainerStatuses").iter().enumerate() {
        state.restarted(status);
        let spec = all.iter().find(|it| it["name"] == status["name"]);
        let sidecar = spec.is_some_and(is_sidecar);
        if sidecar {
            sidecars.restarted(status);
        }
        let (terminated, waiting) = (&status["state"]["terminated"], &status["state"]["waiting"]);
        if terminated.is_object() && number(terminated, "exitCode") == 0 {
            continue;
        }
        if sidecar && status["started"] == true {
            state.ready += i64::from(status["ready"] == true);
            continue;
        }
        let reason = text(waiting, "reason");
        state.reason = if terminated.is_object() {
            format!("Init:{}", ended(terminated))
        } else if !matches!(reason, "" | "PodInitializing") {
            format!("Init:{reason}")
        } else {
            format!("Init:{index}/{}", all.len())
        };
        return None;
    }
    Some(sidecars)
}

fn ended(terminated: &Value) -> String {
    let (reason, signal) = (text(terminated, "reason"), number(terminated, "signal"));
    match (reason, signal) {
        ("", 0) => format!("ExitCode:{}", number(terminated, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn running(pod: &Value, state: &mut State) {
    let mut runs = false;
    for status in list(&pod["status"], "containerStatuses").iter().rev() {
        state.restarted(status);
        let (terminated, waiting) = (&status["state"]["terminated"], &status["state"]["waiting"]);
        if !text(waiting, "reason").is_empty() {
            text(waiting, "reason").clone_into(&mut state.reason);
        } else if terminated.is_object() {
            state.reason = ended(terminated);
        } else if status["ready"] == true && status["state"]["running"].is_object() {
            runs = true;
            state.ready += 1;
        }
    }
    if state.reason == "Completed" && runs {
        let ready = condition_of(pod, "Ready") == "True";
        state.reason = if ready { "Running" } else { "NotReady" }.into();
    }
}
