use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::cluster::Taint;
use crate::policy::{ClusterFailover, PurgeMode, Toleration};

const SECOND: Millis = 1_000;
const NOON: Millis = 1_750_000_000 * SECOND;

fn member(name: &str, link: Link) -> Member {
    Member {
        name: name.into(),
        link,
        since: NOON - 20 * SECOND,
        word: Word::Silent,
        taints: Vec::new(),
        dead_after: None,
        held: false,
        approved: false,
        leaving: false,
    }
}

/// The others say that it has been dead for so long.
fn dead(name: &str, seconds: i64) -> Member {
    let observers = ["a", "b", "c"].map(str::to_owned).to_vec();
    let word = Word::Dead { since: NOON - seconds * SECOND, observers };
    Member { word, ..member(name, Link::Unreachable) }
}

/// The first of so many is dead for 20 s, the rest are well.
fn fleet_of(count: usize) -> Vec<Member> {
    let rest = (1..count).map(|it| member(&format!("c{it}"), Link::Ready));
    std::iter::once(dead("c0", 20)).chain(rest).collect()
}

fn judged(members: &[Member]) -> Fleet {
    assess(NOON, members, false, &Settings::default())
}

fn on(clusters: &[&str]) -> Placed {
    Placed {
        id: "web".into(),
        clusters: clusters.iter().map(|it| (*it).to_owned()).collect(),
        ..Placed::default()
    }
}

fn moves(fleet: &Fleet, placed: &[Placed]) -> Moves {
    plan(NOON, fleet, placed, &[], &|_, _| Ok(()), &Settings::default())
}

#[track_caller]
fn check_taints(of: &Member, want: &[&str]) {
    let others = ["x", "y", "z"].map(|it| member(it, Link::Ready));
    let fleet = judged(&[std::slice::from_ref(of), &others[..]].concat());
    let taints = fleet.members[&of.name].taints.iter();
    let said: Vec<String> = taints
        .map(|it| {
            let ago = it.since.map(|it| (NOON - it) / SECOND);
            format!(
                "{}:{} {ago:?}",
                it.taint.key.trim_start_matches("cluster.karmada.io/"),
                it.taint.effect
            )
        })
        .collect();
    assert_eq!(said, want);
}

#[test]
fn taints_say_how_a_cluster_is() {
    check_taints(&member("eu", Link::Ready), &[]);
    check_taints(&member("eu", Link::NotReady), &["not-ready:NoSchedule Some(0)"]);
    check_taints(&member("eu", Link::Unreachable), &["unreachable:NoSchedule Some(0)"]);
    let both = ["unreachable:NoExecute Some(20)", "unreachable:NoSchedule Some(0)"];
    check_taints(&dead("eu", 20), &both);
    // The hub alone takes its time, and others who reach it are believed.
    let long = |word: Word| {
        let since = NOON - 301 * SECOND;
        Member { since, word, ..member("eu", Link::Unreachable) }
    };
    let both = ["unreachable:NoExecute Some(0)", "unreachable:NoSchedule Some(0)"];
    check_taints(&long(Word::Silent), &both);
    check_taints(&long(Word::Alive), &["unreachable:NoSchedule Some(0)"]);
    // What the hub reaches is not dead, whatever others say.
    check_taints(&Member { link: Link::Ready, ..dead("eu", 20) }, &[]);
}

#[test]
fn taints_of_others_stay_and_a_start_changes_none() {
    let taint = |key: &str, effect: &str| Timed {
        taint: Taint { key: key.into(), value: String::new(), effect: effect.into() },
        since: Some(NOON - 9 * SECOND),
    };
    let taints = vec![taint("mine", "NoSchedule"), taint(UNREACHABLE, "NoExecute")];
    let back = Member { taints: taints.clone(), ..member("eu", Link::Ready) };
    check_taints(&back, &["mine:NoSchedule Some(9)"]);
    let starting = Member { taints: taints.clone(), ..member("eu", Link::Unknown) };
    check_taints(&starting, &["mine:NoSchedule Some(9)", "unreachable:NoExecute Some(9)"]);
    // Dead already: the next look does not start the time anew.
    let still = Member { taints, ..member("eu", Link::Unreachable) };
    check_taints(
        &still,
        &[
            "mine:NoSchedule Some(9)",
            "unreachable:NoExecute Some(9)",
            "unreachable:NoSchedule Some(0)",
        ],
    );
}

