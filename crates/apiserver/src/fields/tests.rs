//! Tables for the walks and for what a plain write does to owners.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    combine, compare::compare, extract::extract, managed::Write, on_create, on_update, set::Set,
};
use crate::schema::{Schema, Type};

pub(crate) const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);
const NOON_TEXT: &str = "2025-06-15T15:06:40Z";

/// A kind with everything that ownership depends on.
pub(crate) fn widget() -> Schema {
    let free = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let port = json!({"type": "object", "properties": {
        "port": {"type": "integer"},
        "protocol": {"type": "string", "default": "TCP"},
        "name": {"type": "string"},
    }});
    Schema::structural(&json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {
            "name": {"type": "string"},
            "namespace": {"type": "string"},
            "uid": {"type": "string"},
            "labels": free, "annotations": free,
            "finalizers": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "managedFields": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "atomic"},
        }},
        "spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "ratio": {"type": "number"},
            "command": {"type": "array", "items": {"type": "string"}},
            "selector": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
            "zones": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "strategy": {"type": "object", "properties": {"type": {"type": "string"}, "surge": {"type": "integer"}}},
            "ports": {"type": "array", "items": port, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]},
            "containers": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
                "type": "object", "properties": {
                    "name": {"type": "string"}, "image": {"type": "string"},
                    "env": free, "resources": {"type": "object", "properties": {"limits": free}},
                }}},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
    }}))
}

pub(crate) fn by(manager: &str) -> Write<'_> {
    Write { manager, api_version: "kogge.dev/v1", now: NOON, subresource: "", has_status: true }
}

/// The fields of one manager, `Null` when it has no entry.
pub(crate) fn fields_of(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array();
    let found = entries.into_iter().flatten().find(|it| it["manager"] == manager);
    found.map_or(Value::Null, |it| it["fieldsV1"].clone())
}

fn spec(ty: Type<'_>) -> Option<Type<'_>> {
    ty.field("spec")
}

#[track_caller]
fn check_extract(value: &Value, want: &Value) {
    let schema = widget();
    assert_eq!(extract(spec(schema.root()), value).to_fields_v1(), *want, "of {value}");
}

#[test]
fn a_configuration_owns_its_leaves_items_and_free_keys() {
    check_extract(&json!({"replicas": 1}), &json!({"f:replicas": {}}));
    check_extract(&json!({"replicas": null}), &json!({"f:replicas": {}}));
    check_extract(&json!({"command": ["a", "b"]}), &json!({"f:command": {}}));
    check_extract(&json!({"selector": {"a": "b"}}), &json!({"f:selector": {}}));
    check_extract(
        &json!({"zones": ["b", "a"]}),
        &json!({"f:zones": {"v:\"a\"": {}, "v:\"b\"": {}}}),
    );
    check_extract(&json!({"strategy": {"surge": 1}}), &json!({"f:strategy": {"f:surge": {}}}));
    check_extract(&json!({"strategy": {}}), &json!({"f:strategy": {}}));
    check_extract(&json!({"zones": []}), &json!({}));
    check_extract(
        &json!({"containers": [{"name": "web", "env": {"A": "1"}}]}),
        &json!({"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:env": {"f:A": {}}}}}),
    );
    check_extract(
        &json!({"ports": [{"port": 80}]}),
        &json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}),
    );
    check_extract(
        &json!({"free": {"a": {"b": [1]}}}),
        &json!({"f:free": {"f:a": {".": {}, "f:b": {}}}}),
    );
    check_extract(
        &json!({"ports": [{"port": 80}, {"port": 80, "name": "twice"}]}),
        &json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {}}}),
    );
}

#[track_caller]
fn check_compare(old: &Value, new: &Value, [removed, modified, added]: [Value; 3]) {
    let schema = widget();
    let got = compare(spec(schema.root()), old, new);
    let text = |it: &Set| it.to_fields_v1();
    assert_eq!(
        [text(&got.removed), text(&got.modified), text(&got.added)],
        [removed, modified, added],
        "from {old} to {new}"
    );
}

