//! What people are shown: `kogge gossip`.

use crate::Floor;
use crate::head::{Capacity, Head, Health};
use crate::id::{Micros, Name};
use crate::links::Word;
use crate::node::Node;
use crate::record::Slot;
use crate::table::State;

/// The fleet as one member sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Who sees it.
    pub from: Name,
    /// Its life.
    pub incarnation: u64,
    /// Of all records: equal where equal things are known.
    pub root: u128,
    /// How well it does itself: 0 well, 3 badly.
    pub local_health: u8,
    /// All members, itself included, by name.
    pub members: Vec<MemberView>,
}

/// One member in a [`View`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its name.
    pub name: Name,
    /// How it is seen.
    pub state: State,
    /// How it says it is.
    pub health: Health,
    /// How much room it says that it has.
    pub capacity: Capacity,
    /// A hub.
    pub hub: bool,
    /// It has a link to a hub, as it says.
    pub hub_link: bool,
    /// The hub removed it, and has not admitted it again.
    pub removed: bool,
    /// Its life, and the version of its head.
    pub incarnation: u64,
    /// See there.
    pub version: u64,
    /// Since a frame came from it; `None` if none did: most members do not talk to most others.
    pub heard_ago: Option<Micros>,
    /// Since a record of it last changed here.
    pub changed_ago: Micros,
    /// Round trip, where it is probed from here.
    pub round_trip: Option<Micros>,
    /// Its living observers, and what they say; nothing is that they have nothing to say.
    pub observers: Vec<(Name, Option<Word>)>,
}

impl MemberView {
    /// Observers that do not say otherwise.
    pub fn vouchers(&self) -> impl Iterator<Item = &Name> {
        self.observers
            .iter()
            .filter(|it| it.1.is_none_or(|word| word == Word::Reached))
            .map(|it| &it.0)
    }

    /// Links to it that do not work although it lives.
    pub fn broken_links(&self) -> impl Iterator<Item = (&Name, Word)> {
        let broken = |it: &&(Name, Option<Word>)| matches!(it.1, Some(Word::Cut | Word::OneWay));
        self.observers.iter().filter(broken).filter_map(|it| Some((&it.0, it.1?)))
    }
}

impl Node {
    /// The fleet as it is seen here.
    pub fn view(&self) -> View {
        let mut members: Vec<MemberView> =
            (0..self.table.members.len()).map(|at| self.view_of(at)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        View {
            from: self.name.clone(),
            incarnation: self.own.incarnation,
            root: self.table.root(),
            local_health: self.local.score(),
            members,
        }
    }

    fn view_of(&self, at: usize) -> MemberView {
        let member = &self.table.members[at];
        let head = member.record(Slot::Head);
        let read = head.and_then(|it| Head::read(it.body()).ok()).unwrap_or_default();
        let word = |by: usize| {
            let current =
                |it: &&crate::table::Said| it.by == by && it.incarnation == member.incarnation();
            member.said.iter().find(current).map(|it| it.word)
        };
        let observers = self.table.observers(at);
        MemberView {
            name: member.name.clone(),
            state: member.state,
            health: read.health,
            capacity: read.capacity,
            hub: read.hub,
            hub_link: read.hub_link,
            removed: member.floor.is_some_and(|it| it.incarnation == Floor::REMOVED),
            incarnation: member.incarnation(),
            version: head.map_or(0, |it| it.stamp.version),
            heard_ago: member.heard.map(|it| self.now.saturating_sub(it)),
            changed_ago: self.now.saturating_sub(member.learned),
            round_trip: member.rtt,
            observers: observers
                .map(|by| (self.table.members[by].name.clone(), word(by)))
                .collect(),
        }
    }

    /// Peers that this member keeps warm links to: those it watches, and those that watch it. One
    /// that cannot be dialled has to keep these open itself.
    pub fn warm(&self) -> Vec<Name> {
        let mut peers: Vec<usize> = self.subjects.iter().map(|it| it.at).collect();
        peers.extend(self.table.observers(self.me));
        peers.sort_unstable();
        peers.dedup();
        peers.into_iter().map(|at| self.table.members[at].name.clone()).collect()
    }
}
