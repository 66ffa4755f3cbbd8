//! Who left the fleet, as far as the hub knows: it alone lets an agent be told that it has left.
//!
//! A Cluster that is not there proves nothing: the hub may have lost its state, or have an older
//! one. What proves it is that the Cluster was deleted while this hub ran, or a floor in the
//! members' gossip, which only the hub can sign.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use kogge_member::ObjectKey;

use crate::{
    cache::{Cache, Object},
    controllers::cluster,
    lock::lock,
};

/// Who hears no other member for so long is taken to have none that knows more.
const ALONE: SignedDuration = SignedDuration::from_secs(15);

/// Tables that differ are repaired once a second: so long after another was first heard the hub
/// knows what it knows.
const REPAIRED: SignedDuration = SignedDuration::from_secs(5);

/// What is known of one that has no Cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Left,
    /// Members that know better may not have been heard yet.
    NotKnownYet,
    /// Nobody removed it.
    Stays,
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Roll(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Deleted while this hub ran.
    deleted: BTreeSet<String>,
    /// By the floors of the fleet.
    removed: BTreeSet<String>,
    /// When the hub began to gossip, and first heard another member.
    since: Option<Timestamp>,
    heard: Option<Timestamp>,
}

impl Roll {
    /// Puts into the cache what became of an object, and returns what was there before. A Cluster
    /// that is deleted is on the roll before it is out of the cache, and one that is made is in the
    /// cache before it is off the roll: in between, its agent would be one that nobody removed.
    pub fn take(&self, cache: &Cache, key: &ObjectKey, object: Option<Object>) -> Option<Object> {
        if key.group != cluster::GROUP || key.kind != "Cluster" {
            return cache.take(key, object);
        }
        let is_there = object.is_some();
        if !is_there {
            self.note(&key.name, false);
        }
        let previous = cache.take(key, object);
        if is_there {
            self.note(&key.name, true);
        }
        previous
    }

    /// A Cluster was deleted, or is there.
    fn note(&self, cluster: &str, is_there: bool) {
        let mut known = lock(&self.0);
        if is_there {
            known.deleted.remove(cluster);
        } else {
            known.deleted.insert(cluster.to_owned());
        }
    }

    /// What the table of gossip says now; `heard`: of it, something came from another member.
    /// Returns who is removed as of now.
    pub fn fleet_says(
        &self,
        removed: BTreeSet<String>,
        heard: bool,
        now: Timestamp,
    ) -> Vec<String> {
        let mut known = lock(&self.0);
        let newly = removed.difference(&known.removed).cloned().collect();
        known.removed = removed;
        if heard {
            known.heard.get_or_insert(now);
        }
        known.since.get_or_insert(now);
        newly
    }

    pub fn standing(&self, cluster: &str, now: Timestamp) -> Standing {
        let known = lock(&self.0);
        if known.deleted.contains(cluster) || known.removed.contains(cluster) {
            return Standing::Left;
        }
        let past = |it: Option<Timestamp>, wait| it.is_some_and(|it| wait < now.duration_since(it));
        let knows = past(known.heard, REPAIRED) || past(known.since, ALONE);
        if knows { Standing::Stays } else { Standing::NotKnownYet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_removed_has_left() {
        let at = |it| Timestamp::from_second(it).unwrap();
        let roll = Roll::default();
        assert_eq!(roll.standing("eu", at(100)), Standing::NotKnownYet);
        roll.fleet_says(BTreeSet::new(), false, at(0));
        assert_eq!(roll.standing("eu", at(15)), Standing::NotKnownYet);
        assert_eq!(roll.standing("eu", at(16)), Standing::Stays);
        roll.note("eu", false);
        assert_eq!(roll.standing("eu", at(16)), Standing::Left);
        roll.note("eu", true);
        assert_eq!(roll.standing("eu", at(16)), Standing::Stays);
    }

    #[test]
    fn who_is_deleted_is_never_out_of_the_cache_and_not_on_the_roll() {
        let (roll, cache) = (Roll::default(), Cache::default());
        let later = Timestamp::from_second(100).unwrap();
        roll.fleet_says(BTreeSet::new(), false, Timestamp::UNIX_EPOCH);
        let keys: Vec<ObjectKey> = (0..20_000)
            .map(|it| ObjectKey::new(cluster::GROUP, "Cluster", "", &it.to_string()))
            .collect();
        let there = Object { bytes: "{}".into(), revision: 1 };
        for key in &keys {
            roll.take(&cache, key, Some(there.clone()));
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for key in &keys {
                    roll.take(&cache, key, None);
                }
            });
            for key in &keys {
                while cache.get(key).is_some() {
                    std::hint::spin_loop();
                }
                assert_eq!(roll.standing(&key.name, later), Standing::Left, "{key}");
            }
        });
    }

    #[test]
    fn what_members_know_is_waited_for() {
        let at = |it| Timestamp::from_second(it).unwrap();
        let roll = Roll::default();
        assert_eq!(roll.fleet_says(["eu".to_owned()].into(), true, at(0)), ["eu"]);
        assert!(roll.fleet_says(["eu".to_owned()].into(), true, at(0)).is_empty());
        assert_eq!(roll.standing("eu", at(0)), Standing::Left);
        assert_eq!(roll.standing("us", at(5)), Standing::NotKnownYet);
        assert_eq!(roll.standing("us", at(6)), Standing::Stays);
    }
}
