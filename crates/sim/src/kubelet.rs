//! Plays the kubelet of every simulated node: one watch of pods, and what each pod needs next.
//!
//! Reading order: [`decide`] (what a pod needs), [`running`] (what is written), [`Kubelet::run`].

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use kogge_member::{
    Client, DeleteOptions, Error, object,
    watch::{Scope, Seen, watch},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{Faults, kinds, nodes::NodesConfig, time::seconds};

/// How long a pod of a Job runs, unless this annotation says otherwise (`1.5s`).
const JOB_RUNS: Duration = Duration::from_secs(1);
const DURATION_ANNOTATION: &str = "kogge.dev/sim-duration";
const RETRY: Duration = Duration::from_millis(500);

/// The nodes whose kubelet is played here, with their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnNodes(Arc<RwLock<BTreeMap<String, String>>>);

impl OwnNodes {
    pub fn set(&self, nodes: BTreeMap<String, String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    pub fn add(&self, name: &str, address: &str) {
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(name.to_owned(), address.to_owned());
    }

    pub fn address(&self, name: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// What a pod needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Starts after a while.
    Start(Duration),
    /// Ends well after a while.
    Finish(Duration),
    Delete,
}

/// Of a pod bound to a node that is played here.
fn decide(pod: &Value, start_delay: Duration) -> Option<Step> {
    if object::is_deleting(pod) {
        return Some(Step::Delete);
    }
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let is_job = owners.into_iter().flatten().any(|it| it["kind"] == "Job");
    match pod["status"]["phase"].as_str() {
        None | Some("" | "Pending") => Some(Step::Start(start_delay)),
        Some("Running") if is_job && pod["spec"]["restartPolicy"] != "Always" => {
            let asked = object::annotation(pod, DURATION_ANNOTATION);
            Some(Step::Finish(asked.and_then(kogge_api::parse_duration).unwrap_or(JOB_RUNS)))
        }
        _ => None,
    }
}

pub(crate) struct Kubelet {
    client: Client,
    own: OwnNodes,
    faults: Faults,
    start_delay: Duration,
    now: fn() -> Timestamp,
    /// The highest pod address given, as in 10.128.0.0/9.
    addresses: u32,
    /// Pods with a step under way, and what was heard of them since.
    busy: HashMap<String, Option<Value>>,
    steps: JoinSet<(String, Result<(), Error>)>,
}

impl Kubelet {
    pub fn new(config: &NodesConfig) -> Self {
        Self {
            client: config.client.clone(),
            own: OwnNodes::default(),
            faults: config.faults.clone(),
            start_delay: config.start_delay,
            now: config.now,
            addresses: u32::from(Ipv4Addr::new(10, 128, 0, 0)),
            busy: HashMap::new(),
            steps: JoinSet::new(),
        }
    }

    pub fn own_nodes(&self) -> OwnNodes {
        self.own.clone()
    }

    pub async fn run(mut self) {
        let mut faults = self.faults.watch();
        loop {
            let mut pods = Box::pin(watch(self.client.clone(), kinds::pods(), Scope::default()));
            loop {
                tokio::select! {
                    Some(seen) = pods.next() => match seen {
                        Seen::Reset { items, .. } => {
                            for pod in items {
                                self.look(pod);
                            }
                        }
                        Seen::Applied(pod) => self.look(pod),
                        Seen::Deleted(_) => {}
                        Seen::Broken(error) => {
                            tracing::debug!(error = %error.chain(), "the watch of pods broke");
                        }
                    },
                    Some(Ok((uid, done))) = self.steps.join_next() => self.done(&uid, done),
                    // Pods of a node that is back are looked at anew.
                    Ok(()) = faults.changed() => break,
                }
            }
        }
    }

    fn done(&mut self, uid: &str, done: Result<(), Error>) {
        if let Err(error) = done
            && !error.is_not_found()
        {
            tracing::debug!(error = %error.chain(), "could not play a pod");
        }
        if let Some(Some(pod)) = self.busy.remove(uid) {
            self.look(pod);
        }
    }

    fn look(&mut self, pod: Value) {
        let uid = object::uid(&pod).to_owned();
        if let Some(heard) = self.busy.get_mut(&uid) {
            // Told to go: whatever else it waits for no longer matters.
            if object::is_deleting(&pod) && heard.as_ref().is_none_or(|it| !object::is_deleting(it))
            {
                self.delete_now(&pod);
            }
            if let Some(heard) = self.busy.get_mut(&uid) {
                *heard = Some(pod);
            }
            return;
        }
        let node = object::text(&pod, "/spec/nodeName");
        let Some(host) = self.own.address(node) else { return };
        if self.faults.state().dead.contains(node) {
            return;
        }
        if let Ok(address) = object::text(&pod, "/status/podIP").parse::<Ipv4Addr>() {
            self.addresses = self.addresses.max(u32::from(address));
        }
        let Some(step) = decide(&pod, self.start_delay) else { return };
        self.busy.insert(uid.clone(), None);
        let address = self.address(&pod, &host);
        let (client, now, faults) = (self.client.clone(), self.now, self.faults.clone());
        self.steps.spawn(async move {
            let done = play(&client, &pod, &step, now, &faults, (&host, &address)).await;
            if matches!(&done, Err(error) if !error.is_not_found()) {
                tokio::time::sleep(RETRY).await;
            }
            (uid, done)
        });
    }

    fn delete_now(&mut self, pod: &Value) {
        let (client, pod) = (self.client.clone(), pod.clone());
        self.steps.spawn(async move { (String::new(), delete(&client, &pod).await) });
    }

    fn address(&mut self, pod: &Value, host: &str) -> String {
        if pod["spec"]["hostNetwork"] == true {
            return host.to_owned();
        }
        self.addresses += 1;
        Ipv4Addr::from(self.addresses).to_string()
    }
}

async fn play(
    client: &Client,
    pod: &Value,
    step: &Step,
    now: fn() -> Timestamp,
    faults: &Faults,
    (host, address): (&str, &str),
) -> Result<(), Error> {
    let (namespace, name) = (object::namespace(pod), object::name(pod));
    let (wait, status) = match step {
        Step::Delete => return delete(client, pod).await,
        Step::Start(wait) => (*wait, running as fn(&Value, Timestamp, &str, &str) -> Value),
        Step::Finish(wait) => (*wait, succeeded as fn(&Value, Timestamp, &str, &str) -> Value),
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if faults.state().dead.contains(object::text(pod, "/spec/nodeName")) {
        return Ok(());
    }
    // The uid keeps the write from a namesake that came meanwhile.
    let patch = json!({
        "metadata": {"uid": object::uid(pod)}, "status": status(pod, now(), host, address),
    });
    client.merge(&kinds::pods(), namespace, name, Some("status"), &patch).await.map(drop)
}

async fn delete(client: &Client, pod: &Value) -> Result<(), Error> {
    let options = DeleteOptions {
        uid: Some(object::uid(pod).to_owned()),
        grace_period_seconds: Some(0),
        ..DeleteOptions::default()
    };
    client.delete(&kinds::pods(), object::namespace(pod), object::name(pod), &options).await
}

fn running(pod: &Value, now: Timestamp, host: &str, address: &str) -> Value {
    let state = json!({"running": {"startedAt": seconds(now)}});
    let mut status = json!({
        "phase": "Running", "hostIP": host, "hostIPs": [{"ip": host}],
        "podIP": address, "podIPs": [{"ip": address}], "startTime": seconds(now),
        "qosClass": pod["status"]["qosClass"],
        "conditions": conditions(now, "True", ""),
        "containerStatuses": containers(pod, "containers", &state, true),
    });
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed",
        "startedAt": seconds(now), "finishedAt": seconds(now)}});
    let inits = containers(pod, "initContainers", &done, true);
    if inits.as_array().is_some_and(|it| !it.is_empty()) {
        status["initContainerStatuses"] = inits;
    }
    status
}

fn succeeded(pod: &Value, now: Timestamp, _host: &str, _address: &str) -> Value {
    let state = json!({"terminated": {"exitCode": 0, "reason": "Completed",
        "startedAt": pod["status"]["startTime"], "finishedAt": seconds(now)}});
    json!({
        "phase": "Succeeded",
        "conditions": conditions(now, "False", "PodCompleted"),
        "containerStatuses": containers(pod, "containers", &state, false),
    })
}

/// `ready` is the status of the conditions that say so, with a reason where there is one.
fn conditions(now: Timestamp, ready: &str, reason: &str) -> Value {
    let of = |kind: &str, status: &str, reason: &str| {
        let mut it = json!({"type": kind, "status": status, "lastTransitionTime": seconds(now)});
        if !reason.is_empty() {
            it["reason"] = reason.into();
        }
        it
    };
    json!([
        of("PodReadyToStartContainers", ready, ""),
        of("Initialized", "True", reason),
        of("Ready", ready, reason),
        of("ContainersReady", ready, reason),
        of("PodScheduled", "True", ""),
    ])
}

fn containers(pod: &Value, which: &str, state: &Value, ready: bool) -> Value {
    let id = object::uid(pod);
    let listed = pod["spec"][which].as_array().into_iter().flatten();
    listed
        .map(|it| {
            let name = it["name"].as_str().unwrap_or_default();
            let is_sidecar = which == "initContainers" && it["restartPolicy"] == "Always";
            let state = if is_sidecar {
                json!({"running": {"startedAt": state["terminated"]["startedAt"]}})
            } else {
                state.clone()
            };
            let started = state["running"].is_object();
            json!({
                "name": name, "image": it["image"], "imageID": format!("sim://{}", it["image"].as_str().unwrap_or_default()),
                "containerID": format!("sim://{id}/{name}"),
                "ready": ready, "started": started, "restartCount": 0, "state": state,
                "lastState": {},
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pod: &Value, want: Option<&Step>) {
        assert_eq!(decide(pod, Duration::ZERO).as_ref(), want, "{pod}");
    }

    #[test]
    fn a_pod_starts_and_only_one_of_a_job_ends() {
        let job = json!([{"kind": "Job", "name": "j"}]);
        check(&json!({"status": {"phase": "Pending"}}), Some(&Step::Start(Duration::ZERO)));
        check(&json!({"status": {"phase": "Running"}}), None);
        check(
            &json!({"metadata": {"ownerReferences": job}, "spec": {"restartPolicy": "Never"},
                "status": {"phase": "Running"}}),
            Some(&Step::Finish(JOB_RUNS)),
        );
        check(
            &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            Some(&Step::Delete),
        );
    }
}
