//! Makes a member cluster what the hub wants it to be, and tells the hub how it is.
//!
//! One library, run in the hub for members that it dials, and beside a member
//! that dials the hub. Reading order: [`link`] (what hub and agent say to each
//! other), `track` (what is known of one object), `decide` (the rules, pure),
//! `run` (the loop), `effects` (what is done to the member). `scale` gives the
//! cluster nodes and takes them. [`wire`] is the way to a hub that is dialled, and `kept` what was
//! wanted last, on disk.

mod capacity;
mod decide;
mod effects;
mod gossip;
mod guard;
mod inventory;
mod kept;
pub mod link;
mod lock;
mod run;
mod scale;
mod state;
mod track;
mod view;
mod watches;
pub mod wire;

pub use gossip::{Telling, head_of};
pub use inventory::{Kind, NAME as INVENTORY, kinds as inventory_kinds};
pub use kept::{Kept, KeptError};
pub use run::{Config, run};

/// The field manager of everything kogge applies, wherever the agent runs.
pub const FIELD_MANAGER: &str = "kogge";

/// The label of every object that kogge owns on a member.
pub const MANAGED_LABEL: &str = "kogge.dev/managed";

/// The namespace of kogge's own objects, on the hub and on members.
pub const SYSTEM_NAMESPACE: &str = "kogge-system";
