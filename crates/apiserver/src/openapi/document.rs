//! One document: the kinds of a group and version with every type they use.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Kind, paths, schemas};
use crate::schema::{Type, builtin};

const META: &str = "apimachinery.pkg.apis.meta.v1.";

pub fn document(kinds: &[Kind]) -> Value {
    let mut components = Components::default();
    let mut operations = Map::new();
    for kind in kinds {
        let name = match kind.schema {
            Some(schema) => components.custom(kind, schema),
            None => components.built_in(kind),
        };
        paths::add(&mut operations, kind, &name);
    }
    // What requests and answers of every kind may be.
    for name in ["DeleteOptions", "Status"] {
        components.message(&format!("{META}{name}"));
    }
    let group = kinds.first().map_or("", |it| it.group);
    json!({
        "openapi": "3.0.0",
        "info": {"title": if group.is_empty() { "core" } else { group }, "version": "unversioned"},
        "paths": operations,
        "components": {"schemas": components.done},
    })
}

#[derive(Default)]
struct Components {
    done: Map<String, Value>,
    seen: BTreeSet<String>,
}

impl Components {
    /// A message with all that it refers to.
    fn message(&mut self, name: &str) {
        if let Some(ty) = builtin().message(name) {
            self.add(ty);
        }
    }

    fn add(&mut self, ty: Type) {
        if !self.seen.insert(ty.name().to_owned()) {
            return;
        }
        self.done.insert(ty.name().to_owned(), schemas::message(ty));
        for field in ty.fields() {
            self.follow(field.ty);
        }
    }

    fn follow(&mut self, ty: Type) {
        if !ty.name().is_empty() {
            self.add(ty);
        } else if let Some((name, schema)) = schemas::well_known(ty) {
            if self.seen.insert(name.to_owned()) {
                self.done.insert(name.to_owned(), schema);
            }
        } else if let Some(item) = ty.item() {
            self.follow(item);
        }
    }

    /// The name of the kind's type.
    fn built_in(&mut self, kind: &Kind) -> String {
        let version = kind.api_version();
        let Some(ty) = builtin().kind(&version, kind.kind) else { return String::new() };
        self.add(ty);
        self.tag(ty.name(), kind, kind.kind);
        let list = format!("{}List", kind.kind);
        if let Some(list_type) = builtin().kind(&version, &list) {
            self.add(list_type);
            self.tag(list_type.name(), kind, &list);
        }
        ty.name().to_owned()
    }

    /// Says which kind a type is, for clients that look types up by kind.
    fn tag(&mut self, name: &str, kind: &Kind, word: &str) {
        if let Some(schema) = self.done.get_mut(name) {
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": kind.group, "version": kind.version, "kind": word}]);
        }
    }

    fn custom(&mut self, kind: &Kind, schema: &Value) -> String {
        let mut words: Vec<&str> = kind.group.split('.').collect();
        words.reverse();
        let name = format!("{}.{}.{}", words.join("."), kind.version, kind.kind);
        let list = format!("{name}List");
        self.done.insert(name.clone(), schemas::custom(schema));
        self.done.insert(list.clone(), schemas::custom_list(&name));
        self.tag(&name, kind, kind.kind);
        self.tag(&list, kind, &format!("{}List", kind.kind));
        for meta in ["ObjectMeta", "ListMeta"] {
            self.message(&format!("{META}{meta}"));
        }
        name
    }
}
