//! Nodes, pods and claims as last seen, and a decision for every pod that waits. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kogge_member::object;
use kogge_model::{Node, Phase, Pod};
use kogge_scheduling::{Snapshot, choose, summary};
use serde_json::Value;

/// The only scheduler there is.
pub(super) const NAME: &str = "default-scheduler";

#[derive(Debug, Default)]
pub(super) struct State {
    pub nodes: BTreeMap<String, Node>,
    /// By uid; finished pods are left out.
    pub pods: BTreeMap<String, Arc<Pod>>,
    /// By namespace and name.
    pub claims: BTreeMap<(String, String), Claim>,
    /// Storage classes whose volumes are made where the first pod goes.
    pub late: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    bound: bool,
    class: String,
}

/// What becomes of a pod that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Bind(String),
    Unschedulable(String),
}

impl State {
    pub fn note_pod(&mut self, pod: &Value) {
        let foreign = !matches!(object::text(pod, "/spec/schedulerName"), "" | NAME);
        let gated = pod["spec"]["schedulingGates"].as_array().is_some_and(|it| !it.is_empty());
        match Pod::from_value(pod) {
            Ok(mut it)
                if it.phase != Phase::Finished && (it.node.is_some() || !(foreign || gated)) =>
            {
                it.claims.extend(ephemeral(pod));
                self.pods.insert(it.uid.clone(), Arc::new(it));
            }
            _ => drop(self.pods.remove(object::uid(pod))),
        }
    }

    pub fn note_node(&mut self, node: &Value) {
        match Node::from_value(node) {
            Ok(it) => drop(self.nodes.insert(it.name.clone(), it)),
            Err(error) => tracing::debug!(%error, "a node cannot be read"),
        }
    }

    pub fn note_claim(&mut self, claim: &Value) {
        let bound = object::text(claim, "/status/phase") == "Bound";
        let class = object::text(claim, "/spec/storageClassName").to_owned();
        self.claims.insert(key(claim), Claim { bound, class });
    }

    pub fn forget_claim(&mut self, claim: &Value) {
        self.claims.remove(&key(claim));
    }

    pub fn note_class(&mut self, class: &Value) {
        let name = object::name(class).to_owned();
        if class["volumeBindingMode"] == "WaitForFirstConsumer" {
            self.late.insert(name);
        } else {
            self.late.remove(&name);
        }
    }

    /// The pod is on the node, or (`None`) is not after all.
    pub fn assume(&mut self, uid: &str, node: Option<&str>) {
        if let Some(pod) = self.pods.get_mut(uid) {
            Arc::make_mut(pod).node = node.map(str::to_owned);
        }
    }

    /// Every pod that waits, those of higher priority first, each seeing those before it placed.
    pub fn decide(&self) -> Vec<(Arc<Pod>, Verdict)> {
        let mut waiting: Vec<Arc<Pod>> =
            self.pods.values().filter(|it| it.pending()).cloned().collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        waiting.sort_by_key(|it| std::cmp::Reverse(it.priority));
        let bound: Vec<Arc<Pod>> =
            self.pods.values().filter(|it| it.node.is_some()).cloned().collect();
        let mut snapshot = Snapshot::new(self.nodes.values().cloned().collect(), &bound);
        let decided = waiting.into_iter().map(|pod| {
            let verdict = self.decide_one(&pod, &mut snapshot);
            (pod, verdict)
        });
        decided.collect()
    }

    /// Why a pod must wait for its claims, in kube-scheduler's words. Nobody provisions volumes
    /// here, so that a claim that waits for its first pod finds none on any node.
    fn lacks_volume(&self, pod: &Pod, snapshot: &Snapshot) -> Option<String> {
        let nodes = snapshot.places.len();
        let prefix = format!("0/{nodes} nodes are available: ");
        let find = |claim: &String| self.claims.get(&(pod.namespace.clone(), claim.clone()));
        if let Some(missing) = pod.claims.iter().find(|it| find(it).is_none()) {
            return Some(format!("{prefix}persistentvolumeclaim {missing:?} not found."));
        }
        let unbound = || pod.claims.iter().filter_map(find).filter(|it| !it.bound);
        if unbound().any(|it| !self.late.contains(&it.class)) {
            return Some(prefix + "pod has unbound immediate PersistentVolumeClaims.");
        }
        unbound().next().map(|_| {
            format!("{prefix}{nodes} node(s) didn't find available persistent volumes to bind.")
        })
    }

    fn decide_one(&self, pod: &Arc<Pod>, snapshot: &mut Snapshot) -> Verdict {
        if let Some(why) = self.lacks_volume(pod, snapshot) {
            return Verdict::Unschedulable(why);
        }
        match choose(pod, snapshot) {
            Some(at) => {
                let node = snapshot.places[at].node.name.clone();
                snapshot.bind(at, pod.clone());
                Verdict::Bind(node)
            }
            None => Verdict::Unschedulable(summary(pod, snapshot)),
        }
    }
}

/// The claims made for a pod's ephemeral volumes.
fn ephemeral(pod: &Value) -> impl Iterator<Item = String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let volumes = volumes.filter(|it| it["ephemeral"].is_object());
    volumes.map(|it| format!("{}-{}", object::name(pod), object::text(it, "/name")))
}

fn key(claim: &Value) -> (String, String) {
    (object::namespace(claim).to_owned(), object::name(claim).to_owned())
}
