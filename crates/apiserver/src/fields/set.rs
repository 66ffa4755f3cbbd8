//! Sets of paths as a sorted tree, with their `FieldsV1` form.
//!
//! A path and its prefix are independent members: `{".": {}, "f:a": {}}` below
//! `f:spec` holds both `.spec` and `.spec.a`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::path::Step;

/// Sorted by step; every entry is a member or has members below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    entries: Vec<(Step, Node)>,
}

/// What a set says of one place and of all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub member: bool,
    pub below: Set,
}

impl Node {
    pub fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl Set {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn entries(&self) -> &[(Step, Node)] {
        &self.entries
    }

    pub fn get(&self, step: &Step) -> Option<&Node> {
        let at = self.entries.binary_search_by(|(it, _)| it.cmp(step)).ok()?;
        Some(&self.entries[at].1)
    }

    /// Adds all of `node` under `step`.
    pub fn put(&mut self, step: Step, node: Node) {
        if node.is_empty() {
            return;
        }
        // Walks come in order for the most part, so the end is the place to look first.
        let at = match self.entries.last() {
            Some((last, _)) if *last < step => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|(it, _)| it.cmp(&step)),
        };
        match at {
            Ok(at) => {
                let found = &mut self.entries[at].1;
                found.member |= node.member;
                found.below = found.below.union(&node.below);
            }
            Err(at) => self.entries.insert(at, (step, node)),
        }
    }

    pub fn insert(&mut self, path: &[Step]) {
        let Some((first, rest)) = path.split_first() else { return };
        let mut node = Node::default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
        self.put(first.clone(), node);
    }

