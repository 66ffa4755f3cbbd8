//! The predicates, each with its reason in kube-scheduler's words.

use crate::{Place, Snapshot};
use kogge_model::{Effect, Pod, PodAffinityTerm, ResourceName, Spread, first_untolerated};
use std::collections::BTreeMap;
use std::fmt;

/// Why a pod does not fit a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The node is cordoned.
    Unschedulable,
    /// A taint: key and value.
    Taint(String, String),
    /// Node selector or affinity.
    Affinity,
    /// A host port is taken.
    Ports,
    /// Too little of a resource.
    Insufficient(ResourceName),
    /// Its affinity to pods.
    PodAffinity,
    /// Its anti-affinity to pods.
    PodAntiAffinity,
    /// The anti-affinity of pods there.
    ExistingAntiAffinity,
    /// Spreading: the skew would be too large.
    Spread,
    /// Spreading: the node lacks the label.
    SpreadLabel,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taint(k, v) => return write!(f, "node(s) had untolerated taint {{{k}: {v}}}"),
            Self::Insufficient(ResourceName::Pods) => "Too many pods",
            Self::Insufficient(name) => return write!(f, "Insufficient {}", name.as_str()),
            Self::Unschedulable => "node(s) were unschedulable",
            Self::Affinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Ports => "node(s) didn't have free ports for the requested pod ports",
            Self::PodAffinity => "node(s) didn't match pod affinity rules",
            Self::PodAntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ExistingAntiAffinity => {
                "node(s) didn't satisfy existing pods anti-affinity rules"
            }
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::SpreadLabel => {
                "node(s) didn't match pod topology spread constraints (missing required label)"
            }
        })
    }
}

/// Whether `pod` fits the node at `at`; the reasons of the first predicate that says no.
pub fn fits(pod: &Pod, snapshot: &Snapshot, at: usize) -> Result<(), Vec<Reason>> {
    let place = &snapshot.places[at];
    let one = |bad: bool, why: Reason| if bad { Err(vec![why]) } else { Ok(()) };
    let cordon = [kogge_model::Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        value: String::new(),
        effect: Effect::NoSchedule,
    }];
    let hard = [Effect::NoSchedule, Effect::NoExecute];
    let tolerations = &pod.spec.tolerations;
    one(
        place.node.unschedulable && first_untolerated(&cordon, tolerations, &hard).is_some(),
        Reason::Unschedulable,
    )?;
    if let Some(t) = first_untolerated(&place.node.taints, tolerations, &hard) {
        return Err(vec![Reason::Taint(t.key.clone(), t.value.clone())]);
    }
    one(!selected(pod, place), Reason::Affinity)?;
    one(place.pods.iter().any(|p| ports_clash(pod, p)), Reason::Ports)?;
    let lacking = place.free.lacking(&pod.spec.requests);
    if !lacking.is_empty() {
        return Err(lacking.into_iter().map(Reason::Insufficient).collect());
    }
    pod.spec
        .spread
        .iter()
        .try_for_each(|s| spread(pod, s, snapshot, place).map_err(|r| vec![r]))?;
    one(!pod.spec.pod_affinity.is_empty() && !affine(pod, snapshot, place), Reason::PodAffinity)?;
    let own = |t: &PodAffinityTerm| {
        neighbours(snapshot, place, &t.topology_key)
            .any(|p| t.selects(&pod.namespace, &p.namespace, &p.labels))
    };
    one(pod.spec.pod_anti_affinity.iter().any(own), Reason::PodAntiAffinity)?;
    one(snapshot.repelling && repelled(pod, snapshot, place), Reason::ExistingAntiAffinity)
}

fn selected(pod: &Pod, place: &Place) -> bool {
    let node = &place.node;
    let any = pod.spec.node_affinity.as_ref();
    pod.spec.node_selector.iter().all(|(k, v)| node.labels.get(k) == Some(v))
        && any.is_none_or(|terms| terms.iter().any(|t| t.matches(&node.name, &node.labels)))
}

fn ports_clash(a: &Pod, b: &Pod) -> bool {
    let clash = |x: &(i64, String, String), y: &(i64, String, String)| {
        x.0 == y.0 && x.1 == y.1 && (x.2 == y.2 || x.2.is_empty() || y.2.is_empty())
    };
    a.spec.host_ports.iter().any(|x| b.spec.host_ports.iter().any(|y| clash(x, y)))
}

/// Pods on nodes with the same value of `key` as `place`; none when it lacks the label.
fn neighbours<'a>(
    snapshot: &'a Snapshot,
    place: &'a Place,
    key: &'a str,
) -> impl Iterator<Item = &'a Pod> {
    let value = place.node.labels.get(key);
    let near = move |p: &&std::sync::Arc<Place>| value.is_some() && p.node.labels.get(key) == value;
    snapshot.places.iter().filter(near).flat_map(|p| p.pods.iter().map(|p| &**p))
}