#[test]
fn changes_are_found_member_by_member() {
    let none = || json!({});
    check_compare(&json!({"replicas": 1}), &json!({"replicas": 1}), [none(), none(), none()]);
    check_compare(
        &json!({"replicas": 1}),
        &json!({"replicas": 2}),
        [none(), json!({"f:replicas": {}}), none()],
    );
    check_compare(&json!({"ratio": 1}), &json!({"ratio": 1.0}), [none(), none(), none()]);
    check_compare(&none(), &json!({"replicas": 2}), [none(), none(), json!({"f:replicas": {}})]);
    check_compare(&json!({"replicas": 2}), &none(), [json!({"f:replicas": {}}), none(), none()]);
    check_compare(
        &none(),
        &json!({"strategy": {"surge": 1}}),
        [none(), none(), json!({"f:strategy": {".": {}, "f:surge": {}}})],
    );
    check_compare(
        &json!({"command": ["a"]}),
        &json!({"command": ["b"]}),
        [none(), json!({"f:command": {}}), none()],
    );
    check_compare(
        &json!({"zones": ["a", "b"]}),
        &json!({"zones": ["c", "b"]}),
        [json!({"f:zones": {"v:\"a\"": {}}}), none(), json!({"f:zones": {"v:\"c\"": {}}})],
    );
    check_compare(
        &json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}),
        &json!({"containers": [{"name": "b"}, {"name": "a", "image": "2"}]}),
        [none(), json!({"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}}}}), none()],
    );
    check_compare(
        &json!({"strategy": null}),
        &json!({"strategy": {}}),
        [none(), json!({"f:strategy": {}}), none()],
    );
    check_compare(
        &json!({"free": {"a": {"b": 1}}}),
        &json!({"free": {"a": 1}}),
        [json!({"f:free": {"f:a": {"f:b": {}}}}), json!({"f:free": {"f:a": {}}}), none()],
    );
}

#[track_caller]
fn check_order(live: &[&str], config: &[&str], want: &[&str]) {
    let schema = widget();
    let list = |names: &[&str]| json!({ "zones": names });
    let got = combine::merge(spec(schema.root()), &list(live), &list(config));
    assert_eq!(got, list(want), "{live:?} with {config:?}");
}

#[test]
fn lists_keep_what_is_theirs_in_place_and_follow_config_in_order() {
    check_order(&["a", "b"], &["a", "b"], &["a", "b"]);
    check_order(&["a", "b"], &["b", "a"], &["b", "a"]);
    check_order(&["a", "x", "b"], &["a", "b"], &["a", "x", "b"]);
    check_order(&["a", "b", "x"], &["b", "a"], &["b", "x", "a"]);
    check_order(&["a"], &["n", "a", "m"], &["n", "a", "m"]);
    check_order(&["x"], &["n"], &["x", "n"]);
    check_order(&["x", "a", "y"], &["n", "a"], &["x", "n", "a", "y"]);
    check_order(&[], &["b", "a"], &["b", "a"]);
}

#[test]
fn null_in_a_configuration_keeps_what_others_put_into_a_map() {
    let schema = widget();
    let merge = |live: Value, config: Value| combine::merge(spec(schema.root()), &live, &config);
    let live = json!({"strategy": {"surge": 1}});
    assert_eq!(merge(live.clone(), json!({"strategy": null})), live);
    assert_eq!(
        merge(json!({"strategy": {}}), json!({"strategy": null})),
        json!({"strategy": null})
    );
    assert_eq!(merge(json!({"replicas": 1}), json!({"replicas": null})), json!({"replicas": null}));
    assert_eq!(
        merge(json!({"selector": {"a": "1"}}), json!({"selector": {"b": "2"}})),
        json!({"selector": {"b": "2"}})
    );
}

fn object(spec: &Value) -> Value {
    json!({
        "apiVersion": "kogge.dev/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "d", "uid": "1", "labels": {"a": "1"}},
        "spec": spec,
    })
}

#[test]
fn a_creator_owns_all_but_identity() {
    let schema = widget();
    let mut new = object(&json!({"replicas": 1}));
    new["status"] = json!({"ready": 1});
    on_create(&mut new, schema.root(), &by("kubectl-create"));
    assert_eq!(
        new["metadata"]["managedFields"],
        json!([{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "kogge.dev/v1",
            "time": NOON_TEXT, "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {".": {}, "f:replicas": {}},
            },
        }])
    );
}

fn created(spec: &Value, manager: &str) -> Value {
    let schema = widget();
    let mut new = object(spec);
    on_create(&mut new, schema.root(), &by(manager));
    new
}

fn updated(live: &Value, write: &Write, change: impl FnOnce(&mut Value)) -> Value {
    let schema = widget();
    let mut new = live.clone();
    change(&mut new);
    on_update(Some(live), &mut new, schema.root(), write);
    new
}

