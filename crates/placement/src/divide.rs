//! How many replicas each chosen cluster gets.

use std::collections::BTreeMap;

use crate::spread::Candidate;
use crate::webster::{Party, Tie, divide as webster};

/// Whether an assignment that exists is kept as far as it can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Steady,
    /// A rebalance was asked for: as if nothing were placed.
    Fresh,
}

/// The replicas do not fit on the clusters together: nothing is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLittleRoom {
    pub wanted: u64,
    pub room: u64,
}

type Assignment = BTreeMap<String, u64>;

/// By fixed weights, whatever room there is. Weightless clusters get nothing, unless all are.
pub(crate) fn by_weight(replicas: u64, weights: &[(&str, u64)], tie: Tie) -> Assignment {
    let nobody = weights.iter().all(|it| it.1 == 0);
    let parties: Vec<Party<'_>> = weights
        .iter()
        .filter(|it| nobody || 0 < it.1)
        .map(|(name, weight)| Party { name, votes: if nobody { 1 } else { *weight } })
        .collect();
    seats(replicas, &parties, tie)
}

/// By room: proportional to it, or on few clusters. Candidates are in order of preference.
pub(crate) fn by_room(
    replicas: u64,
    candidates: &[Candidate<'_>],
    aggregated: bool,
    mode: Mode,
    tie: Tie,
) -> Result<Assignment, TooLittleRoom> {
    let has = |it: &Candidate<'_>| it.has.unwrap_or(0);
    let assigned: u64 = candidates.iter().map(has).sum();
    let kept: Assignment = candidates
        .iter()
        .filter(|it| 0 < has(it))
        .map(|it| (it.name.to_owned(), has(it)))
        .collect();
    let votes_by = |votes: fn(&Candidate<'_>) -> u64| -> Vec<(Party<'_>, bool)> {
        candidates
            .iter()
            .map(|it| (Party { name: it.name, votes: votes(it) }, 0 < has(it)))
            .collect()
    };
    let (target, parties, base) = match mode {
        Mode::Fresh => (replicas, votes_by(holds), Assignment::new()),
        Mode::Steady if assigned == replicas => return Ok(kept),
        Mode::Steady if replicas < assigned => {
            (replicas, votes_by(|it| it.has.unwrap_or(0)), Assignment::new())
        }
        Mode::Steady => (replicas - assigned, votes_by(|it| it.room), kept),
    };
    let room: u64 = parties.iter().map(|it| it.0.votes).sum();
    if room < target {
        return Err(TooLittleRoom { wanted: target, room });
    }
    let parties = if aggregated { fewest(target, parties) } else { parties };
    let parties: Vec<Party<'_>> = parties.into_iter().map(|it| it.0).collect();
    let mut all = seats(target, &parties, tie);
    for (name, had) in base {
        *all.entry(name).or_default() += had;
    }
    Ok(all)
}

/// The shortest list that has room: those that have replicas first, then the largest.
fn fewest(target: u64, mut parties: Vec<(Party<'_>, bool)>) -> Vec<(Party<'_>, bool)> {
    parties.sort_by_key(|(party, has)| (!has, std::cmp::Reverse(party.votes)));
    let mut sum = 0;
    let enough = parties.iter().position(|it| {
        sum += it.0.votes;
        target <= sum
    });
    parties.truncate(enough.map_or(parties.len(), |it| it + 1));
    parties
}

fn seats(replicas: u64, parties: &[Party<'_>], tie: Tie) -> Assignment {
    let given = webster(replicas, parties, tie);
    let named = parties.iter().zip(given).filter(|it| 0 < it.1);
    named.map(|(party, n)| (party.name.to_owned(), n)).collect()
}

fn holds(candidate: &Candidate<'_>) -> u64 {
    candidate.holds()
}
