use super::*;
use crate::id::SECOND;
use crate::links::Word;
use crate::record::Slot;
use crate::table::State;
use crate::view::MemberView;

/// Seeds in CI; 10,000 are played by `cargo xtask bench gossip seeds`.
const SEEDS: u64 = 300;

/// Later ones that have found something.
const RARE: [u64; 1] = [9_314];

#[test]
fn nothing_breaks_in_any_seed_and_everything_was_tried() {
    let mut happened = Happened::default();
    for seed in (0..SEEDS).chain(RARE) {
        let outcome = campaign(seed);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
        happened.add(&outcome.happened);
    }
    assert_eq!(happened.missing(), None, "{happened:?}");
}

#[test]
fn one_seed_is_one_run() {
    let (one, again, other) = (campaign(7), campaign(7), campaign(8));
    assert_eq!((one.digest, one.happened), (again.digest, again.happened));
    assert_ne!(one.digest, other.digest);
}

#[test]
fn news_reaches_a_small_fleet_once_and_a_lossy_one_whole() {
    for seed in 0..20 {
        let news = news(50, 0, seed);
        assert_eq!((news.copies, news.missed), (1.0, 0), "seed {seed}");
        let lossy = super::news(50, 300_000, seed);
        assert_eq!(lossy.missed, 0, "seed {seed}");
    }
}

#[test]
fn the_dead_are_found_in_time() {
    for seed in 0..10 {
        let death = detection(60, 0, seed);
        let all = death.all.unwrap();
        assert!(death.first.unwrap() <= 4 * SECOND && all <= 5 * SECOND, "seed {seed}: {death:?}");
    }
}

/// A fleet that has come to rest, each member knowing all.
fn fleet(members: usize) -> World {
    let mut world = World::new(members, 3);
    world.start_known();
    later(&mut world, 6);
    world
}

fn later(world: &mut World, seconds: u64) {
    let end = world.now() + seconds * SECOND;
    world.run_until(end);
}

fn state(world: &World, by: usize, of: usize) -> Option<State> {
    world.node(by)?.state_of(world.hosts[of].name.as_str())
}

/// What a member knows of another.
fn seen(world: &World, by: usize, of: usize) -> MemberView {
    let members = world.node(by).unwrap().view().members;
    members.into_iter().find(|it| it.name == world.hosts[of].name).unwrap()
}

fn number(of: &crate::Name) -> usize {
    of.as_str()[1..].parse().unwrap()
}

/// Who of the running is called dead by whom.
fn dead(world: &World) -> Vec<(usize, usize)> {
    let hosts = 0..world.hosts.len();
    let pairs = hosts.clone().flat_map(|by| hosts.clone().map(move |of| (by, of)));
    pairs.filter(|(by, of)| state(world, *by, *of) == Some(State::Dead)).collect()
}

#[test]
fn of_two_each_buries_the_other_alone() {
    let mut world = fleet(2);
    world.crash(1, Disk::Kept);
    later(&mut world, 8);
    assert_eq!(dead(&world), [(0, 1)]);
    world.start(1);
    later(&mut world, 3);
    assert_eq!(dead(&world), []);
}

#[test]
fn of_three_the_lonely_one_buries_nobody() {
    let mut world = fleet(3);
    world.net.groups = vec![1, 0, 0];
    later(&mut world, 30);
    assert_eq!(dead(&world), [(1, 0), (2, 0)]);
    world.net.groups.clear();
    later(&mut world, 6);
    assert_eq!(dead(&world), []);
}

#[test]
fn of_four_cut_in_halves_nobody_is_buried() {
    let mut world = fleet(4);
    world.net.groups = vec![1, 1, 0, 0];
    later(&mut world, 60);
    assert_eq!(dead(&world), []);
}

#[test]
fn a_small_minority_does_not_bury_the_rest() {
    let mut world = fleet(30);
    world.net.groups = (0..30).map(|it| u8::from(it < 2)).collect();
    later(&mut world, 60);
    let called = dead(&world);
    assert!(called.iter().all(|it| it.1 < 2) && called.len() == 56, "{called:?}");
}