    /// The set of these field paths, such as `["metadata", "name"]`.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let steps: Vec<Step> = path.iter().map(|it| Step::field(it)).collect();
            set.insert(&steps);
        }
        set
    }

    pub fn contains(&self, path: &[Step]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        self.get(first)
            .is_some_and(|it| if rest.is_empty() { it.member } else { it.below.contains(rest) })
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        self.join(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => {
                Node { member: a.member || b.member, below: a.below.union(&b.below) }
            }
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => Node::default(),
        })
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.join(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => {
                Node { member: a.member && b.member, below: a.below.intersection(&b.below) }
            }
            _ => Node::default(),
        })
    }

    /// The members of `self` that are not members of `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if other.is_empty() || self.is_empty() {
            return self.clone();
        }
        self.join(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => {
                Node { member: a.member && !b.member, below: a.below.difference(&b.below) }
            }
            (Some(a), None) => a.clone(),
            _ => Node::default(),
        })
    }

    /// As [`Set::difference`], and everything below a member of `other` goes too.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        if other.is_empty() || self.is_empty() {
            return self.clone();
        }
        self.join(other, |a, b| match (a, b) {
            (Some(_), Some(b)) if b.member => Node::default(),
            (Some(a), Some(b)) => {
                Node { member: a.member, below: a.below.recursive_difference(&b.below) }
            }
            (Some(a), None) => a.clone(),
            _ => Node::default(),
        })
    }

    /// The members that have no member below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let mut leaves = Self::default();
        for (step, node) in &self.entries {
            let member = node.member && node.below.is_empty();
            leaves.put(step.clone(), Node { member, below: node.below.leaves() });
        }
        leaves
    }

    fn join(&self, other: &Self, of: impl Fn(Option<&Node>, Option<&Node>) -> Node) -> Self {
        let (mut left, mut right) = (self.entries.as_slice(), other.entries.as_slice());
        let mut entries = Vec::with_capacity(left.len());
        loop {
            let order = match (left.first(), right.first()) {
                (None, None) => return Self { entries },
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.0.cmp(&b.0),
            };
            let (mut a, mut b, mut step) = (None, None, None);
            if order.is_le()
                && let Some(((found, node), rest)) = left.split_first()
            {
                (a, step, left) = (Some(node), Some(found), rest);
            }
            if order.is_ge()
                && let Some(((found, node), rest)) = right.split_first()
            {
                (b, step, right) = (Some(node), Some(found), rest);
            }
            let node = of(a, b);
            if let Some(step) = step.filter(|_| !node.is_empty()) {
                entries.push((step.clone(), node));
            }
        }
    }

    /// Every member, members of a level before what is below them.
    pub fn paths(&self) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, at: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        for (step, _) in self.entries.iter().filter(|(_, node)| node.member) {
            found.push(at.iter().chain([step]).cloned().collect());
        }
        for (step, node) in &self.entries {
            at.push(step.clone());
            node.below.collect(at, found);
            at.pop();
        }
    }

    /// The `fieldsV1` of a `managedFields` entry.
    pub fn to_fields_v1(&self) -> Value {
        let mut out = Map::new();
        for (step, node) in &self.entries {
            let mut below = node.below.to_fields_v1();
            if node.member
                && !node.below.is_empty()
                && let Value::Object(map) = &mut below
            {
                map.insert(".".into(), Value::Object(Map::new()));
            }
            out.insert(step.to_text(), below);
        }
        Value::Object(out)
    }

    /// Reads a `fieldsV1`; `None` when something in it is not one.
    pub fn from_fields_v1(value: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (text, below) in value.as_object()? {
            if text == "." {
                continue;
            }
            let inner = below.as_object()?;
            let member = inner.is_empty() || inner.contains_key(".");
            set.put(Step::parse(text)?, Node { member, below: Self::from_fields_v1(below)? });
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            "[a-c.:]{1,2}".prop_map(|it| Step::field(&it)),
            ("[ab]", 0_i64..3).prop_map(|(name, port)| {
                let (name, port) = (json!(name), json!(port));
                Step::key([("name", &name), ("port", &port)].into_iter())
            }),
            prop_oneof![Just(json!("x")), Just(json!(1)), Just(json!(true)), Just(json!(null))]
                .prop_map(|it| Step::Value((&it).into())),
            (0_i64..2).prop_map(Step::Index),
        ]
    }

    fn any_set() -> impl Strategy<Value = Set> {
        prop::collection::vec(prop::collection::vec(step(), 1..4), 0..12).prop_map(|paths| {
            let mut set = Set::default();
            for it in &paths {
                set.insert(it);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn sets_survive_fields_v1(a in any_set()) {
            prop_assert_eq!(Set::from_fields_v1(&a.to_fields_v1()), Some(a));
        }

        #[test]
        fn union_and_intersection_commute(a in any_set(), b in any_set()) {
            prop_assert_eq!(a.union(&b), b.union(&a));
            prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        }

        #[test]
        fn difference_and_intersection_make_the_whole(a in any_set(), b in any_set()) {
            prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            prop_assert!(a.difference(&a).is_empty());
            prop_assert!(a.recursive_difference(&b).difference(&a.difference(&b)).is_empty());
        }

        #[test]
        fn paths_and_contains_agree(a in any_set(), b in any_set()) {
            for path in a.paths() {
                prop_assert!(a.contains(&path));
                prop_assert_eq!(a.intersection(&b).contains(&path), b.contains(&path));
                prop_assert!(a.union(&b).contains(&path));
            }
            let mut again = Set::default();
            a.paths().iter().for_each(|it| again.insert(it));
            prop_assert_eq!(again, a);
        }
    }

    #[test]
    fn recursive_difference_takes_what_is_below() {
        let fields = json!({"f:spec": {".": {}, "f:a": {}}, "f:status": {"f:b": {"f:c": {}}}});
        let set = Set::from_fields_v1(&fields).unwrap();
        let status = Set::of_fields(&[&["status"]]);
        assert_eq!(set.difference(&status), set);
        let left = json!({"f:spec": {".": {}, "f:a": {}}});
        assert_eq!(set.recursive_difference(&status).to_fields_v1(), left);
        assert_eq!(
            set.leaves().to_fields_v1(),
            json!({"f:spec": {"f:a": {}}, "f:status": {"f:b": {"f:c": {}}}})
        );
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bad in [json!([]), json!({"spec": {}}), json!({"f:a": 1}), json!({"f:a": {"x": {}}})] {
            assert_eq!(Set::from_fields_v1(&bad), None, "{bad}");
        }
    }
}
