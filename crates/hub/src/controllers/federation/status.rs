//! What a Federation says of its members, and what of that is news. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kogge_api::{
    Condition, ConditionStatus, find_condition,
    fleet::{Cluster, Federation, FederationStatus, MemberState, MemberStatus},
    set_condition,
};

use super::decide::{
    APPROVE_REMOVAL, About, Departure, Effect, Left, Observed, Sighting, Standing,
};

/// A member that goes on being seen is written down so often.
pub(super) const QUANTUM: SignedDuration = SignedDuration::from_mins(1);

/// Members that the condition tells of; the others are in the status.
const TOLD: usize = 5;

/// Why the API refused to write a member's Cluster, by member.
pub(super) type Refused = BTreeMap<String, String>;

/// The status that holds now, if it is another one, and what there is to say of the change.
pub(super) fn conclude(
    seen: &Observed,
    refused: &Refused,
) -> (Option<FederationStatus>, Vec<Effect>) {
    let Some(federation) = &seen.federation else { return (None, Vec::new()) };
    let mut listed = BTreeSet::new();
    let mut twice = BTreeSet::new();
    let mut members = Vec::new();
    for member in &federation.members {
        if listed.insert(&member.name) {
            members.push(of_listed(seen, &member.name, refused));
        } else {
            twice.insert(member.name.as_str());
        }
    }
    for member in &mut members {
        let before = federation.status.members.iter().find(|it| it.name == member.name);
        see(member, before, seen.sightings.get(&member.name));
    }
    let total = members.len();
    let ready = members.iter().filter(|it| it.state == MemberState::Ready).count();
    let departures = seen.departures();
    members.extend(departures.iter().map(|(name, _, it)| of_leaving(name, *it)));
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    let mut conditions = federation.status.conditions.clone();
    let held: Vec<&str> = departures
        .iter()
        .filter(|(_, _, it)| matches!(it, Departure::Held))
        .map(|(name, ..)| *name)
        .collect();
    let generation = federation.metadata.generation;
    let condition = condition(federation, &members, &twice, &held).observed(generation);
    set_condition(&mut conditions, condition, seen.now);
    let status = FederationStatus {
        observed_generation: generation,
        ready: format!("{ready}/{total}"),
        total_members: number(total),
        ready_members: number(ready),
        members,
        conditions,
    };
    let said = news(seen, &federation.status.members, &status.members);
    (Some(status).filter(|it| *it != federation.status), said)
}

/// When it was last seen, and by whom: told anew where it stands otherwise, or after a minute.
fn see(member: &mut MemberStatus, before: Option<&MemberStatus>, sighting: Option<&Sighting>) {
    let known = before.filter(|it| it.last_seen.is_some());
    let is_as_before = |it: &&MemberStatus| it.state == member.state && it.reason == member.reason;
    let is_older = |it: &MemberStatus, now: &Sighting| {
        it.last_seen.is_none_or(|at| QUANTUM <= now.at.duration_since(at))
    };
    match (known, sighting) {
        (Some(known), Some(now)) if known.last_seen.is_some_and(|it| now.at < it) => {
            keep(member, known);
        }
        (Some(known), Some(now)) if is_as_before(&known) && !is_older(known, now) => {
            keep(member, known);
        }
        (_, Some(now)) => {
            member.last_seen = Timestamp::from_second(now.at.as_second()).ok();
            member.seen_by.clone_from(&now.by);
        }
        (Some(known), None) => keep(member, known),
        (None, None) => {}
    }
}

fn keep(member: &mut MemberStatus, known: &MemberStatus) {
    member.last_seen = known.last_seen;
    member.seen_by.clone_from(&known.seen_by);
}

fn of_listed(seen: &Observed, name: &str, refused: &Refused) -> MemberStatus {
    let pending =
        |reason: &str, message: String| member(name, MemberState::Pending, reason, message);
    if let Some(why) = refused.get(name) {
        return pending("Refused", why.clone());
    }
    match seen.standing(name) {
        Standing::Taken(other) => pending(
            "MemberConflict",
            format!("it is a member of Federation {other}; take it off one of the two lists"),
        ),
        Standing::Missing => connecting(name),
        Standing::Ours(cluster) | Standing::Adopted(cluster) => of_cluster(name, cluster),
    }
}

fn member(name: &str, state: MemberState, reason: &str, message: String) -> MemberStatus {
    MemberStatus {
        name: name.to_owned(),
        state,
        reason: reason.to_owned(),
        message,
        last_seen: None,
        seen_by: Vec::new(),
    }
}

fn connecting(name: &str) -> MemberStatus {
    let message = "waiting for its first answer".to_owned();
    member(name, MemberState::Pending, "Connecting", message)
}

fn of_cluster(name: &str, cluster: &Cluster) -> MemberStatus {
    if cluster.metadata.deletion_timestamp.is_some() {
        let message = "its Cluster is being deleted; it is made anew once that is gone".to_owned();
        return member(name, MemberState::Pending, "Deleting", message);
    }
    let Some(ready) = find_condition(&cluster.status.conditions, "Ready") else {
        return connecting(name);
    };
    if ready.is_true() {
        return member(name, MemberState::Ready, &ready.reason, ready.message.clone());
    }
    let answered = !cluster.status.kubernetes_version.is_empty();
    let lost = answered && ready.status == ConditionStatus::False;
    let state = if lost { MemberState::NotReady } else { MemberState::Pending };
    let mut it = member(name, state, &ready.reason, ready.message.clone());
    it.last_seen = ready.last_transition_time.filter(|_| lost);
    it
}

