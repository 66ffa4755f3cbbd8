use std::collections::BTreeMap;

use proptest::prelude::*;

use super::decide::{Count, Effect, FINALIZER, Observed, decide};

fn leaving(content: &[(&str, usize, usize)]) -> Observed {
    let counts = content.iter().map(|(kind, all, unmarked)| {
        ((*kind).to_owned(), Count { all: *all, unmarked: *unmarked })
    });
    Observed {
        terminating: true,
        finalizers: vec![FINALIZER.into()],
        now: "2025-06-15T15:06:40Z".into(),
        content: counts.collect(),
        ..Observed::default()
    }
}

/// Plays effects as a perfect API server would; objects without finalizers go at once.
fn play(mut seen: Observed, effects: &[Effect]) -> Observed {
    for effect in effects {
        match effect {
            Effect::Empty(kind) => {
                let count = seen.content.get_mut(kind).unwrap();
                *count = Count { all: count.all - count.unmarked, unmarked: 0 };
            }
            Effect::SetConditions(conditions) => seen.conditions.clone_from(conditions),
            Effect::Finalize(left) => seen.finalizers.clone_from(left),
        }
    }
    seen
}

#[test]
fn a_namespace_that_stays_is_left_alone() {
    let stays = Observed { terminating: false, ..leaving(&[("pods", 3, 3)]) };
    assert_eq!(decide(&stays), []);
    let gone = Observed { finalizers: Vec::new(), ..leaving(&[]) };
    assert_eq!(decide(&gone), []);
}

#[test]
fn content_goes_first_and_the_finalizer_last() {
    let effects = decide(&leaving(&[("configmaps", 2, 2), ("pods", 1, 0)]));
    assert_eq!(effects[0], Effect::Empty("configmaps".into()));
    assert!(matches!(effects[1], Effect::SetConditions(_)));
    assert_eq!(effects.len(), 2);
    let effects = decide(&leaving(&[("pods", 0, 0)]));
    assert_eq!(effects.last(), Some(&Effect::Finalize(Vec::new())));
    let other = Observed { finalizers: vec!["x".into(), FINALIZER.into()], ..leaving(&[]) };
    assert_eq!(decide(&other).last(), Some(&Effect::Finalize(vec!["x".into()])));
}

#[test]
fn conditions_say_what_remains_and_what_holds_it() {
    let mut seen = leaving(&[("pods", 2, 0), ("widgets.kogge.dev", 1, 0)]);
    seen.held_by = BTreeMap::from([("kogge.dev/x".to_owned(), 1)]);
    let Some(Effect::SetConditions(conditions)) = decide(&seen).pop() else {
        panic!("no conditions")
    };
    let said: Vec<String> = conditions
        .iter()
        .filter(|it| it["status"] == "True")
        .map(|it| {
            format!("{}: {}", it["reason"].as_str().unwrap(), it["message"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    SomeResourcesRemain: Some resources are remaining: pods. has 2 resource instances, widgets.kogge.dev. has 1 resource instances
    SomeFinalizersRemain: Some content in the namespace has finalizers remaining: kogge.dev/x in 1 resource instances
    ");
    let later = Observed { conditions: conditions.clone(), now: "later".into(), ..seen };
    assert_eq!(decide(&later), [], "nothing changed, so nothing is written");
}

proptest! {
    #[test]
    fn a_cut_short_run_is_finished_by_the_next(
        counts in prop::collection::vec((0_usize..4, 0_usize..4), 0..4), done in 0_usize..5,
    ) {
        let kinds = ["a", "b", "c", "d"];
        let content: Vec<(&str, usize, usize)> =
            counts.iter().zip(kinds).map(|((all, some), kind)| (kind, *all, *some.min(all))).collect();
        let seen = leaving(&content);
        let mut first = decide(&seen);
        first.truncate(done);
        let mut seen = play(seen, &first);
        for _ in 0..3 {
            seen = play(seen.clone(), &decide(&seen));
        }
        let left: usize = seen.content.values().map(|it| it.all).sum();
        prop_assert_eq!(seen.finalizers.is_empty(), left == 0);
        prop_assert_eq!(decide(&seen), vec![]);
    }
}
