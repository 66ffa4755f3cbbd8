//! The Kubernetes API over a store: one generic handler for every kind.
//!
//! No kogge kind is known by name here: kinds are rows of a table, built in,
//! given by the embedder, or made at run time by CustomResourceDefinitions.
//! Reading order follows a request: `request` -> `authn` -> `authz` -> `decode`
//! -> `admission` -> `verbs` -> store -> `encode`.

mod access;
pub mod admission;
pub mod authn;
pub mod authz;
mod body;
mod bootstrap;
mod call;
mod changes;
mod controllers;
mod crd;
pub mod decode;
mod discovery;
mod encode;
pub mod fields;
mod follow;
mod local;
mod metrics;
mod names;
mod nonresource;
mod object;
mod openapi;
mod options;
pub mod patch;
pub mod pki;
mod registry;
mod request;
pub mod schema;
mod selector;
pub mod serve;
mod server;
pub mod status;
pub mod user;
mod verbs;

pub use self::{
    admission::{Admission, AdmissionRequest, Operation},
    body::{Body, BoxError},
    changes::{Change, Changes, ObjectChange},
    local::LocalService,
    registry::{Column, KindRow, Registry, Resource, ScalePaths, Scope, VersionRow},
    request::RequestInfo,
    server::{ApiServer, Authorization, Config, StartError},
    user::User,
};
