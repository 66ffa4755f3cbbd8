//! How many nodes a cluster should have: [`decide`] is pure, the agent observes and applies.
//!
//! The rule is docs/algorithms/autoscaling.md. So far: counting, bounds and scale-up; a plan never shrinks a cluster yet.
//!
//! ```
//! use kogge_autoscale::{Observed, decide};
//! let plan = decide(&Observed::default());
//! assert_eq!(plan.status.new_node_count, 0);
//! ```

mod decide;

pub use decide::{Effect, Group, Observed, Plan, Spec, Status, decide};
