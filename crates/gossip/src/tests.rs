use std::sync::Arc;

use proptest::prelude::*;

use crate::frame::Frame;
use crate::id::{MS, SECOND};
use crate::sim::SimKeys;
use crate::{
    Action, Capacity, Event, Floor, Head, Health, Link, Links, Name, Node, Record, RecordRef,
    Setup, Slot, Stamp, State, Word,
};

const FLEET: &str = "test";

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn head_in(fleet: &str, who: &str) -> Head {
    let uid = [u8::try_from(who.len()).unwrap(); 16];
    let credential = SimKeys::credential(fleet, &name(who), &uid);
    Head { uid, credential, dialable: true, ..Head::default() }
}

fn node(who: &str) -> Node {
    let keys: Arc<SimKeys> = SimKeys::new(FLEET, &name(who));
    let head = head_in(FLEET, who);
    let setup = Setup { fleet: FLEET.into(), name: name(who), head, incarnation: 0, keys, seed: 1 };
    Node::new(setup, &[], SECOND, &mut Vec::new())
}

/// A record as `who` of `fleet` would sign it.
fn signed(fleet: &str, who: &str, slot: Slot, stamp: (u64, u64), body: &[u8]) -> Vec<u8> {
    let keys = SimKeys::new(fleet, &name(who));
    let stamp = Stamp { incarnation: stamp.0, version: stamp.1 };
    Record::seal(who, slot, stamp, body, |it| crate::Keys::sign(&*keys, it))
}

fn head_of(who: &str, stamp: (u64, u64)) -> Vec<u8> {
    signed(FLEET, who, Slot::Head, stamp, &head_in(FLEET, who).body())
}

fn push(from: &str, record: &[u8]) -> Vec<u8> {
    Frame::Push { part: crate::Part::WHOLE, record }.bytes(from)
}

/// Gives a frame that is from whom it says, and collects what is done.
fn give(node: &mut Node, from: &str, bytes: &[u8], at: u64) -> Vec<Action> {
    let mut actions = Vec::new();
    node.handle(Event::Frame { from, bytes }, at, &mut actions);
    actions
}

fn knows(node: &Node, who: &str) -> Option<Stamp> {
    Some(node.record_of(who, Slot::Head)?.stamp)
}

#[test]
fn a_signed_head_is_taken_and_acknowledged_and_an_older_one_is_not() {
    let mut node = node("a");
    let actions = give(&mut node, "b", &push("b", &head_of("b", (2, 5))), SECOND);
    assert_eq!(knows(&node, "b"), Some(Stamp { incarnation: 2, version: 5 }));
    let acknowledged = |it: &Action| matches!(it, Action::Send { bytes, .. } if bytes[0] == 6);
    assert!(actions.iter().any(acknowledged));
    for older in [(2, 4), (1, 9)] {
        give(&mut node, "b", &push("b", &head_of("b", older)), SECOND);
    }
    assert_eq!(knows(&node, "b"), Some(Stamp { incarnation: 2, version: 5 }), "a replay is void");
}

#[test]
fn whose_name_is_not_on_the_certificate_is_not_heard() {
    let mut node = node("a");
    assert_eq!(give(&mut node, "c", &push("b", &head_of("b", (1, 1))), SECOND), []);
    assert_eq!((knows(&node, "b"), node.counters().malformed), (None, 1));
}

#[test]
fn forged_records_are_refused_and_their_bearer_is_not_checked_for_a_while() {
    let mut node = node("a");
    let mut forged = head_of("b", (1, 1));
    *forged.last_mut().unwrap() ^= 1;
    let of_another = signed("other", "b", Slot::Head, (1, 1), &head_in("other", "b").body());
    let unbound = signed(FLEET, "b", Slot::Head, (1, 1), &head_in(FLEET, "longer").body());
    for record in [forged, of_another, unbound] {
        assert_eq!(give(&mut node, "m", &push("m", &record), SECOND), []);
        assert_eq!(knows(&node, "b"), None);
    }
    assert_eq!(node.counters().refused, 1, "the other two were not even looked at");
    give(&mut node, "m", &push("m", &head_of("b", (1, 1))), SECOND + 900 * MS);
    assert_eq!(knows(&node, "b"), None);
    give(&mut node, "m", &push("m", &head_of("b", (1, 1))), SECOND + 1_100 * MS);
    assert!(knows(&node, "b").is_some());
}

