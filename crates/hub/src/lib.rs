//! The hub: the Kubernetes API of a fleet, and the controllers behind it.
//!
//! Reading order follows an object: `admission` -> the API server's store ->
//! `cache` -> `controllers/placement` -> `works` -> an agent (`link`) ->
//! `reports` -> `controllers/status`. `hub` starts all of it.

mod admission;
mod bindings;
mod cache;
mod context;
mod controllers;
mod decisions;
mod dispatch;
mod events;
mod floors;
mod git;
mod gossip;
mod hub;
mod kinds;
mod link;
mod lock;
mod moves;
mod policies;
pub mod pull;
mod recovery;
mod reports;
mod roll;
mod room;
mod rotation;
mod runner;
mod verdicts;
mod works;

pub use controllers::{
    cluster::member_client,
    federation::{ACCOUNT, clean_member},
};
pub use gossip::{Admission, FleetGossip, GossipError, GossipOptions, uid_of};
pub use hub::{Hub, Options, StartError};
pub use recovery::{COMMAND as RECOVERED, Recovering, mark};
pub use verdicts::{Verdict, Verdicts};

/// Whether an object may run on clusters at all; what steers the hub never does.
pub fn may_run(object: &kogge_member::ObjectKey) -> bool {
    bindings::may_be_template(object)
}

/// The binding of a template, for those who explain where it runs.
pub fn binding_of(template: &kogge_member::ObjectKey) -> kogge_member::ObjectKey {
    bindings::key_for(template)
}
