//! The server behind TLS and the kubectl that people have, newest and oldest.
//!
//! A scenario is a function over [`Kubectl`]; [`each`] runs it with every version, each time
//! against a fresh server in memory.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod custom;
mod deletion;
mod faults;
mod reading;
mod served;

use self::served::{Kubectl, SOON, each};

/// A Deployment called web in the namespace default.
const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'nginx:1.29', ports: [{containerPort: 80}]}
";
