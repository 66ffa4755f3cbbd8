//! What a hub wants of a cluster, as far as it said so. No IO.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kogge_member::ObjectKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::link::{Desired, Work};

/// Follows a stream as the agent does: what is put counts at once, what a pass lacks goes when it
/// is complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Set {
    pub hub: String,
    works: BTreeMap<ObjectKey, Arc<Work>>,
    autoscalers: BTreeMap<String, Value>,
    /// Keys of a pass that is not complete yet.
    pass: Option<BTreeSet<ObjectKey>>,
    /// It was whole once: before, it must not stand in for a hub, nor be kept.
    complete: bool,
    /// How often something changed that is to be kept; nothing is, before it was whole.
    changes: u64,
}

/// A set that was whole, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Whole {
    hub: String,
    works: Vec<Arc<Work>>,
    autoscalers: BTreeMap<String, Value>,
}

impl Set {
    pub fn new(hub: &str) -> Self {
        Self { hub: hub.to_owned(), ..Self::default() }
    }

    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub fn note(&mut self, desired: &Desired) {
        self.changes += u64::from(self.is_news(desired));
    }

    /// Takes it, and says whether there is something new to keep.
    fn is_news(&mut self, desired: &Desired) -> bool {
        match desired {
            Desired::Begin { .. } => self.pass = Some(BTreeSet::new()),
            Desired::Put(work) => {
                if let Some(pass) = &mut self.pass {
                    pass.insert(work.key.clone());
                }
                let before = self.works.insert(work.key.clone(), work.clone());
                return self.complete && before.as_ref() != Some(work);
            }
            Desired::Remove { key, .. } => {
                if let Some(pass) = &mut self.pass {
                    pass.remove(key);
                }
                return self.works.remove(key).is_some() && self.complete;
            }
            Desired::Complete => {
                if let Some(pass) = self.pass.take() {
                    self.works.retain(|key, _| pass.contains(key));
                }
                self.complete = true;
                return true;
            }
            Desired::Autoscalers(all) => {
                let is_new = self.autoscalers != *all;
                self.autoscalers.clone_from(all);
                return self.complete && is_new;
            }
            Desired::DeletionsApproved => {}
        }
        false
    }

    /// What the hub would say, if it has ever said all.
    pub fn said(&self) -> Vec<Desired> {
        if !self.complete {
            return Vec::new();
        }
        let mut said = vec![Desired::Begin { hub: self.hub.clone() }];
        said.extend(self.works.values().cloned().map(Desired::Put));
        said.push(Desired::Autoscalers(self.autoscalers.clone()));
        said.push(Desired::Complete);
        said
    }

    /// What is worth keeping, if it has ever been whole.
    pub fn kept(&self) -> Option<Whole> {
        self.complete.then(|| Whole {
            hub: self.hub.clone(),
            works: self.works.values().cloned().collect(),
            autoscalers: self.autoscalers.clone(),
        })
    }
}

impl From<Whole> for Set {
    fn from(kept: Whole) -> Self {
        Self {
            hub: kept.hub,
            works: kept.works.into_iter().map(|it| (it.key.clone(), it)).collect(),
            autoscalers: kept.autoscalers,
            pass: None,
            complete: true,
            changes: 0,
        }
    }
}