#[test]
fn one_broken_link_is_shown_and_kills_nobody() {
    let mut world = fleet(20);
    let node = world.node(4).unwrap();
    let subject = node.table.subjects(node.me)[0];
    let of = number(&node.table.members[subject].name);
    world.net.cuts.push((4, of));
    later(&mut world, 40);
    assert_eq!(dead(&world), []);
    let row = seen(&world, 9, of);
    let broken: Vec<usize> = row.broken_links().map(|it| number(it.0)).collect();
    assert_eq!((row.state, broken), (State::Alive, vec![4]), "{row:?}");
    assert_eq!(row.vouchers().count(), 4);
}

/// A fleet in which that many observers of m0007 do not reach it, and who they are.
fn blind(observers: usize, loss: u64) -> (World, Vec<usize>) {
    let mut world = fleet(20);
    let blind: Vec<usize> = seen(&world, 9, 7).vouchers().take(observers).map(number).collect();
    world.net.cuts = blind.iter().flat_map(|it| [(*it, 7), (7, *it)]).collect();
    world.net.loss = loss;
    later(&mut world, 30);
    (world, blind)
}

/// Stops m0007, and returns the seconds until all know.
fn takes_to_bury(world: &mut World) -> u64 {
    world.stop(7, 60 * SECOND);
    (1..60)
        .find(|_| {
            later(world, 1);
            dead(world).len() == 19
        })
        .unwrap()
}

#[test]
fn what_two_do_not_reach_is_not_suspected_for_long_and_dies_in_time() {
    for (loss, limit) in [(0, 4), (50_000, 5), (100_000, 5), (200_000, 6)] {
        let (mut world, blind) = blind(2, loss);
        for second in 0..120 {
            later(&mut world, 1);
            assert_eq!(state(&world, 9, 7), Some(State::Alive), "{loss} {second}");
        }
        let row = seen(&world, 9, 7);
        let broken: Vec<usize> = row.broken_links().map(|it| number(it.0)).collect();
        assert_eq!((row.incarnation, broken), (1, blind), "{row:?}");
        let took = takes_to_bury(&mut world);
        assert!(took <= limit, "{loss}: {took} s");
    }
}

#[test]
fn what_three_do_not_reach_is_suspected_only_by_loss_and_dies_in_time() {
    for (loss, limit) in [(0, 5), (100_000, 5), (200_000, 6)] {
        let (mut world, blind) = blind(3, loss);
        let mut suspected = 0;
        for second in 0..120 {
            later(&mut world, 1);
            assert_eq!(dead(&world), [], "{loss} {second}");
            suspected += u64::from(state(&world, 9, 7) == Some(State::Suspect));
        }
        assert!(suspected <= if loss == 0 { 0 } else { 40 }, "{loss}: {suspected} s");
        let row = seen(&world, 9, 7);
        let broken: Vec<usize> = row.broken_links().map(|it| number(it.0)).collect();
        assert!(row.incarnation <= 2 && broken == blind, "{loss}: {row:?}");
        let took = takes_to_bury(&mut world);
        assert!(took <= limit, "{loss}: {took} s");
    }
}

#[test]
fn members_that_die_together_do_not_vouch_for_each_other() {
    // Two of three outsiders lose the whole site, so its members say that they reach each other.
    for pause in 0..14 {
        let mut world = fleet(6);
        let pairs = (0..2).flat_map(|it| (3..6).flat_map(move |of| [(it, of), (of, it)]));
        world.net.cuts = pairs.collect();
        later(&mut world, pause);
        for host in 3..6 {
            world.crash(host, Disk::Kept);
        }
        later(&mut world, 12);
        let called = dead(&world);
        assert_eq!(called.len(), 9, "after {pause} s: {called:?}");
    }
}

#[test]
fn who_is_heard_but_does_not_answer_is_said_to_be_cut_one_way() {
    // All watch each other, so m0000 is sent m0001's probes, and what it sends itself is lost.
    let mut world = fleet(6);
    world.net.cuts.push((0, 1));
    let said = (0..60).filter(|_| {
        later(&mut world, 1);
        assert_eq!(dead(&world), []);
        let row = seen(&world, 3, 1);
        row.observers.iter().any(|it| number(&it.0) == 0 && it.1 == Some(Word::OneWay))
    });
    let seconds = said.count();
    assert!(10 < seconds, "{seconds}");
}

