//! Node groups: what they can give, which nodes are on their way, and which never came. No IO.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use kogge_api::nodes::NodeGroup;
use kogge_autoscale::{GROUP_LABEL, Group, Observed, Plan, selects};
use kogge_member::{Fault, Resource, object, watch::Seen};
use kogge_model::{Labels, Node, Pod, ResourceName};
use serde_json::{Value, json};

use crate::{link::Room, view::takes_any_pod};

/// A node that takes longer to come does not come. As the upstream autoscaler's default.
const PROVISION_TIME: SignedDuration = SignedDuration::from_mins(15);

/// A node that is unready for longer is given up. As the upstream autoscaler's default.
const UNREADY_TIME: SignedDuration = SignedDuration::from_mins(20);

/// Pods of a node whose template does not say: the kubelet's default.
const MAX_PODS: i64 = 110;

/// First and longest time that a group which failed is not asked.
const BACKOFF: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(5), SignedDuration::from_mins(30));

pub(super) fn resource() -> Resource {
    Resource::new("kogge.dev", "v1alpha1", "NodeGroup", "nodegroups", false)
}

/// The node groups as last seen; nothing until the first list is in.
#[derive(Default)]
pub(super) struct Groups {
    known: Option<BTreeMap<String, Value>>,
    /// Why they may not be seen.
    refused: Option<String>,
}

/// What is remembered from one round to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// By group: since when it has fewer nodes than it is to have.
    short_since: BTreeMap<String, Timestamp>,
    /// By group that failed.
    backoff: BTreeMap<String, Backoff>,
    /// By node: since when it is known and has not been ready, `None` once it has been.
    starting: BTreeMap<String, Option<Timestamp>>,
    /// By node that is not ready: since when.
    unready_since: BTreeMap<String, Timestamp>,
}

struct Backoff {
    until: Timestamp,
    wait: SignedDuration,
}

/// Where nodes come from, at one moment.
#[derive(Debug, Default)]
pub(super) struct Supply {
    pub groups: Vec<Group>,
    pub coming: Vec<Node>,
    pub failed: Vec<Failed>,
}

/// A group that did not give what was asked for, and the nodes it is to have instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub group: String,
    pub to: usize,
}

impl Groups {
    /// Takes news of the watch.
    pub fn note(&mut self, cluster: &str, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => self.reset(items),
            Seen::Applied(group) => self.put(group),
            Seen::Deleted(group) => self.remove(object::name(&group)),
            // No such kind is no groups.
            Seen::Broken(error) if matches!(error.fault, Fault::NotFound(_)) => {
                self.reset(Vec::new());
            }
            Seen::Broken(error) => {
                tracing::debug!(cluster, error = error.chain(), "watch broken");
                if matches!(error.fault, Fault::Forbidden(_) | Fault::Unauthorized(_)) {
                    self.refused = Some(error.chain());
                }
            }
        }
    }

    /// What the cluster said when it refused to show them.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    pub fn reset(&mut self, groups: Vec<Value>) {
        self.refused = None;
        self.known = Some(BTreeMap::new());
        for group in groups {
            self.put(group);
        }
    }

    pub fn put(&mut self, group: Value) {
        let name = object::name(&group).to_owned();
        self.known.get_or_insert_default().insert(name, group);
    }

    fn remove(&mut self, name: &str) {
        self.known.get_or_insert_default().remove(name);
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.known.as_ref()?.get(name)
    }

    /// `None` until the groups are known.
    pub fn supply(&self, nodes: &[Node], now: Timestamp, memory: &mut Memory) -> Option<Supply> {
        let known = self.known.as_ref()?;
        memory.short_since.retain(|name, _| known.contains_key(name));
        memory.backoff.retain(|name, it| known.contains_key(name) && now < it.until + it.wait);
        memory.note_nodes(nodes, now);
        let mut supply = Supply::default();
        for value in known.values() {
            match read(value) {
                Ok((group, out_of_stock)) => {
                    supply_of(group, out_of_stock, nodes, now, memory, &mut supply);
                }
                Err(message) => {
                    let name = object::name(value);
                    tracing::warn!(group = name, message, "a node group is not understood");
                }
            }
        }
        for node in nodes.iter().filter(|it| memory.is_starting(it, now)) {
            supply.coming.extend(as_it_will_be(node, &supply.groups));
        }
        Some(supply)
    }
}

