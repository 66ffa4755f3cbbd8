//! The figures of docs/benchmarks.md, "Gossip, simulated".
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints"
)]
use kogge_gossip::sim;
use std::time::Instant;
fn main() {
    let which: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let n: usize = which.get(1).map_or(1000, |it| it.parse().expect("members"));
    let loss: u64 = which.get(2).map_or(0, |it| it.parse().expect("loss"));
    let seed: u64 = which.get(3).map_or(1, |it| it.parse().expect("seed"));
    let start = Instant::now();
    match which.first().map_or("news", |it| it.as_str()) {
        "news" => println!("{:?}", sim::news(n, loss, seed)),
        "idle" => println!("{:?}", sim::idle(n, loss, seed)),
        "die" => println!("{:?}", sim::detection(n, loss, seed)),
        "join" => println!("{:?}", sim::join(n, loss, seed)),
        "heal" => println!("{:?}", sim::heal(n, loss, seed)),
        "soak" => println!("{:?}", sim::soak(n, loss, seed, 60)),
        "campaign" => {
            for seed in seed..seed + n as u64 {
                let it = sim::campaign(seed);
                if !it.violations.is_empty() {
                    println!("{seed}: {:#?}", it.violations);
                }
            }
        }
        _ => {}
    }
    println!("{:?}", start.elapsed());
}
