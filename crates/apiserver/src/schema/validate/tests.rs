//! Against what a real server said of objects that it refused.

use serde_json::{Value, json};

use super::*;
use crate::{
    schema::{
        Schema, builtin,
        golden::created,
        intake::{intake, strict},
    },
    status::Failure,
};

fn widget() -> Schema {
    let all = created();
    let definition = all.iter().find(|it| it.made["metadata"]["name"] == "widgets.x.io");
    let version = &definition.expect("it was created").made["spec"]["versions"][0];
    Schema::of_kind(&version["schema"]["openAPIV3Schema"])
}

fn judge(schema: &Schema, object: &Value, is_strict: bool) -> Result<(), Failure> {
    let word = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, name) = (word("apiVersion"), word("kind"));
    let custom = api_version == "x.io/v1";
    let kind = Kind { api_version, kind: name, custom };
    let ty = if custom { schema.root() } else { builtin().kind(api_version, name).unwrap() };
    let mut object = object.clone();
    let unknown = intake(kind, ty, &mut object)?;
    if is_strict && !unknown.is_empty() {
        return Err(strict(kind, &unknown));
    }
    let causes = validate(kind, ty, &object, None);
    let group = api_version.rsplit_once('/').map_or("", |it| it.0);
    let about = object["metadata"]["name"].as_str().unwrap_or_default();
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(group, name, about, causes)) }
}

#[test]
fn what_kubernetes_refuses_is_refused_in_its_words() {
    let schema = widget();
    let mut other = Vec::new();
    let mut total = 0;
    for line in include_str!("../../../testdata/refused.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        // Names and labels of the object itself are checked by the verbs.
        if record["causes"][0]["field"].as_str().is_some_and(|it| it.starts_with("metadata.")) {
            continue;
        }
        total += 1;
        let strict = record["strict"] == true;
        let ours = judge(&schema, &record["in"], strict).err();
        let (code, said) = ours.map_or((0, String::new()), |it| (it.code, it.message));
        if code != record["code"] || said != record["message"] {
            other.push(format!("{code} {said}"));
        }
    }
    assert!(total > 100);
    // All else is word for word. Here a field is named that Kubernetes leaves out, or a Go struct
    // is not shown.
    insta::assert_snapshot!(other.join("\n"), @r#"
    400 Deployment in version "v1" cannot be handled as a Deployment: spec.template.spec.containers[0].resources.limits[cpu]: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
    400 Deployment in version "v1" cannot be handled as a Deployment: spec.template.spec.containers[0].resources.limits[cpu]: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
    422 Deployment.apps "x" is invalid: spec.strategy: Unsupported value: {"RollingUpdate":null,"Type":"Foo"}: supported values: "Recreate", "RollingUpdate"
    422 Deployment.apps "x" is invalid: spec.template.labels: Invalid value: "x y": name part must consist of at most 63 alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name', or '123-abc')
    400 Deployment in version "v1" cannot be handled as a Deployment: metadata.creationTimestamp: parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse it
    422 Service "x" is invalid: spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}
    400 ConfigMap in version "v1" cannot be handled as a ConfigMap: binaryData[a]: illegal base64 data at input byte 0
    400 Secret in version "v1" cannot be handled as a Secret: data[a]: illegal base64 data at input byte 0
    422 PodDisruptionBudget.policy "x" is invalid: spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: minAvailable and maxUnavailable cannot be both set
    422 Widget.x.io "w" is invalid: spec.size: Invalid value: "number": spec.size in body must be of type integer: "number"
    "#);
}

#[test]
fn what_kubernetes_created_is_valid() {
    let schema = widget();
    for object in created() {
        assert_eq!(judge(&schema, &object.sent, true), Ok(()), "{}", object.sent);
    }
}

#[track_caller]
fn changed(api_version: &str, kind: &str, old: &Value, new: &Value, expected: &[&str]) {
    let ty = builtin().kind(api_version, kind).unwrap();
    let kind = Kind { api_version, kind, custom: false };
    let causes = validate(kind, ty, new, Some(old));
    let told: Vec<String> =
        causes.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{told} lacks {expected}");
    }
}

