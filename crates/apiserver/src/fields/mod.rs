//! Who owns which field: sets of paths, and the `managedFields` of objects.
//!
//! Reading order: `path` and `set` (the data), `shape` (what the schema says of
//! a value), `extract`, `compare` and `combine` (the walks), `managed` (the
//! wire form), `update` (what a plain write does to owners). What an apply does
//! is in `patch/apply.rs`. The rules: docs/algorithms/server-side-apply.md.

pub mod combine;
pub mod compare;
pub mod extract;
pub mod managed;
pub mod path;
pub mod set;
pub mod shape;
#[cfg(test)]
pub(crate) mod tests;
mod update;

pub(crate) use self::update::{record, zero};
pub use self::{
    managed::Write,
    update::{on_create, on_update},
};