#[track_caller]
fn check_guard(members: &[Member], want: Option<Guard>) {
    let fleet = judged(members);
    assert_eq!(fleet.guard, want);
    for (name, it) in &fleet.members {
        let dead = matches!(it.standing, Standing::Dead { .. });
        assert_eq!(it.held.is_some(), want.is_some() && dead, "{name}");
    }
}

#[test]
fn half_of_more_than_two_at_once_is_held() {
    let fleet = |gone: usize, well: usize| -> Vec<Member> {
        let gone = (0..gone).map(|it| dead(&format!("gone{it}"), 20));
        gone.chain((0..well).map(|it| member(&format!("well{it}"), Link::Ready))).collect()
    };
    let majority = |gone, of| Some(Guard::Majority { gone, of });
    check_guard(&fleet(1, 1), None);
    check_guard(&fleet(1, 2), None);
    check_guard(&fleet(2, 1), majority(2, 3));
    check_guard(&fleet(2, 2), majority(2, 4));
    check_guard(&fleet(2, 3), None);
    check_guard(&fleet(1, 0), majority(1, 1));
    check_guard(&fleet(2, 0), Some(Guard::CutOff));
    // One that died long ago counts no more; one out of reach counts already.
    let old = [dead("gone2", 3_601)];
    check_guard(&[&fleet(1, 2)[..], &old].concat(), None);
    let silent = [member("silent", Link::Unreachable)];
    check_guard(&[&fleet(1, 1)[..], &silent].concat(), majority(2, 3));
    let fleet = assess(NOON, &fleet(1, 5), true, &Settings::default());
    assert_eq!(fleet.guard, Some(Guard::CutOff));
}

#[test]
fn held_ends_with_the_return_or_a_persons_word() {
    let held = |it: Member| Member { held: true, ..it };
    let others = ["x", "y", "z"].map(|it| member(it, Link::Ready));
    let with = |it: Member| judged(&[&[it], &others[..]].concat());
    assert!(with(held(dead("eu", 20))).members["eu"].held.is_some());
    let approved = with(Member { approved: true, ..held(dead("eu", 20)) });
    assert!(approved.members["eu"].held.is_none() && approved.members["eu"].approved);
    let back = with(Member { approved: true, ..held(member("eu", Link::Ready)) });
    // The word was for this death, and ends with it.
    assert!(back.members["eu"].held.is_none() && !back.members["eu"].approved);
}

#[track_caller]
fn check(placed: Placed, want: &str) {
    let got = moves(&judged(&fleet_of(3)), &[placed]);
    let said: Vec<String> =
        got.report.iter().map(|((_, at), it)| format!("{at} {}", it.reason())).collect();
    assert_eq!(said.join(", "), want, "{got:?}");
}

fn tolerating(seconds: Option<i64>) -> Placed {
    let toleration = Toleration {
        key: UNREACHABLE.into(),
        operator: "Exists".into(),
        effect: "NoExecute".into(),
        toleration_seconds: seconds,
        ..Toleration::default()
    };
    Placed { tolerations: vec![toleration], ..on(&["c0", "c1"]) }
}

#[test]
fn verdicts() {
    check(on(&["c0", "c1"]), "c0 Moving");
    check(on(&["c1", "c2"]), "");
    check(tolerating(Some(20)), "c0 Moving");
    check(tolerating(Some(21)), "c0 TolerationRuns");
    check(tolerating(None), "c0 Tolerated");
    check(Placed { finished: true, ..on(&["c0"]) }, "c0 Finished");
    let data = Placed { keeps_data: true, ..on(&["c0"]) };
    check(data.clone(), "c0 KeepsData");
    check(Placed { behaviour: Some(ClusterFailover::default()), ..data }, "c0 Moving");
    let fleet = judged(&fleet_of(3));
    let settings = Settings::default();
    let full = |_: &Placed, left: &BTreeSet<String>| Err(format!("no room without {left:?}"));
    let got = plan(NOON, &fleet, &[on(&["c0"])], &[], &full, &settings);
    let said = got.report.values().next().map(ToString::to_string).unwrap();
    assert_eq!(said, "stays: it has nowhere else to go: no room without {\"c0\"}");
    assert!(got.evictions.is_empty() && got.again == Some(NOON + 10 * SECOND));
}