impl Memory {
    fn note_nodes(&mut self, nodes: &[Node], now: Timestamp) {
        let before = std::mem::take(&mut self.starting);
        for node in nodes {
            let known = before.get(&node.name).copied();
            let since = if node.ready { None } else { known.unwrap_or(Some(now)) };
            self.starting.insert(node.name.clone(), since);
        }
        let before = std::mem::take(&mut self.unready_since);
        for node in nodes.iter().filter(|it| !it.ready) {
            let since = before.get(&node.name).copied().unwrap_or(now);
            self.unready_since.insert(node.name.clone(), since);
        }
    }

    /// Nodes that have been unready for too long.
    pub fn given_up(&self, now: Timestamp) -> BTreeSet<String> {
        let all = self.unready_since.iter();
        let long = all.filter(|(_, since)| UNREADY_TIME <= now.duration_since(**since));
        long.map(|(name, _)| name.clone()).collect()
    }

    /// It is there, and its kubelet has not said yet that it is ready.
    fn is_starting(&self, node: &Node, now: Timestamp) -> bool {
        let since = self.starting.get(&node.name).copied().flatten();
        !node.lost && since.is_some_and(|it| now.duration_since(it) < PROVISION_TIME)
    }

    fn fail(&mut self, group: &str, now: Timestamp) {
        let wait = match self.backoff.get(group) {
            Some(before) => (before.wait * 2).min(BACKOFF.1),
            None => BACKOFF.0,
        };
        self.backoff.insert(group.to_owned(), Backoff { until: now + wait, wait });
        self.short_since.remove(group);
    }
}

fn supply_of(
    mut group: Group,
    out_of_stock: bool,
    nodes: &[Node],
    now: Timestamp,
    memory: &mut Memory,
    supply: &mut Supply,
) {
    let registered =
        nodes.iter().filter(|it| it.labels.get(GROUP_LABEL) == Some(&group.name)).count();
    if group.target <= registered {
        memory.short_since.remove(&group.name);
    } else {
        let since = *memory.short_since.entry(group.name.clone()).or_insert(now);
        if out_of_stock || PROVISION_TIME <= now.duration_since(since) {
            memory.fail(&group.name, now);
            group.target = registered.max(group.min);
            supply.failed.push(Failed { group: group.name.clone(), to: group.target });
        } else {
            let missing = registered..group.target;
            let names = missing.map(|n| format!("{}-coming-{n}", group.name));
            supply.coming.extend(names.map(|name| Node { name, ..group.template.clone() }));
        }
    }
    group.backoff = memory.backoff.get(&group.name).is_some_and(|it| now < it.until);
    supply.groups.push(group);
}

/// A node that is starting, ready; what it does not say yet is what its group's template says.
fn as_it_will_be(node: &Node, groups: &[Group]) -> Option<Node> {
    if node.allocatable.get(&ResourceName::Cpu) != 0 {
        let lasting = |key: &str| !key.starts_with("node.kubernetes.io/");
        let taints = node.taints.iter().filter(|it| lasting(&it.key)).cloned().collect();
        return Some(Node { ready: true, taints, ..node.clone() });
    }
    let group = node.labels.get(GROUP_LABEL)?;
    let template = groups.iter().find(|it| it.name == *group)?.template.clone();
    Some(Node { name: node.name.clone(), annotations: node.annotations.clone(), ..template })
}