#[test]
fn of_two_who_only_sends_is_not_called_down_while_it_is_heard() {
    let mut world = fleet(2);
    world.net.cuts.push((0, 1));
    later(&mut world, 5);
    let row = seen(&world, 0, 1);
    let broken: Vec<_> = row.broken_links().map(|it| (number(it.0), it.1)).collect();
    assert_eq!((row.state, broken), (State::Alive, vec![(0, Word::OneWay)]));
}

#[test]
fn who_stands_still_is_buried_and_comes_back_soon() {
    let mut world = fleet(20);
    world.stop(7, 60 * SECOND);
    later(&mut world, 59);
    assert_eq!(dead(&world).len(), 19);
    later(&mut world, 3);
    assert_eq!(dead(&world), []);
    assert_eq!(world.node(7).unwrap().counters().deaths, 0, "it does not blame the others");
}

#[test]
fn goodbye_is_not_death() {
    let mut world = fleet(20);
    world.give(7, crate::Event::Leave);
    later(&mut world, 1);
    world.crash(7, Disk::Kept);
    later(&mut world, 20);
    assert!((0..20).filter(|it| *it != 7).all(|it| state(&world, it, 7) == Some(State::Left)));
    world.start(7);
    later(&mut world, 2);
    assert!((0..20).all(|it| state(&world, it, 7) == Some(State::Alive)));
}

#[test]
fn a_late_peer_does_not_raise_the_removed() {
    let mut world = fleet(20);
    world.crash(5, Disk::Kept);
    later(&mut world, 10);
    let removed = crate::Floor { serial: 1, incarnation: crate::Floor::REMOVED, revoked: true };
    world.floor(0, 9, removed);
    later(&mut world, 5);
    world.start(5);
    later(&mut world, 10);
    for by in (0..20).filter(|it| *it != 9) {
        assert_eq!(state(&world, by, 9), Some(State::Removed), "m{by}");
    }
    assert_eq!(world.happened.revocations, 19);
}

#[test]
fn a_fleet_that_lost_power_finds_itself_without_its_seed() {
    let mut world = fleet(20);
    for host in 0..20 {
        world.crash(host, Disk::Kept);
    }
    world.seeds.clear();
    later(&mut world, 1);
    for host in 1..20 {
        world.start(host);
    }
    later(&mut world, 20);
    for (by, of) in (1..20).flat_map(|by| (1..20).map(move |of| (by, of))) {
        assert_eq!(state(&world, by, of), Some(State::Alive), "m{by} of m{of}");
    }
    assert_eq!(dead(&world).len(), 19, "the seed did not come back");
}

#[test]
fn who_was_never_answered_takes_in_those_who_wait_for_it() {
    // The only seed stands still, so two wait for it, and then for each other.
    let mut world = World::new(3, 3);
    world.seeds = vec![2];
    world.start(2);
    world.stop(2, 600 * SECOND);
    world.start(0);
    world.start(1);
    later(&mut world, 3);
    world.seeds = vec![0, 1];
    later(&mut world, 15);
    assert_eq!(state(&world, 0, 1), Some(State::Alive));
    assert_eq!(state(&world, 1, 0), Some(State::Alive));
}

#[test]
fn members_that_only_dial_out_are_watched_and_told() {
    let mut world = World::new(40, 5);
    for host in 10..25 {
        world.hosts[host].hidden = true;
    }
    for host in 0..40 {
        world.start(host);
    }
    later(&mut world, 20);
    assert_eq!(dead(&world), []);
    let root = world.node(0).unwrap().root();
    assert!((0..40).all(|it| world.node(it).unwrap().root() == root));
    world.crash(12, Disk::Kept);
    later(&mut world, 8);
    assert_eq!(dead(&world).len(), 39);
}

