//! Which clusters a template goes to, how many replicas each gets, and why. Pure.
//!
//! Reading order: `policy` (what users write), `cluster` (what they choose from), `select` (which
//! policy a template has), `filter` and `spread` (which clusters), `webster` and `divide` (how
//! many), `decide` (all of it, with the reasons), `dependencies` (what comes along),
//! `failover` (what leaves a cluster that failed).
//! The invariants are in docs/algorithms/placement.md.

pub mod cluster;
pub mod decide;
pub mod dependencies;
pub mod divide;
pub mod failover;
pub mod filter;
pub mod policy;
pub mod select;
mod selector;
mod spread;
pub mod webster;

pub use cluster::Cluster;
pub use decide::{Decision, Mode, Reason, Request, Target, decide};
pub use policy::{Placement, PolicySpec};
pub use select::{Policy, PolicyIndex, Template};
