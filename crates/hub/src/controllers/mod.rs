//! What the hub does by itself, a folder for each: mod.rs reads and writes, decide.rs holds the rules.

pub(crate) mod autoscaler;
pub(crate) mod cluster;
pub(crate) mod failover;
pub(crate) mod federation;
pub(crate) mod kustomization;
pub(crate) mod placement;
pub(crate) mod signing;
pub(crate) mod source;
pub(crate) mod status;
