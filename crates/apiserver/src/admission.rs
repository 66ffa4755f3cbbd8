//! Where the embedder may change or refuse a write, and say something on a read.

use std::sync::Arc;

use serde_json::Value;

use crate::{registry::Resource, request::RequestInfo, status::Failure, user::User};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
}

/// A write before it is validated and stored.
pub struct AdmissionRequest {
    pub operation: Operation,
    pub user: Arc<User>,
    pub resource: Arc<Resource>,
    pub subresource: String,
    pub namespace: Option<String>,
    /// Empty while a generated name is not yet chosen.
    pub name: String,
    pub dry_run: bool,
    /// What is about to be stored, to be changed at will. Null for a deletion.
    pub object: Value,
    /// What is stored now. Null for a creation.
    pub old: Value,
}

/// A hook of the embedder. Runs on every write, in the order given.
pub trait Admission: Send + Sync {
    /// Warnings go to the caller as `Warning` headers; a failure refuses the write.
    fn review(&self, request: &mut AdmissionRequest) -> Result<Vec<String>, Failure>;

    /// A `Warning` header on whatever is asked, discovery included.
    fn advise(&self, _request: &RequestInfo) -> Option<String> {
        None
    }
}