#[test]
fn incarnations_do_not_leap() {
    let mut node = node("a");
    for far in [0, u64::MAX, crate::MAX_INCARNATION + 1] {
        give(&mut node, "b", &push("b", &head_of("b", (far, 1))), SECOND);
        assert_eq!(knows(&node, "b"), None, "{far}");
    }
    give(&mut node, "b", &push("b", &head_of("b", (7, 1))), SECOND);
    give(&mut node, "b", &push("b", &head_of("b", (8 + crate::MAX_JUMP, 1))), SECOND);
    assert_eq!(knows(&node, "b").map(|it| it.incarnation), Some(7));
    give(&mut node, "b", &push("b", &head_of("b", (7 + crate::MAX_JUMP, 1))), SECOND);
    assert_eq!(knows(&node, "b").map(|it| it.incarnation), Some(7 + crate::MAX_JUMP));
}

#[test]
fn thousands_of_invented_names_are_thousands_of_refusals() {
    let mut node = node("a");
    let root = node.root();
    for number in 0..3_000_u64 {
        let who = format!("sybil-{number}");
        let mut head = head_in(FLEET, &who);
        head.credential = vec![7; 104];
        let record = signed(FLEET, &who, Slot::Head, (1, 1), &head.body());
        let at = SECOND + number * 2 * SECOND;
        give(&mut node, "m", &push("m", &record), at);
        give(&mut node, &who, &Frame::Join { record: &record }.bytes(&who), at);
    }
    assert_eq!((node.root(), node.view().members.len()), (root, 1));
}

#[test]
fn only_the_hub_sets_floors_and_what_is_below_stays_away() {
    let mut node = node("a");
    give(&mut node, "b", &push("b", &head_of("b", (4, 1))), SECOND);
    let floor = |serial, incarnation| Floor { serial, incarnation, revoked: false };
    let forged = floor(1, Floor::REMOVED).seal("b", |_| [0; 64]);
    give(&mut node, "m", &push("m", &forged), SECOND);
    assert_eq!(node.state_of("b"), Some(State::Alive));

    let removed = floor(1, Floor::REMOVED).seal("b", |it| SimKeys::hub_sign(FLEET, it));
    give(&mut node, "c", &push("c", &removed), SECOND);
    assert_eq!(node.state_of("b"), Some(State::Removed));
    for stamp in [(4, 2), (5, 1), (60_000, 1)] {
        give(&mut node, "c", &push("c", &head_of("b", stamp)), SECOND);
        assert_eq!((node.state_of("b"), knows(&node, "b")), (Some(State::Removed), None));
    }
    // It is told why, by the hub's own words.
    let ping = Frame::Ping { seq: 1, root: 0, suspected: false }.bytes("b");
    let told = give(&mut node, "b", &ping, SECOND);
    assert!(matches!(&told[..], [Action::Send { bytes, .. }] if bytes.ends_with(&removed)));

    let admitted = floor(2, 4).seal("b", |it| SimKeys::hub_sign(FLEET, it));
    give(&mut node, "c", &push("c", &admitted), SECOND);
    give(&mut node, "c", &push("c", &head_of("b", (4, 9))), SECOND);
    assert_eq!(node.state_of("b"), Some(State::Removed));
    give(&mut node, "b", &push("b", &head_of("b", (5, 1))), SECOND);
    assert_eq!(node.state_of("b"), Some(State::Alive));
    give(&mut node, "c", &push("c", &removed), SECOND);
    assert_eq!(node.state_of("b"), Some(State::Alive), "an old floor is old news");
}