fn later(manager: &str) -> Write<'_> {
    Write { now: NOON + jiff::SignedDuration::from_secs(60), ..by(manager) }
}

#[test]
fn an_update_takes_what_it_changes_and_nothing_else() {
    let live = created(&json!({"replicas": 1, "ratio": 2}), "one");
    let new = updated(&live, &later("two"), |it| it["spec"] = json!({"replicas": 3, "ratio": 2}));
    assert_eq!(fields_of(&new, "two"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(fields_of(&new, "one")["f:spec"], json!({".": {}, "f:ratio": {}}));
    let gone = updated(&new, &later("two"), |it| it["spec"] = json!({"replicas": 3}));
    assert_eq!(fields_of(&gone, "one")["f:spec"], json!({}));
}

#[test]
fn a_write_that_changes_nothing_changes_no_byte() {
    let live = created(&json!({"replicas": 1}), "one");
    assert_eq!(updated(&live, &later("one"), |_| ()), live);
    assert_eq!(updated(&live, &later("two"), |_| ()), live);
}

#[test]
fn status_and_spec_have_each_their_endpoint() {
    let live = created(&json!({"replicas": 1}), "one");
    let change = |it: &mut Value| {
        it["status"] = json!({"ready": 1});
        it["spec"]["replicas"] = json!(5);
    };
    let main = updated(&live, &later("two"), change);
    assert_eq!(fields_of(&main, "two"), json!({"f:spec": {"f:replicas": {}}}));
    let write = Write { subresource: "status", ..later("two") };
    let status = updated(&live, &write, change);
    assert_eq!(fields_of(&status, "two"), json!({"f:status": {".": {}, "f:ready": {}}}));
    assert_eq!(status["metadata"]["managedFields"][1]["subresource"], "status");
}

#[test]
fn clients_may_forget_all_owners_and_an_object_without_owners_stays_so() {
    let live = created(&json!({"replicas": 1}), "one");
    let reset = updated(&live, &later("two"), |it| it["metadata"]["managedFields"] = json!([{}]));
    assert_eq!(reset["metadata"].get("managedFields"), None);
    let after = updated(&reset, &later("two"), |it| it["spec"]["replicas"] = json!(2));
    assert_eq!(after["metadata"].get("managedFields"), None);
    let dropped = updated(&live, &later("two"), |it| it["metadata"]["managedFields"] = json!([]));
    assert_eq!(dropped, live);
    let broken = json!([{"manager": "x", "operation": "Fly"}]);
    assert_eq!(updated(&live, &later("two"), |it| it["metadata"]["managedFields"] = broken), live);
}

#[test]
fn the_oldest_of_many_updaters_become_ancient_changes() {
    let mut live = created(&json!({"replicas": 1}), "m00");
    for at in 1..15 {
        let name = format!("m{at:02}");
        let write = Write { now: NOON + jiff::SignedDuration::from_secs(at), ..by(&name) };
        live = updated(&live, &write, |it| it["spec"]["free"][&name] = json!(at));
    }
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    let ancient = fields_of(&live, "ancient-changes");
    assert_eq!(ancient["f:spec"]["f:replicas"], json!({}));
    assert_eq!(ancient["f:spec"]["f:free"]["f:m05"], json!({}));
    assert_eq!(fields_of(&live, "m06")["f:spec"]["f:free"], json!({"f:m06": {}}));
}

#[test]
fn structs_that_cannot_be_absent_are_not_owned_in_a_new_built_in_object() {
    let schema = Schema::structural(&json!({"type": "object", "properties": {
        "metadata": {"type": "object", "default": {}, "properties": {"name": {"type": "string"}}},
        "spec": {"type": "object", "default": {}, "properties": {
            "strategy": {"type": "object", "default": {}, "properties": {
                "type": {"type": "string"},
                "rolling": {"type": "object", "properties": {"surge": {"type": "integer"}}},
            }},
        }},
    }}));
    let mut new = json!({"metadata": {"name": "d"}, "spec": {"strategy": {"type": "R", "rolling": {"surge": 1}}}});
    on_create(&mut new, schema.root(), &by("m"));
    assert_eq!(
        fields_of(&new, "m"),
        json!({"f:spec": {"f:strategy": {"f:type": {}, "f:rolling": {".": {}, "f:surge": {}}}}})
    );
}
