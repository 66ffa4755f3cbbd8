//! How many nodes of one template the pending pods need: first-fit decreasing, a whole group of equal pods at a time.
//!
//! Invariant: a pod is placed at most once, and every node added holds at least one pod.

use crate::{Place, Snapshot, fits};
use kogge_model::{Node, Pod};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Pods alike: same namespace, owner, labels and spec.
#[derive(Debug, Clone)]
pub struct Group {
    /// One for all.
    pub pod: Arc<Pod>,
    /// How many.
    pub count: usize,
}

/// What packing came to.
#[derive(Debug, Clone, Default)]
pub struct Packing {
    /// The snapshot with everything placed, new nodes at the end.
    pub snapshot: Snapshot,
    /// Nodes added, each with at least one pod.
    pub nodes: usize,
    /// Pods placed.
    pub placed: usize,
    /// What was left over.
    pub left: Vec<Group>,
}

/// Groups pods that are alike, in the order of their first pods.
pub fn group<'a>(pods: impl IntoIterator<Item = &'a Arc<Pod>>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for pod in pods {
        let mut hasher = DefaultHasher::new();
        (&pod.namespace, &pod.owner, &pod.labels, &pod.spec.requests).hash(&mut hasher);
        let list = known.entry(hasher.finish()).or_default();
        if let Some(at) = list.iter().find(|at| alike(&groups[**at].pod, pod)) {
            groups[*at].count += 1;
        } else {
            list.push(groups.len());
            groups.push(Group { pod: pod.clone(), count: 1 });
        }
    }
    groups
}

fn alike(a: &Pod, b: &Pod) -> bool {
    (Arc::ptr_eq(&a.spec, &b.spec) || a.spec == b.spec)
        && (&a.namespace, &a.owner, &a.labels) == (&b.namespace, &b.owner, &b.labels)
}

/// Places `groups` on `snapshot` and, where `template` is given, on at most `limit` copies of it.
pub fn pack(
    groups: &[Group],
    snapshot: Snapshot,
    template: Option<&Node>,
    limit: usize,
) -> Packing {
    let mut order: Vec<&Group> = groups.iter().collect();
    if let Some(node) = template {
        order.sort_by_key(|g| std::cmp::Reverse(size(&g.pod, node)));
    }
    let mut packing = Packing { snapshot, ..Packing::default() };
    for group in order {
        let mut left = group.count;
        for at in 0..packing.snapshot.places.len() {
            left -= fill(&mut packing.snapshot, at, &group.pod, left);
        }
        while let Some(node) = template.filter(|_| left > 0 && packing.nodes < limit) {
            let mut fresh = node.clone();
            fresh.name = format!("{}-{}", node.name, packing.nodes);
            fresh.labels.insert("kubernetes.io/hostname".to_owned(), fresh.name.clone());
            packing.snapshot.add_node(Arc::new(fresh));
            let last = packing.snapshot.places.len() - 1;
            let took = fill(&mut packing.snapshot, last, &group.pod, left);
            if took == 0 {
                packing.snapshot.places.pop();
                break;
            }
            packing.nodes += 1;
            left -= took;
        }
        packing.placed += group.count - left;
        if left > 0 {
            packing.left.push(Group { pod: group.pod.clone(), count: left });
        }
    }
    packing
}

fn size(pod: &Pod, node: &Node) -> i128 {
    let share = |ask: i64, of: i64| i128::from(ask) * 1_000_000 / i128::from(of.max(1));
    let (ask, of) = (&pod.spec.requests, &node.allocatable);
    share(ask.milli_cpu(), of.milli_cpu()) + share(ask.memory(), of.memory())
}

/// Puts up to `want` of `pod` on one node: all at once where they do not look at each other.
fn fill(snapshot: &mut Snapshot, at: usize, pod: &Arc<Pod>, want: usize) -> usize {
    let spec = &pod.spec;
    let room = usize::try_from(snapshot.places[at].free.fits(&spec.requests)).unwrap_or(0);
    if want == 0 || room == 0 || fits(pod, snapshot, at).is_err() {
        return 0;
    }
    let plain = spec.host_ports.is_empty()
        && spec.pod_affinity.is_empty()
        && spec.pod_anti_affinity.is_empty()
        && spec.spread.is_empty();
    if plain {
        let n = want.min(room);
        let place: &mut Place = Arc::make_mut(&mut snapshot.places[at]);
        place.free.subtract(&spec.requests.times(i64::try_from(n).unwrap_or(i64::MAX)));
        place.pods.extend(std::iter::repeat_n(pod.clone(), n));
        return n;
    }
    let mut took = 0;
    while took < want && fits(pod, snapshot, at).is_ok() {
        snapshot.bind(at, pod.clone());
        took += 1;
    }
    took
}

#[cfg(test)]
mod tests {
    use super::*;
    use kogge_model::{PodSpec, ResourceName, Resources};

    fn pod(owner: &str, cpu: i64, memory: i64) -> Arc<Pod> {
        let mut requests = Resources::new(cpu, memory);
        requests.set(&ResourceName::Pods, 1);
        let spec = Arc::new(PodSpec { requests, ..PodSpec::default() });
        Arc::new(Pod { namespace: owner.to_owned(), spec, ..Pod::default() })
    }

    fn node() -> Node {
        let mut allocatable = Resources::new(1000, 5000 << 20);
        allocatable.set(&ResourceName::Pods, 100);
        Node { name: "t".into(), allocatable, ..Node::default() }
    }

    #[test]
    fn fifty_one_thousand_pods_need_2595_nodes() {
        let groups = [
            Group { pod: pod("a", 50, 100), count: 50_000 },
            Group { pod: pod("b", 95, 190), count: 1000 },
        ];
        let packing = pack(&groups, Snapshot::default(), Some(&node()), 3000);
        assert_eq!((packing.nodes, packing.placed, packing.left.len()), (2595, 51_000, 0));
    }

    #[test]
    fn a_pod_larger_than_the_template_adds_no_node() {
        let pods = [pod("a", 2000, 0), pod("b", 500, 0)];
        let packing = pack(&group(&pods), Snapshot::default(), Some(&node()), 10);
        assert_eq!((packing.nodes, packing.placed, packing.left.len()), (1, 1, 1));
        let one = Snapshot::new(vec![node()], &[]);
        assert_eq!(crate::summary(&pods[0], &one), "0/1 nodes are available: 1 Insufficient cpu.");
        assert_eq!(crate::room(&pods[1], &one), 2);
    }
}
