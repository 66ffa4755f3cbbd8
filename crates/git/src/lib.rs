//! Git as the truth: fetch a reference, read its tree without checking it out, render it to objects.
//!
//! gix does the work in process, so a machine needs no git: local repositories are read where they are, https
//! goes through ureq (rustls with ring; gix's own clients want curl, OpenSSL or aws-lc), ssh through the `ssh`
//! program as git itself does. Only a `kustomization.yaml` needs a program, kustomize or kubectl.
//!
//! Everything here blocks and knows no clock. Reading order: [`Reference`], [`Repository`], [`Tree`],
//! [`Renderer`]; [`init_with`] and [`commit_all`] are the other way round. Fetching deletes nothing.

mod error;
mod ignore;
mod origin;
mod range;
mod reference;
mod remote;
mod render;
mod repository;
mod tree;
mod write;

pub use error::{FetchError, TreeError};
pub use reference::{Reference, Revision};
pub use remote::{Credentials, Remote};
pub use render::{BuildError, Options, RenderedObject, Renderer, render};
pub use repository::Repository;
pub use tree::{Entry, Tree};
pub use write::{Author, WriteError, commit_all, init_with};
