//! The cluster's nodes and pods, compact and up to date.
//!
//! Two watches fill it. Finished pods are left out, and pods that ask for the
//! same share one spec, so that ten thousand replicas cost little more than their names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use futures::StreamExt as _;
use kogge_member::{
    Client, Resource, object,
    watch::{Scope, Seen, watch},
};
use kogge_model::{Effect, Node, Phase, Pod, PodSpec, Quantity, ResourceName, Resources};
use serde_json::Value;
use tokio::sync::watch as channel;

use crate::{
    link::{ClusterState, Room},
    lock::lock,
};

/// Shared by what reports room and by what adds and takes nodes.
#[derive(Clone)]
pub(crate) struct View {
    contents: Arc<Mutex<Contents>>,
    changes: channel::Sender<()>,
}

#[derive(Default)]
struct Contents {
    nodes: BTreeMap<String, Node>,
    pods: BTreeMap<(String, String), Arc<Pod>>,
    specs: BTreeSet<Arc<PodSpec>>,
    nodes_listed: bool,
    pods_listed: bool,
    /// Nodes that may be bought.
    growth: Vec<Room>,
}

impl Default for View {
    fn default() -> Self {
        Self { contents: Arc::default(), changes: channel::Sender::new(()) }
    }
}

impl View {
    /// Tells of changes; those between two looks count as one.
    pub fn changes(&self) -> channel::Receiver<()> {
        self.changes.subscribe()
    }

    /// Keeps the view up to date, for ever.
    pub async fn follow(&self, client: &Client) {
        let nodes = Resource::new("", "v1", "Node", "nodes", false);
        let pods = Resource::new("", "v1", "Pod", "pods", true);
        tokio::join!(
            self.hear(client, nodes, Contents::hear_nodes),
            self.hear(client, pods, Contents::hear_pods),
        );
    }

    async fn hear(&self, client: &Client, of: Resource, take: fn(&mut Contents, Seen) -> bool) {
        let mut seen = std::pin::pin!(watch(client.clone(), of, Scope::default()));
        while let Some(seen) = seen.next().await {
            if take(&mut self.lock(), seen) {
                self.changes.send_replace(());
            }
        }
    }

    /// All nodes and pods; `None` until both have been seen.
    pub fn cluster(&self) -> Option<(Vec<Node>, Vec<Arc<Pod>>)> {
        let contents = self.lock();
        contents.is_listed().then(|| {
            (contents.nodes.values().cloned().collect(), contents.pods.values().cloned().collect())
        })
    }

    /// Sets what nodes may be bought: they are room too.
    pub fn set_growth(&self, growth: Vec<Room>) {
        let mut contents = self.lock();
        if contents.growth != growth {
            contents.growth = growth;
            self.changes.send_replace(());
        }
    }

    /// Fills in what nodes and pods say.
    pub fn summarise(&self, state: &mut ClusterState) {
        self.lock().summarise(state);
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        lock(&self.contents)
    }
}

impl Contents {
    fn is_listed(&self) -> bool {
        self.nodes_listed && self.pods_listed
    }

    fn hear_nodes(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Reset { items, .. } => {
                self.nodes =
                    items.iter().filter_map(node).map(|it| (it.name.clone(), it)).collect();
                self.nodes_listed = true;
                true
            }
            Seen::Applied(object) => node(&object).is_some_and(|it| {
                // Kubelets tell every few seconds that nothing is new.
                self.nodes.insert(it.name.clone(), it.clone()).as_ref() != Some(&it)
            }),
            Seen::Deleted(object) => self.nodes.remove(object::name(&object)).is_some(),
            Seen::Broken(_) => false,
        }
    }

    fn hear_pods(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Reset { items, .. } => {
                self.pods.clear();
                for item in items {
                    self.put_pod(&item);
                }
                self.pods_listed = true;
                true
            }
            Seen::Applied(object) => self.put_pod(&object),
            Seen::Deleted(object) => self.pods.remove(&pod_key(&object)).is_some(),
            Seen::Broken(_) => false,
        }
    }

    /// Whether anything has changed by it.
    fn put_pod(&mut self, object: &Value) -> bool {
        let key = pod_key(object);
        let mut pod = match Pod::from_value(object) {
            Ok(pod) if pod.phase != Phase::Finished => pod,
            Ok(_) => return self.pods.remove(&key).is_some(),
            Err(error) => {
                tracing::debug!(pod = key.1, error = error.to_string(), "pod not understood");
                return self.pods.remove(&key).is_some();
            }
        };
        if let Some(known) = self.specs.get(&pod.spec) {
            pod.spec = known.clone();
        } else {
            if self.pods.len() + 64 < self.specs.len() {
                self.specs.retain(|it| 1 < Arc::strong_count(it));
            }
            self.specs.insert(pod.spec.clone());
        }
        if self.pods.get(&key).is_some_and(|it| **it == pod) {
            return false;
        }
        self.pods.insert(key, Arc::new(pod));
        true
    }

    fn summarise(&self, state: &mut ClusterState) {
        if !self.is_listed() {
            return;
        }
        let mut used: BTreeMap<&str, Resources> = BTreeMap::new();
        let mut allocated = Resources::default();
        for pod in self.pods.values() {
            if let Some(node) = &pod.node {
                used.entry(node).or_default().add(&pod.spec.requests);
                allocated.add(&pod.spec.requests);
            }
        }
        let ready = || self.nodes.values().filter(|it| it.ready);
        let mut allocatable = Resources::default();
        let mut rooms: BTreeMap<Resources, u32> = BTreeMap::new();
        for node in ready() {
            allocatable.add(&node.allocatable);
            if takes_any_pod(node) {
                let mut free = node.allocatable.clone();
                if let Some(used) = used.get(node.name.as_str()) {
                    free.subtract(used);
                }
                // An overcommitted node has no room, not less than none.
                free.raise_to(&Resources::default());
                *rooms.entry(free).or_default() += 1;
            }
        }
        for more in &self.growth {
            *rooms.entry(more.free.clone()).or_default() += more.nodes;
        }
        state.nodes_total = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        state.nodes_ready = u32::try_from(ready().count()).unwrap_or(u32::MAX);
        state.allocatable = quantities(&allocatable);
        state.allocated = quantities(&allocated);
        state.rooms = Some(rooms.into_iter().map(|(free, nodes)| Room { free, nodes }).collect());
    }
}

