//! Plays whole fleets: discrete events, virtual time, one seed, one run, byte for byte.
//!
//! Reading order: `hosts`, `net` and `wire` (what happens to frames), `world` (hosts, clocks and disks), `faults` (what
//! goes wrong, by seed), `check` (what must hold), `campaign` (a seed from start to verdict),
//! `figures` (what `kogge sim gossip` prints). It is part of the crate, not of its tests, since the
//! binary plays fleets for people.

mod campaign;
mod check;
mod faults;
mod figures;
mod hosts;
mod keys;
mod net;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use campaign::{Outcome, campaign};
pub use check::{BOUND, Checker};
pub use faults::{Disk, Fault, Happened};
pub use figures::{
    Death, Figures, Join, News, Soak, detection, fleet_figures, heal, idle, join, news,
};
pub use keys::SimKeys;
pub use net::{Latency, Net, Traffic};
pub use world::World;
