//! Counting, bounds and scale-up for one cluster.

use kogge_model::{Labels, Node, Phase, Pod, add_aliases};
use kogge_scheduling::{Snapshot, group, pack};
use std::sync::Arc;

/// `spec` of a ClusterAutoscaler, as far as it is read here.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Which nodes are meant.
    pub node_selector: Labels,
    /// The fewest nodes.
    pub min_available: usize,
    /// The most nodes; `None` is no bound.
    pub max_available: Option<usize>,
    /// The pods beyond which pending ones get no nodes.
    pub max_pods: Option<usize>,
}

/// A node group of the provider.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
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

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Raise a group's target.
    IncreaseGroup {
        /// Its name.
        group: String,
        /// By how many nodes.
        by: usize,
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
}

/// The plan for one cluster: the same for the same input.
pub fn decide(o: &Observed) -> Plan {
    let meant = |n: &&Node| !n.control_plane && selects(&o.spec.node_selector, n);
    let here = o.nodes.iter().filter(|n| n.ready).chain(&o.coming);
    let nodes: Vec<Node> = here.filter(meant).cloned().collect();
    let current = nodes.len();
    let bound = |p: &Pod| p.node.as_ref().is_some_and(|n| nodes.iter().any(|x| x.name == *n));
    let counted =
        |p: &&Arc<Pod>| p.phase != Phase::Finished && !p.daemon() && (p.pending() || bound(p));
    let pods = o.pods.iter().filter(counted).count();
    let mut plan = Plan::default();
    let mut room = o.spec.max_available.map_or(usize::MAX, |max| max.saturating_sub(current));
    let mut missing = o.spec.min_available.saturating_sub(current).min(room);
    let over = o.spec.max_pods.filter(|max| pods > *max);
    let pending = o.pods.iter().filter(|p| p.pending() && !p.daemon());
    let groups = if over.is_some() { Vec::new() } else { group(pending) };
    let mut packed = pack(&groups, Snapshot::new(nodes, &o.pods), None, 0);
    if let Some(max) = over {
        plan.reasons.push((
            "MaxPodsReached",
            format!("{pods} pods are more than maxPods {max}: pending pods get no nodes"),
        ));
    }
    let mut open: Vec<&Group> = o
        .groups
        .iter()
        .filter(|g| !g.backoff && selects(&o.spec.node_selector, &g.template))
        .collect();
    open.sort_by_key(|g| (g.price, &g.name));
    let mut up = 0;
    for g in open {
        let limit = g.max.saturating_sub(g.target).min(room);
        packed = pack(&packed.left, packed.snapshot, Some(&g.template), limit);
        let by = packed.nodes.max(missing.min(limit));
        if by > 0 {
            plan.effects.push(Effect::IncreaseGroup { group: g.name.clone(), by });
            plan.reasons.push(("TriggeredScaleUp", format!("{} grows by {by}", g.name)));
        }
        up += by;
        room -= by;
        missing = missing.saturating_sub(by);
    }
    for left in &packed.left {
        let pod = &left.pod;
        plan.reasons.push((
            "NotTriggerScaleUp",
            format!(
                "{}/{} and {} like it fit no node that may be added",
                pod.namespace,
                pod.name,
                left.count - 1
            ),
        ));
    }
    plan.status = Status {
        current_node_count: current,
        desired_scale_up_count: up,
        desired_scale_down_count: 0,
        new_node_count: current + up,
    };
    plan
}

fn selects(selector: &Labels, node: &Node) -> bool {
    let mut labels = node.labels.clone();
    add_aliases(&mut labels);
    selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kogge_model::{PodSpec, Resources};
    use proptest::prelude::*;

    fn world(nodes: usize, pods: usize, cpu: i64, min: usize, max: usize, cap: usize) -> Observed {
        let node = |name: String| Node {
            name,
            labels: Labels::from([("kubernetes.io/os".into(), "linux".into())]),
            allocatable: Resources::new(1000, 1 << 30),
            ready: true,
            ..Node::default()
        };
        let spec = Arc::new(PodSpec { requests: Resources::new(cpu, 1), ..PodSpec::default() });
        Observed {
            spec: Spec {
                node_selector: Labels::from([("beta.kubernetes.io/os".into(), "linux".into())]),
                min_available: min,
                max_available: Some(max),
                max_pods: Some(50),
            },
            nodes: (0..nodes).map(|i| node(format!("n{i}"))).collect(),
            pods: (0..pods)
                .map(|i| {
                    Arc::new(Pod { name: format!("p{i}"), spec: spec.clone(), ..Pod::default() })
                })
                .collect(),
            groups: vec![Group {
                name: "g".into(),
                max: cap,
                target: nodes,
                template: node("t".into()),
                ..Group::default()
            }],
            ..Observed::default()
        }
    }

    #[track_caller]
    fn check(o: &Observed, up: usize) {
        assert_eq!(decide(o).status.desired_scale_up_count, up, "{:?}", decide(o));
    }

    #[test]
    fn nodes_are_added_for_the_minimum_and_for_pods_within_bounds() {
        check(&world(0, 0, 1, 1, 10, 10), 1);
        check(&world(1, 6, 500, 1, 10, 10), 2);
        check(&world(1, 50, 500, 1, 10, 20), 9);
        check(&world(1, 51, 500, 1, 10, 20), 0);
        check(&world(1, 5, 1001, 1, 10, 10), 0);
        check(&world(12, 40, 900, 1, 10, 20), 0);
    }

    proptest! {
        #[test]
        fn the_identity_and_the_bounds_hold(n in 0..15_usize, p in 0..60_usize, cpu in 1..1500_i64, min in 0..5_usize, max in 5..12_usize, cap in 0..20_usize) {
            let plan = decide(&world(n, p, cpu, min, max, cap));
            let s = &plan.status;
            prop_assert_eq!(s.new_node_count, s.current_node_count + s.desired_scale_up_count - s.desired_scale_down_count);
            prop_assert!(s.new_node_count <= max.max(n) && n + s.desired_scale_up_count <= cap.max(n));
        }
    }
}