#[test]
fn a_dead_cluster_is_left_after_ten_seconds_and_says_who_declared_it() {
    let fleet = |seconds| judged(&[dead("c0", seconds), member("c1", Link::Ready)]);
    let early = moves(&fleet(9), &[on(&["c0"])]);
    assert!(early.evictions.is_empty());
    assert_eq!(early.again, Some(NOON + SECOND));
    let due = moves(&fleet(10), &[on(&["c0"])]);
    assert_eq!(
        due.evictions[0].from["c0"],
        "10 s after c0 was declared dead on the word of a, b, c"
    );
}

#[test]
fn a_person_gives_up_all_clusters_of_a_template_or_it_stays() {
    let two = |second: bool| {
        let given_up = Member { held: true, approved: true, ..dead("c0", 20) };
        let other = Member { held: true, approved: second, ..dead("c1", 20) };
        judged(&[given_up, other, member("c2", Link::Ready)])
    };
    let both = [on(&["c0", "c1"]), Placed { id: "x".into(), ..on(&["c0"]) }];
    let moved = |fleet: &Fleet| -> Vec<String> {
        moves(fleet, &both).evictions.into_iter().map(|it| it.id).collect()
    };
    assert_eq!(moved(&two(false)), ["x"]);
    assert_eq!(moved(&two(true)), ["web", "x"]);
}

#[track_caller]
fn check_task(placed: &Placed, task: Task, fleet: &[Member], want: Option<Change>) {
    let placed = Placed { tasks: vec![task], ..placed.clone() };
    let got = moves(&judged(fleet), &[placed]);
    assert_eq!(got.changes.values().next().copied(), want, "{got:?}");
}

#[test]
fn the_old_place_goes_when_the_new_one_is_healthy_and_is_not_used_at_once_again() {
    let task = |purge, purged| Task {
        from: "c0".into(),
        since: NOON - 30 * SECOND,
        purge,
        grace: None,
        purged,
    };
    let (gracefully, purged) =
        (task(PurgeMode::Gracefully, false), task(PurgeMode::Gracefully, true));
    let gone = fleet_of(3);
    let starting = on(&["c1"]);
    let healthy = Placed { healthy: true, ..on(&["c1"]) };
    check_task(&starting, gracefully.clone(), &gone, None);
    check_task(&healthy, gracefully.clone(), &gone, Some(Change::Purge));
    let over = Task { since: NOON - 601 * SECOND, ..gracefully.clone() };
    check_task(&starting, over, &gone, Some(Change::Purge));
    check_task(&starting, task(PurgeMode::Directly, false), &gone, Some(Change::Purge));
    check_task(&healthy, task(PurgeMode::Never, false), &gone, None);
    // What the policy says now goes before what it said.
    let behaviour = ClusterFailover { purge_mode: Some(PurgeMode::Never), ..Default::default() };
    let never = Placed { behaviour: Some(behaviour), ..healthy.clone() };
    check_task(&never, gracefully.clone(), &gone, None);
    // Back for 20 s, then for five minutes.
    let back = |seconds: i64| {
        let since = NOON - seconds * SECOND;
        vec![Member { since, ..member("c0", Link::Ready) }, member("c1", Link::Ready)]
    };
    check_task(&healthy, purged.clone(), &back(20), None);
    check_task(&healthy, purged.clone(), &back(300), Some(Change::End));
    check_task(&Placed { keeps_data: true, ..healthy.clone() }, purged.clone(), &back(300), None);
    check_task(&healthy, purged, &back(300)[1..], Some(Change::End));
    // It is back before anything left: nothing has to.
    check_task(&on(&["c0"]), gracefully, &back(20), Some(Change::End));
}

fn any_member(index: usize) -> impl Strategy<Value = Member> {
    let link = prop_oneof![
        4 => Just(Link::Ready),
        1 => Just(Link::NotReady),
        2 => Just(Link::Unreachable),
        1 => Just(Link::Unknown)
    ];
    (link, 0..3, 0..4_000_i64, any::<bool>(), any::<bool>()).prop_map(
        move |(link, word, ago, held, approved)| {
            let since = NOON - ago * SECOND;
            let word = match word {
                0 => Word::Silent,
                1 => Word::Alive,
                _ => Word::Dead { since, observers: vec!["a".into()] },
            };
            Member { since, word, held, approved, ..member(&format!("c{index}"), link) }
        },
    )
}

