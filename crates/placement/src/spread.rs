//! Over how many clusters: the spread constraint by cluster.

use crate::policy::SpreadConstraint;

/// A cluster that passed the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    pub name: &'a str,
    /// Replicas that it can take beside those that it has.
    pub room: u64,
    /// Replicas that it has; `None` if it is new.
    pub has: Option<u64>,
}

impl Candidate<'_> {
    /// Replicas that it can hold.
    pub fn holds(&self) -> u64 {
        self.room + self.has.unwrap_or(0)
    }
}

/// Candidates in the order in which they are preferred: those that have it, then those that can
/// hold more, then by name.
pub(crate) fn sort(candidates: &mut [Candidate<'_>]) {
    candidates.sort_by(|a, b| {
        let key = |it: &Candidate<'_>| (it.has.is_some(), it.holds());
        key(b).cmp(&key(a)).then(a.name.cmp(b.name))
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooFew {
    Clusters { want: usize, have: usize },
    Room { want: u64, have: u64 },
}

/// The clusters to use of sorted candidates. `needed` are replicas that must fit on them together;
/// `None` where room does not matter.
pub(crate) fn select<'a>(
    constraints: &[SpreadConstraint],
    sorted: &[Candidate<'a>],
    needed: Option<u64>,
) -> Result<Vec<Candidate<'a>>, TooFew> {
    let by_cluster = |it: &&SpreadConstraint| {
        it.spread_by_label.is_empty() && matches!(&it.spread_by_field[..], "" | "cluster")
    };
    let Some(constraint) = constraints.iter().find(by_cluster) else { return Ok(sorted.to_vec()) };
    let least = constraint.min_groups.max(1) as usize;
    if sorted.len() < least {
        return Err(TooFew::Clusters { want: least, have: sorted.len() });
    }
    let most =
        if constraint.max_groups == 0 { sorted.len() } else { constraint.max_groups as usize };
    let (taken, rest) = sorted.split_at(most.min(sorted.len()));
    match needed {
        Some(needed) => make_room(taken.to_vec(), rest.to_vec(), needed),
        None => Ok(taken.to_vec()),
    }
}

/// Swaps in larger clusters, from the least preferred slot on, until the replicas fit.
fn make_room<'a>(
    mut taken: Vec<Candidate<'a>>,
    mut rest: Vec<Candidate<'a>>,
    needed: u64,
) -> Result<Vec<Candidate<'a>>, TooFew> {
    let sum = |them: &[Candidate<'_>]| them.iter().map(Candidate::holds).sum::<u64>();
    for slot in (0..taken.len()).rev() {
        if needed <= sum(&taken) {
            break;
        }
        // The first of equals, which is the preferred one.
        let best = (0..rest.len()).rev().max_by_key(|&i| rest[i].holds());
        if let Some(best) = best.filter(|&i| taken[slot].holds() < rest[i].holds()) {
            std::mem::swap(&mut taken[slot], &mut rest[best]);
        }
    }
    let have = sum(&taken);
    if have < needed { Err(TooFew::Room { want: needed, have }) } else { Ok(taken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(min: u32, max: u32, rooms: &[(&str, u64)], needed: Option<u64>, want: &str) {
        let constraint =
            SpreadConstraint { min_groups: min, max_groups: max, ..SpreadConstraint::default() };
        let mut candidates: Vec<Candidate<'_>> =
            rooms.iter().map(|(name, room)| Candidate { name, room: *room, has: None }).collect();
        sort(&mut candidates);
        let said = match select(&[constraint], &candidates, needed) {
            Ok(them) => them.iter().map(|it| it.name).collect::<Vec<_>>().join(" "),
            Err(why) => format!("{why:?}"),
        };
        assert_eq!(said, want);
    }

    #[test]
    fn spread_by_cluster() {
        let rooms = [("a", 1), ("b", 5), ("c", 3)];
        check(0, 0, &rooms, Some(9), "b c a");
        check(0, 2, &rooms, Some(8), "b c");
        check(0, 1, &rooms, None, "b");
        check(0, 2, &rooms, Some(9), "Room { want: 9, have: 8 }");
        check(4, 5, &rooms, None, "Clusters { want: 4, have: 3 }");
    }

    #[test]
    fn a_larger_cluster_takes_the_last_slot() {
        let at = |name, room, has| Candidate { name, room, has };
        let mut all = [at("old", 0, Some(1)), at("older", 0, Some(2)), at("new", 9, None)];
        sort(&mut all);
        let two = SpreadConstraint { max_groups: 2, ..SpreadConstraint::default() };
        let names = |needed| -> Vec<&str> {
            select(std::slice::from_ref(&two), &all, Some(needed))
                .unwrap()
                .iter()
                .map(|it| it.name)
                .collect()
        };
        assert_eq!(names(3), ["older", "old"]);
        assert_eq!(names(4), ["older", "new"]);
    }
}
