//! The figures of docs/benchmarks.md, "Gossip, simulated".
//!
//! Without arguments the rows that take a minute. `seeds FROM COUNT` plays campaigns, `news FROM COUNT`
//! the lossy row over many seeds, `soak HOURS SEED` 1,000 members at 10 % loss, `heal` the large split,
//! `fleet MEMBERS LOSS SEED` all figures of one fleet.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints"
)]

use std::time::Instant;

use kogge_gossip::sim::{self, Happened};

/// A tenth, and three tenths, in a million.
const TENTH: u64 = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let number = |at: usize, or: u64| {
        arguments.get(at).map_or(or, |it| it.parse().expect("a number is expected"))
    };
    match arguments.first().map(String::as_str) {
        None => rows(),
        Some("seeds") => seeds(number(1, 0), number(2, 10_000)),
        Some("news") => lossy_news(number(1, 1), number(2, 1_000)),
        Some("soak") => soak(number(1, 24), number(2, 1)),
        Some("heal") => heal(1_000),
        Some("fleet") => {
            let (members, loss) = (size(number(1, 1_000)), number(2, 0));
            println!("{:#?}", sim::fleet_figures(members, loss, number(3, 1), |_| ()));
        }
        Some(other) => println!("there is no figure named {other}"),
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("a fleet fits into memory")
}

/// Runs `what` for some seeds, and says the least, the median and the greatest of what it gives.
fn spread(seeds: u64, what: impl Fn(u64) -> Option<u64>) -> String {
    let mut all: Vec<Option<u64>> = (1..=seeds).map(what).collect();
    // What never came is the worst.
    all.sort_by_key(|it| it.unwrap_or(u64::MAX));
    let show = |it: Option<u64>| it.map_or("never".to_owned(), |it| format!("{} ms", it / 1_000));
    let [least, median, most] = [0, all.len() / 2, all.len() - 1].map(|at| show(all[at]));
    format!("median {median}, {least} to {most}, {seeds} seeds")
}

fn rows() {
    let start = Instant::now();
    let copies = sim::news(1_000, 0, 1).copies;
    println!("one update to 1,000, no loss: {}", spread(10, |it| sim::news(1_000, 0, it).to_all));
    println!("  copies each: {copies:.3}");
    let lossy = |it| sim::news(1_000, 3 * TENTH, it);
    println!("the same, 30 % loss: {}", spread(10, |it| lossy(it).to_all));
    println!("  copies each: {:.2}", lossy(1).copies);
    for members in [10, 50] {
        for loss in [0, TENTH, 3 * TENTH] {
            let missed = (0..200).filter(|it| 0 < sim::news(members, loss, *it).missed).count();
            println!("updates missed, {members} members, loss {loss} ppm: {missed} of 200");
        }
    }
    for loss in [0, TENTH, 3 * TENTH] {
        println!("idle, 1,000, loss {loss} ppm: {:.0} B/s each", sim::idle(1_000, loss, 1));
    }
    for loss in [0, TENTH] {
        let first = spread(40, |it| sim::detection(300, loss, it).first);
        let all = spread(40, |it| sim::detection(300, loss, it).all);
        println!("a death among 300, loss {loss} ppm: first {first}; all {all}");
    }
    for loss in [0, TENTH] {
        let join = sim::join(1_000, loss, 1);
        println!("1,000 join by one seed, loss {loss} ppm: {join:?}");
    }
    heal(300);
    let begun = Instant::now();
    sim::Soak::new(1_000, 0, 1).play(52);
    println!("60 virtual seconds of 1,000 idle members: {:.2?}", begun.elapsed());
    println!("all of this took {:.0?}", start.elapsed());
}

fn heal(members: usize) {
    let begun = Instant::now();
    let (alive, equal) = sim::heal(members, 0, 1);
    let show = |it: Option<u64>| it.map_or("never".to_owned(), |it| format!("{} ms", it / 1_000));
    let (alive, equal) = (show(alive), show(equal));
    println!(
        "split 30/70 of 120 s, {members}: all alive {alive}, all equal {equal} ({:.0?})",
        begun.elapsed()
    );
}

fn lossy_news(from: u64, count: u64) {
    let seeds = from..from + count;
    let all: Vec<_> = seeds.clone().map(|it| sim::news(1_000, 3 * TENTH, it)).collect();
    let missed: usize = all.iter().map(|it| it.missed).sum();
    let late = seeds.zip(&all).filter(|it| it.1.to_all.is_none_or(|it| 1_500_000 <= it));
    let late: Vec<u64> = late.map(|it| it.0).collect();
    println!(
        "{count} updates to 1,000 from seed {from}, 30 % loss: {missed} missed, 1.5 s or more took \
         {late:?}"
    );
    let mut times: Vec<_> = all.iter().filter_map(|it| it.to_all).collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100] / 1_000;
    println!("  median {} ms, p99 {} ms, last {} ms", at(50), at(99), at(100));
}

fn soak(hours: u64, seed: u64) {
    let begun = Instant::now();
    let mut fleet = sim::Soak::new(1_000, TENTH, seed);
    for hour in 1..=hours {
        let deaths = fleet.play(3_600);
        let took = begun.elapsed();
        println!(
            "1,000 members, 10 % loss, {hour} virtual hours: {deaths} false deaths ({took:.0?})"
        );
    }
}

fn seeds(from: u64, count: u64) {
    let begun = Instant::now();
    let (mut happened, mut bad) = (Happened::default(), 0);
    for seed in from..from + count {
        let outcome = sim::campaign(seed);
        happened.add(&outcome.happened);
        if !outcome.violations.is_empty() {
            bad += 1;
            println!("seed {seed}: {:#?}", outcome.violations);
        }
    }
    let took = begun.elapsed();
    println!("{count} seeds from {from}: {bad} with violations ({took:.0?})");
    println!("{happened:#?}");
}