fn any_placed() -> impl Strategy<Value = Vec<Placed>> {
    let one = (
        prop::collection::btree_set(0..6_usize, 1..4),
        prop::option::of(prop::option::of(0..40_i64)),
        any::<(bool, bool, bool)>(),
    );
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let placed = |(index, (clusters, tolerated, flags)): (usize, Flags)| Placed {
            id: format!("w{index:02}"),
            clusters: clusters.into_iter().map(|it| format!("c{it}")).collect(),
            tolerations: tolerated.map(|it| tolerating(it).tolerations).unwrap_or_default(),
            keeps_data: flags.0 && flags.1,
            finished: flags.1 && flags.2,
            healthy: flags.0,
            ..Placed::default()
        };
        all.into_iter().enumerate().map(placed).collect()
    })
}

type Flags = (BTreeSet<usize>, Option<Option<i64>>, (bool, bool, bool));

fn any_fleet() -> impl Strategy<Value = Vec<Member>> {
    (0..6).map(any_member).collect::<Vec<_>>()
}

#[test]
fn the_next_turn_comes_a_second_after_the_oldest_move_of_this_one() {
    let fleet = judged(&fleet_of(4));
    let settings = Settings { moves_a_second: 2, ..Settings::default() };
    let again = |recent: &[Millis]| {
        plan(NOON, &fleet, &[on(&["c0"])], recent, &|_, _| Ok(()), &settings).again
    };
    assert_eq!(again(&[NOON - 1_500, NOON - 900, NOON - 100]), Some(NOON + 100));
    assert_eq!(again(&[NOON, NOON]), Some(NOON + SECOND));
}

proptest! {
    #[test]
    fn moves_keep_to_the_rules(
        members in any_fleet(), placed in any_placed(), recent in 0..8_usize, a_second in 0..8_usize,
        share in 1..30_usize,
    ) {
        let settings =
            Settings { moves_a_second: a_second, share_a_second: share, ..Settings::default() };
        let fleet = assess(NOON, &members, false, &settings);
        let recent = vec![NOON - 500; recent];
        let got = plan(NOON, &fleet, &placed, &recent, &|_, _| Ok(()), &settings);
        // Never more than the rate, those of this second included: a number, or a share of those
        // that would leave now.
        let leaves = |it: &Verdict| {
            matches!(it, Verdict::Moves(_) | Verdict::WaitsForTurn | Verdict::NowhereElse(_))
        };
        let due: BTreeSet<&str> =
            got.report.iter().filter(|it| leaves(it.1)).map(|it| it.0.0.as_str()).collect();
        let a_second = a_second.max(due.len() / share);
        prop_assert!(got.evictions.len() + recent.len() <= a_second.max(recent.len()));
        let by_id: BTreeMap<&str, &Placed> = placed.iter().map(|it| (it.id.as_str(), it)).collect();
        for eviction in &got.evictions {
            for cluster in eviction.from.keys() {
                // None under the guard, none that is tolerated, none from what is not dead.
                let from = &fleet.members[cluster];
                prop_assert!(from.held.is_none());
                let is_dead = matches!(from.standing, Standing::Dead { .. });
                prop_assert!(is_dead);
                let forever = |it: &Toleration| it.toleration_seconds.is_none();
                prop_assert!(!by_id[&*eviction.id].tolerations.iter().any(forever));
            }
        }
        // Every place that is hit is accounted for, once, and nothing else is.
        for it in &placed {
            for cluster in &it.clusters {
                let hit = fleet.members[cluster].taints.iter().any(|it| it.taint.effect == "NoExecute");
                let said = got.report.contains_key(&(it.id.clone(), cluster.clone()));
                prop_assert_eq!(said, hit);
            }
        }
        // The order of what is given does not matter.
        let reversed: Vec<Placed> = placed.iter().rev().cloned().collect();
        let again = plan(NOON, &fleet, &reversed, &recent, &|_, _| Ok(()), &settings);
        prop_assert_eq!(&again, &got);
        let backwards: Vec<Member> = members.iter().rev().cloned().collect();
        prop_assert_eq!(assess(NOON, &backwards, false, &settings), fleet);
    }

    /// Once the taints are written there is nothing left to write.
    #[test]
    fn taints_settle_in_one_round(members in any_fleet()) {
        let first = judged(&members);
        let written: Vec<Member> = members
            .iter()
            .map(|it| Member { taints: first.members[&it.name].taints.clone(), ..it.clone() })
            .collect();
        let second = judged(&written);
        for (name, it) in &second.members {
            prop_assert_eq!(&it.taints, &first.members[name].taints);
        }
    }
}
