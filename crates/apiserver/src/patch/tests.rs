//! Tables for the patch types, and the promises of server-side apply as properties.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{apply, json, merge, strategic};
use crate::{
    fields::{
        Write, extract, on_create, on_update,
        tests::{by, fields_of, widget},
    },
    schema::Schema,
    status::Failure,
};

fn config(spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "kogge.dev/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "d"},
    });
    if !spec.is_null() {
        object["spec"] = spec.clone();
    }
    object
}

fn at(manager: &str, seconds: i64) -> Write<'_> {
    let write = by(manager);
    Write { now: write.now + SignedDuration::from_secs(seconds), ..write }
}

fn try_apply(
    live: Option<&Value>,
    write: &Write,
    config: &Value,
    force: bool,
) -> Result<Value, Failure> {
    apply::apply(live, config, widget().root(), write, force)
}

#[track_caller]
fn applied(live: Option<&Value>, manager: &str, spec: &Value) -> Value {
    try_apply(live, &by(manager), &config(spec), false).unwrap()
}

/// Plays applies and writes in order, and compares the spec and who owns what in the end.
#[track_caller]
fn check_spec(applies: &[(&str, Value)], want: &Value) {
    let mut live = None;
    for (manager, spec) in applies {
        live = Some(applied(live.as_ref(), manager, spec));
    }
    assert_eq!(live.unwrap().get("spec").unwrap_or(&Value::Null), want, "after {applies:?}");
}

#[test]
fn what_a_manager_no_longer_applies_goes_away() {
    check_spec(
        &[("a", json!({"replicas": 1, "ratio": 2})), ("a", json!({"ratio": 2}))],
        &json!({"ratio": 2}),
    );
    check_spec(&[("a", json!({"replicas": 1})), ("a", json!(null))], &json!(null));
    check_spec(
        &[("a", json!({"strategy": {"surge": 1}, "ratio": 1})), ("a", json!({"ratio": 1}))],
        &json!({"ratio": 1}),
    );
    check_spec(
        &[("a", json!({"zones": ["a", "b", "c"]})), ("a", json!({"zones": ["c", "a"]}))],
        &json!({"zones": ["c", "a"]}),
    );
    check_spec(
        &[
            ("a", json!({"containers": [{"name": "x", "image": "1"}, {"name": "y"}]})),
            ("a", json!({"containers": [{"name": "y"}]})),
        ],
        &json!({"containers": [{"name": "y"}]}),
    );
    check_spec(
        &[("a", json!({"free": {"p": {"q": 1}, "r": 2}})), ("a", json!({"free": {"r": 2}}))],
        &json!({"free": {"r": 2}}),
    );
    check_spec(
        &[("a", json!({"selector": {"a": "1", "b": "2"}})), ("a", json!({"selector": {"b": "2"}}))],
        &json!({"selector": {"b": "2"}}),
    );
}

#[test]
fn what_another_manager_owns_stays() {
    check_spec(
        &[
            ("a", json!({"replicas": 1})),
            ("b", json!({"replicas": 1, "ratio": 1})),
            ("a", json!(null)),
        ],
        &json!({"replicas": 1, "ratio": 1}),
    );
    check_spec(
        &[
            ("a", json!({"containers": [{"name": "x", "image": "1"}]})),
            ("b", json!({"containers": [{"name": "x", "env": {"K": "v"}}]})),
            ("a", json!(null)),
        ],
        &json!({"containers": [{"name": "x", "env": {"K": "v"}}]}),
    );
    check_spec(
        &[
            ("a", json!({"zones": ["a", "s"]})),
            ("b", json!({"zones": ["s", "b"]})),
            ("a", json!({"zones": []})),
        ],
        &json!({"zones": ["s", "b"]}),
    );
}

