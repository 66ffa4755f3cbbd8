//! Why each template is where it is: the planner's words, kept beside the bindings.
//!
//! In memory only: a restart decides everything again, with the same words.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use kogge_member::ObjectKey;

use crate::lock::lock;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub scheduled: bool,
    pub reason: String,
    /// First where it runs and by which policy, then a line for each cluster left out.
    pub message: String,
}

#[derive(Clone, Default)]
pub(crate) struct Decisions(Arc<Mutex<BTreeMap<ObjectKey, Decision>>>);

impl Decisions {
    pub fn get(&self, template: &ObjectKey) -> Option<Decision> {
        lock(&self.0).get(template).cloned()
    }

    /// The templates that could not be placed.
    pub fn unscheduled(&self) -> Vec<ObjectKey> {
        let all = lock(&self.0);
        all.iter().filter(|(_, it)| !it.scheduled).map(|(key, _)| key.clone()).collect()
    }

    /// Says whether it is another one than before.
    pub fn set(&self, template: &ObjectKey, decision: Option<&Decision>) -> bool {
        let mut all = lock(&self.0);
        let before = match decision.cloned() {
            Some(it) => all.insert(template.clone(), it),
            None => all.remove(template),
        };
        before.as_ref() != decision
    }
}