#[test]
fn one_that_is_removed_falls_silent_until_it_is_admitted() {
    let mut node = node("a");
    give(&mut node, "b", &push("b", &head_of("b", (1, 1))), SECOND);
    let floor = |serial, incarnation| {
        let floor = Floor { serial, incarnation, revoked: true };
        floor.seal("a", |it| SimKeys::hub_sign(FLEET, it))
    };
    give(&mut node, "b", &push("b", &floor(1, Floor::REMOVED)), SECOND);
    assert_eq!(node.wakes_at(), u64::MAX);
    let ping = Frame::Ping { seq: 1, root: 0, suspected: false }.bytes("b");
    assert_eq!(give(&mut node, "b", &ping, 9 * SECOND), []);
    give(&mut node, "b", &push("b", &floor(2, 10)), 9 * SECOND);
    assert_eq!((node.incarnation(), node.state_of("a")), (11, Some(State::Alive)));
}

/// A fleet of one real node and heads of others, as many as asked for.
fn among(others: usize) -> (Node, Vec<String>) {
    let mut node = node("a");
    let names: Vec<String> = (0..others).map(|it| format!("b{it}")).collect();
    for who in &names {
        give(&mut node, who, &push(who, &head_of(who, (1, 1))), SECOND);
    }
    (node, names)
}

fn says(node: &mut Node, by: &str, version: u64, of: &str, word: Word, at: u64) {
    speaks(node, by, version, &[(of, 1, word)], at);
}

/// All words of one member: about whom, about which life, what.
fn speaks(node: &mut Node, by: &str, version: u64, words: &[(&str, u64, Word)], at: u64) {
    let mut links = Links::default();
    for (of, life, word) in words {
        links.set(node.table.hash_of(of), Some((*life, *word)));
    }
    let record = signed(FLEET, by, Slot::Links, (1, version), &links.body());
    give(node, by, &push(by, &record), at);
}

/// The word of the node itself.
fn own_word(node: &Node, of: &str) -> Option<Word> {
    let links = node.table.members[node.me].links();
    links.about(node.table.hash_of(of)).map(|it| it.word)
}

/// Frames among the actions that are for `to`.
fn sent<'a>(actions: &'a [Action], to: &str) -> Vec<Frame<'a>> {
    let frame = |it: &'a Action| match it {
        Action::Send { to: name, bytes, .. } if name.as_str() == to => {
            Frame::read(bytes).ok().map(|it| it.1)
        }
        _ => None,
    };
    actions.iter().filter_map(frame).collect()
}

/// The number of the probe among the actions that `to` has to answer, and that answer.
fn answer(actions: &[Action], to: &str) -> Option<Vec<u8>> {
    let seq = sent(actions, to).iter().find_map(|it| match it {
        Frame::Ping { seq, .. } if *seq != 0 => Some(*seq),
        _ => None,
    });
    Some(Frame::Ack { seq: seq?, root: 0, next_ms: 0 }.bytes(to))
}

fn check(node: &Node, by: &str, seq: u64, of: &str) -> Vec<u8> {
    Frame::Check { seq, subject: node.table.hash_of(of) }.bytes(by)
}

#[test]
fn who_asks_twice_is_answered_once_and_a_prompt_answer_is_no_bad_sign() {
    let (mut node, _) = among(2);
    let first = check(&node, "b1", 5, "b0");
    let actions = give(&mut node, "b1", &first, 2 * SECOND);
    let answer = answer(&actions, "b0").unwrap();
    let again = check(&node, "b1", 6, "b0");
    give(&mut node, "b1", &again, 2 * SECOND + 150 * MS);
    let actions = give(&mut node, "b0", &answer, 2 * SECOND + 200 * MS);
    let subject = node.table.hash_of("b0");
    assert_eq!(sent(&actions, "b1"), [Frame::Checked { seq: 6, subject, reached: true }]);
    assert_eq!(node.view().local_health, 0);
}

#[test]
fn an_answer_that_took_two_looks_is_a_bad_sign() {
    let (mut node, _) = among(2);
    let question = check(&node, "b1", 5, "b0");
    let actions = give(&mut node, "b1", &question, 2 * SECOND);
    let answer = answer(&actions, "b0").unwrap();
    node.handle(Event::Timer, 2 * SECOND + 560 * MS, &mut Vec::new());
    give(&mut node, "b0", &answer, 2 * SECOND + 600 * MS);
    assert_eq!(node.view().local_health, 1);
}

