use super::*;
use crate::id::SECOND;

/// Seeds in CI; 10,000 are played by `cargo xtask bench gossip seeds`.
const SEEDS: u64 = 300;

#[test]
fn nothing_breaks_in_any_seed_and_everything_was_tried() {
    let mut happened = Happened::default();
    for seed in 0..SEEDS {
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
