//! Nodes with their pods at one moment. A fork shares what it does not change.

use kogge_model::{Node, Phase, Pod, Resources};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node and what runs on it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The node.
    pub node: Arc<Node>,
    /// Its pods, finished ones left out.
    pub pods: Vec<Arc<Pod>>,
    /// What is left; below 0 when overcommitted.
    pub free: Resources,
}

/// All nodes; cloning is a fork and copies one pointer for each node.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// By position, in the order given.
    pub places: Vec<Arc<Place>>,
    // Whether any pod here may keep others away: without one nobody need look for them.
    pub(crate) repelling: bool,
}

impl Snapshot {
    /// `nodes` with those of `pods` that are bound to them.
    pub fn new(nodes: Vec<Node>, pods: &[Arc<Pod>]) -> Self {
        let mut all = Self::default();
        for node in nodes {
            all.add_node(Arc::new(node));
        }
        let at: BTreeMap<String, usize> =
            all.places.iter().enumerate().map(|(i, p)| (p.node.name.clone(), i)).collect();
        for pod in pods.iter().filter(|p| p.phase != Phase::Finished) {
            if let Some(at) = pod.node.as_ref().and_then(|n| at.get(n)) {
                all.bind(*at, pod.clone());
            }
        }
        all
    }

    /// Adds an empty node at the end.
    pub fn add_node(&mut self, node: Arc<Node>) {
        let free = node.allocatable.clone();
        self.places.push(Arc::new(Place { node, pods: Vec::new(), free }));
    }

    /// Puts `pod` on the node at `at`, whether it fits or not.
    pub fn bind(&mut self, at: usize, pod: Arc<Pod>) {
        self.repelling |= !pod.spec.pod_anti_affinity.is_empty();
        let place = Arc::make_mut(&mut self.places[at]);
        place.free.subtract(&pod.spec.requests);
        place.pods.push(pod);
    }

    /// Takes the node called `name` out, with its pods.
    pub fn remove_node(&mut self, name: &str) -> Option<Arc<Place>> {
        let at = self.places.iter().position(|p| p.node.name == name)?;
        Some(self.places.remove(at))
    }
}
