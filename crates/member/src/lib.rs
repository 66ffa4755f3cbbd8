//! A cluster's API, seen by a client: requests, discovery and watches on plain JSON objects.
//!
//! The same client talks to a real member over TLS and to an API server in this
//! process. It knows how Kubernetes is spoken to, and nothing of what kogge does
//! with it. Reading order: [`Resource`] (where an object lives), [`Client`] (the
//! verbs), [`kinds`] (discovery), [`watch`] (lists that stay up to date).

mod beside;
mod client;
mod connect;
mod error;
mod kinds;
pub mod object;
mod resource;
pub mod watch;

pub use client::{Apply, Client, DeleteOptions};
pub use connect::{ConnectError, Credentials, from_kubeconfig, from_service, from_token};
pub use error::{Error, Fault};
pub use resource::{ObjectKey, Resource};
