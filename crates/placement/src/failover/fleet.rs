//! Which clusters are well, out of reach or dead; the taints that say so; and the guard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Millis, NOT_READY, Settings, UNREACHABLE};
use crate::cluster::Taint;

/// How the hub's own link to a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Ready,
    /// It answers, and is not well.
    NotReady,
    Unreachable,
    /// Nothing was heard yet: the hub has just started.
    Unknown,
}

/// What the other clusters say of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// Nobody says anything: they do not gossip.
    #[default]
    Silent,
    Alive,
    Dead {
        since: Millis,
        observers: Vec<String>,
    },
}

/// A taint, and since when; a person who adds one may leave that out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    pub taint: Taint,
    pub since: Option<Millis>,
}

/// One cluster as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub link: Link,
    /// Since when the link is so.
    pub since: Millis,
    pub word: Word,
    pub taints: Vec<Timed>,
    /// Its own limit in place of [`Settings::dead_after`].
    pub dead_after: Option<Millis>,
    /// The guard holds it already: only its return or a person ends that.
    pub held: bool,
    /// A person said that it may be given up.
    pub approved: bool,
    /// On its way out of the fleet: it counts for nothing here.
    pub leaving: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Well { since: Millis },
    NotReady,
    OutOfReach { since: Millis },
    Dead { since: Millis, by: By },
    NotKnown,
}

/// Who says that a cluster is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Observers(Vec<String>),
    Hub,
}

/// Why nothing moves without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The hub reaches no cluster: it is the hub that is cut off.
    CutOff,
    Majority {
        gone: usize,
        of: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessed {
    pub standing: Standing,
    /// All that it should have, those of others included.
    pub taints: Vec<Timed>,
    pub held: Option<Guard>,
    /// Whether a person's word counts here; one that finds nothing dead is to be taken off.
    pub approved: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    pub members: BTreeMap<String, Assessed>,
    pub guard: Option<Guard>,
    /// When time alone changes something.
    pub again: Option<Millis>,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => {
                f.write_str("the hub reaches no cluster, so it is the hub that is cut off")
            }
            Self::Majority { gone, of } => write!(
                f,
                "{gone} of {of} clusters are gone at once, which is more likely a fault of the \
                 network than theirs"
            ),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observers(names) => {
                write!(f, "was declared dead on the word of {}", names.join(", "))
            }
            Self::Hub => f.write_str(
                "was given up by the hub, which alone watched it and found it unreachable",
            ),
        }
    }
}

/// Judges every cluster. `cut_off`: somebody else says that the hub is cut off.
pub fn assess(now: Millis, members: &[Member], cut_off: bool, settings: &Settings) -> Fleet {
    let counted: Vec<&Member> = members.iter().filter(|it| !it.leaving).collect();
    let standings: Vec<Standing> = counted.iter().map(|it| standing(now, it, settings)).collect();
    let guard = guard(now, &counted, &standings, cut_off, settings);
    let mut fleet = Fleet { guard, ..Fleet::default() };
    for (member, standing) in counted.iter().zip(standings) {
        if let Standing::OutOfReach { since } = standing
            && member.word == Word::Silent
        {
            fleet.again = Some(soonest(fleet.again, since + limit(member, settings)));
        }
        let is_dead = matches!(standing, Standing::Dead { .. });
        let held = guard
            .filter(|_| is_dead && !member.approved)
            .or_else(|| latched(member, is_dead, &counted));
        let taints = taints(now, member, &standing);
        let approved = member.approved && is_dead;
        fleet.members.insert(member.name.clone(), Assessed { standing, taints, held, approved });
    }
    fleet
}

pub(super) fn soonest(one: Option<Millis>, other: Millis) -> Millis {
    one.map_or(other, |it| it.min(other))
}

fn limit(member: &Member, settings: &Settings) -> Millis {
    member.dead_after.unwrap_or(settings.dead_after)
}

