//! ControllerRevisions: the templates that a StatefulSet or DaemonSet had, numbered.

use std::collections::BTreeSet;

use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    kind::{Key, Kind},
    pods::{hash, number, owned_by},
    world::World,
};

/// On pods and revisions: which revision they are of.
pub(super) const LABEL: &str = "controller-revision-hash";

pub(super) struct Revisions<'a> {
    /// Of the template as it is now.
    pub hash: String,
    /// The name of its revision.
    pub name: String,
    /// Makes or renumbers it.
    pub effects: Vec<Effect>,
    known: Vec<&'a Value>,
}

/// The revisions of `set`, and what makes the one of its template the newest.
pub(super) fn of<'a>(world: &'a World, set: &'a Value) -> Revisions<'a> {
    let mut known: Vec<&Value> = world.owned(Kind::ControllerRevision, set).collect();
    known.sort_by_key(|it| number(it, "/revision"));
    let data = data(set);
    let next = known.last().map_or(0, |it| number(it, "/revision")) + 1;
    let same = known.iter().rposition(|it| it["data"] == data).map(|at| known[at]);
    if let Some(it) = same {
        let newest = number(it, "/revision") + 1 == next;
        let renumber = || Effect::Patch {
            key: Key::of(Kind::ControllerRevision, it),
            subresource: None,
            patch: json!({"revision": next}),
        };
        let effects = (!newest).then(renumber).into_iter().collect();
        let hash = object::label(it, LABEL).unwrap_or_default().to_owned();
        return Revisions { hash, name: object::name(it).to_owned(), effects, known };
    }
    let hash = hash(&data);
    let name = format!("{}-{hash}", object::name(set));
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels[LABEL] = hash.clone().into();
    let made = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {"name": name, "namespace": object::namespace(set), "labels": labels,
            "annotations": set["metadata"]["annotations"]["kubernetes.io/change-cause"].as_str()
                .map(|it| json!({"kubernetes.io/change-cause": it})),
            "ownerReferences": [owned_by(set)]},
        "data": data, "revision": next,
    });
    let effects = vec![Effect::Create { kind: Kind::ControllerRevision, object: made }];
    Revisions { hash, name, effects, known }
}

/// As `kubectl rollout undo` puts it back: the whole template, replacing what is there.
fn data(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

impl Revisions<'_> {
    /// The template of the revision with this name.
    pub fn template(&self, name: &str) -> Option<Value> {
        let found = self.known.iter().find(|it| object::name(it) == name)?;
        let mut template = found["data"]["spec"]["template"].clone();
        template.as_object_mut()?.remove("$patch");
        Some(template)
    }

    /// Takes away the oldest beyond `revisionHistoryLimit`, of those that `live` does not name by
    /// label value or name.
    pub fn trim(&self, set: &Value, live: &BTreeSet<String>) -> Vec<Effect> {
        let limit = set["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
        let is_live = |it: &Value| {
            let hash = object::label(it, LABEL).unwrap_or_default();
            [hash, object::name(it)].iter().any(|it| live.contains(*it))
        };
        let dead: Vec<&&Value> = self
            .known
            .iter()
            .filter(|it| object::name(it) != self.name && !is_live(it) && !object::is_deleting(it))
            .collect();
        let spare = dead.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let oldest = dead.into_iter().take(spare);
        oldest.map(|it| Effect::Delete(Key::of(Kind::ControllerRevision, it))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(image: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "d", "namespace": "shop", "uid": "d"},
            "spec": {"revisionHistoryLimit": 1, "template": {"metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"image": image}]}}}})
    }

    /// Carries out what only makes, renumbers and deletes revisions.
    fn play(world: &mut World, effects: Vec<Effect>, version: u64) {
        for effect in effects {
            match effect {
                Effect::Create { kind, object: mut made } => {
                    made["metadata"]["uid"] = made["metadata"]["name"].clone();
                    made["metadata"]["resourceVersion"] = version.to_string().into();
                    world.set(kind, made);
                }
                Effect::Patch { key, patch, .. } => {
                    let mut it = world.get(&key).unwrap().clone();
                    it["revision"] = patch["revision"].clone();
                    it["metadata"]["resourceVersion"] = version.to_string().into();
                    world.set(key.kind, it);
                }
                Effect::Warn { message, .. } => panic!("{message}"),
                Effect::Delete(key) | Effect::Remove(key) => {
                    let it = world.get(&key).unwrap().clone();
                    world.remove(key.kind, &it);
                }
            }
        }
    }

    #[test]
    fn an_old_template_gets_its_old_revision_with_a_new_number() {
        let mut world = World::default();
        for (version, image) in ["a", "b", "a"].into_iter().enumerate() {
            let set = set(image);
            let effects = of(&world, &set).effects;
            play(&mut world, effects, version as u64 + 1);
            assert_eq!(of(&world, &set).effects, [], "settled after {image}");
        }
        let set = set("a");
        let revisions = of(&world, &set);
        assert_eq!(world.all(Kind::ControllerRevision).count(), 2);
        let template = revisions.template(&revisions.name);
        assert_eq!(template, Some(set["spec"]["template"].clone()));
        assert_eq!(number(revisions.known[1], "/revision"), 3);
    }

    #[test]
    fn history_is_trimmed_but_for_what_lives() {
        let mut world = World::default();
        let mut first = String::new();
        for (version, image) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let set = set(image);
            let revisions = of(&world, &set);
            if first.is_empty() {
                first.clone_from(&revisions.hash);
            }
            let effects = revisions.effects;
            play(&mut world, effects, version as u64 + 1);
        }
        let set = set("d");
        let gone = |live: &BTreeSet<String>| of(&world, &set).trim(&set, live).len();
        assert_eq!(gone(&BTreeSet::new()), 2);
        assert_eq!(gone(&BTreeSet::from([first])), 1);
    }
}