/// A group, and whether its provider has no more nodes.
fn read(value: &Value) -> Result<(Group, bool), String> {
    let it: NodeGroup = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let (name, spec) = (it.metadata.name, it.spec);
    let mut labels = json!({
        // What nearly every node is, unless its template says otherwise.
        "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        GROUP_LABEL: name, "kubernetes.io/hostname": name,
    });
    for (key, value) in &spec.template.labels {
        labels[key] = value.as_str().into();
    }
    let template = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": spec.template.taints},
        "status": {"allocatable": spec.template.capacity,
            "conditions": [{"type": "Ready", "status": "True"}]},
    });
    let mut template = Node::from_value(&template).map_err(|error| error.to_string())?;
    if template.allocatable.get(&ResourceName::Pods) == 0 {
        template.allocatable.set(&ResourceName::Pods, MAX_PODS);
    }
    let size = |of: u32| usize::try_from(of).unwrap_or(usize::MAX);
    let group = Group {
        template,
        min: size(spec.min_size),
        max: size(spec.max_size),
        target: size(spec.desired_size.unwrap_or(spec.min_size)),
        price: spec.price.as_deref().map_or(u64::MAX, millionths),
        backoff: false,
        name,
    };
    let conditions = &it.status.conditions;
    Ok((group, conditions.iter().any(|it| it.kind == "OutOfStock" && it.is_true())))
}

/// A decimal number, in millionths. The schema has checked that it is one.
fn millionths(decimal: &str) -> u64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    whole.saturating_mul(1_000_000).saturating_add(fraction.parse().unwrap_or(0))
}

/// Which autoscaler has which nodes, and buys for which pods: where several would, the first by
/// name.
#[derive(Default)]
pub(super) struct Taken {
    nodes: Vec<(String, Labels)>,
    pods: Vec<Arc<Pod>>,
}

impl Taken {
    pub fn add(&mut self, autoscaler: &str, selector: Labels, plan: &Plan) {
        self.nodes.push((autoscaler.to_owned(), selector));
        self.pods.extend(plan.served.iter().cloned());
    }

    /// The autoscaler that has a node, or would have one of a template.
    pub fn owner(&self, node: &Node) -> Option<&str> {
        self.nodes.iter().find(|it| selects(&it.1, node)).map(|it| it.0.as_str())
    }

    /// Leaves out what others have; the reason to tell if this one selects any of it.
    pub fn leave_out(&self, observed: &mut Observed) -> Option<(&'static str, String)> {
        let selector = &observed.spec.node_selector;
        let mut meant = observed.nodes.iter().filter(|it| selects(selector, it));
        let reason = meant.find_map(|it| self.owner(it)).map(|other| {
            let text = format!("nodes that it selects are under {other}, which comes first");
            ("Overlap", text)
        });
        observed.nodes.retain(|it| self.owner(it).is_none());
        observed.coming.retain(|it| self.owner(it).is_none());
        observed.groups.retain(|it| self.owner(&it.template).is_none());
        let served: BTreeSet<*const Pod> = self.pods.iter().map(Arc::as_ptr).collect();
        observed.pods.retain(|it| !served.contains(&Arc::as_ptr(it)));
        reason
    }
}

/// The nodes that may still be bought under one autoscaler, as room for pods.
pub(super) fn growth(observed: &Observed, plan: &Plan) -> Vec<Room> {
    let most = observed.spec.max_available.unwrap_or(usize::MAX);
    let mut left = most.saturating_sub(plan.status.new_node_count);
    let mut rooms = Vec::new();
    let selector = &observed.spec.node_selector;
    let usable =
        |it: &&Group| !it.backoff && takes_any_pod(&it.template) && selects(selector, &it.template);
    for group in observed.groups.iter().filter(usable) {
        let nodes = group.max.saturating_sub(group.target).min(left);
        left -= nodes;
        if 0 < nodes {
            let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
            rooms.push(Room { free: group.template.allocatable.clone(), nodes });
        }
    }
    rooms
}
