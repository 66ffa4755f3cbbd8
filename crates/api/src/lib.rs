//! The hub's own kinds: serde types, and for each a [`Row`] that says how it is served.
//!
//! Field names are the upstream ones (Karmada, Flux), so existing YAML is read as it is. No rule
//! lives here: planners take plain data, and whoever calls them converts.
//! Reading order: `row`, `schema`, `meta`, `condition`, then a folder per area of the API.
//! The typed form of a propagation policy is the planner's (`kogge-placement`, `PolicySpec`):
//! this crate only says how it looks on the wire.

mod condition;
mod duration;
mod meta;
mod row;
mod schema;

pub mod fleet;
pub mod flux;
pub mod nodes;
pub mod policy;
pub mod work;

pub use condition::{Condition, ConditionStatus, find_condition, set_condition};
pub use duration::{format_duration, parse_duration};
pub use meta::{
    LabelSelector, LabelSelectorRequirement, LocalReference, Object, ObjectMeta, OwnerReference,
};
pub use row::{Column, ColumnType, Row};

/// Every kind that the hub serves on top of the native ones, in the order of design section 2.
pub fn rows() -> Vec<Row> {
    [fleet::rows(), policy::rows(), work::rows(), flux::rows(), nodes::rows()].concat()
}

#[cfg(test)]
mod tests;
