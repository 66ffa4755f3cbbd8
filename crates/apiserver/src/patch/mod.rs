//! The four patch types, each a pure function from a live object and a patch to a new object.
//!
//! `json` (RFC 6902), `merge` (RFC 7386), `strategic` (built-in kinds only) and
//! `apply` (server-side apply, which alone knows owners; see `fields`).

pub mod apply;
pub mod json;
pub mod merge;
pub mod strategic;
#[cfg(test)]
mod tests;
