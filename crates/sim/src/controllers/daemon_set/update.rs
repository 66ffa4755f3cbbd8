//! What goes and what comes on the nodes of a DaemonSet. Pure.

use std::collections::BTreeMap;

use kogge_model::IntOrPercent;
use serde_json::Value;

/// The pods of one node, by template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Here {
    pub old: bool,
    pub old_available: bool,
    pub new: bool,
    pub new_available: bool,
    /// One is on its way out; its place is not free yet.
    pub going: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Old pods stay until somebody deletes them.
    OnDelete,
    /// So many nodes may be without an available pod at a time.
    Replace { unavailable: usize },
    /// On so many nodes the new pod comes before the old one goes.
    Surge { most: usize },
}

impl Strategy {
    pub fn of(set: &Value, nodes: usize) -> Self {
        let strategy = &set["spec"]["updateStrategy"];
        if strategy["type"] == "OnDelete" {
            return Self::OnDelete;
        }
        let total = i64::try_from(nodes).unwrap_or(i64::MAX);
        let of = |field: &str, unsaid: i64| {
            let value = IntOrPercent::from_value(&strategy["rollingUpdate"][field]);
            let pods = value.map_or(unsaid, |it| it.of(total, true));
            usize::try_from(pods).unwrap_or(0)
        };
        match (of("maxSurge", 0), of("maxUnavailable", 1)) {
            (0, unavailable) => Self::Replace { unavailable: unavailable.max(1) },
            (most, _) => Self::Surge { most },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A pod of the newest template.
    Make,
    DropOld,
}

/// One step on nodes that are each to run a pod, in the order of their names.
pub(super) fn step<'a>(
    nodes: &BTreeMap<&'a str, Here>,
    strategy: Strategy,
) -> Vec<(&'a str, Change)> {
    let mut changes = Vec::new();
    let mut unavailable =
        nodes.values().filter(|it| !it.old_available && !it.new_available).count();
    let mut surging = nodes.values().filter(|it| it.old && it.new).count();
    for (node, here) in nodes {
        let empty = !here.old && !here.new;
        match strategy {
            _ if empty && !here.going => changes.push((*node, Change::Make)),
            // A new pod needs no room that the going one holds.
            Strategy::Surge { .. } if empty => changes.push((*node, Change::Make)),
            Strategy::Replace { unavailable: most } if here.old => {
                // Pods that are not available are no loss.
                if here.new || !here.old_available {
                    changes.push((*node, Change::DropOld));
                } else if unavailable < most {
                    unavailable += 1;
                    changes.push((*node, Change::DropOld));
                }
            }
            Strategy::Surge { most } if here.old => {
                if here.new_available {
                    changes.push((*node, Change::DropOld));
                } else if !here.new && (!here.old_available || surging < most) {
                    surging += usize::from(here.old_available);
                    changes.push((*node, Change::Make));
                }
            }
            _ => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Strategy, *};

    const OLD: Here =
        Here { old: true, old_available: true, new: false, new_available: false, going: false };

    #[test]
    fn the_strategy_is_read_with_its_shares_rounded_up() {
        let of = |strategy: Value| Strategy::of(&json!({"spec": {"updateStrategy": strategy}}), 5);
        assert_eq!(of(json!({"type": "OnDelete"})), Strategy::OnDelete);
        assert_eq!(of(json!({})), Strategy::Replace { unavailable: 1 });
        let rolling = |it: Value| of(json!({"type": "RollingUpdate", "rollingUpdate": it}));
        let half = rolling(json!({"maxUnavailable": "50%", "maxSurge": 0}));
        assert_eq!(half, Strategy::Replace { unavailable: 3 });
        let surge = rolling(json!({"maxUnavailable": 0, "maxSurge": 2}));
        assert_eq!(surge, Strategy::Surge { most: 2 });
    }

    #[test]
    fn nothing_old_goes_by_itself_on_delete() {
        let nodes = BTreeMap::from([("a", OLD), ("b", Here::default())]);
        assert_eq!(step(&nodes, Strategy::OnDelete), [("b", Change::Make)]);
    }

    #[test]
    fn a_place_is_free_when_the_going_pod_is_gone() {
        let nodes = BTreeMap::from([("a", Here { going: true, ..Here::default() })]);
        assert_eq!(step(&nodes, Strategy::Replace { unavailable: 1 }), []);
        assert_eq!(step(&nodes, Strategy::Surge { most: 1 }), [("a", Change::Make)]);
    }

    /// Plays steps; new pods are available at once and old ones go at once.
    fn play(count: usize, strategy: Strategy) -> (BTreeMap<&'static str, Here>, usize, usize) {
        const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let mut nodes: BTreeMap<&str, Here> =
            NAMES.iter().take(count).map(|it| (*it, OLD)).collect();
        let (mut least, mut most) = (count, count);
        for _ in 0..50 {
            let changes = step(&nodes, strategy);
            if changes.is_empty() {
                break;
            }
            for (node, change) in changes {
                let here = nodes.get_mut(node).unwrap();
                match change {
                    Change::Make => (here.new, here.new_available) = (true, true),
                    Change::DropOld => (here.old, here.old_available) = (false, false),
                }
            }
            let up = nodes.values().filter(|it| it.old_available || it.new_available).count();
            let all = nodes.values().map(|it| usize::from(it.old) + usize::from(it.new)).sum();
            (least, most) = (least.min(up), most.max(all));
        }
        (nodes, least, most)
    }

    proptest! {
        #[test]
        fn an_update_ends_within_its_bounds(count in 1_usize..6, bound in 1_usize..4) {
            let (nodes, least, _) = play(count, Strategy::Replace { unavailable: bound });
            prop_assert!(nodes.values().all(|it| it.new && !it.old));
            prop_assert!(count.saturating_sub(bound) <= least);
            let (nodes, least, most) = play(count, Strategy::Surge { most: bound });
            prop_assert!(nodes.values().all(|it| it.new && !it.old));
            prop_assert_eq!(least, count);
            prop_assert!(most <= count + bound);
        }
    }
}
