//! Nodes, pods and claims as last seen, and a decision for every pod that waits. Pure.

use std::{collections::BTreeMap, sync::Arc};

use kogge_member::object;
use kogge_model::{Node, Phase, Pod};
use kogge_scheduling::{Snapshot, choose, summary};
use serde_json::Value;

/// The only scheduler there is.
const NAME: &str = "default-scheduler";

#[derive(Debug, Default)]
pub(super) struct State {
    pub nodes: BTreeMap<String, Node>,
    /// By uid; finished pods are left out.
    pub pods: BTreeMap<String, Arc<Pod>>,
    /// By namespace and name: whether the claim is bound.
    pub claims: BTreeMap<(String, String), bool>,
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
            Ok(it) if it.phase != Phase::Finished && (it.node.is_some() || !(foreign || gated)) => {
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
        self.claims.insert(key(claim), object::text(claim, "/status/phase") == "Bound");
    }

    pub fn forget_claim(&mut self, claim: &Value) {
        self.claims.remove(&key(claim));
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

    fn decide_one(&self, pod: &Arc<Pod>, snapshot: &mut Snapshot) -> Verdict {
        let state = |claim: &String| self.claims.get(&(pod.namespace.clone(), claim.clone()));
        let prefix = format!("0/{} nodes are available: ", snapshot.places.len());
        if let Some(missing) = pod.claims.iter().find(|it| state(it).is_none()) {
            let why = format!("persistentvolumeclaim {missing:?} not found.");
            return Verdict::Unschedulable(prefix + &why);
        }
        if pod.claims.iter().any(|it| state(it) == Some(&false)) {
            let why = "pod has unbound immediate PersistentVolumeClaims.";
            return Verdict::Unschedulable(prefix + why);
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

fn key(claim: &Value) -> (String, String) {
    (object::namespace(claim).to_owned(), object::name(claim).to_owned())
}
