//! The set of paths an applied configuration speaks of.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    path::Step,
    set::{Node, Set},
    shape::{Grain, Place, as_items, as_map, child, grain, item_steps},
};

/// Every leaf, every list item, every key of a free map, and every null or empty map below a field.
pub fn extract(place: Place, value: &Value) -> Set {
    node(place, value).below
}

fn node(place: Place, value: &Value) -> Node {
    match grain(place, value) {
        Grain::Leaf => Node { member: true, below: Set::default() },
        Grain::Map => Node { member: false, below: keys(place, value) },
        Grain::List => Node { member: false, below: items(place, value) },
    }
}

fn keys(place: Place, value: &Value) -> Set {
    let mut set = Set::default();
    for (key, value) in as_map(Some(value)) {
        let (place, named) = child(place, key);
        let mut node = node(place, value);
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        node.member |= !named || empty;
        set.put(Step::field(key), node);
    }
    set
}

fn items(place: Place, value: &Value) -> Set {
    let items = as_items(Some(value));
    let steps = item_steps(place, items);
    let inner = place.and_then(crate::schema::Type::item);
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&Step> = steps.iter().filter(|it| !seen.insert(*it)).collect();
    let mut set = Set::default();
    for (step, item) in steps.iter().zip(items) {
        // Items that share a key cannot be told apart: only the key itself is owned.
        let below = if twice.contains(step) { Set::default() } else { node(inner, item).below };
        set.put(step.clone(), Node { member: true, below });
    }
    set
}

/// `set` with every named field on the way to a member made a member as well.
///
/// Pruning by the result takes away a struct together with the last thing in it.
pub fn closed(set: &Set, place: Place) -> Set {
    let mut closed = Set::default();
    for (step, node) in set.entries() {
        let (inner, named) = match step {
            Step::Field(name) => child(place, name),
            _ => (place.and_then(crate::schema::Type::item), false),
        };
        let member = node.member || named;
        closed.put(step.clone(), Node { member, below: self::closed(&node.below, inner) });
    }
    closed
}
