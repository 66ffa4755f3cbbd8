//! The watched hands out turns, so that somebody looks at it again and again without gaps.

use crate::id::{MS, Micros};

/// Whose turn it is to look at this member: its observers, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Turns(Vec<(u64, Micros)>);

impl Turns {
    const APART: Micros = 1_600 * MS;

    /// In how long the observer is to come again: at the first moment that no other has.
    pub fn give(&mut self, observer: u64, now: Micros) -> Micros {
        self.0.retain(|it| now < it.1);
        // Who comes again before its turn is told the same turn.
        if let Some(turn) = self.0.iter().find(|it| it.0 == observer) {
            return turn.1 - now;
        }
        let first = now + Self::APART;
        let after = self.0.iter().map(|it| it.1 + Self::APART);
        let free = |turn: &Micros| {
            first <= *turn && self.0.iter().all(|it| Self::APART <= it.1.abs_diff(*turn))
        };
        let turn = after.chain([first]).filter(free).min().unwrap_or(first);
        self.0.push((observer, turn));
        turn - now
    }

    /// Those that observe no longer would leave gaps.
    pub fn keep(&mut self, observers: &[u64]) {
        self.0.retain(|it| observers.contains(&it.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observers_come_one_turn_apart() {
        let mut turns = Turns::default();
        let mut calls: Vec<(Micros, u64)> = (0..5).map(|it| (it * 17 * MS, it)).collect();
        let mut seen = Vec::new();
        for _ in 0..100 {
            calls.sort_unstable();
            let (at, observer) = calls.remove(0);
            seen.push(at);
            calls.push((at + turns.give(observer, at), observer));
        }
        let late = seen.windows(2).skip(10).map(|it| it[1] - it[0]);
        let turn = Turns::APART - 100 * MS..=Turns::APART + 100 * MS;
        assert!(late.clone().all(|it| turn.contains(&it)), "{seen:?}");
    }

    #[test]
    fn turns_of_those_that_observe_no_longer_are_given_again() {
        let mut turns = Turns::default();
        for observer in 0..5 {
            assert_eq!(turns.give(observer, 0), (observer + 1) * Turns::APART);
        }
        turns.keep(&[0, 3]);
        assert_eq!(turns.give(7, 0), 2 * Turns::APART);
        assert_eq!(turns.give(8, 0), 3 * Turns::APART);
        assert_eq!(turns.give(9, 0), 5 * Turns::APART);
    }

    #[test]
    fn who_asks_twice_gets_one_turn() {
        let mut turns = Turns::default();
        let first = turns.give(1, 0);
        assert_eq!(turns.give(1, 100 * MS), first - 100 * MS);
        assert_eq!(turns.give(2, 100 * MS), first + Turns::APART - 100 * MS);
    }
}