#[test]
fn a_new_life_repeats_what_is_down_and_not_whom_it_reached() {
    let (mut node, _) = among(3);
    says(&mut node, "b1", 1, "b0", Word::Down, 2 * SECOND);
    let question = check(&node, "b2", 5, "b0");
    let actions = give(&mut node, "b2", &question, 4 * SECOND);
    let answer = answer(&actions, "b0").unwrap();
    give(&mut node, "b0", &answer, 4 * SECOND + 50 * MS);
    node.handle(Event::Timer, 4 * SECOND + 100 * MS, &mut Vec::new());
    assert_eq!(own_word(&node, "b0"), Some(Word::Reached));

    let at = 4 * SECOND + 200 * MS;
    speaks(&mut node, "b1", 2, &[("b0", 1, Word::Down), ("a", 1, Word::Down)], at);
    for by in ["b0", "b2"] {
        speaks(&mut node, by, 1, &[("a", 1, Word::Down)], at);
    }
    assert_eq!((node.incarnation(), own_word(&node, "b0")), (2, None));
    let (mut now, mut said) = (at, None);
    while now < at + 2 * SECOND && said.is_none() {
        now = node.wakes_at();
        let mut actions = Vec::new();
        node.handle(Event::Timer, now, &mut actions);
        if let Some(answer) = self::answer(&actions, "b0") {
            give(&mut node, "b0", &answer, now + 30 * MS);
        }
        said = own_word(&node, "b0");
    }
    assert_eq!(said, Some(Word::Reached), "it is true, so it is said again");
}

#[test]
fn who_is_called_down_while_its_refutation_rests_refutes_that_afterwards() {
    let (mut node, names) = among(3);
    let all_say = |node: &mut Node, life: u64, at: u64| {
        for by in &names {
            speaks(node, by, life, &[("a", life, Word::Down)], at);
        }
    };
    all_say(&mut node, 1, 2 * SECOND);
    assert_eq!(node.incarnation(), 2);
    all_say(&mut node, 2, 3 * SECOND);
    assert_eq!(node.incarnation(), 2, "once in three seconds");
    while node.wakes_at() < 5 * SECOND {
        node.handle(Event::Timer, node.wakes_at(), &mut Vec::new());
    }
    assert_eq!((node.incarnation(), node.wakes_at()), (2, 5 * SECOND));
    node.handle(Event::Timer, 5 * SECOND, &mut Vec::new());
    assert_eq!(node.incarnation(), 3);
}

#[test]
fn one_exchange_in_sixteen_is_tried_with_the_dead() {
    let (mut node, _) = among(3);
    let dead = node.table.named("b2").unwrap();
    node.table.members[dead].state = State::Dead;
    let (mut with_dead, mut with_living) = (0, 0);
    for turn in 1..=400 {
        let ping = Frame::Ping { seq: 0, root: 1, suspected: false }.bytes("b0");
        let mut actions = give(&mut node, "b0", &ping, 3 * turn * SECOND);
        node.handle(Event::Timer, (3 * turn + 1) * SECOND, &mut actions);
        let count = |of: &str| {
            sent(&actions, of).iter().filter(|it| matches!(it, Frame::Sync { .. })).count()
        };
        with_dead += count("b2");
        with_living += count("b0") + count("b1");
    }
    assert!((10..60).contains(&with_dead) && 300 < with_living, "{with_dead} {with_living}");
}

