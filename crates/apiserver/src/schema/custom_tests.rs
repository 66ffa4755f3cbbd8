//! Pruning and defaults of custom kinds, as a real server was seen to do them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Schema,
    golden::created,
    intake::{Kind, complete, intake},
};

const WIDGET: Kind = Kind { api_version: "x.io/v1", kind: "Widget", custom: true };

fn widget() -> Schema {
    let all = created();
    let definition = all.iter().find(|it| it.made["metadata"]["name"] == "widgets.x.io");
    let version = &definition.expect("it was created").made["spec"]["versions"][0];
    Schema::of_kind(&version["schema"]["openAPIV3Schema"])
}

#[track_caller]
fn check(spec: &Value, expected: &Value, unknown: &[&str]) {
    let schema = widget();
    let mut object = json!({"metadata": {"name": "w"}, "spec": spec});
    let told = intake(WIDGET, schema.root(), &mut object).unwrap();
    assert_eq!(object["spec"], *expected);
    assert_eq!(told, unknown);
}

#[test]
fn defaults_fill_in_also_inside_of_defaults() {
    let nest = json!({"a": "q"});
    check(&json!({}), &json!({"nest": nest, "nul": "x", "size": 3}), &[]);
    check(&json!({"size": null}), &json!({"nest": nest, "nul": "x", "size": 3}), &[]);
    check(&json!({"size": 2, "nul": null}), &json!({"nest": nest, "nul": null, "size": 2}), &[]);
    check(&json!({"size": 2, "name": null}), &json!({"nest": nest, "nul": "x", "size": 2}), &[]);
    check(&json!({"size": 2, "nest": null}), &json!({"nest": nest, "nul": "x", "size": 2}), &[]);
    let list = json!([{"k": "a"}, {"k": "b", "v": false}]);
    check(
        &json!({"size": 2, "list": list}),
        &json!({"nest": nest, "nul": "x", "size": 2,
            "list": [{"k": "a", "v": true}, {"k": "b", "v": false}]}),
        &[],
    );
}

#[test]
fn what_the_schema_does_not_name_goes_unless_it_is_kept() {
    let rest = json!({"nest": {"a": "q"}, "nul": "x", "size": 2});
    check(&json!({"size": 2, "foo": 1}), &rest, &[r#"unknown field "spec.foo""#]);
    let mut kept = rest.clone();
    kept["free"] = json!({"a": null, "b": {"c": 1}});
    check(&json!({"size": 2, "free": {"a": null, "b": {"c": 1}}}), &kept, &[]);
    let mut listed = rest.clone();
    listed["list"] = json!([{"k": "a", "v": true}]);
    check(
        &json!({"size": 2, "list": [{"k": "a", "z": 1}]}),
        &listed,
        &[r#"unknown field "spec.list[0].z""#],
    );
}

#[test]
fn metadata_is_kubernetes_own() {
    let schema = widget();
    let mut object = json!({"metadata": {"name": "w", "foo": 1, "labels": {}}, "bar": 1});
    let told = intake(WIDGET, schema.root(), &mut object).unwrap();
    assert_eq!(told, [r#"unknown field "metadata.foo""#, r#"unknown field "bar""#]);
    assert_eq!(object, json!({"metadata": {"name": "w"}}));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "size", "name", "mode", "ios", "free", "nul", "nest", "list", "set", "m", "one", "a", "k",
        "v", "other",
    ]);
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn twice_is_once(spec in anything()) {
        let schema = widget();
        let mut once = json!({"metadata": {"name": "w"}, "spec": spec});
        intake(WIDGET, schema.root(), &mut once).unwrap();
        let mut twice = once.clone();
        prop_assert_eq!(intake(WIDGET, schema.root(), &mut twice), Ok(Vec::new()));
        prop_assert_eq!(&once, &twice);
        complete(WIDGET, schema.root(), &mut twice);
        prop_assert_eq!(&once, &twice);
    }

    #[test]
    fn validation_takes_anything(spec in anything()) {
        let schema = widget();
        let object = json!({ "spec": spec });
        let causes = super::validate::validate(WIDGET, schema.root(), &object, None);
        prop_assert_eq!(super::validate::validate(WIDGET, schema.root(), &object, Some(&object)), []);
        prop_assert!(causes.iter().all(|it| !it.message.is_empty()));
    }

    #[test]
    fn built_in_kinds_take_anything(spec in anything()) {
        for (version, name) in [("apps/v1", "Deployment"), ("v1", "Service"), ("batch/v1", "CronJob"),
            ("networking.k8s.io/v1", "Ingress"), ("autoscaling/v2", "HorizontalPodAutoscaler")]
        {
            let kind = Kind { api_version: version, kind: name, custom: false };
            let ty = super::builtin().kind(version, name).unwrap();
            let mut object = json!({"metadata": {"name": "w"}, "spec": spec});
            if intake(kind, ty, &mut object).is_ok() {
                let once = object.clone();
                prop_assert_eq!(intake(kind, ty, &mut object), Ok(Vec::new()));
                prop_assert_eq!(&once, &object);
            }
            drop(super::validate::validate(kind, ty, &object, None));
        }
    }
}