#[test]
fn keyed_items_keep_live_order_and_new_ones_follow() {
    check_spec(
        &[
            ("a", json!({"containers": [{"name": "x"}, {"name": "y"}]})),
            ("b", json!({"containers": [{"name": "z"}, {"name": "x", "image": "1"}]})),
        ],
        &json!({"containers": [{"name": "z"}, {"name": "x", "image": "1"}, {"name": "y"}]}),
    );
    check_spec(
        &[
            ("a", json!({"ports": [{"port": 80}]})),
            ("b", json!({"ports": [{"port": 80, "protocol": "UDP"}]})),
        ],
        &json!({"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]}),
    );
}

#[test]
fn no_op_applies_change_no_byte() {
    let spec = json!({"replicas": 1, "containers": [{"name": "x"}], "ratio": 1.0});
    let live = applied(None, "a", &spec);
    assert_eq!(try_apply(Some(&live), &at("a", 60), &config(&spec), false), Ok(live.clone()));
    let whole = json!({"replicas": 1, "containers": [{"name": "x"}], "ratio": 1});
    assert_eq!(try_apply(Some(&live), &at("a", 60), &config(&whole), false), Ok(live));
}

#[test]
fn equal_values_are_shared_and_only_the_owners_set_is_new() {
    let live = applied(None, "a", &json!({"replicas": 1}));
    let both = applied(Some(&live), "b", &json!({"replicas": 1}));
    assert_eq!(both["spec"], live["spec"]);
    assert_eq!(fields_of(&both, "a"), fields_of(&both, "b"));
    let one = applied(Some(&both), "a", &json!(null));
    assert_eq!(one["spec"], live["spec"]);
    assert_eq!(fields_of(&one, "a"), Value::Null);
}

#[test]
fn applied_maps_are_owned_by_their_keys_alone() {
    let live = applied(None, "a", &json!({"strategy": {"surge": 1}}));
    assert_eq!(fields_of(&live, "a"), json!({"f:spec": {"f:strategy": {"f:surge": {}}}}));
}

fn updated_by(manager: &str, spec: &Value) -> Value {
    let mut live = config(spec);
    on_create(&mut live, widget().root(), &by(manager));
    live
}

#[test]
fn another_value_under_another_manager_is_a_conflict_that_names_both() {
    let live = updated_by("kubectl-client-side-apply", &json!({"replicas": 1}));
    let refused = try_apply(Some(&live), &by("flux"), &config(&json!({"replicas": 2})), false);
    let refused = refused.unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert_eq!(
        refused.to_status()["details"]["causes"],
        json!([{
            "reason": "FieldManagerConflict",
            "message": "conflict with \"kubectl-client-side-apply\" using kogge.dev/v1",
            "field": ".spec.replicas",
        }])
    );
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using \
         kogge.dev/v1: .spec.replicas"
    );
}

#[test]
fn several_conflicts_are_grouped_by_manager() {
    let live =
        applied(None, "a", &json!({"replicas": 1, "containers": [{"name": "x", "image": "1"}]}));
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = json!(3);
    let write = Write { subresource: "scale", ..by("hpa") };
    on_update(Some(&live), &mut scaled, widget().root(), &write);
    let spec = json!({"replicas": 2, "containers": [{"name": "x", "image": "2"}]});
    let refused = try_apply(Some(&scaled), &by("b"), &config(&spec), false).unwrap_err();
    insta::assert_snapshot!(refused.message, @r#"
    Apply failed with 2 conflicts: conflicts with "a":
    - .spec.containers[name="x"].image
    conflicts with "hpa" with subresource "scale" using kogge.dev/v1:
    - .spec.replicas
    "#);
    let forced = try_apply(Some(&scaled), &by("b"), &config(&spec), true).unwrap();
    assert_eq!(forced["spec"], spec);
    assert_eq!(fields_of(&forced, "hpa"), Value::Null);
    let left = json!({"f:spec": {"f:containers": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}}});
    assert_eq!(fields_of(&forced, "a"), left);
}

#[test]
fn objects_from_before_the_first_apply_have_an_owner_too() {
    let mut live = updated_by("someone", &json!({"replicas": 1}));
    live["metadata"]["managedFields"] = Value::Null;
    let refused = try_apply(Some(&live), &by("a"), &config(&json!({"replicas": 2})), false);
    assert!(refused.unwrap_err().message.contains("\"before-first-apply\" using kogge.dev/v1"));
    let joined = applied(Some(&live), "a", &json!({"replicas": 1}));
    assert_eq!(
        fields_of(&joined, "before-first-apply")["f:spec"],
        json!({".": {}, "f:replicas": {}})
    );
}

#[test]
fn kubectl_takes_over_from_its_client_side_apply_without_force() {
    let mut first = config(&json!({"replicas": 1, "ratio": 1}));
    let last = first.to_string();
    let annotations =
        |text: String| json!({"kubectl.kubernetes.io/last-applied-configuration": text});
    first["metadata"]["annotations"] = annotations(last);
    on_create(&mut first, widget().root(), &by("kubectl-client-side-apply"));
    let next = config(&json!({"replicas": 2, "ratio": 1}));
    let moved = try_apply(Some(&first), &by("kubectl"), &next, false).unwrap();
    assert_eq!(moved["spec"]["replicas"], 2);
    assert_eq!(moved["metadata"]["annotations"], annotations(format!("{next}\n")));

    let mut scaled = first.clone();
    scaled["spec"]["replicas"] = json!(7);
    on_update(Some(&first), &mut scaled, widget().root(), &by("hpa"));
    let refused = try_apply(Some(&scaled), &by("kubectl"), &next, false).unwrap_err();
    assert!(refused.message.contains("\"hpa\""), "{}", refused.message);
    let refused = try_apply(Some(&first), &by("other"), &next, false).unwrap_err();
    assert!(refused.message.contains("kubectl-client-side-apply"), "{}", refused.message);
}

#[track_caller]
fn check_refused(config: &Value, want: &str) {
    let refused = try_apply(None, &by("a"), config, true).unwrap_err();
    assert_eq!(refused.code, 400);
    assert!(refused.message.ends_with(want), "{:?} does not end with {want:?}", refused.message);
}

#[test]
fn configurations_that_fit_no_schema_are_refused_with_the_field() {
    let mut owned = config(&json!({}));
    owned["metadata"]["managedFields"] = json!([]);
    check_refused(&owned, "metadata.managedFields must be nil");
    check_refused(
        &json!({"apiVersion": "v2"}),
        "Specified patch version: v2, expected: kogge.dev/v1",
    );
    check_refused(
        &config(&json!({"replica": 1})),
        "typed patch object (d/w; kogge.dev/v1, Kind=Widget): .spec.replica: field not declared in schema",
    );
    check_refused(&config(&json!({"zones": "a"})), ".spec.zones: expected list, got string");
    check_refused(
        &config(&json!({"zones": ["a", "a"]})),
        ".spec.zones: duplicate entries for key [=\"a\"]",
    );
    check_refused(
        &config(&json!({"containers": [{"image": "1"}]})),
        ".spec.containers: element 0: associative list with keys has an element that omits key field \
         \"name\" (and doesn't have default value)",
    );
}

#[test]
fn status_is_applied_on_its_own_endpoint_only() {
    let mut both = config(&json!({"replicas": 1}));
    both["status"] = json!({"ready": 1});
    let main = try_apply(None, &by("a"), &both, false).unwrap();
    assert_eq!(fields_of(&main, "a"), json!({"f:spec": {"f:replicas": {}}}));
    let live = applied(None, "a", &json!({"replicas": 1}));
    let write = Write { subresource: "status", ..by("b") };
    let status = try_apply(Some(&live), &write, &both, false).unwrap();
    assert_eq!(fields_of(&status, "b"), json!({"f:status": {"f:ready": {}}}));
}

fn any_spec() -> impl Strategy<Value = Value> {
    let zones = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle();
    let names = prop::sample::subsequence(vec!["x", "y", "z"], 0..=3).prop_shuffle();
    let small = || prop::option::of(0_i64..3);
    (small(), small(), small(), zones, names, small(), small()).prop_map(
        |(replicas, surge, free, zones, names, image, env)| {
            let mut spec = json!({});
            let mut set = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    spec[key] = value;
                }
            };
            set("replicas", replicas.map(Into::into));
            set("strategy", surge.map(|it| if it == 0 { json!({}) } else { json!({"surge": it}) }));
            set("free", free.map(|it| json!({"k": {"n": it}, "l": [it]})));
            set("zones", (!zones.is_empty()).then(|| json!(zones)));
            let containers = names.iter().map(|name| {
                let mut item = json!({ "name": name });
                if let Some(image) = image {
                    item["image"] = json!(format!("i{image}"));
                }
                if let Some(env) = env {
                    item["env"] = json!({ (format!("K{env}")): "v" });
                }
                item
            });
            set("containers", (!names.is_empty()).then(|| containers.collect()));
            spec
        },
    )
}

