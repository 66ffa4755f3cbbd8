//! The words every planner shares: quantities, selectors, taints, and compact pods and nodes.
//!
//! Read from `serde_json::Value`, so that any client's objects do. No clock, no IO.
//!
//! ```
//! # use serde_json::json;
//! let pod = kogge_model::Pod::from_value(&json!({
//!     "metadata": {"name": "web", "namespace": "default"},
//!     "spec": {"containers": [{"resources": {"requests": {"cpu": "250m"}}}]},
//! }))?;
//! assert_eq!(pod.spec.requests.milli_cpu(), 250);
//! # Ok::<(), kogge_model::Error>(())
//! ```

mod affinity;
mod error;
pub mod names;
mod node;
mod percent;
mod pod;
mod quantity;
mod resources;
mod selector;
mod taint;
pub mod yaml;

pub use affinity::{NodeSelectorTerm, PodAffinityTerm, Spread};
pub use error::Error;
pub use node::{Node, add_aliases};
pub use percent::IntOrPercent;
pub use pod::{Owner, Phase, Pod, PodSpec};
pub use quantity::{ParseQuantityError, Quantity};
pub use resources::{ResourceName, Resources};
pub use selector::{FieldSelector, Labels, Operator, Requirement, Selector, labels_of};
pub use taint::{Effect, Taint, Toleration, first_untolerated};
