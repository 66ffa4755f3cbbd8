//! What one peer may ask for how often, so that a hostile one costs little.

use std::collections::BTreeMap;

use crate::id::{MS, Micros, SECOND};

/// Peers are remembered up to this many.
const KEPT: usize = 4_096;

/// Closed for a while after each pass.
#[derive(Debug, Default)]
pub(crate) struct Gate(BTreeMap<(u64, u8), Micros>);

impl Gate {
    pub const JOIN: (u8, Micros) = (0, 500 * MS);
    pub const SYNC: (u8, Micros) = (1, 200 * MS);
    pub const WANT: (u8, Micros) = (2, 200 * MS);
    pub const CHECK: (u8, Micros) = (3, 100 * MS);
    pub const FLOOR: (u8, Micros) = (4, SECOND);
    pub const TABLE: (u8, Micros) = (6, SECOND);
    pub const LOST: (u8, Micros) = (7, SECOND);
    /// After a forged record nothing of that peer is checked for a while.
    pub const FORGED: (u8, Micros) = (5, SECOND);

    /// Whether `who` may now; if so, not again for the time of `what`.
    pub fn opens(&mut self, who: u64, what: (u8, Micros), now: Micros) -> bool {
        if self.closed(who, what, now) {
            return false;
        }
        if KEPT <= self.0.len() {
            self.0.retain(|_, until| now < *until);
        }
        if KEPT <= self.0.len() {
            return false;
        }
        self.0.insert((who, what.0), now + what.1);
        true
    }

    /// Whether it is closed, without passing.
    pub fn closed(&self, who: u64, what: (u8, Micros), now: Micros) -> bool {
        self.0.get(&(who, what.0)).is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_names_fill_the_gate_and_no_more() {
        let mut gate = Gate::default();
        let opened = (0..10_000).filter(|it| gate.opens(*it, Gate::JOIN, 0)).count();
        assert_eq!(opened, KEPT);
        assert!(gate.opens(1, Gate::JOIN, SECOND) && !gate.opens(1, Gate::JOIN, SECOND));
    }
}
