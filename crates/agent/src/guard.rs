//! The guard against deleting too much: many deletions at once that nobody asked for wait for a
//! person's word.

/// Whether deletions are held, and whether they have been agreed to.
#[derive(Debug, Default)]
pub(crate) struct DeletionGuard {
    approved: bool,
    /// So many were reported as held.
    held: usize,
}

/// What the guard says of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Free,
    /// Held, and the hub does not know yet.
    HeldNow,
    Held,
}

impl DeletionGuard {
    /// A person agrees to what waits now, and to nothing later.
    pub fn approve(&mut self) {
        self.approved = 0 < self.held;
    }

    /// Something waits for a person's word.
    pub fn is_holding(&self) -> bool {
        0 < self.held && !self.approved
    }

    /// `unasked` of `all` owned objects would be deleted without a word from anybody.
    pub fn rule(&mut self, unasked: usize, all: usize) -> Ruling {
        if self.approved || !kogge_sync::prune::too_many(unasked, all) {
            return Ruling::Free;
        }
        if self.held == unasked {
            return Ruling::Held;
        }
        self.held = unasked;
        Ruling::HeldNow
    }

    /// Whether there is anything to forget.
    pub fn is_engaged(&self) -> bool {
        self.approved || 0 < self.held
    }

    /// The batch is done, or another one begins: the word given for it holds no more.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_given_for_one_batch_is_none_for_the_next() {
        let mut guard = DeletionGuard::default();
        // There is nothing to agree to yet.
        guard.approve();
        assert!(!guard.is_engaged());
        assert_eq!(guard.rule(1, 100), Ruling::Free);
        assert_eq!(guard.rule(90, 100), Ruling::HeldNow);
        assert_eq!(guard.rule(90, 100), Ruling::Held);
        guard.approve();
        // It holds to the end of the batch, however large the rest is.
        assert_eq!(guard.rule(90, 100), Ruling::Free);
        assert_eq!(guard.rule(50, 60), Ruling::Free);
        assert!(guard.is_engaged() && !guard.is_holding());
        guard.forget();
        assert_eq!(guard.rule(90, 100), Ruling::HeldNow);
    }
}
