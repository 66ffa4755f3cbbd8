//! How many nodes a cluster should have: [`decide`] is pure, the agent observes and applies.
//!
//! The rule is docs/algorithms/autoscaling.md. Reading order: `plan` (what goes in and comes out), `count`, `up`, `down`,
//! `decide`.
//!
//! ```
//! use kogge_autoscale::{Observed, decide};
//! let plan = decide(&Observed::default());
//! assert_eq!(plan.status.new_node_count, 0);
//! ```

mod count;
mod decide;
mod down;
mod plan;
mod up;

#[cfg(test)]
mod tests;

pub use count::{is_draining, selects};
pub use decide::decide;
pub use plan::{
    DELETE_ANNOTATION, DRAINING_ANNOTATION, Effect, GROUP_LABEL, Group, Observed, Plan, Spec,
    Status,
};
