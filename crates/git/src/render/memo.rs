//! Renderings remembered by what went into them: a commit that does not touch a path costs no rendering.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::Plan;
use super::{BuildError, Options, RenderedObject, run};
use crate::tree::Tree;

type Rendered = Arc<Vec<RenderedObject>>;

/// Renders, and remembers the last renderings that succeeded. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Renderer {
    /// In objects, over all renderings.
    capacity: usize,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Which use was the last, and what is remembered.
    renderings: BTreeMap<String, (u64, Rendered)>,
    objects: usize,
    uses: u64,
}

impl Renderer {
    /// Remembers renderings of `capacity` objects in total; always at least the last one.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, memory: Mutex::default() }
    }

    /// As [`render`](super::render), from memory where nothing that is read has changed. A failure is not remembered.
    pub fn render(&self, tree: &Tree, options: &Options) -> Result<Rendered, BuildError> {
        let mut plan = Plan::of(tree, options)?;
        let key = plan.key.take();
        if let Some(known) = key.as_ref().and_then(|it| self.recall(it)) {
            return Ok(known);
        }
        let rendered = Arc::new(run(tree, options, &plan)?);
        if let Some(key) = key {
            self.remember(key, Arc::clone(&rendered));
        }
        Ok(rendered)
    }

    fn recall(&self, key: &str) -> Option<Rendered> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.uses += 1;
        let now = memory.uses;
        let (used, rendered) = memory.renderings.get_mut(key)?;
        *used = now;
        Some(Arc::clone(rendered))
    }

    fn remember(&self, key: String, rendered: Rendered) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.uses += 1;
        let now = memory.uses;
        memory.objects += weight(&rendered);
        if let Some((_, before)) = memory.renderings.insert(key, (now, rendered)) {
            memory.objects -= weight(&before);
        }
        while memory.objects > self.capacity && memory.renderings.len() > 1 {
            let oldest = memory
                .renderings
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| key.clone());
            let Some((_, gone)) = oldest.and_then(|it| memory.renderings.remove(&it)) else {
                return;
            };
            memory.objects -= weight(&gone);
        }
    }
}

/// An empty rendering takes room too.
fn weight(rendered: &Rendered) -> usize {
    rendered.len().max(1)
}
