//! How many objects the guard against deleting too much has to weigh, counted as they change:
//! counting all of them at each of many deletions would take for ever.

use crate::track::{Live, Tracked};

/// Of all objects that are owned, and of those that would go though nobody asked for it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    owned: usize,
    unasked: usize,
}

/// What one object counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    owned: bool,
    unasked: bool,
}

impl Counted {
    fn of(tracked: &Tracked) -> Self {
        let owned = matches!(&tracked.live, Live::Present(meta) if meta.owned);
        let unasked = owned && tracked.desired.is_none() && !tracked.removal_asked;
        Self { owned, unasked }
    }
}

impl Tally {
    /// Counts an object as it is now; whatever changes one has to say so.
    pub fn note(&mut self, tracked: &mut Tracked) {
        let now = Counted::of(tracked);
        let before = std::mem::replace(&mut tracked.counted, now);
        let step = |count: usize, from: bool, to: bool| count - usize::from(from) + usize::from(to);
        self.owned = step(self.owned, before.owned, now.owned);
        self.unasked = step(self.unasked, before.unasked, now.unasked);
    }

    /// Owned objects that are wanted no more though nobody asked for it, and all owned objects.
    pub fn unasked_of_owned(&self) -> (usize, usize) {
        (self.unasked, self.owned)
    }
}