#[test]
fn three_observers_bury_and_others_do_not() {
    let (mut node, names) = among(30);
    let victim = &names[3];
    let at = node.table.named(victim).unwrap();
    let observers: Vec<String> =
        node.table.observers(at).map(|it| node.table.members[it].name.to_string()).collect();
    let strangers: Vec<&String> = names
        .iter()
        .filter(|it| *it != victim && !node.table.watches(node.table.named(it).unwrap(), at))
        .collect();
    assert_eq!((observers.len(), 10 <= strangers.len()), (5, true));
    let later = |node: &mut Node, at: u64| node.handle(Event::Timer, at, &mut Vec::new());

    for by in &strangers {
        says(&mut node, by, 1, victim, Word::Down, 2 * SECOND);
    }
    later(&mut node, 5 * SECOND);
    assert_eq!(node.state_of(victim), Some(State::Alive), "strangers' words count for nothing");

    for by in observers.iter().filter(|it| *it != "a").take(2) {
        says(&mut node, by, 1, victim, Word::Down, 6 * SECOND);
    }
    later(&mut node, 9 * SECOND);
    assert_eq!(node.state_of(victim), Some(State::Suspect), "two are not enough");

    let third = observers.iter().filter(|it| *it != "a").nth(2).unwrap();
    says(&mut node, third, 1, victim, Word::Down, 10 * SECOND);
    later(&mut node, 10 * SECOND + 700 * MS);
    assert_eq!(node.state_of(victim), Some(State::Suspect), "there is time to answer");
    later(&mut node, 12 * SECOND + MS);
    assert_eq!(node.state_of(victim), Some(State::Dead));

    says(&mut node, third, 2, victim, Word::Reached, 13 * SECOND);
    assert_eq!(node.state_of(victim), Some(State::Dead), "one may be a liar");
    let second = observers.iter().filter(|it| *it != "a").nth(1).unwrap();
    says(&mut node, second, 2, victim, Word::Reached, 13 * SECOND);
    assert_eq!(node.state_of(victim), Some(State::Suspect), "two raise it");
}

#[test]
fn a_new_life_voids_words_and_two_that_reach_it_outweigh_three() {
    let (mut node, names) = among(30);
    let victim = &names[3];
    let at = node.table.named(victim).unwrap();
    let observers: Vec<String> =
        node.table.observers(at).map(|it| node.table.members[it].name.to_string()).collect();
    let speak: Vec<&String> = observers.iter().filter(|it| *it != "a").collect();
    for by in &speak {
        says(&mut node, by, 1, victim, Word::Down, 2 * SECOND);
    }
    node.handle(Event::Timer, 5 * SECOND, &mut Vec::new());
    assert_eq!(node.state_of(victim), Some(State::Dead));
    give(&mut node, victim, &push(victim, &head_of(victim, (2, 1))), 6 * SECOND);
    assert_eq!(node.state_of(victim), Some(State::Alive));

    let tally = |down, reached, observers| crate::words::Tally {
        down,
        reached,
        observers,
        ..Default::default()
    };
    assert!(tally(3, 1, 5).enough() && !tally(3, 2, 5).enough() && !tally(2, 0, 5).enough());
    assert!(tally(1, 0, 1).enough() && tally(2, 0, 2).enough() && !tally(1, 0, 2).enough());
    assert!(!tally(0, 0, 0).enough());
    assert!(tally(5, 0, 5).suspicion() < tally(4, 0, 5).suspicion());
    assert!(tally(4, 0, 5).suspicion() < tally(3, 0, 5).suspicion());
}

#[test]
fn noise_of_capacity_costs_a_record_in_ten_seconds_and_bad_news_goes_at_once() {
    let mut node = node("a");
    let version = |node: &Node| knows(node, "a").unwrap().version;
    let publish = |node: &mut Node, used: u64, health, at: u64| {
        let cpu = crate::Amount { total: 1_000, used };
        let capacity = Capacity { cpu, ..Capacity::default() };
        let head = Head { health, capacity, ..head_in(FLEET, "a") };
        node.handle(Event::Publish(Box::new(head)), at, &mut Vec::new());
    };
    let before = version(&node);
    for tick in 0..200 {
        publish(&mut node, tick * 37 % 1_000, Health::Serving, SECOND + tick * 100 * MS);
    }
    assert!((1..=3).contains(&(version(&node) - before)), "20 s of noise");
    let before = version(&node);
    publish(&mut node, 500, Health::Degraded, 21 * SECOND);
    assert_eq!(version(&node), before + 1);
}

#[test]
fn an_incarnation_is_persisted_before_anything_is_sent() {
    let mut node = node("a");
    give(&mut node, "b", &push("b", &head_of("b", (1, 1))), SECOND);
    // A record of an earlier life that this one has forgotten.
    let actions = give(&mut node, "b", &push("b", &head_of("a", (9, 3))), SECOND);
    assert_eq!(actions.first(), Some(&Action::Persist { incarnation: 10 }));
    assert_eq!(knows(&node, "a").map(|it| it.incarnation), Some(10));
    // And one that only looks like it.
    let mut forged = head_of("a", (99, 3));
    *forged.last_mut().unwrap() ^= 1;
    give(&mut node, "b", &push("b", &forged), SECOND);
    assert_eq!(node.incarnation(), 10);
}

