//! Media types, and what bodies of each come to.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn check(content_type: &str, body_text: &str, value: &Value, duplicates: &[&str]) {
    let decoded = body(content_type, body_text.as_bytes()).unwrap();
    assert_eq!(decoded.value, *value);
    assert_eq!(decoded.duplicates, duplicates);
}

#[test]
fn json_is_read_and_keys_that_come_twice_are_told_by_path() {
    check("", r#"{"a":1}"#, &json!({"a": 1}), &[]);
    check(
        "application/json; charset=utf-8",
        r#"{"a":1,"spec":{"l":[{"b":1,"b":2}]},"a":3}"#,
        &json!({"a": 3, "spec": {"l": [{"b": 2}]}}),
        &[r#"duplicate field "spec.l[0].b""#, r#"duplicate field "a""#],
    );
}

#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    check(
        "application/yaml",
        "a: yes\nb: 010\nc: '1'\n",
        &json!({"a": true, "b": 8, "c": "1"}),
        &[],
    );
    check("application/apply-patch+yaml", r#"{"a": [1.5]}"#, &json!({"a": [1.5]}), &[]);
    check(
        "application/yaml",
        "spec:\n  a: 1\n  a: 2\n",
        &json!({"spec": {"a": 2}}),
        &[r#"duplicate field "spec.a""#],
    );
    check(
        "application/yaml",
        "---\na: &x {b: 1}\nc: *x\n",
        &json!({"a": {"b": 1}, "c": {"b": 1}}),
        &[],
    );
}

#[track_caller]
fn refuse(content_type: &str, bytes: &[u8], code: u16) {
    assert_eq!(body(content_type, bytes).unwrap_err().code, code);
}

#[test]
fn what_cannot_be_read_is_a_bad_request() {
    refuse("application/json", b"{", 400);
    refuse("application/json", b"{} {}", 400);
    refuse("application/json", "[".repeat(100_000).as_bytes(), 400);
    refuse("application/yaml", b"a: [", 400);
    refuse("application/yaml", b"a: 1\n---\nb: 1\n", 400);
    refuse("application/yaml", &[0xff, 0xfe, 0xfd], 400);
    refuse("application/vnd.kubernetes.protobuf", b"{}", 400);
}

#[test]
fn other_types_are_unsupported_so_that_clients_fall_back() {
    refuse("application/cbor", b"", 415);
    refuse("text/plain", b"", 415);
}

#[test]
fn yaml_that_doubles_itself_is_refused() {
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    refuse("application/yaml", bomb.as_bytes(), 400);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for content_type in ["application/json", "application/yaml"] {
            drop(body(content_type, &bytes));
        }
    }
}
