//! What goes to a member and in which order, what changed there, what may be deleted, and how the
//! members' status becomes one. Pure: objects are JSON, the time is given.
//!
//! Reading order, as an object travels: `strip` (with `fields`), `canonical`, `order`, then back:
//! `drift`, `health`, `status`, and at last `inventory` and `prune`.

pub mod canonical;
pub mod drift;
pub mod fields;
pub mod health;
pub mod inventory;
pub mod order;
pub mod prune;
pub mod status;
pub mod strip;

mod json;
