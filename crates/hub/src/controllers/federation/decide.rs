//! The rules of membership. Pure: a Federation and the fleet in, what to do about its Clusters out.
//!
//! A Cluster belongs to the Federation that its label names. One without the label, joined by
//! hand, is counted where it is listed, and nothing else is done about it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kogge_api::fleet::{Cluster, Federation, FederationMember, Taint};
use serde_json::{Value, json};

/// On a Cluster: the Federation that made it.
pub(super) const LABEL: &str = "kogge.dev/federation";
/// The taint of a cluster that is on its way out: nothing stays there that can run elsewhere.
pub(crate) const LEAVING: &str = "kogge.dev/leaving";
/// The annotation by which a person agrees that much of the fleet leaves at once.
pub(super) const APPROVE_REMOVAL: &str = "kogge.dev/approve-removal";

/// What was seen of one Federation and its fleet, frozen at one instant.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub now: Timestamp,
    pub name: String,
    /// `None`: deleted, or on its way out.
    pub federation: Option<Federation>,
    /// The other Federations that are there to stay.
    pub others: Vec<Federation>,
    /// Every cluster of the fleet, by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// What is left on clusters that leave, by name.
    pub left: BTreeMap<String, Left>,
    /// Clusters whose agents wait for a word before they delete so much.
    pub held: BTreeSet<String>,
    /// Who sees which cluster, and when that was.
    pub sightings: BTreeMap<String, Sighting>,
}

/// A cluster answered somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub at: Timestamp,
    /// `hub`, and members by name.
    pub by: Vec<String>,
}

/// What a cluster that leaves still has of the fleet's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// Templates that are still placed there.
    Placed(Vec<String>),
    /// So many objects, being deleted.
    Objects(usize),
    /// The cluster does not tell.
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    Create(Value),
    /// A merge patch of a Cluster.
    Patch {
        cluster: String,
        patch: Value,
    },
    /// The person who took the cluster off the list has said that all may go there.
    ApproveDeletions(String),
    /// Unjoins a cluster that has nothing of the fleet any more.
    Unjoin(String),
    /// The approval was for what was done just now.
    UseUpApproval,
    Say {
        about: About,
        warning: bool,
        reason: &'static str,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Federation,
    Cluster(String),
}

