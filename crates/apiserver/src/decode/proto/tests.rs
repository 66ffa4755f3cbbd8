//! A writer as simple as can be, objects in both forms, and noise.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::golden::{created, without_identity};

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 127 {
        out.push(u8::try_from(value & 127).unwrap() | 128);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// A field of bytes.
fn bytes(number: usize, value: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(value.len()), value.to_vec()].concat()
}

fn text(number: usize, value: &str) -> Vec<u8> {
    bytes(number, value.as_bytes())
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn object(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [text(1, api_version), text(2, kind)].concat();
    [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw), text(3, ""), text(4, "")].concat()
}

fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[track_caller]
fn check(body: &[u8], expected: &Value) {
    assert_eq!(read(body).unwrap().value, *expected);
}

#[test]
fn a_config_map_with_what_go_always_writes() {
    let meta = message(&[
        text(1, "cm"),
        text(2, ""),
        text(3, "default"),
        text(4, ""),
        number(7, 0),
        bytes(8, &[]),
        bytes(11, &message(&[text(1, "app"), text(2, "x")])),
    ]);
    let raw = message(&[
        bytes(1, &meta),
        bytes(2, &message(&[text(1, "k"), text(2, "v")])),
        bytes(2, &text(1, "empty")),
        bytes(3, &message(&[text(1, "b"), bytes(2, &[0, 255])])),
    ]);
    check(
        &object("v1", "ConfigMap", &raw),
        &json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cm", "namespace": "default", "labels": {"app": "x"}},
            "data": {"k": "v", "empty": ""}, "binaryData": {"b": "AP8="}}),
    );
}

#[test]
fn zeros_stay_where_kubernetes_has_pointers() {
    let spec = message(&[number(1, 0), number(5, 0), number(7, 0)]);
    check(
        &object("apps/v1", "Deployment", &bytes(2, &spec)),
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0}}),
    );
}

#[test]
fn inlined_messages_become_fields() {
    let volume = message(&[text(1, "tmp"), bytes(2, &bytes(2, &text(1, "Memory")))]);
    check(
        &object("v1", "Pod", &bytes(2, &bytes(1, &volume))),
        &json!({"apiVersion": "v1", "kind": "Pod", "spec": {"volumes": [
            {"name": "tmp", "emptyDir": {"medium": "Memory"}}]}}),
    );
}

#[test]
fn types_with_a_form_of_their_own() {
    let port = |target: Vec<u8>| bytes(1, &message(&[number(3, 80), bytes(4, &target)]));
    let spec = message(&[
        port(message(&[number(1, 0), number(2, 88), text(3, "")])),
        port(message(&[number(1, 1), number(2, 0), text(3, "http")])),
    ]);
    let meta = bytes(1, &bytes(8, &message(&[number(1, 60), number(2, 0)])));
    check(
        &object("v1", "Service", &message(&[meta, bytes(2, &spec)])),
        &json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"creationTimestamp": "1970-01-01T00:01:00Z"},
            "spec": {"ports": [{"port": 80, "targetPort": 88}, {"port": 80, "targetPort": "http"}]}}),
    );
    let extra =
        bytes(5, &message(&[text(1, "k"), bytes(2, &message(&[text(1, "a"), text(1, "b")]))]));
    check(
        &object("authorization.k8s.io/v1", "SubjectAccessReview", &bytes(2, &extra)),
        &json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"extra": {"k": ["a", "b"]}}}),
    );
}

#[test]
fn delete_options_come_with_any_version() {
    check(
        &object("apps/v1", "DeleteOptions", &message(&[number(1, 0), text(4, "Background")])),
        &json!({"apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
            "propagationPolicy": "Background"}),
    );
}

#[test]
fn unknown_fields_are_passed_over() {
    check(
        &object("v1", "ConfigMap", &message(&[text(15, "x"), vec![0xf8, 0xff, 0x3f, 1]])),
        &json!({"apiVersion": "v1", "kind": "ConfigMap"}),
    );
}

#[track_caller]
fn refuse(body: &[u8], word: &str) {
    let said = read(body).unwrap_err().message;
    assert!(said.contains(word), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    refuse(b"k8s", "expected prefix");
    refuse(&object("v1", "Nothing", b""), "no kind \"Nothing\"");
    refuse(&object("v1", "ConfigMap", &bytes(1, &number(1, 3))), "metadata.name: wrong wire type");
    refuse(
        &object("v1", "ConfigMap", &bytes(1, &bytes(1, &[0xff]))),
        "metadata.name: a string is not",
    );
    refuse(&object("v1", "ConfigMap", &[10, 200]), "unexpected end");
    refuse(&object("v1", "ConfigMap", &[0xff; 12]), "longer than 64 bits");
}

#[test]
fn nesting_is_bounded() {
    // JSONSchemaProps.not, in itself.
    let mut schema = Vec::new();
    for _ in 0..300 {
        schema = bytes(28, &schema);
    }
    let version = bytes(4, &bytes(1, &schema));
    let spec = bytes(2, &bytes(7, &version));
    refuse(
        &object("apiextensions.k8s.io/v1", "CustomResourceDefinition", &spec),
        "nested too deep",
    );
}

/// Where two values differ, by path.
fn differences(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or_default(), b.get(key).unwrap_or_default());
                differences(&format!("{path}.{key}"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{at}]"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: {a} but {b}")),
    }
}

#[test]
fn what_a_real_server_writes_is_read_as_its_json_says() {
    let mut wrong = Vec::new();
    for object in created() {
        let bytes = STANDARD.decode(&object.protobuf).unwrap();
        let mut read = without_identity(read(&bytes).unwrap().value);
        if let Some(claim) = read.pointer_mut("/spec/volumeClaimTemplates/0") {
            // Set by Kubernetes' defaults; they are not part of the message.
            claim["apiVersion"] = "v1".into();
            claim["kind"] = "PersistentVolumeClaim".into();
        }
        differences(&object.made["kind"].to_string(), &read, &object.made, &mut wrong);
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(created().len() > 50);
}

proptest! {
    #[test]
    fn noise_behind_the_magic_never_panics(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        kind in prop::sample::select(vec![("v1", "Pod"), ("apps/v1", "Deployment"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"), ("v1", "Event")]),
    ) {
        drop(read(&object(kind.0, kind.1, &noise)));
        drop(read(&[MAGIC, &noise[..]].concat()));
    }

    #[test]
    fn a_body_cut_short_never_panics(cut in 0_usize..60) {
        let whole = object("v1", "Pod", &bytes(2, &bytes(1, &message(&[
            text(1, "tmp"), bytes(2, &bytes(2, &text(1, "Memory"))),
        ]))));
        drop(read(&whole[..cut.min(whole.len())]));
    }
}
