//! What changed between two values, as sets of paths.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    path::Step,
    set::{Node, Set},
    shape::{Grain, Place, as_items, as_map, child, item_steps, same, shared_grain},
};
use crate::schema::Type;

/// Containers that appear or vanish are members themselves, next to what they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub removed: Set,
    pub modified: Set,
    pub added: Set,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// The changes outside of `ignored` and of all below it.
    #[must_use]
    pub fn without(&self, ignored: &Set) -> Self {
        Self {
            removed: self.removed.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            added: self.added.recursive_difference(ignored),
        }
    }
}

/// The changes at one place and below it.
#[derive(Default)]
struct Found {
    removed: Node,
    modified: Node,
    added: Node,
}

impl Found {
    fn put(&mut self, step: &Step, below: Self) {
        let nodes = [
            (&mut self.removed.below, below.removed),
            (&mut self.modified.below, below.modified),
            (&mut self.added.below, below.added),
        ];
        for (set, node) in nodes {
            if !node.is_empty() {
                set.put(step.clone(), node);
            }
        }
    }
}

pub fn compare(place: Place, old: &Value, new: &Value) -> Changes {
    let found = node(place, Some(old), Some(new));
    Changes {
        removed: found.removed.below,
        modified: found.modified.below,
        added: found.added.below,
    }
}

fn node(place: Place, old: Option<&Value>, new: Option<&Value>) -> Found {
    let mut found = Found::default();
    if let Some(grain) = shared_grain(place, old, new) {
        walk(place, grain, old, new, &mut found);
    } else {
        // One side is granular and the other is not: all of both changed.
        for (old, new) in [(old, None), (None, new)] {
            let grain = shared_grain(place, old, new).unwrap_or(Grain::Leaf);
            if grain != Grain::Leaf {
                walk(place, grain, old, new, &mut found);
            }
        }
        found.modified.member = true;
    }
    match (old, new) {
        (None, Some(_)) => found.added.member = true,
        (Some(_), None) => found.removed.member = true,
        (Some(_), Some(_)) | (None, None) => {}
    }
    found
}

fn walk(place: Place, grain: Grain, old: Option<&Value>, new: Option<&Value>, found: &mut Found) {
    match grain {
        Grain::Map if !(as_map(old).is_empty() && as_map(new).is_empty()) => {
            keys(place, old, new, found);
        }
        Grain::List if !(as_items(old).is_empty() && as_items(new).is_empty()) => {
            items(place, old, new, found);
        }
        // Two empty containers are leaves, so that null, `{}` and `[]` stay apart.
        _ => {
            if let (Some(old), Some(new)) = (old, new) {
                found.modified.member |= !same(old, new);
            }
        }
    }
}

fn keys(place: Place, old: Option<&Value>, new: Option<&Value>, found: &mut Found) {
    let (old, new) = (as_map(old), as_map(new));
    for (key, value) in old {
        let below = node(child(place, key).0, Some(value), new.get(key));
        found.put(&Step::field(key), below);
    }
    for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        found.put(&Step::field(key), node(child(place, key).0, None, Some(value)));
    }
}

fn items(place: Place, old: Option<&Value>, new: Option<&Value>, found: &mut Found) {
    let mut pairs: BTreeMap<Step, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for (step, item) in item_steps(place, as_items(old)).into_iter().zip(as_items(old)) {
        pairs.entry(step).or_default().0.push(item);
    }
    for (step, item) in item_steps(place, as_items(new)).into_iter().zip(as_items(new)) {
        pairs.entry(step).or_default().1.push(item);
    }
    let inner = place.and_then(Type::item);
    for (step, (old, new)) in pairs {
        found.put(&step, item(inner, &old, &new));
    }
}

/// One key of a keyed list. Several items with the same key are compared as one leaf.
fn item(place: Place, old: &[&Value], new: &[&Value]) -> Found {
    match (old, new) {
        ([] | [_], [] | [_]) => node(place, old.first().copied(), new.first().copied()),
        (_, [] | [_]) => {
            let mut found = node(place, None, new.first().copied());
            found.removed.member = true;
            found.added.member = false;
            found
        }
        ([] | [_], _) => {
            let mut found = node(place, old.first().copied(), None);
            found.added.member = true;
            found.removed.member = false;
            found
        }
        _ => {
            let equal = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| same(a, b));
            let mut found = Found::default();
            found.modified.member = !equal;
            found
        }
    }
}