#[test]
fn a_snapshot_brings_back_all_and_a_damaged_one_what_it_can() {
    let (node, names) = among(20);
    let bytes = node.snapshot();
    let restored = |bytes: &[u8]| {
        let keys = SimKeys::new(FLEET, &name("z"));
        let head = head_in(FLEET, "z");
        let setup =
            Setup { fleet: FLEET.into(), name: name("z"), head, incarnation: 3, keys, seed: 1 };
        Node::new(setup, bytes, SECOND, &mut Vec::new())
    };
    let whole = restored(&bytes);
    assert!(names.iter().all(|it| whole.state_of(it) == Some(State::Alive)));
    assert_eq!(whole.incarnation(), 4);
    let half = restored(&bytes[..bytes.len() / 2]);
    let count = half.view().members.len();
    assert!((5..20).contains(&count), "{count}");
}

/// Frames with `record` as news that a node sends when it is given that one.
fn passed(node: &mut Node, record: &[u8], bytes: &[u8], at: u64) -> usize {
    let is_news = |bytes: &[u8]| bytes[0] == 5 && bytes.ends_with(record);
    let news = |it: &&Action| matches!(it, Action::Send { bytes, .. } if is_news(bytes));
    give(node, "b7", bytes, at).iter().filter(news).count()
}

#[test]
fn each_part_is_served_once_and_only_while_the_news_is_new() {
    let record = head_of("b7", (1, 2));
    let told = |part: crate::Part| Frame::Push { part, record: &record }.bytes("b7");
    let whole = crate::Part::WHOLE;
    let (mut node, names) = among(40);
    let somebody = node.table.hash_of(&names[0]);
    let octant = (0..8).map(|it| whole.child(it)).find(|it| it.holds(somebody)).unwrap();
    assert!(7 < passed(&mut node, &record, &told(whole), 9 * SECOND));
    assert_eq!(passed(&mut node, &record, &told(whole), 9 * SECOND), 0);
    assert!(0 < passed(&mut node, &record, &told(octant), 9 * SECOND));
    // It came by repair, long ago.
    let (mut node, _) = among(40);
    let batch =
        crate::frame::Batch { more: false, ask: false, serve: None, records: vec![&record] };
    let batch = Frame::Records(batch).bytes("b7");
    assert_eq!(passed(&mut node, &record, &batch, 9 * SECOND), 0);
    assert_eq!(passed(&mut node, &record, &told(whole), 15 * SECOND), 0);
}

#[test]
fn who_floods_is_stored_and_not_passed_on() {
    let (mut node, _) = among(40);
    let flood = (2..300).map(|version| head_of("b7", (1, version)));
    let heard = flood.filter(|it| 0 < passed(&mut node, it, &push("b7", it), 9 * SECOND)).count();
    assert_eq!((heard, knows(&node, "b7").map(|it| it.version)), (40, Some(299)));
}

