//! What may be deleted: what was owned and is wanted no more, on the word of a complete set only.

use std::collections::BTreeSet;

/// What is wanted, and whether that is all of it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a, Id> {
    pub ids: &'a BTreeSet<Id>,
    /// False for a failed render or a half-read stream.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prune<Id> {
    /// These may go; empty if nothing has to.
    Delete(Vec<Id>),
    /// Nothing may go, until a person says so or the set is whole again.
    Hold { why: Hold, waiting: Vec<Id> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The set is not known to be whole.
    Incomplete,
    /// Nothing at all is wanted any more.
    Empty,
    /// So much goes at once that a person has to agree.
    TooMany,
}

/// Fewer deletions than this at once need nobody's word.
pub const FEW: usize = 10;

/// Whether so much goes that a person has to agree: more than [`FEW`] and more than half.
pub fn too_many(deletions: usize, owned: usize) -> bool {
    FEW < deletions && owned < deletions * 2
}

/// `approved` is a person's word for what would be held as empty or too many; an incomplete set
/// stays held.
pub fn prune<Id: Ord + Clone>(
    inventory: &BTreeSet<Id>,
    wanted: &Wanted<'_, Id>,
    approved: bool,
) -> Prune<Id> {
    let gone: Vec<Id> = inventory.difference(wanted.ids).cloned().collect();
    let why = match () {
        () if gone.is_empty() => return Prune::Delete(gone),
        () if !wanted.complete => Hold::Incomplete,
        () if approved => return Prune::Delete(gone),
        () if wanted.ids.is_empty() => Hold::Empty,
        () if too_many(gone.len(), inventory.len()) => Hold::TooMany,
        () => return Prune::Delete(gone),
    };
    Prune::Hold { why, waiting: gone }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(owned: u32, kept: u32, complete: bool, approved: bool, want: Result<usize, Hold>) {
        let (inventory, ids) = ((0..owned).collect(), (0..kept).collect());
        let got = match prune(&inventory, &Wanted { ids: &ids, complete }, approved) {
            Prune::Delete(ids) => Ok(ids.len()),
            Prune::Hold { why, waiting } => {
                assert_eq!(waiting.len(), (owned - kept) as usize);
                Err(why)
            }
        };
        assert_eq!(got, want);
    }

    #[test]
    fn guards() {
        check(5, 3, true, false, Ok(2));
        check(5, 5, false, false, Ok(0));
        check(5, 3, false, false, Err(Hold::Incomplete));
        check(5, 3, false, true, Err(Hold::Incomplete));
        check(5, 0, true, false, Err(Hold::Empty));
        check(5, 0, true, true, Ok(5));
        check(20, 10, true, false, Ok(10));
        check(21, 10, true, false, Err(Hold::TooMany));
        check(21, 10, true, true, Ok(11));
        check(30, 15, true, false, Ok(15));
    }

    proptest! {
        #[test]
        fn what_is_wanted_or_not_owned_is_never_deleted(
            inventory in prop::collection::btree_set(0_u32..40, 0..40),
            ids in prop::collection::btree_set(0_u32..40, 0..40),
            complete: bool,
            approved: bool,
        ) {
            let Prune::Delete(gone) = prune(&inventory, &Wanted { ids: &ids, complete }, approved)
            else { return Ok(()) };
            prop_assert!(complete || gone.is_empty());
            for id in &gone {
                prop_assert!(inventory.contains(id) && !ids.contains(id));
            }
        }
    }
}
