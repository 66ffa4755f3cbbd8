//! Webster's division: seats one after the other to whoever has the largest votes / (2 x seats + 1).
//!
//! Monotone in the number of seats, and while there are no more seats than votes nobody gets more
//! than their votes. Equal claims go to fewer seats, then by name: ascending or descending by the
//! hash of the workload's uid, so that many small workloads do not all favour one cluster.
//! O(k log k) for k parties however many seats: a prefix of the sequence is computed at once.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Which way ties by name go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    Ascending,
    Descending,
}

impl Tie {
    /// Ascending for an empty uid or an even 32-bit FNV-1a hash of it.
    pub fn of(uid: &str) -> Self {
        let hash = uid
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        if uid.is_empty() || hash.is_multiple_of(2) { Self::Ascending } else { Self::Descending }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party<'a> {
    pub name: &'a str,
    pub votes: u64,
}

/// Next claim of a party.
struct Claim<'a> {
    strength: f64,
    seats: u64,
    name: &'a str,
    tie: Tie,
    index: usize,
}

impl Ord for Claim<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_name = match self.tie {
            Tie::Ascending => other.name.cmp(self.name),
            Tie::Descending => self.name.cmp(other.name),
        };
        let by_strength = self.strength.total_cmp(&other.strength);
        by_strength.then(other.seats.cmp(&self.seats)).then(by_name)
    }
}

impl PartialOrd for Claim<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Claim<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Claim<'_> {}

/// Seats of each party, in the order given. All seats are given away unless there is no party.
/// Where nobody has votes, all count alike.
pub fn divide(seats: u64, parties: &[Party<'_>], tie: Tie) -> Vec<u64> {
    let mut given = head_start(seats, parties);
    let mut left = seats - given.iter().sum::<u64>();
    let claim = |index: usize, seats: u64| {
        let Party { name, votes } = parties[index];
        Claim { strength: strength(votes, seats), seats, name, tie, index }
    };
    let mut claims: BinaryHeap<Claim<'_>> =
        given.iter().enumerate().map(|(index, seats)| claim(index, *seats)).collect();
    while 0 < left {
        let Some(best) = claims.pop() else { break };
        given[best.index] += 1;
        left -= 1;
        claims.push(claim(best.index, given[best.index]));
    }
    given
}

// Votes and seats are far below 2^52, and the comparison has to be that of floating point numbers
// for the answers to be Karmada's.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn strength(votes: u64, seats: u64) -> f64 {
    votes as f64 / (2 * seats + 1) as f64
}

/// Seats that every party surely gets. With the divisor d = votes / (seats - parties / 2), rounding
/// votes / d half up gives away at most all seats, and it gives exactly the claims stronger than
/// d / 2: a prefix of the sequence. One seat less each makes up for rounding errors. Going on from
/// any part of what each finally gets ends at the same division.
fn head_start(seats: u64, parties: &[Party<'_>]) -> Vec<u64> {
    let total: u128 = parties.iter().map(|it| u128::from(it.votes)).sum();
    let half = (parties.len() as u64).div_ceil(2);
    if seats <= half || total == 0 {
        return vec![0; parties.len()];
    }
    let whole = u128::from(seats - half);
    let part = |it: &Party<'_>| {
        let share = (2 * u128::from(it.votes) * whole + total) / (2 * total);
        u64::try_from(share).unwrap_or(u64::MAX).saturating_sub(1)
    };
    parties.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parties(votes: &[u64]) -> Vec<Party<'static>> {
        const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        NAMES.iter().zip(votes).map(|(name, votes)| Party { name, votes: *votes }).collect()
    }

    #[track_caller]
    fn check(seats: u64, votes: &[u64], want: &[u64]) {
        assert_eq!(divide(seats, &parties(votes), Tie::Ascending), want);
    }

    #[test]
    fn examples() {
        check(10, &[1, 1], &[5, 5]);
        check(10, &[2, 1], &[7, 3]);
        check(1, &[1, 1, 1], &[1, 0, 0]);
        check(5, &[1, 1, 1], &[2, 2, 1]);
        check(7, &[53, 24, 23], &[3, 2, 2]);
        check(3, &[0, 0], &[2, 1]);
        check(4, &[0, 9], &[0, 4]);
        check(4, &[], &[]);
        check(1_000_000, &[1], &[1_000_000]);
    }

    #[test]
    fn ties_go_by_the_uid() {
        assert_eq!(Tie::of(""), Tie::Ascending);
        // FNV-1a of "a" is 0xe40c292c, of "b" 0xe70c2de5.
        assert_eq!(Tie::of("a"), Tie::Ascending);
        assert_eq!(Tie::of("b"), Tie::Descending);
        assert_eq!(divide(1, &parties(&[1, 1, 1]), Tie::Descending), [0, 0, 1]);
    }

    /// The definition, one seat after the other.
    fn slow(seats: u64, parties: &[Party<'_>], tie: Tie) -> Vec<u64> {
        let mut given = vec![0; parties.len()];
        for _ in 0..seats {
            let best = (0..parties.len()).max_by(|&i, &j| {
                let claim = |k: usize| Claim {
                    strength: strength(parties[k].votes, given[k]),
                    seats: given[k],
                    name: parties[k].name,
                    tie,
                    index: k,
                };
                claim(i).cmp(&claim(j))
            });
            given[best.unwrap()] += 1;
        }
        given
    }

    fn tie() -> impl Strategy<Value = Tie> {
        prop_oneof![Just(Tie::Ascending), Just(Tie::Descending)]
    }

    proptest! {
        #[test]
        fn the_fast_form_is_the_definition(
            seats in 0_u64..600,
            votes in prop::collection::vec(prop_oneof![0_u64..5, 0_u64..2000], 1..12),
            tie in tie(),
        ) {
            let parties = parties(&votes);
            prop_assert_eq!(divide(seats, &parties, tie), slow(seats, &parties, tie));
        }

        #[test]
        fn one_seat_more_takes_none_away(
            seats in 0_u64..600,
            votes in prop::collection::vec(0_u64..50, 1..12),
            tie in tie(),
        ) {
            let fewer = divide(seats, &parties(&votes), tie);
            let more = divide(seats + 1, &parties(&votes), tie);
            prop_assert_eq!(more.iter().sum::<u64>(), seats + 1);
            prop_assert!(fewer.iter().zip(&more).all(|(a, b)| a <= b));
        }

        #[test]
        fn nobody_gets_more_than_their_votes_while_there_are_enough(
            votes in prop::collection::vec(0_u64..50, 1..12),
            part in 0.0..=1.0_f64,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
            let seats = (votes.iter().sum::<u64>() as f64 * part) as u64;
            let given = divide(seats, &parties(&votes), Tie::Ascending);
            prop_assert!(given.iter().zip(&votes).all(|(seats, votes)| seats <= votes));
        }
    }
}
