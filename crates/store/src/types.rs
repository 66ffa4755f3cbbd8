//! What a store holds and says: entries, operations, events, and why it refuses.

use std::sync::Arc;

use bytes::Bytes;

/// A point in the store's history. 0 is before the first write.
pub type Revision = u64;

/// A path such as `/apps/deployments/shop/web`. Ranges and watches are by prefix.
pub type Key = Arc<str>;

/// A key with its value as of some revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub value: Bytes,
    /// Revision at which this key was created (again).
    pub created: Revision,
    /// Revision of the last write to this key.
    pub modified: Revision,
}

/// What must hold of a key for a transaction to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    /// The key exists and was last modified at this revision.
    At(Revision),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Bytes),
    Delete,
    /// Compare only.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub key: Key,
    pub expect: Expect,
    pub change: Change,
}

/// One durable change of one key. The events of a transaction share its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub revision: Revision,
    pub key: Key,
    /// `None`: the key was deleted.
    pub value: Option<Bytes>,
    pub previous: Option<Entry>,
}

impl Event {
    /// What is under the key after this; `None` if it was deleted.
    pub fn entry(&self) -> Option<Entry> {
        Some(Entry {
            key: self.key.clone(),
            value: self.value.clone()?,
            created: self.previous.as_ref().map_or(self.revision, |it| it.created),
            modified: self.revision,
        })
    }
}

#[derive(Clone, Debug, Default)]
pub struct RangeQuery {
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<Key>,
    /// 0: no limit.
    pub limit: usize,
    /// `None`: the newest revision.
    pub at: Option<Revision>,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In key order.
    pub entries: Vec<Entry>,
    /// The revision this page shows.
    pub revision: Revision,
    /// How many more keys follow the last entry.
    pub remaining: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum TxnError {
    /// An expectation did not hold; nothing was changed.
    #[error("key {key} is not as expected")]
    Conflict { key: Key, found: Option<Entry> },
    /// The store cannot write now (disk full, closed). Nothing was changed, and a later
    /// try may go through. Only if the process dies before it can write again may the
    /// refused transaction be found on disk, whole, when the store is next opened.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    #[error("revision {wanted} is compacted; the oldest kept is {oldest}")]
    Compacted { wanted: Revision, oldest: Revision },
    #[error("revision {wanted} is in the future; the newest is {newest}")]
    Future { wanted: Revision, newest: Revision },
}