fn forced(live: Option<&Value>, manager: &str, spec: &Value) -> Value {
    try_apply(live, &by(manager), &config(spec), true).unwrap()
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(a in any_spec(), b in any_spec()) {
        let live = forced(Some(&forced(None, "a", &a)), "b", &b);
        let again = try_apply(Some(&live), &at("b", 60), &config(&b), false);
        prop_assert_eq!(again, Ok(live));
    }

    #[test]
    fn what_is_applied_is_there_afterwards(a in any_spec(), b in any_spec()) {
        let live = forced(Some(&forced(None, "a", &a)), "b", &b);
        let owned = extract::extract(Some(widget().root()), &config(&b));
        let schema = widget();
        let place = Some(schema.root());
        let there = extract::closed(&extract::extract(place, &live), place);
        prop_assert!(owned.difference(&there).is_empty(), "{} lacks {}", live, b);
    }

    #[test]
    fn applying_nothing_takes_back_exactly_what_one_alone_owned(a in any_spec(), b in any_spec()) {
        let first = forced(None, "a", &a);
        let live = forced(Some(&first), "b", &b);
        let left = forced(Some(&live), "b", &Value::Null);
        prop_assert_eq!(fields_of(&left, "b"), Value::Null);
        prop_assert_eq!(fields_of(&left, "a"), fields_of(&live, "a"));
        let place = |it: &Value| extract::extract(Some(widget().root()), it);
        let gone = place(&live).difference(&place(&left));
        let of = |name: &str| {
            crate::fields::set::Set::from_fields_v1(&fields_of(&live, name)).unwrap_or_default()
        };
        prop_assert!(gone.intersection(&of("a")).is_empty());
        prop_assert!(of("b").difference(&of("a")).leaves().intersection(&place(&left)).is_empty());
    }

    #[test]
    fn the_order_of_managers_does_not_matter(a in any_spec(), b in any_spec(), c in any_spec()) {
        let live = forced(Some(&forced(None, "a", &a)), "b", &b);
        let mut turned = live.clone();
        if let Some(list) = turned["metadata"]["managedFields"].as_array_mut() {
            list.reverse();
        }
        prop_assert_eq!(forced(Some(&live), "a", &c), forced(Some(&turned), "a", &c));
    }

    #[test]
    fn a_conflict_is_raised_exactly_when_force_would_take_something(a in any_spec(), b in any_spec()) {
        let live = forced(None, "a", &a);
        let refused = try_apply(Some(&live), &by("b"), &config(&b), false);
        let taken = fields_of(&forced(Some(&live), "b", &b), "a") != fields_of(&live, "a");
        prop_assert_eq!(refused.is_err(), taken);
    }
}

