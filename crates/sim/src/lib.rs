//! Clusters without machines: nodes that come and go, kubelets that only pretend, a scheduler.
//!
//! [`run_nodes`] gives nodes to any cluster, a real one too; [`SimMember`] is a whole cluster in
//! this process. Reading order: `nodes` (groups and their nodes), `kubelet` (pods on them),
//! `scheduler`, `lifecycle` (dead nodes), `member` (all of it over an API server).

mod controllers;
mod events;
mod faults;
mod kinds;
mod kubelet;
mod lifecycle;
mod member;
mod nodes;
mod scheduler;
mod time;

pub use faults::Faults;
pub use member::{SimMember, SimOptions, StartError};
pub use nodes::{GroupSpec, NodesConfig, PROVIDER, Prepared, default_group, prepare, run_nodes};
pub use scheduler::run as run_scheduler;