#[test]
fn some_fields_never_change() {
    let template = json!({"metadata": {"labels": {"a": "b"}},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}]}});
    let deployment = |selector: Value| {
        json!({"spec": {"selector": selector, "template": template,
        "strategy": {"type": "Recreate"}}})
    };
    let by = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "DoesNotExist"}]});
    let (one, two) = (deployment(by("x")), deployment(by("y")));
    changed("apps/v1", "Deployment", &one, &two, &["spec.selector: Invalid value"]);
    changed("apps/v1", "Deployment", &one, &one, &[]);
    let sealed = json!({"data": {"a": "b"}, "immutable": true});
    let opened = json!({"data": {"a": "c"}});
    changed("v1", "ConfigMap", &sealed, &opened, &["data: Forbidden", "immutable: Forbidden"]);
    let secret = |kind: &str| json!({ "type": kind });
    changed("v1", "Secret", &secret("Opaque"), &secret("x"), &["type: Invalid value: \"x\""]);
    let binding = |name: &str| {
        json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole", "name": name}})
    };
    changed(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        &binding("a"),
        &binding("b"),
        &["cannot change roleRef"],
    );
}

#[test]
fn what_was_wrong_already_is_not_held_against_a_writer() {
    let schema = widget();
    let kind = Kind { api_version: "x.io/v1", kind: "Widget", custom: true };
    let old = json!({"spec": {"size": 99, "list": [{"k": 1}]}});
    let new = json!({"spec": {"size": 99, "mode": "a", "list": [{"k": 1}]}});
    assert_eq!(validate(kind, schema.root(), &new, Some(&old)), []);
    assert_eq!(validate(kind, schema.root(), &new, None).len(), 2);
}

#[track_caller]
fn of_metadata(meta: &Value, want: &[&str]) {
    let causes = metadata(&json!({ "metadata": meta }));
    let told: Vec<String> =
        causes.iter().map(|it| format!("{} {}: {}", it.reason, it.field, it.message)).collect();
    assert_eq!(told, want);
}

#[test]
fn annotations_fill_a_quarter_of_a_mebibyte_and_no_more() {
    let largest = 256 * 1024;
    of_metadata(&json!({"annotations": {"ab": "x".repeat(largest - 2)}}), &[]);
    let more =
        "FieldValueTooLong metadata.annotations: Too long: may not be more than 262144 bytes";
    of_metadata(&json!({"annotations": {"ab": "x".repeat(largest - 1)}}), &[more]);
}

#[test]
fn an_owner_is_named_whole_and_one_of_them_controls() {
    let owner = |name: &str, controls: bool| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": "u",
            "controller": controls})
    };
    of_metadata(&json!({"ownerReferences": [owner("a", true), owner("b", false)]}), &[]);
    of_metadata(
        &json!({"ownerReferences": [owner("a", false), {}]}),
        &["apiVersion", "kind", "name", "uid"]
            .map(|it| {
                format!(
                    "FieldValueRequired metadata.ownerReferences[1].{it}: Required value: must not \
                     be empty"
                )
            })
            .each_ref()
            .map(String::as_str),
    );
    let mut odd = owner("a", true);
    odd["apiVersion"] = "a/b/c".into();
    of_metadata(
        &json!({ "ownerReferences": [odd] }),
        &["FieldValueInvalid metadata.ownerReferences[0].apiVersion: Invalid value: \"a/b/c\": \
           must be <group>/<version> or <version>"],
    );
    let two = [owner("a", true), owner("b", true)];
    let shown = json!(two);
    let said = format!(
        "FieldValueInvalid metadata.ownerReferences: Invalid value: {shown}: Only one reference \
         can have Controller set to true. Found \"true\" in references for Deployment/a and \
         Deployment/b"
    );
    of_metadata(&json!({ "ownerReferences": two }), &[&said]);
}

#[test]
fn templates_of_pods_have_labels_annotations_and_a_node_selector() {
    let template = json!({
        "metadata": {"labels": {"a": "b"}, "annotations": {"c d": ""}},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}],
            "nodeSelector": {"e f": "g h"}}});
    let deployment = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template,
        "strategy": {"type": "Recreate"}}});
    let at = ["annotations", "spec.nodeSelector", "spec.nodeSelector"];
    let bad = ["c d", "e f", "g h"];
    let want: Vec<String> = at
        .iter()
        .zip(bad)
        .map(|(at, bad)| format!("spec.template.{at}: Invalid value: {bad:?}"))
        .collect();
    let want: Vec<&str> = want.iter().map(String::as_str).collect();
    changed("apps/v1", "Deployment", &deployment, &deployment, &want);
}