#[test]
fn a_start_by_one_seed_costs_each_member_the_table_once() {
    let join = join(300, 0, 1);
    assert!(join.took.unwrap() < 3 * SECOND && join.most < 200_000, "{join:?}");
}

#[test]
fn idle_members_say_little() {
    let bytes = idle(100, 0, 1);
    assert!(bytes < 150.0, "{bytes}");
    let lossy = idle(100, 100_000, 1);
    assert!(lossy < 200.0, "{lossy}");
}

#[test]
fn a_split_heals() {
    let (alive, equal) = heal(50, 0, 1);
    assert!(alive.unwrap() < 5 * SECOND && equal.unwrap() < 10 * SECOND);
}

#[test]
fn the_campaign_finds_members_that_do_not_ask_floors() {
    let found = (0..40).any(|seed| {
        let found = campaign::play(seed, true).violations;
        found.iter().any(|it| it.contains("rose from"))
    });
    assert!(found);
}

/// What the checker says to a trace that is broken in one way.
fn refuses(trace: impl Fn(&mut Checker, &[crate::Name]), why: &str) {
    let names: Vec<_> = ["a", "b", "c", "d"].iter().filter_map(|it| crate::Name::new(it)).collect();
    let mut checker = Checker::default();
    checker.network(true, 0);
    for name in &names {
        checker.started(name, 1, 0);
    }
    trace(&mut checker, &names);
    let found = checker.violations;
    assert!(found.len() == 1 && found[0].contains(why), "{why}: {found:?}");
}

#[test]
fn the_checker_refuses_each_kind_of_broken_trace() {
    let stamp = |incarnation, version| crate::Stamp { incarnation, version };
    let floor = crate::Floor { serial: 1, incarnation: 5, revoked: false };
    let late = 2 * BOUND;
    refuses(
        |it, of| {
            it.record(&of[0], 1, &of[1], Slot::Head, stamp(2, 1), None);
            it.record(&of[0], 1, &of[1], Slot::Head, stamp(1, 9), None);
        },
        "back to",
    );
    refuses(
        |it, of| {
            it.record(&of[0], 1, &of[1], Slot::Floor, stamp(0, 1), Some(floor));
            it.record(&of[0], 1, &of[1], Slot::Head, stamp(5, 1), None);
        },
        "below its floor",
    );
    refuses(
        |it, of| {
            it.record(&of[0], 1, &of[1], Slot::Floor, stamp(0, 1), Some(floor));
            it.member(&of[0], 1, &of[1], State::Alive, 5, 0);
        },
        "from the removed",
    );
    refuses(|it, of| it.member(&of[0], 1, &of[1], State::Dead, 1, late), "called dead");
    refuses(
        |it, of| {
            it.member(&of[0], 1, &of[1], State::Dead, 1, 1);
            it.look(late);
        },
        "is Some(Dead), and is well",
    );
    refuses(
        |it, of| {
            it.member(&of[0], 1, &of[1], State::Suspect, 1, 1);
            it.member(&of[0], 1, &of[1], State::Suspect, 2, BOUND);
            it.look(BOUND);
            it.look(late);
        },
        "stays suspected",
    );
    refuses(
        |it, of| {
            it.member(&of[0], 1, &of[1], State::Alive, 1, 1);
            it.crashed(&of[1], 1);
            it.look(late);
        },
        "does not run",
    );
    refuses(|it, of| it.equal(&[(of[0].clone(), 1), (of[1].clone(), 2)], late), "the same");
    refuses(|it, of| it.reached(&of[0], &of[1], Some(stamp(1, 1)), stamp(1, 2)), "published");
    refuses(|it, of| it.queue(&of[0], 11, 10), "11 long");
}

#[test]
fn the_checker_lets_a_new_life_begin_anew() {
    let name = crate::Name::new("a").unwrap();
    let mut checker = Checker::default();
    let stamp = |version| crate::Stamp { incarnation: 1, version };
    checker.record(&name, 1, &name, Slot::Head, stamp(9), None);
    checker.record(&name, 2, &name, Slot::Head, stamp(1), None);
    assert_eq!(checker.violations, Vec::<String>::new());
}
