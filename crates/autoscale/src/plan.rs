//! What a decision may know, and what it says.

use jiff::{SignedDuration, Timestamp};
use kogge_model::{Labels, Node, Pod};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The label of a node that names its group.
pub const GROUP_LABEL: &str = "kogge.dev/node-group";

/// Set on a node that is being emptied by this rule; a node that others cordoned has it not.
pub const DRAINING_ANNOTATION: &str = "kogge.dev/draining";

/// Set to `true` on the node that goes when its group gets smaller.
pub const DELETE_ANNOTATION: &str = "kogge.dev/delete";

/// `spec` of a ClusterAutoscaler, as far as it is read here.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Which nodes are meant.
    pub node_selector: Labels,
    /// The fewest nodes.
    pub min_available: usize,
    /// The most nodes; `None` is no bound.
    pub max_available: Option<usize>,
    /// Room for that many pods is always kept.
    pub min_pods: usize,
    /// The pods beyond which pending ones get no nodes.
    pub max_pods: Option<usize>,
    /// Whether nodes are ever taken away.
    pub scale_down: bool,
    /// How long a node is unneeded before it goes.
    pub unneeded_time: SignedDuration,
}

/// A node group of the provider.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The fewest nodes.
    pub min: usize,
    /// The most nodes.
    pub max: usize,
    /// The nodes it is to have.
    pub target: usize,
    /// What a new node looks like.
    pub template: Node,
    /// The price of a node, in any unit that all groups share.
    pub price: u64,
    /// Out of stock, or failed lately.
    pub backoff: bool,
}

/// All that a decision may know.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The moment.
    pub now: Timestamp,
    /// The rule's bounds.
    pub spec: Spec,
    /// Every node of the cluster.
    pub nodes: Vec<Node>,
    /// Nodes bought that have not registered, as they will look.
    pub coming: Vec<Node>,
    /// Every pod.
    pub pods: Vec<Arc<Pod>>,
    /// Where nodes come from.
    pub groups: Vec<Group>,
    /// Since when nodes are unneeded: the last plan's.
    pub unneeded_since: BTreeMap<String, Timestamp>,
    /// Names of nodes that have been unready for so long that they are given up.
    pub given_up: BTreeSet<String>,
}

/// The four numbers: `new = current + up - down`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Ready and coming nodes.
    pub current_node_count: usize,
    /// To be added.
    pub desired_scale_up_count: usize,
    /// To be removed.
    pub desired_scale_down_count: usize,
    /// What there will be.
    pub new_node_count: usize,
}

/// What is to be done. Each may be done again without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Set a higher target for a group.
    IncreaseGroup {
        /// Its name.
        group: String,
        /// The nodes it is to have.
        to: usize,
    },
    /// Let no new pods in, and mark the node as draining.
    Cordon(String),
    /// The node is needed again.
    Uncordon(String),
    /// Ask for the eviction of a pod; a disruption budget may refuse for now.
    Evict(Arc<Pod>),
    /// Mark the node for deletion, then set a lower target for its group.
    RemoveNode {
        /// Its group.
        group: String,
        /// Its name.
        node: String,
        /// The nodes the group is to have.
        to: usize,
    },
}

/// What was decided, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The numbers.
    pub status: Status,
    /// What to do, in order.
    pub effects: Vec<Effect>,
    /// Reason and words, for events and conditions; also why nothing was done.
    pub reasons: Vec<(&'static str, String)>,
    /// Since when nodes are unneeded: the next decision's.
    pub unneeded_since: BTreeMap<String, Timestamp>,
    /// Of the pods that wait, those that the nodes will take: nobody else needs to buy for them.
    pub served: Vec<Arc<Pod>>,
}
