//! The rules. Pure: what happens to one object because of its owners and dependents.

use std::collections::BTreeSet;

use crate::controllers::graph::{Item, OwnerRef, Place};

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerState {
    Present,
    /// Present, and it goes only after its dependents.
    WaitsForDependents,
    /// No object of that kind and name with that uid, verified against the server.
    Absent,
    /// Its kind is not served, or a cluster-wide object names a namespaced owner.
    Unknown,
}

/// One object with what surrounds it.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub item: Item,
    pub owners: Vec<(OwnerRef, OwnerState)>,
    pub dependents: Vec<Item>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Take these owners off the object at this place.
    DropOwners {
        from: Place,
        uid: String,
        owners: BTreeSet<String>,
    },
    /// Its owners no longer wait for it.
    Unblock {
        place: Place,
        uid: String,
    },
    Delete {
        place: Place,
        uid: String,
        propagation: Propagation,
    },
    /// Last, when nothing more is to be done for it.
    RemoveFinalizer {
        place: Place,
        uid: String,
        finalizer: &'static str,
    },
}

/// What to do, in order. What this leads to is decided when it shows.
pub(crate) fn decide(seen: &Observed) -> Vec<Effect> {
    let item = &seen.item;
    match (item.deleting, item.has_finalizer(ORPHAN), item.has_finalizer(FOREGROUND)) {
        (true, true, _) => orphan(seen),
        (true, false, true) => foreground(seen),
        (true, false, false) => Vec::new(),
        (false, ..) => by_owners(seen),
    }
}

fn orphan(seen: &Observed) -> Vec<Effect> {
    let item = &seen.item;
    let mut effects: Vec<Effect> = seen
        .dependents
        .iter()
        .map(|it| Effect::DropOwners {
            from: it.place.clone(),
            uid: it.uid.clone(),
            owners: BTreeSet::from([item.uid.clone()]),
        })
        .collect();
    effects.push(done(item, ORPHAN));
    effects
}

/// It goes when no dependent that blocks it is left. Dependents are deleted as their own turn
/// comes: this object then counts as an owner that waits.
fn foreground(seen: &Observed) -> Vec<Effect> {
    let blocks =
        |it: &Item| it.owners.iter().any(|owner| owner.uid == seen.item.uid && owner.blocks);
    if seen.dependents.iter().any(blocks) { Vec::new() } else { vec![done(&seen.item, FOREGROUND)] }
}

fn by_owners(seen: &Observed) -> Vec<Effect> {
    let item = &seen.item;
    let of = |wanted: OwnerState| -> BTreeSet<String> {
        let those = seen.owners.iter().filter(|(_, state)| *state == wanted);
        those.map(|(owner, _)| owner.uid.clone()).collect()
    };
    let gone = of(OwnerState::Absent);
    let waiting = of(OwnerState::WaitsForDependents);
    let held = seen
        .owners
        .iter()
        .any(|(_, state)| matches!(state, OwnerState::Present | OwnerState::Unknown));
    if gone.is_empty() && waiting.is_empty() {
        return Vec::new();
    }
    if held {
        let owners = gone.into_iter().chain(waiting).collect();
        return vec![Effect::DropOwners {
            from: item.place.clone(),
            uid: item.uid.clone(),
            owners,
        }];
    }
    let mut effects = Vec::new();
    let deep = !waiting.is_empty() && !seen.dependents.is_empty();
    // A circle of owners would wait for itself for ever.
    if deep && seen.dependents.iter().any(|it| it.deleting && it.has_finalizer(FOREGROUND)) {
        effects.push(Effect::Unblock { place: item.place.clone(), uid: item.uid.clone() });
    }
    let propagation = if deep || item.has_finalizer(FOREGROUND) {
        Propagation::Foreground
    } else if item.has_finalizer(ORPHAN) {
        Propagation::Orphan
    } else {
        Propagation::Background
    };
    effects.push(Effect::Delete { place: item.place.clone(), uid: item.uid.clone(), propagation });
    effects
}

fn done(item: &Item, finalizer: &'static str) -> Effect {
    Effect::RemoveFinalizer { place: item.place.clone(), uid: item.uid.clone(), finalizer }
}
