//! What tests stand on: a real Kubernetes control plane, kubectl, guarded processes, waiting.
//!
//! It knows no kogge crate, so that any of them may use it. Nothing here outlives the test
//! that started it, also when the test is killed. Read [`wait`], [`process`], then [`kube`].

pub mod apps;
pub mod cache;
pub mod kube;
pub mod kubectl;
#[cfg(target_os = "linux")]
pub mod network;
pub mod ports;
pub mod process;
pub mod skip;
pub mod wait;

pub use process::Process;
pub use tempfile::TempDir;
pub use wait::{Deadline, wait_until, wait_until_async};