/// All terms hold together, or no pod anywhere matches them and the pod matches itself: the first of its kind.
fn affine(pod: &Pod, snapshot: &Snapshot, place: &Place) -> bool {
    let terms = &pod.spec.pod_affinity;
    let all = |p: &Pod| terms.iter().all(|t| t.selects(&pod.namespace, &p.namespace, &p.labels));
    if terms.iter().any(|t| !place.node.labels.contains_key(&t.topology_key)) {
        return false;
    }
    let met = |t: &PodAffinityTerm| neighbours(snapshot, place, &t.topology_key).any(all);
    let nowhere = || !snapshot.places.iter().any(|p| p.pods.iter().any(|p| all(p)));
    terms.iter().all(met) || (all(pod) && nowhere())
}

fn repelled(pod: &Pod, snapshot: &Snapshot, place: &Place) -> bool {
    let value = |p: &Place, key: &str| p.node.labels.get(key).cloned();
    snapshot.places.iter().any(|there| {
        there.pods.iter().filter(|p| !p.spec.pod_anti_affinity.is_empty()).any(|p| {
            p.spec.pod_anti_affinity.iter().any(|t| {
                let here = value(place, &t.topology_key);
                here.is_some()
                    && here == value(there, &t.topology_key)
                    && t.selects(&p.namespace, &pod.namespace, &pod.labels)
            })
        })
    })
}

fn spread(pod: &Pod, rule: &Spread, snapshot: &Snapshot, place: &Place) -> Result<(), Reason> {
    let here = place.node.labels.get(&rule.topology_key).ok_or(Reason::SpreadLabel)?;
    let mut counts: BTreeMap<&String, i64> = BTreeMap::new();
    for p in snapshot.places.iter().filter(|p| selected(pod, p)) {
        if let Some(domain) = p.node.labels.get(&rule.topology_key) {
            let same = |x: &&std::sync::Arc<Pod>| {
                x.namespace == pod.namespace && !x.deleting && rule.selector.matches(&x.labels)
            };
            *counts.entry(domain).or_default() +=
                i64::try_from(p.pods.iter().filter(same).count()).unwrap_or(i64::MAX);
        }
    }
    let few = i64::try_from(counts.len()).unwrap_or(i64::MAX) < rule.min_domains;
    let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
    let own = i64::from(rule.selector.matches(&pod.labels));
    let skew = counts.get(here).copied().unwrap_or(0) + own - least;
    if skew > rule.max_skew { Err(Reason::Spread) } else { Ok(()) }
}

/// kube-scheduler's sentence: `0/3 nodes are available: 2 Insufficient cpu, 1 ...`.
pub fn summary(pod: &Pod, snapshot: &Snapshot) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for at in 0..snapshot.places.len() {
        for reason in fits(pod, snapshot, at).err().unwrap_or_default() {
            *counts.entry(reason.to_string()).or_default() += 1;
        }
    }
    let mut parts: Vec<String> = counts.into_iter().map(|(r, n)| format!("{n} {r}")).collect();
    parts.sort();
    let all = snapshot.places.len();
    if parts.is_empty() {
        "no nodes available to schedule pods".to_owned()
    } else {
        format!("0/{all} nodes are available: {}.", parts.join(", "))
    }
}

/// The node to take: the fewest pods of the same owner, then the most room left, then the first by name.
pub fn choose(pod: &Pod, snapshot: &Snapshot) -> Option<usize> {
    let able = (0..snapshot.places.len()).filter(|at| fits(pod, snapshot, *at).is_ok());
    able.min_by_key(|at| {
        let place = &snapshot.places[*at];
        let kin = place.pods.iter().filter(|p| p.owner.is_some() && p.owner == pod.owner).count();
        let share =
            |free: i64, of: i64, ask: i64| i128::from(free - ask) * 1000 / i128::from(of.max(1));
        let (free, all, ask) = (&place.free, &place.node.allocatable, &pod.spec.requests);
        let room = share(free.milli_cpu(), all.milli_cpu(), ask.milli_cpu())
            + share(free.memory(), all.memory(), ask.memory());
        (kin, -room, place.node.name.clone())
    })
}

/// How many more of `pod` the nodes take, each judged alone by resources and by what else lets it in.
pub fn room(pod: &Pod, snapshot: &Snapshot) -> i64 {
    let able = (0..snapshot.places.len()).filter(|at| fits(pod, snapshot, *at).is_ok());
    let alone = !pod.spec.host_ports.is_empty()
        || pod
            .spec
            .pod_anti_affinity
            .iter()
            .any(|t| t.selects(&pod.namespace, &pod.namespace, &pod.labels));
    able.map(|at| {
        snapshot.places[at].free.fits(&pod.spec.requests).min(if alone { 1 } else { i64::MAX })
    })
    .fold(0, i64::saturating_add)
}
