//! What failover says of each template that a failed cluster concerns, kept beside the bindings.
//!
//! In memory only: a restart judges everything again, with the same words.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use kogge_member::ObjectKey;

use crate::lock::lock;

/// For the binding's condition `Failover`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// It left every cluster that failed.
    pub done: bool,
    pub reason: String,
    /// A line for each cluster.
    pub message: String,
}

#[derive(Clone, Default)]
pub(crate) struct Moves(Arc<Mutex<BTreeMap<ObjectKey, Move>>>);

impl Moves {
    pub fn get(&self, template: &ObjectKey) -> Option<Move> {
        lock(&self.0).get(template).cloned()
    }

    /// Takes the whole of it. Says of which templates other things are said than before.
    pub fn replace(&self, all: BTreeMap<ObjectKey, Move>) -> Vec<ObjectKey> {
        let mut known = lock(&self.0);
        let gone = known.keys().filter(|it| !all.contains_key(*it));
        let other = all.iter().filter(|(key, it)| known.get(*key) != Some(*it));
        let changed = gone.chain(other.map(|it| it.0)).cloned().collect();
        *known = all;
        changed
    }
}
