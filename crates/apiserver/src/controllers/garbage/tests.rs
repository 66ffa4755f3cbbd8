use std::collections::BTreeSet;

use proptest::prelude::*;

use super::decide::{Effect, FOREGROUND, ORPHAN, Observed, OwnerState, Propagation, decide};
use crate::controllers::graph::{Graph, Item, OwnerRef, Place};

fn place(name: &str) -> Place {
    Place { kind: "/core/configmaps/".into(), namespace: "ns".into(), name: name.into() }
}

fn owner(uid: &str) -> OwnerRef {
    OwnerRef {
        uid: uid.into(),
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        name: uid.into(),
        blocks: true,
    }
}

fn item(name: &str, owners: &[&str]) -> Item {
    Item {
        place: place(name),
        uid: name.into(),
        deleting: false,
        finalizers: Vec::new(),
        owners: owners.iter().map(|it| owner(it)).collect(),
    }
}

fn dying(name: &str, owners: &[&str], finalizer: &str) -> Item {
    Item { deleting: true, finalizers: vec![finalizer.into()], ..item(name, owners) }
}

#[track_caller]
fn check(item: Item, owners: &[(&str, OwnerState)], dependents: &[Item], want: &[Effect]) {
    let owners = owners.iter().map(|(uid, state)| (owner(uid), *state)).collect();
    let seen = Observed { item, owners, dependents: dependents.to_vec() };
    assert_eq!(decide(&seen), want, "for {seen:?}");
}

fn delete(name: &str, propagation: Propagation) -> Effect {
    Effect::Delete { place: place(name), uid: name.into(), propagation }
}

fn drop_owners(from: &str, owners: &[&str]) -> Effect {
    let owners: BTreeSet<String> = owners.iter().map(|it| (*it).to_owned()).collect();
    Effect::DropOwners { from: place(from), uid: from.into(), owners }
}

fn remove(name: &str, finalizer: &'static str) -> Effect {
    Effect::RemoveFinalizer { place: place(name), uid: name.into(), finalizer }
}

#[test]
fn only_an_object_without_any_owner_left_goes() {
    use OwnerState::{Absent, Present, Unknown};
    check(item("a", &[]), &[], &[], &[]);
    check(item("a", &["o"]), &[("o", Present)], &[], &[]);
    check(item("a", &["o"]), &[("o", Unknown)], &[], &[]);
    check(item("a", &["o"]), &[("o", Absent)], &[], &[delete("a", Propagation::Background)]);
    check(
        item("a", &["o", "p"]),
        &[("o", Absent), ("p", Present)],
        &[],
        &[drop_owners("a", &["o"])],
    );
    check(
        item("a", &["o", "p"]),
        &[("o", Absent), ("p", Unknown)],
        &[],
        &[drop_owners("a", &["o"])],
    );
    let held = Item { finalizers: vec![ORPHAN.into()], ..item("a", &["o"]) };
    check(held, &[("o", Absent)], &[], &[delete("a", Propagation::Orphan)]);
    check(dying("a", &["o"], "other"), &[("o", Absent)], &[], &[]);
}

#[test]
fn foreground_deletion_goes_from_the_leaves_up() {
    let waits = [("o", OwnerState::WaitsForDependents)];
    check(item("a", &["o"]), &waits, &[], &[delete("a", Propagation::Background)]);
    check(item("a", &["o"]), &waits, &[item("b", &["a"])], &[delete("a", Propagation::Foreground)]);
    check(dying("o", &[], FOREGROUND), &[], &[item("a", &["o"])], &[]);
    let mut loose = item("a", &["o"]);
    loose.owners[0].blocks = false;
    check(dying("o", &[], FOREGROUND), &[], &[loose], &[remove("o", FOREGROUND)]);
    check(dying("o", &[], FOREGROUND), &[], &[], &[remove("o", FOREGROUND)]);
}

#[test]
fn a_circle_is_cut() {
    let waits = [("o", OwnerState::WaitsForDependents)];
    let unblock = Effect::Unblock { place: place("a"), uid: "a".into() };
    let effects = [unblock, delete("a", Propagation::Foreground)];
    check(item("a", &["o"]), &waits, &[dying("o", &["a"], FOREGROUND)], &effects);
}

#[test]
fn orphans_are_let_go_before_their_owner_is() {
    check(
        dying("o", &[], ORPHAN),
        &[],
        &[item("a", &["o"]), item("b", &["o"])],
        &[drop_owners("a", &["o"]), drop_owners("b", &["o"]), remove("o", ORPHAN)],
    );
}