#[track_caller]
fn check_json(patch: &Value, want: &Result<Value, u16>) {
    let live = json!({"spec": {"replicas": 1, "zones": ["a"]}});
    let got = json::apply(&live, patch).map(|it| it["spec"].clone()).map_err(|it| it.code);
    assert_eq!(got, *want, "{patch}");
}

#[test]
fn json_patches_are_all_or_nothing() {
    let replace = json!({"op": "replace", "path": "/spec/replicas", "value": 2});
    let add = json!({"op": "add", "path": "/spec/zones/-", "value": "b"});
    check_json(&json!([replace, add]), &Ok(json!({"replicas": 2, "zones": ["a", "b"]})));
    let test = json!({"op": "test", "path": "/spec/replicas", "value": 5});
    check_json(&json!([test, replace]), &Err(422));
    check_json(&json!([{"op": "remove", "path": "/spec/none"}]), &Err(422));
    check_json(&json!([{"op": "fly", "path": "/"}]), &Err(400));
    check_json(&json!({}), &Err(400));
    check_json(&Value::Array(vec![replace; 10_001]), &Err(413));
}

#[test]
fn copies_cannot_blow_an_object_up() {
    let mut copies = vec![json!({"op": "add", "path": "/a", "value": "x".repeat(1000)})];
    copies.extend((0..40).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/a"})));
    let doubling: Vec<Value> =
        std::iter::once(json!({"op": "add", "path": "/a", "value": ["x".repeat(1000)]}))
            .chain((0..40).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})))
            .collect();
    let refused = json::apply(&json!({}), &Value::Array(doubling)).unwrap_err();
    assert_eq!(refused.code, 413);
}

#[test]
fn merge_patches_delete_by_null_and_replace_lists() {
    let live = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
    let patch = json!({"a": {"b": null, "d": {"e": null}}, "l": [3]});
    assert_eq!(merge::apply(&live, &patch), Ok(json!({"a": {"c": 2, "d": {}}, "l": [3]})));
    assert_eq!(merge::apply(&live, &json!([])).unwrap_err().code, 400);
}

fn pod() -> Schema {
    let port = json!({"type": "object", "properties": {"containerPort": {"type": "integer"}, "name": {"type": "string"}}});
    Schema::structural(&json!({"type": "object", "properties": {
        "finalizers": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"},
        "args": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "strategy": {"type": "object", "x-kubernetes-patch-strategy": "retainKeys", "properties": {
            "type": {"type": "string"}, "rolling": {"type": "object", "properties": {"surge": {"type": "integer"}}},
        }},
        "containers": {"type": "array", "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge", "items": {
            "type": "object", "properties": {"name": {"type": "string"}, "image": {"type": "string"},
                "ports": {"type": "array", "items": port, "x-kubernetes-patch-merge-key": "containerPort", "x-kubernetes-patch-strategy": "merge"},
            }}},
    }}))
}

#[track_caller]
fn check_strategic(live: &Value, patch: &Value, want: &Value) {
    assert_eq!(
        strategic::apply(live, patch, pod().root()).as_ref(),
        Ok(want),
        "{live} with {patch}"
    );
}