/// What the hub reaches is alive, whatever others say; so is what others reach.
fn standing(now: Millis, it: &Member, settings: &Settings) -> Standing {
    let dead_already = it.taints.iter().find(|it| is_ours(&it.taint, UNREACHABLE, "NoExecute"));
    match (it.link, &it.word) {
        (Link::Ready, _) => Standing::Well { since: it.since },
        (Link::NotReady, _) => Standing::NotReady,
        (_, Word::Dead { since, observers }) => {
            // What was declared dead earlier stays so since then.
            let since = dead_already.and_then(|it| it.since).unwrap_or(*since);
            Standing::Dead { since, by: By::Observers(observers.clone()) }
        }
        (Link::Unreachable, Word::Alive) => Standing::OutOfReach { since: it.since },
        (Link::Unreachable, Word::Silent) => match dead_already {
            Some(taint) => Standing::Dead { since: taint.since.unwrap_or(now), by: By::Hub },
            None if limit(it, settings) <= now - it.since => {
                Standing::Dead { since: now, by: By::Hub }
            }
            None => Standing::OutOfReach { since: it.since },
        },
        (Link::Unknown, _) => Standing::NotKnown,
    }
}

/// Whether so much is gone at once that nothing may move.
///
/// Counted are those that are well or not known, and those that were lost lately; whom a person
/// gave up counts as lost, so that the next loss is weighed with it.
fn guard(
    now: Millis,
    members: &[&Member],
    standings: &[Standing],
    cut_off: bool,
    settings: &Settings,
) -> Option<Guard> {
    let (mut gone, mut of, mut reached) = (0, 0, 0);
    for (member, standing) in members.iter().zip(standings) {
        let lost = match standing {
            Standing::Dead { since, .. } => Some(*since),
            Standing::OutOfReach { since } if member.word != Word::Alive => Some(*since),
            _ => None,
        };
        let lately = lost.is_some_and(|it| member.held || now - it <= settings.at_once);
        gone += usize::from(lately);
        of += usize::from(lately || lost.is_none());
        reached += usize::from(matches!(member.link, Link::Ready | Link::NotReady));
    }
    if cut_off || (1 < of && reached == 0) {
        return Some(Guard::CutOff);
    }
    let too_many = of < 2 * gone || (2 < of && of <= 2 * gone);
    too_many.then_some(Guard::Majority { gone, of })
}

/// Held once is held until a person says otherwise, even if others come back meanwhile.
fn latched(member: &Member, is_dead: bool, all: &[&Member]) -> Option<Guard> {
    let held = member.held && is_dead && !member.approved;
    let gone = all.iter().filter(|it| it.held && it.link == Link::Unreachable).count();
    held.then_some(Guard::Majority { gone, of: all.len() })
}

/// Those of others as they are, and ours as the standing wants them.
fn taints(now: Millis, member: &Member, standing: &Standing) -> Vec<Timed> {
    let ours = |it: &&Timed| {
        let keys = [NOT_READY, UNREACHABLE];
        keys.contains(&it.taint.key.as_str()) && it.taint.effect != "PreferNoSchedule"
    };
    if *standing == Standing::NotKnown {
        return member.taints.clone();
    }
    let wanted: BTreeSet<(&str, &str)> = match standing {
        Standing::NotReady => BTreeSet::from([(NOT_READY, "NoSchedule")]),
        Standing::OutOfReach { .. } => BTreeSet::from([(UNREACHABLE, "NoSchedule")]),
        Standing::Dead { .. } => {
            BTreeSet::from([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")])
        }
        _ => BTreeSet::new(),
    };
    let dated = |it: &Timed| {
        let evicts = it.taint.effect == "NoExecute";
        Timed { since: it.since.or_else(|| evicts.then_some(now)), ..it.clone() }
    };
    let mut taints: Vec<Timed> = member.taints.iter().filter(|it| !ours(it)).map(dated).collect();
    for (key, effect) in wanted {
        let known = member.taints.iter().find(|it| is_ours(&it.taint, key, effect));
        let dead_since = match standing {
            Standing::Dead { since, .. } if effect == "NoExecute" => Some(*since),
            _ => None,
        };
        let since = known.and_then(|it| it.since).or(dead_since).unwrap_or(now);
        let taint = Taint { key: key.into(), value: String::new(), effect: effect.into() };
        taints.push(Timed { taint, since: Some(since) });
    }
    taints
}

fn is_ours(taint: &Taint, key: &str, effect: &str) -> bool {
    taint.key == key && taint.effect == effect
}
