//! `kogge sim gossip`: what a fleet of so many members would do, in virtual time.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use kogge_gossip::sim::{Figures, fleet_figures};
use serde_json::json;

/// Play the gossip of a fleet, and say how fast and how dear it is
///
/// Nothing is sent: members, network and time are simulated, and the same numbers give the same
/// figures. Latency is 10 to 40 ms one way.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many members
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=2_000))]
    members: u32,
    /// Share of the datagrams that are lost, from 0 to 0.9
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    loss: f64,
    /// Of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How it is shown
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let members = usize::try_from(args.members)?;
    let figures = fleet_figures(members, millionths(args.loss), args.seed, progress);
    match args.output {
        Output::Text => out.write_all(text(&figures).as_bytes())?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&json(&figures))?)?,
    }
    Ok(())
}

/// A thousand members take minutes: whoever waits for them sees how far it is.
fn progress(begins: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // Who does not hear of progress misses nothing else.
        let _ = writeln!(stderr, "playing {begins} ...");
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "it must be a number".to_owned())?;
    if !(0.0..=0.9).contains(&share) {
        return Err("it must be from 0 to 0.9".to_owned());
    }
    Ok(share)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 0.9")]
fn millionths(share: f64) -> u64 {
    (share * 1e6).round() as u64
}

fn json(it: &Figures) -> serde_json::Value {
    json!({
        "timeToAllSeconds": it.time_to_all_seconds,
        "copiesPerMember": it.copies_per_member,
        "missed": it.missed,
        "idleBytesPerSecond": it.idle_bytes_per_second,
        "firstDetectionSeconds": it.first_detection_seconds,
        "allKnowSeconds": it.all_know_seconds,
        "falseDeaths": it.false_deaths,
        "joinSeconds": it.join_seconds,
        "healSeconds": it.heal_seconds,
    })
}

fn text(it: &Figures) -> String {
    let seconds = |it: Option<f64>| it.map_or("never".to_owned(), |it| format!("{it:.2} s"));
    let lines = [
        ("one update to all members", seconds(it.time_to_all_seconds)),
        ("copies of it that a member gets", format!("{:.2}", it.copies_per_member)),
        ("members that miss it", it.missed.to_string()),
        ("an idle member sends", format!("{:.0} B/s", it.idle_bytes_per_second)),
        ("a death is first known after", seconds(it.first_detection_seconds)),
        ("and to all after", seconds(it.all_know_seconds)),
        ("living members called dead", it.false_deaths.to_string()),
        ("all join by one seed in", seconds(it.join_seconds)),
        ("a split of 30 to 70 heals in", seconds(it.heal_seconds)),
    ];
    lines.map(|(what, figure)| format!("{what:34}{figure}\n")).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one() {
        assert_eq!(share("0.1"), Ok(0.1));
        assert!(share("1").is_err() && share("-0.1").is_err() && share("x").is_err());
        assert_eq!(millionths(0.1), 100_000);
    }
}