/// Plays effects against a graph as a perfect API server would.
fn play(graph: &mut Graph, effects: &[Effect]) {
    for effect in effects {
        let (Effect::DropOwners { from: at, .. }
        | Effect::Unblock { place: at, .. }
        | Effect::Delete { place: at, .. }
        | Effect::RemoveFinalizer { place: at, .. }) = effect;
        let Some(mut item) = graph.remove(at) else { continue };
        match effect {
            Effect::DropOwners { owners, .. } => item.owners.retain(|it| !owners.contains(&it.uid)),
            Effect::Unblock { .. } => item.owners.iter_mut().for_each(|it| it.blocks = false),
            Effect::RemoveFinalizer { finalizer, .. } => {
                item.finalizers.retain(|it| it != finalizer);
            }
            Effect::Delete { propagation, .. } => {
                item.deleting = true;
                item.finalizers = match propagation {
                    Propagation::Background => Vec::new(),
                    Propagation::Foreground => vec![FOREGROUND.into()],
                    Propagation::Orphan => vec![ORPHAN.into()],
                };
            }
        }
        if !(item.deleting && item.finalizers.is_empty()) {
            graph.put(item);
        }
    }
}

fn observe(graph: &Graph, item: &Item) -> Observed {
    let state = |uid: &str| match graph.by_uid(uid) {
        None => OwnerState::Absent,
        Some(it) if it.deleting && it.has_finalizer(FOREGROUND) => OwnerState::WaitsForDependents,
        Some(_) => OwnerState::Present,
    };
    Observed {
        item: item.clone(),
        owners: item.owners.iter().map(|it| (it.clone(), state(&it.uid))).collect(),
        dependents: graph.dependents(&item.uid).cloned().collect(),
    }
}

/// Rounds over everything until nothing is left to do.
fn settle(graph: &mut Graph) -> bool {
    for _ in 0..60 {
        let items: Vec<Item> = graph.iter().cloned().collect();
        let mut idle = true;
        for item in items {
            let Some(item) = graph.get(&item.place).cloned() else { continue };
            let effects = decide(&observe(graph, &item));
            idle &= effects.is_empty();
            play(graph, &effects);
        }
        if idle {
            return true;
        }
    }
    false
}

fn any_graph() -> impl Strategy<Value = Vec<Item>> {
    let node = prop::collection::btree_set(0_usize..8, 0..3);
    prop::collection::vec(node, 1..8).prop_map(|nodes| {
        let named = |at: usize| format!("n{at}");
        let items = nodes.iter().enumerate();
        items
            .map(|(at, owners)| {
                let owners: Vec<String> =
                    owners.iter().filter(|it| **it != at).map(|it| named(*it)).collect();
                let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
                item(&named(at), &owners)
            })
            .collect()
    })
}

proptest! {
    /// Whatever is deleted, and however: it settles, and nothing stays that only absent objects own.
    #[test]
    fn it_settles_and_leaves_no_garbage(items in any_graph(), first in 0_usize..8, how in 0..3) {
        let mut graph = Graph::default();
        items.iter().cloned().for_each(|it| graph.put(it));
        let root = &items[first % items.len()];
        let propagation = [Propagation::Background, Propagation::Foreground, Propagation::Orphan];
        let propagation = propagation[usize::try_from(how).unwrap()];
        let start = Effect::Delete { place: root.place.clone(), uid: root.uid.clone(), propagation };
        play(&mut graph, &[start]);
        prop_assert!(settle(&mut graph), "does not settle: {:?}", graph);
        prop_assert!(graph.by_uid(&root.uid).is_none());
        for item in graph.iter() {
            let lost = item.owners.iter().any(|it| graph.by_uid(&it.uid).is_none());
            prop_assert!(!lost && !item.deleting, "{item:?} stays");
        }
    }

    /// Orphaning a root that only dependents name deletes nothing else.
    #[test]
    fn orphaning_keeps_all_dependents(count in 1_usize..6) {
        let mut graph = Graph::default();
        graph.put(item("o", &[]));
        for at in 0..count {
            graph.put(item(&format!("d{at}"), &["o"]));
        }
        let start = Effect::Delete { place: place("o"), uid: "o".into(), propagation: Propagation::Orphan };
        play(&mut graph, &[start]);
        prop_assert!(settle(&mut graph));
        prop_assert_eq!(graph.iter().count(), count);
        prop_assert!(graph.iter().all(|it| it.owners.is_empty()));
    }
}