fn named(names: &[&str]) -> Value {
    names.iter().map(|it| json!({ "name": it })).collect()
}

#[test]
fn strategic_patches_merge_lists_by_key() {
    let live = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "args": ["x"], "labels": {"k": "v"}});
    check_strategic(
        &live,
        &json!({"containers": [{"name": "b", "image": "2"}, {"name": "c", "ports": null}], "args": ["y"], "labels": null}),
        &json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c"}], "args": ["y"]}),
    );
    let list = json!({"containers": named(&["a", "b"])});
    let patch = |items: Value| json!({ "containers": items });
    // What is new comes first, as in Kubernetes.
    check_strategic(&list, &patch(named(&["z"])), &patch(named(&["z", "a", "b"])));
    check_strategic(
        &list,
        &patch(json!([{"$patch": "delete", "name": "a"}])),
        &patch(named(&["b"])),
    );
    check_strategic(
        &list,
        &patch(json!([{"$patch": "replace"}, {"name": "z"}])),
        &patch(named(&["z"])),
    );
    check_strategic(&list, &patch(json!([{"$patch": "delete", "name": "none"}])), &list);
    let ports = |image: &str| json!({"containers": [{"name": "a", "image": image, "ports": [{"containerPort": 80}]}]});
    check_strategic(
        &ports("1"),
        &json!({"containers": [{"name": "a", "$patch": "replace", "image": "2"}]}),
        &json!({"containers": [{"name": "a", "image": "2"}]}),
    );
    check_strategic(
        &ports("1"),
        &json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}]}),
        &json!({"containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}]}),
    );
}

#[test]
fn strategic_directives_on_maps() {
    let live = json!({"labels": {"a": "1", "b": "2"}});
    check_strategic(
        &live,
        &json!({"labels": {"$patch": "replace", "c": "3"}}),
        &json!({"labels": {"c": "3"}}),
    );
    check_strategic(&live, &json!({"labels": {"$patch": "delete"}}), &json!({"labels": {}}));
    check_strategic(&live, &json!({"labels": {"a": null}}), &json!({"labels": {"b": "2"}}));
    let live = json!({"strategy": {"type": "Rolling", "rolling": {"surge": 1}}});
    check_strategic(
        &live,
        &json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
        &json!({"strategy": {"type": "Recreate"}}),
    );
}

#[test]
fn strategic_sets_of_primitives() {
    let live = json!({"finalizers": ["a", "b"]});
    check_strategic(
        &live,
        &json!({"finalizers": ["b", "c"]}),
        &json!({"finalizers": ["a", "b", "c"]}),
    );
    check_strategic(&live, &json!({"finalizers": ["c"]}), &json!({"finalizers": ["c", "a", "b"]}));
    check_strategic(
        &live,
        &json!({"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"]}),
        &json!({"finalizers": ["c", "b"]}),
    );
}

#[track_caller]
fn check_element_order(live: &[&str], patch: &[&str], order: &[&str], want: &[&str]) {
    check_strategic(
        &json!({"containers": named(live)}),
        &json!({"containers": named(patch), "$setElementOrder/containers": named(order)}),
        &json!({"containers": named(want)}),
    );
}

#[test]
fn set_element_order_keeps_what_only_the_server_has_near_its_place() {
    check_element_order(&["a", "b"], &["c"], &["c", "a", "b"], &["c", "a", "b"]);
    check_element_order(&["a", "b"], &["b"], &["b", "a"], &["b", "a"]);
    check_element_order(&["a", "s", "b"], &["c"], &["a", "b", "c"], &["a", "s", "b", "c"]);
    check_element_order(&["s", "a"], &["b"], &["b", "a"], &["b", "s", "a"]);
}

#[test]
fn senseless_strategic_patches_are_refused() {
    for patch in [
        json!([]),
        json!({"labels": {"$patch": "fly"}}),
        json!({"containers": [{"image": "1"}]}),
        json!({"containers": ["a"]}),
        json!({"strategy": {"$retainKeys": ["type"], "rolling": {"surge": 1}}}),
        json!({"strategy": {"$retainKeys": "type"}}),
        json!({"$setElementOrder/containers": "a"}),
        json!({"$deleteFromPrimitiveList/finalizers": {}}),
    ] {
        let live =
            json!({"strategy": {"type": "Rolling"}, "labels": {}, "containers": [{"name": "a"}]});
        let refused = strategic::apply(&live, &patch, pod().root()).expect_err(&patch.to_string());
        assert_eq!(refused.code, 400);
    }
}