proptest! {
    /// Bytes of any kind from an authenticated peer change nothing and break nothing.
    #[test]
    fn any_bytes_leave_the_table_alone(
        kind in 0_u8..14, tail in prop::collection::vec(any::<u8>(), 0..600), raw: bool
    ) {
        let (mut node, names) = among(3);
        let root = node.root();
        let mut bytes = if raw { Vec::new() } else { vec![kind, 2, b'b', b'0'] };
        bytes.extend(tail);
        give(&mut node, &names[0], &bytes, 2 * SECOND);
        node.handle(Event::Floor(&bytes), 2 * SECOND, &mut Vec::new());
        prop_assert_eq!(node.root(), root);
    }

    /// A record with any byte changed is refused.
    #[test]
    fn a_changed_record_is_refused(at: prop::sample::Index, bit in 0_u8..8) {
        let mut record = head_of("b", (3, 3));
        let at = at.index(record.len());
        record[at] ^= 1 << bit;
        let mut node = node("a");
        let root = node.root();
        give(&mut node, "m", &push("m", &record), SECOND);
        prop_assert_eq!(node.root(), root);
    }

    /// Damaged snapshots are read as far as they go.
    #[test]
    fn damaged_snapshots_break_nothing(at: prop::sample::Index, byte: u8) {
        let (node, _) = among(5);
        let mut bytes = node.snapshot();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let keys = SimKeys::new(FLEET, &name("z"));
        let head = head_in(FLEET, "z");
        let setup =
            Setup { fleet: FLEET.into(), name: name("z"), head, incarnation: 0, keys, seed: 1 };
        let restored = Node::new(setup, &bytes, SECOND, &mut Vec::new());
        prop_assert!(restored.view().members.len() <= 7);
    }

    /// Form is checked before anything else: any bytes are a record or are refused.
    #[test]
    fn any_bytes_are_a_record_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(record) = RecordRef::read(&bytes) {
            let stamp = record.stamp;
            let again = Record::seal(record.name, record.slot, stamp, record.body, |_| {
                *record.signature()
            });
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_head_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(head) = Head::read(&bytes) {
            prop_assert_eq!(head.body(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_floor_or_are_not(
        mut bytes in prop::collection::vec(any::<u8>(), 0..12), flag in 0_u8..3, version: u64
    ) {
        bytes.push(flag);
        let stamp = Stamp { incarnation: 0, version };
        let floor = Floor::read(stamp, &bytes);
        if let Ok(floor) = floor {
            let sealed = floor.seal("b0", |_| [0; 64]);
            let again = RecordRef::read(&sealed).unwrap();
            prop_assert_eq!((again.stamp, again.body), (stamp, &bytes[..]));
        }
        // Even the hub's signature makes no floor of what is none.
        let record = Record::seal("b0", Slot::Floor, stamp, &bytes, |it| {
            SimKeys::hub_sign(FLEET, it)
        });
        let (mut node, _) = among(2);
        let root = node.root();
        node.handle(Event::Floor(&record), 2 * SECOND, &mut Vec::new());
        prop_assert_eq!(node.root() != root, floor.is_ok());
    }

    #[test]
    fn any_bytes_are_links_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(links) = Links::read(&bytes) {
            prop_assert_eq!(links.body(), bytes);
        }
    }
}

/// A record of one of three members, honest in form; content and stamps collide often.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    (0_u8..4, 0_u8..3, 1_u64..5, 1_u64..4, any::<bool>()).prop_map(
        |(slot, who, incarnation, version, flag)| {
            let who = format!("b{who}");
            let stamp = (incarnation, version);
            let flags = [u8::from(flag)];
            match slot {
                0 => {
                    let incarnation = if flag { Floor::REMOVED } else { incarnation - 1 };
                    let floor = Floor { serial: version, incarnation, revoked: flag };
                    floor.seal(&who, |it| SimKeys::hub_sign(FLEET, it))
                }
                1 => {
                    let head = Head { hub_link: flag, ..head_in(FLEET, &who) };
                    signed(FLEET, &who, Slot::Head, stamp, &head.body())
                }
                2 => {
                    let link = Link { subject: version, incarnation, word: Word::Down };
                    signed(FLEET, &who, Slot::Links, stamp, &Links(vec![link]).body())
                }
                _ => signed(FLEET, &who, Slot::Services, stamp, &flags),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// In whatever order records come, and however often: all end with the same, also where an
    /// owner has signed two things with one stamp.
    #[test]
    fn tables_do_not_depend_on_the_order(
        records in prop::collection::vec(any_record(), 1..25), seed: u64
    ) {
        let keys = SimKeys::new(FLEET, &name("a"));
        let root = |order: &[Vec<u8>]| {
            let mut table = crate::table::Table::new(FLEET);
            // What waits for a head or for a newer floor comes again, as repair sees to.
            for record in (0..3).flat_map(|_| order) {
                table.offer(&RecordRef::read(record).unwrap(), &*keys, 0);
            }
            table.root()
        };
        let mut shuffled = records.clone();
        let mut rng = crate::Rng::new(seed);
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, usize::try_from(rng.below(at as u64 + 1)).unwrap());
        }
        prop_assert_eq!(root(&records), root(&shuffled));
    }
}
