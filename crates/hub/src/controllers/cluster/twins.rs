//! Which Clusters are the same cluster: those with one `spec.id`. No IO.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kogge_api::fleet::Cluster;

/// When each was made, then its name: the first of them joined, the others are its twins.
type Known = BTreeSet<(Option<Timestamp>, String)>;

#[derive(Debug, Default)]
pub(super) struct Twins {
    by_id: BTreeMap<String, Known>,
    /// The id and the time that each name is filed under.
    filed: BTreeMap<String, (String, Option<Timestamp>)>,
}

impl Twins {
    /// Files a Cluster as it is now; none is one that was deleted. Returns whom that concerns,
    /// beside itself.
    pub fn set(&mut self, name: &str, cluster: Option<&Cluster>) -> BTreeSet<String> {
        let now = cluster
            .filter(|it| !it.spec.id.is_empty())
            .map(|it| (it.spec.id.clone(), it.metadata.creation_timestamp));
        if self.filed.get(name) == now.as_ref() {
            return BTreeSet::new();
        }
        let mut concerned = BTreeSet::new();
        if let Some((id, made)) = self.filed.remove(name) {
            let known = self.by_id.entry(id.clone()).or_default();
            known.remove(&(made, name.to_owned()));
            concerned.extend(known.iter().map(|it| it.1.clone()));
            if known.is_empty() {
                self.by_id.remove(&id);
            }
        }
        if let Some((id, made)) = now {
            let known = self.by_id.entry(id.clone()).or_default();
            concerned.extend(known.iter().map(|it| it.1.clone()));
            known.insert((made, name.to_owned()));
            self.filed.insert(name.to_owned(), (id, made));
        }
        concerned
    }

    /// The Cluster that this one is a second of.
    pub fn first_of(&self, name: &str) -> Option<String> {
        let (id, _) = self.filed.get(name)?;
        let (_, first) = self.by_id.get(id)?.first()?;
        (first != name).then(|| first.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(id: &str, made: i64) -> Cluster {
        let mut cluster = Cluster::default();
        cluster.spec.id = id.to_owned();
        cluster.metadata.creation_timestamp = Timestamp::from_second(made).ok();
        cluster
    }

    #[test]
    fn the_first_that_was_made_is_the_one() {
        let mut twins = Twins::default();
        assert_eq!(twins.set("a", Some(&cluster("1", 20))), BTreeSet::new());
        assert_eq!(twins.set("b", Some(&cluster("1", 10))), BTreeSet::from(["a".to_owned()]));
        twins.set("c", Some(&cluster("", 5)));
        twins.set("d", Some(&cluster("2", 5)));
        assert_eq!(twins.first_of("a").as_deref(), Some("b"));
        assert_eq!(["b", "c", "d"].map(|it| twins.first_of(it)), [None, None, None]);
        assert_eq!(twins.set("b", Some(&cluster("1", 10))), BTreeSet::new(), "nothing is new");
        assert_eq!(twins.set("b", None), BTreeSet::from(["a".to_owned()]));
        assert_eq!(twins.first_of("a"), None);
    }
}
