//! How well this member itself is doing, and how long answers take.

use crate::id::{MS, Micros};

/// Lifeguard's local health: from 0, all is well, to 3.
///
/// A member that is slow itself sees everybody fail; it has to wait longer before it believes that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Local(u8);

impl Local {
    const WORST: u8 = 3;

    pub fn score(self) -> u8 {
        self.0
    }

    pub fn good(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    pub fn bad(&mut self) {
        self.0 = (self.0 + 1).min(Self::WORST);
    }

    /// A span, as much longer as things are bad.
    pub fn stretch(self, span: Micros) -> Micros {
        span * (1 + Micros::from(self.0))
    }
}

/// Bounds of a wait, and how long it is before anything was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    least: Micros,
    first: Micros,
    most: Micros,
}

/// Round trip: a running mean and its deviation, as TCP keeps them (RFC 6298).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    mean: Micros,
    deviation: Micros,
}

impl RoundTrip {
    pub fn measured(&mut self, took: Micros) {
        if self.mean == 0 {
            (self.mean, self.deviation) = (took.max(1), took / 2);
            return;
        }
        self.deviation = (3 * self.deviation + self.mean.abs_diff(took)) / 4;
        self.mean = (7 * self.mean + took) / 8;
    }

    /// How long to wait for an answer.
    pub fn wait(self, bounds: Wait) -> Micros {
        if self.mean == 0 {
            return bounds.first;
        }
        (self.mean + 4 * self.deviation).clamp(bounds.least, bounds.most)
    }
}

/// For the answer to a datagram's probe.
pub(crate) const PROBE_WAIT: Wait = Wait { least: 200 * MS, first: 500 * MS, most: 500 * MS };

/// For the acknowledgement of news. Of a round trip of 80 ms at most 90 is not too early; a first
/// guess that is costs a copy.
pub(crate) const PUSH_WAIT: Wait = Wait { least: 90 * MS, first: 200 * MS, most: 500 * MS };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_what_was_measured() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.wait(PUSH_WAIT), 200 * MS);
        for _ in 0..100 {
            trip.measured(60 * MS);
        }
        assert_eq!(trip.wait(PUSH_WAIT), 90 * MS);
        trip.measured(300 * MS);
        assert!(200 * MS < trip.wait(PUSH_WAIT));
    }

    #[test]
    fn health_is_bounded() {
        let mut local = Local::default();
        (0..9).for_each(|_| local.bad());
        assert_eq!(local.stretch(100), 400);
        (0..9).for_each(|_| local.good());
        assert_eq!(local.stretch(100), 100);
    }
}