/// What a listed member is to the Federation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing<'a> {
    Missing,
    Ours(&'a Cluster),
    /// Joined by hand.
    Adopted(&'a Cluster),
    /// Another Federation has it.
    Taken(&'a str),
}

/// Where a cluster stands that was taken off the list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Departure<'a> {
    /// Another Federation lists it.
    To(&'a str),
    /// Too much would leave at once.
    Held,
    Begins,
    Drains(&'a Left),
}

impl Observed {
    pub fn listed(&self) -> &[FederationMember] {
        self.federation.as_ref().map_or(&[], |it| &it.members)
    }

    pub fn standing(&self, member: &str) -> Standing<'_> {
        let cluster = self.clusters.get(member);
        let label = cluster.and_then(|it| it.metadata.labels.get(LABEL));
        if let Some(owner) = label.and_then(|it| self.other(it)) {
            return Standing::Taken(owner);
        }
        match cluster {
            Some(it) if label == Some(&self.name) => Standing::Ours(it),
            found => match (self.elder(member), found) {
                (Some(elder), _) => Standing::Taken(elder),
                (None, Some(it)) => Standing::Adopted(it),
                (None, None) => Standing::Missing,
            },
        }
    }

    fn other(&self, name: &str) -> Option<&str> {
        self.others.iter().map(|it| it.metadata.name.as_str()).find(|it| *it == name)
    }

    /// An older Federation that lists the member: of several, the first one has it.
    fn elder(&self, member: &str) -> Option<&str> {
        let age = |it: &Federation| (it.metadata.creation_timestamp, it.metadata.name.clone());
        let own = self.federation.as_ref().map(age)?;
        let elders = self.listing(member).filter(|it| age(it) < own);
        elders.min_by_key(|it| age(it)).map(|it| it.metadata.name.as_str())
    }

    fn listing(&self, member: &str) -> impl Iterator<Item = &Federation> {
        self.others.iter().filter(move |it| it.members.iter().any(|it| it.name == member))
    }

    /// The clusters that belong to this Federation and are not on its list.
    fn unlisted(&self) -> impl Iterator<Item = (&String, &Cluster)> {
        let listed = |name: &String| self.listed().iter().any(|it| it.name == *name);
        let ours = |it: &Cluster| it.metadata.labels.get(LABEL) == Some(&self.name);
        self.clusters.iter().filter(move |(name, it)| ours(it) && !listed(name))
    }

    /// The clusters of which has to be known what is left there.
    pub fn draining(&self) -> Vec<String> {
        self.unlisted().filter(|(_, it)| is_leaving(it)).map(|it| it.0.clone()).collect()
    }

    /// Clusters off the list, and how far each has come.
    pub fn departures(&self) -> Vec<(&str, &Cluster, Departure<'_>)> {
        let held = self.is_too_much() && !self.is_approved();
        let departure = |(name, cluster): (&String, &Cluster)| {
            let to = self.listing(name).next().map(|it| it.metadata.name.as_str());
            match (to, self.left.get(name)) {
                (Some(other), _) => Departure::To(other),
                (None, left) if is_leaving(cluster) => Departure::Drains(left.unwrap_or(&UNSEEN)),
                (None, _) if held => Departure::Held,
                (None, _) => Departure::Begins,
            }
        };
        // Without the Federation nobody has said that a cluster should leave.
        let said = |it: &Cluster| self.federation.is_some() || is_leaving(it);
        self.unlisted()
            .filter(|(_, it)| said(it))
            .map(|it| (it.0.as_str(), it.1, departure(it)))
            .collect()
    }

    /// More than half of what ever answered, or half of more than two. What never answered runs
    /// nothing, so that a name which was mistyped needs nobody's word.
    fn is_too_much(&self) -> bool {
        let answered = |it: &Cluster| !it.status.kubernetes_version.is_empty();
        let gone = |name: &String| {
            self.left.get(name) == Some(&Left::Nothing) || self.listing(name).next().is_some()
        };
        let leaving = self.unlisted().filter(|(name, it)| answered(it) && !gone(name)).count();
        let staying = self
            .listed()
            .iter()
            .filter(|it| self.clusters.get(&it.name).is_some_and(answered))
            .count();
        staying < leaving || (staying == leaving && 1 < leaving)
    }

    fn is_approved(&self) -> bool {
        let annotations = self.federation.as_ref().map(|it| &it.metadata.annotations);
        annotations.and_then(|it| it.get(APPROVE_REMOVAL)).is_some_and(|it| it == "true")
    }
}

static UNSEEN: Left = Left::Unknown(String::new());

fn is_leaving(cluster: &Cluster) -> bool {
    cluster.spec.taints.iter().any(|it| it.key == LEAVING)
}

pub(super) fn decide(seen: &Observed) -> Vec<Effect> {
    let mut effects = Vec::new();
    for member in seen.listed() {
        keep(seen, member, &mut effects);
    }
    for (name, cluster, departure) in seen.departures() {
        depart(seen, name, cluster, departure, &mut effects);
    }
    if seen.federation.is_none() {
        release(seen, &mut effects);
    } else if seen.is_approved() {
        effects.push(Effect::UseUpApproval);
    }
    effects
}

fn keep(seen: &Observed, member: &FederationMember, effects: &mut Vec<Effect>) {
    match seen.standing(&member.name) {
        Standing::Missing => effects.push(Effect::Create(cluster(&seen.name, member))),
        Standing::Ours(cluster) if cluster.metadata.deletion_timestamp.is_none() => {
            if let Some(patch) = difference(cluster, member) {
                effects.push(Effect::Patch { cluster: member.name.clone(), patch });
            }
            if is_leaving(cluster) {
                let message = format!("{} is listed again and stays", member.name);
                say(effects, About::Federation, "MemberStays", message);
            }
        }
        Standing::Ours(_) | Standing::Adopted(_) | Standing::Taken(_) => {}
    }
}

fn depart(
    seen: &Observed,
    name: &str,
    cluster: &Cluster,
    departure: Departure<'_>,
    effects: &mut Vec<Effect>,
) {
    let patch = |patch: Value| Effect::Patch { cluster: name.to_owned(), patch };
    match departure {
        Departure::To(other) => {
            let mut change = of(cluster);
            change["metadata"]["labels"] = json!({LABEL: other});
            change["spec"] = json!({"taints": staying(cluster)});
            effects.push(patch(change));
            let message = format!("{name} belongs to Federation {other} from now on");
            say(effects, About::Federation, "MemberHandedOver", message);
        }
        Departure::Begins => {
            let mut taints = cluster.spec.taints.clone();
            taints.push(Taint {
                key: LEAVING.to_owned(),
                effect: "NoExecute".to_owned(),
                time_added: Timestamp::from_second(seen.now.as_second()).ok(),
                ..Taint::default()
            });
            let mut change = of(cluster);
            change["spec"] = json!({"taints": taints});
            effects.push(patch(change));
            let message = format!("{name} is no longer listed: what it runs moves elsewhere");
            say(effects, About::Federation, "MemberLeaving", message);
        }
        Departure::Drains(Left::Nothing) => {
            effects.push(Effect::Unjoin(name.to_owned()));
            let message = format!("{name} runs nothing of the fleet any more and has left it");
            say(effects, About::Federation, "MemberLeft", message);
        }
        Departure::Drains(Left::Objects(_)) if seen.held.contains(name) => {
            effects.push(Effect::ApproveDeletions(name.to_owned()));
        }
        Departure::Held | Departure::Drains(_) => {}
    }
}

/// Its Clusters outlive a Federation: to delete one object takes no fleet with it.
fn release(seen: &Observed, effects: &mut Vec<Effect>) {
    for (name, cluster) in seen.unlisted().filter(|(_, it)| !is_leaving(it)) {
        let mut patch = of(cluster);
        patch["metadata"]["labels"] = json!({LABEL: null});
        effects.push(Effect::Patch { cluster: name.clone(), patch });
        let message = format!(
            "Federation {} is gone; {name} stays in the fleet; to take it out: kogge unjoin {name}",
            seen.name
        );
        say(effects, About::Cluster(name.clone()), "FederationDeleted", message);
    }
}

fn say(effects: &mut Vec<Effect>, about: About, reason: &'static str, message: String) {
    effects.push(Effect::Say { about, warning: false, reason, message });
}

/// A patch that holds only while the Cluster is as it was seen: somebody may be joining it.
fn of(cluster: &Cluster) -> Value {
    json!({"metadata": {"resourceVersion": cluster.metadata.resource_version}})
}

fn staying(cluster: &Cluster) -> Vec<&Taint> {
    cluster.spec.taints.iter().filter(|it| it.key != LEAVING).collect()
}

/// The Cluster of a member that has none yet.
fn cluster(federation: &str, member: &FederationMember) -> Value {
    let mut labels = member.labels.clone();
    labels.insert(LABEL.to_owned(), federation.to_owned());
    let mut spec: serde_json::Map<String, Value> = wanted(member).into_iter().collect();
    spec.insert("syncMode".to_owned(), "Push".into());
    spec.insert("apiEndpoint".to_owned(), member.url.clone().into());
    json!({
        "apiVersion": super::super::cluster::API_VERSION, "kind": "Cluster",
        "metadata": {"name": member.name, "labels": labels},
        "spec": spec,
    })
}

/// The fields of a Cluster's spec that the list gives; about others it says nothing.
fn wanted(member: &FederationMember) -> BTreeMap<String, Value> {
    let zones = member.zone.as_ref().map(|it| json!([it]));
    let insecure = Some(json!(true)).filter(|_| member.insecure_skip_tls_verification);
    let given = [
        ("secretRef", member.secret_ref.as_ref().map(|it| json!(it))),
        ("region", member.region.as_ref().map(|it| json!(it))),
        ("zones", zones),
        ("provider", member.provider.as_ref().map(|it| json!(it))),
        ("insecureSkipTLSVerification", insecure),
    ];
    given.into_iter().filter_map(|(field, it)| Some((field.to_owned(), it?))).collect()
}

/// What has to change of a Cluster to be as its member is listed.
fn difference(cluster: &Cluster, member: &FederationMember) -> Option<Value> {
    let is = json!(cluster.spec);
    let mut wanted = wanted(member);
    // With credentials of its own, from `kogge join`, the address is theirs as well.
    if cluster.spec.secret_ref.is_none() || member.secret_ref.is_some() {
        wanted.insert("apiEndpoint".to_owned(), member.url.clone().into());
    }
    if is_leaving(cluster) {
        wanted.insert("taints".to_owned(), json!(staying(cluster)));
    }
    wanted.retain(|field, it| is.get(field) != Some(it));
    if let Some(reference) = wanted.get_mut("secretRef").and_then(Value::as_object_mut) {
        // A merge would keep the namespace of the one before.
        reference.entry("namespace").or_insert(Value::Null);
    }
    let mut labels = member.labels.clone();
    labels.retain(|key, it| key != LABEL && cluster.metadata.labels.get(key) != Some(it));
    if wanted.is_empty() && labels.is_empty() {
        return None;
    }
    let mut patch = of(cluster);
    if !labels.is_empty() {
        patch["metadata"]["labels"] = json!(labels);
    }
    if !wanted.is_empty() {
        patch["spec"] = json!(wanted);
    }
    Some(patch)
}
