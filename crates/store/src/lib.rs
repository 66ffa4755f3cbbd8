//! Revisions, transactions and watches: etcd's semantics behind one small trait.
//!
//! One revision counter for the whole store; every committed transaction takes
//! the next one. Nothing is acknowledged, read or watched before it is durable.
//! This crate knows keys and bytes; what an object is, the API server knows.
//! Reading order: `types`, `state` (the rules, in memory) and its `history`, `watch`;
//! `log` (what is on disk), `record`, `file`; `writer` (group commit), `embedded`.

mod embedded;
#[cfg(test)]
mod faults;
mod file;
mod history;
mod log;
mod record;
mod state;
mod types;
mod watch;
mod writer;

use futures::future::BoxFuture;

pub use self::{
    embedded::{Embedded, Options},
    log::OpenError,
    types::{
        Change, Entry, Event, Expect, HistoryError, Key, Op, Page, RangeQuery, Revision, TxnError,
    },
    watch::Watch,
};

/// The store, embedded or etcd. Reads are local and see only durable writes.
pub trait Store: Send + Sync + 'static {
    /// Stays the same for the life of the data; a new disk has a new one.
    fn id(&self) -> uuid::Uuid;

    /// Commits all of `ops` at one revision, durable when this returns, or none.
    /// Operations that change nothing take no revision and return the current one.
    /// Asked for by the call, not by the first poll: dropping the future withdraws nothing.
    fn txn(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Revision, TxnError>>;

    /// The newest durable revision.
    fn revision(&self) -> Revision;

    fn get(&self, key: &str) -> Option<Entry>;

    fn range(&self, query: &RangeQuery) -> Result<Page, HistoryError>;

    /// Every event under `prefix` with a revision greater than `after`, in order.
    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, HistoryError>;

    /// Forgets history before `revision`; reads and watches there are `Compacted` from now on.
    /// A revision that is not there yet means the newest.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), TxnError>>;
}