fn of_leaving(name: &str, departure: Departure<'_>) -> MemberStatus {
    let unjoin = format!("to let it go as it is: kogge unjoin {name}");
    let (reason, message) = match departure {
        Departure::To(other) => ("HandedOver", format!("Federation {other} lists it")),
        Departure::Held => ("RemovalHeld", "waits for a person's word".to_owned()),
        Departure::Begins => ("Draining", "what it runs moves elsewhere".to_owned()),
        Departure::Drains(Left::Nothing) => ("Drained", "it runs nothing any more".to_owned()),
        Departure::Drains(Left::Objects(count)) => {
            ("Draining", format!("{count} objects are being deleted there"))
        }
        Departure::Drains(Left::Placed(templates)) => {
            let some = some(templates.iter().map(String::as_str));
            (
                "Draining",
                format!("still placed there: {some}; what no other cluster takes stays; {unjoin}"),
            )
        }
        Departure::Drains(Left::Unknown(why)) => {
            let why = if why.is_empty() { "it was not asked yet" } else { why };
            ("Unknown", format!("what it still runs is not known: {why}; {unjoin} --force"))
        }
    };
    member(name, MemberState::Leaving, reason, message)
}

/// The worst that is to be said, with the words that help.
fn condition(
    federation: &Federation,
    members: &[MemberStatus],
    twice: &BTreeSet<&str>,
    held: &[&str],
) -> Condition {
    let not = |reason: &str, message: String| Condition::new("Ready", false, reason, message);
    if !twice.is_empty() {
        let names = some(twice.iter().copied());
        return not("DuplicateMember", format!("members: listed more than once: {names}"));
    }
    if !held.is_empty() {
        let (names, name) = (some(held.iter().copied()), &federation.metadata.name);
        return not(
            "RemovalHeld",
            format!(
                "so much of the fleet would leave at once that it waits: {names}; to agree, run \
                 kubectl annotate federation {name} {APPROVE_REMOVAL}=true"
            ),
        );
    }
    if federation.members.is_empty() {
        return not("NoMembers", "members is empty".to_owned());
    }
    let listed = || members.iter().filter(|it| it.state != MemberState::Leaving);
    let order = ["Refused", "MemberConflict", "NoCredentials"];
    for reason in order {
        if listed().any(|it| it.reason == reason) {
            return not(reason, tell(listed().filter(|it| it.reason == reason)));
        }
    }
    for (state, reason) in
        [(MemberState::NotReady, "MembersNotReady"), (MemberState::Pending, "MembersPending")]
    {
        if listed().any(|it| it.state == state) {
            return not(reason, tell(listed().filter(|it| it.state == state)));
        }
    }
    let leaving = members.iter().filter(|it| it.state == MemberState::Leaving);
    let leaving: Vec<&str> = leaving.map(|it| it.name.as_str()).collect();
    let mut message = format!("all {} members are ready", federation.members.len());
    if !leaving.is_empty() {
        message.push_str(&format!("; leaving: {}", some(leaving.into_iter())));
    }
    Condition::new("Ready", true, "MembersReady", message)
}

fn tell<'a>(members: impl Iterator<Item = &'a MemberStatus>) -> String {
    let lines: Vec<String> = members.map(|it| format!("{}: {}", it.name, it.message)).collect();
    let mut told = lines[..lines.len().min(TOLD)].join("; ");
    if TOLD < lines.len() {
        told.push_str(&format!("; and {} more", lines.len() - TOLD));
    }
    told
}

fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut told = names[..names.len().min(TOLD)].join(", ");
    if TOLD < names.len() {
        told.push_str(&format!(" and {} more", names.len() - TOLD));
    }
    told
}

/// What became of members since the last status, each change said once.
fn news(seen: &Observed, before: &[MemberStatus], now: &[MemberStatus]) -> Vec<Effect> {
    let old: BTreeMap<&str, &MemberStatus> =
        before.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut said = Vec::new();
    let mut say = |warning, reason, message| {
        said.push(Effect::Say { about: About::Federation, warning, reason, message });
    };
    for it in now {
        let known = old.get(it.name.as_str()).map(|it| (it.state, it.reason.as_str()));
        let is_member = !["Refused", "MemberConflict"].contains(&it.reason.as_str());
        if known.is_none() && is_member && it.state != MemberState::Leaving {
            say(false, "MemberAdded", format!("{} is a member from now on", it.name));
        }
        if known == Some((it.state, &it.reason)) || it.reason == "Connecting" {
            continue;
        }
        let message = format!("{}: {}", it.name, it.message);
        match it.state {
            MemberState::Ready => say(false, "MemberReady", message),
            MemberState::NotReady => say(true, "MemberNotReady", message),
            MemberState::Pending => say(true, "MemberPending", message),
            MemberState::Leaving if it.reason == "RemovalHeld" => say(true, "RemovalHeld", message),
            // To leave is said by what is done about it.
            MemberState::Leaving => {}
        }
    }
    for it in before.iter().filter(|it| it.state != MemberState::Leaving) {
        let is_told = now.iter().any(|now| now.name == it.name);
        if !is_told && seen.clusters.contains_key(&it.name) {
            let name = &it.name;
            let message = format!(
                "{name} is no longer listed and stays in the fleet, since it was joined by hand; \
                 to take it out: kogge unjoin {name}"
            );
            say(false, "MemberReleased", message);
        }
    }
    said
}
