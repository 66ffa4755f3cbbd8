//! What moves off a cluster that failed, what stays, and why. Pure: time comes in as [`Millis`].
//!
//! Reading order: `fleet` (which clusters are dead, their taints, the guard for half a fleet),
//! `moves` (what each template does about it), `tasks` (what becomes of the place that was left),
//! `state` (what is kept of the old place). The rules and every number: docs/algorithms/failover.md.

mod fleet;
mod moves;
mod state;
mod tasks;

pub use fleet::{Assessed, By, Fleet, Guard, Link, Member, Standing, Timed, Word, assess};
pub use moves::{Eviction, Moves, Placed, Verdict, plan};
pub use state::{Kept, keep};
pub use tasks::{Change, Task};

/// Milliseconds since 1970.
pub type Millis = i64;

/// The two taints of a cluster that failed, as Karmada names them.
pub const NOT_READY: &str = "cluster.karmada.io/not-ready";
pub const UNREACHABLE: &str = "cluster.karmada.io/unreachable";

/// What is not up to the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many templates leave their cluster within one second at most.
    pub moves_a_second: usize,
    /// Or one in so many of those that have to leave now or left within ten seconds, where that is
    /// more.
    pub share_a_second: usize,
    /// How long a dead cluster is tolerated by a policy that says nothing of it.
    pub toleration: Millis,
    /// How long the hub alone has to find a cluster unreachable before it counts as dead.
    pub dead_after: Millis,
    /// Clusters that were lost within so long were lost at once.
    pub at_once: Millis,
    /// How long a cluster has to be well before what was moved off may come back.
    pub settle: Millis,
    /// How long the old place is kept for a new one that does not get healthy.
    pub grace: Millis,
}

impl Default for Settings {
    fn default() -> Self {
        const SECOND: Millis = 1_000;
        const MINUTE: Millis = 60 * SECOND;
        Self {
            moves_a_second: 100,
            share_a_second: 10,
            toleration: 10 * SECOND,
            dead_after: 5 * MINUTE,
            at_once: 60 * MINUTE,
            settle: 5 * MINUTE,
            grace: 10 * MINUTE,
        }
    }
}

#[cfg(test)]
mod tests;