/// The hub does not know what pods tolerate, so only nodes without hard taints count as room.
pub(crate) fn takes_any_pod(node: &Node) -> bool {
    !node.unschedulable && node.taints.iter().all(|it| it.effect == Effect::PreferNoSchedule)
}

fn node(object: &Value) -> Option<Node> {
    Node::from_value(object)
        .inspect_err(|error| tracing::debug!(error = error.to_string(), "node not understood"))
        .ok()
}

fn pod_key(object: &Value) -> (String, String) {
    (object::namespace(object).to_owned(), object::name(object).to_owned())
}

fn quantities(of: &Resources) -> BTreeMap<String, String> {
    let say = |name: &ResourceName, amount| match name {
        ResourceName::Cpu => Quantity::from_milli(amount),
        ResourceName::Memory | ResourceName::EphemeralStorage => Quantity::from_bytes(amount),
        ResourceName::Pods | ResourceName::Other(_) => Quantity::from_units(amount),
    };
    of.iter().map(|(name, n)| (name.as_str().to_owned(), say(&name, n).to_string())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str) -> Value {
        json!({"metadata": {"name": name}, "status": {
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}]}})
    }

    fn pod(name: &str, node: &str, phase: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop"}, "status": {"phase": phase},
            "spec": {"nodeName": node, "containers": [
                {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]}})
    }

    fn reset(items: Vec<Value>) -> Seen {
        Seen::Reset { items, version: "1".into() }
    }

    #[test]
    fn rooms_are_what_pods_leave_of_ready_nodes_and_what_may_be_bought() {
        let mut contents = Contents::default();
        let mut state = ClusterState::default();
        contents.hear_nodes(reset(vec![node("a"), node("b"), node("c")]));
        contents.summarise(&mut state);
        assert_eq!(state.rooms, None);
        contents.hear_pods(reset(vec![
            pod("p", "a", "Running"),
            pod("q", "b", "Pending"),
            pod("over", "c", "Succeeded"),
        ]));
        assert_eq!(contents.specs.len(), 1);
        contents.growth = vec![Room { free: Resources::new(1, 1), nodes: 4 }];
        contents.summarise(&mut state);
        let rooms: Vec<(i64, u32)> =
            state.rooms.iter().flatten().map(|it| (it.free.milli_cpu(), it.nodes)).collect();
        assert_eq!(rooms, [(1, 4), (1500, 2), (2000, 1)]);
        assert_eq!((state.nodes_total, state.nodes_ready), (3, 3));
        assert_eq!(state.allocatable["memory"], "12Gi");
        assert_eq!(state.allocated["cpu"], "1");
    }

    #[test]
    fn what_says_nothing_new_is_no_change() {
        let mut contents = Contents::default();
        assert!(contents.hear_nodes(Seen::Applied(node("a"))));
        assert!(!contents.hear_nodes(Seen::Applied(node("a"))));
        assert!(contents.hear_pods(Seen::Applied(pod("p", "a", "Running"))));
        assert!(!contents.hear_pods(Seen::Applied(pod("p", "a", "Running"))));
        assert!(contents.hear_pods(Seen::Applied(pod("p", "a", "Failed"))));
        assert!(!contents.hear_pods(Seen::Deleted(pod("p", "a", "Failed"))));
    }
}
