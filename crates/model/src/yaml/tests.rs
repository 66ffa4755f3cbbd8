use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Reading, documents, objects, to_string};

fn read(text: &str, reading: Reading) -> Vec<Value> {
    documents(text, reading).expect(text).into_iter().map(|it| it.value).collect()
}

#[track_caller]
fn check(text: &str, kubectl: &Value, kustomize: &Value) {
    assert_eq!(read(text, Reading::Kubectl), std::slice::from_ref(kubectl), "kubectl reads {text}");
    assert_eq!(
        read(text, Reading::Kustomize),
        std::slice::from_ref(kustomize),
        "kustomize reads {text}"
    );
}

#[track_caller]
fn both(text: &str, value: &Value) {
    check(text, value, value);
}

#[track_caller]
fn refused(text: &str) -> String {
    let [kubectl, kustomize] =
        [Reading::Kubectl, Reading::Kustomize].map(|it| documents(text, it).expect_err(text));
    assert_eq!(kubectl, kustomize);
    format!("{}:{}: {}", kubectl.line, kubectl.column, kubectl.reason)
}

#[test]
fn yes_and_on_are_booleans_for_kubectl_and_strings_for_kustomize() {
    for (text, value) in [
        ("yes", true),
        ("on", true),
        ("off", false),
        ("NO", false),
        ("y", true),
        ("n", false),
        ("On", true),
    ] {
        check(&format!("a: {text}\n"), &json!({"a": value}), &json!({"a": text}));
        both(&format!("a: \"{text}\"\n"), &json!({"a": text}));
    }
    both("a: true\nb: False\nc: TRUE\n", &json!({"a": true, "b": false, "c": true}));
}

#[test]
fn numbers_are_what_go_reads() {
    both("mode: 0644\n", &json!({"mode": 420}));
    both("a: 1_000\n", &json!({"a": 1000}));
    both("a: 18446744073709551616\n", &json!({"a": 18_446_744_073_709_551_616.0}));
    both("a: 18446744073709551615\n", &json!({"a": u64::MAX}));
    both("a: -9223372036854775808\n", &json!({"a": i64::MIN}));
    both("a: 1e3\nb: 1.0\nc: 0.5\nd: -0.0\n", &json!({"a": 1000, "b": 1, "c": 0.5, "d": 0}));
    both("a: 0x1F\nb: 0b101\nc: 0o17\n", &json!({"a": 31, "b": 5, "c": 15}));
    both(
        "a: 1.2.3\nb: 12:30\nc: 500m\nd: v1\n",
        &json!({"a": "1.2.3", "b": "12:30", "c": "500m", "d": "v1"}),
    );
    both(
        "a: 2001-01-01\nb: 08\nc: 1e\nd: -0644\n",
        &json!({"a": "2001-01-01", "b": 8, "c": "1e", "d": -420}),
    );
    both("a: !!str 12\nb: !!binary aGk=\n", &json!({"a": "12", "b": "hi"}));
}

#[test]
fn null_in_every_spelling_is_null() {
    both("a: ~\nb: null\nc:\nd: ''\n", &json!({"a": null, "b": null, "c": null, "d": ""}));
}

#[test]
fn merge_keys_are_merged() {
    both(
        "base: &b {u: 1, v: 2}\nuse:\n  <<: *b\n  u: 3\n",
        &json!({"base": {"u": 1, "v": 2}, "use": {"u": 3, "v": 2}}),
    );
}

#[test]
fn keys_are_text() {
    both("8080: a\ntrue: b\n", &json!({"8080": "a", "true": "b"}));
    check("on: a\n", &json!({"true": "a"}), &json!({"on": "a"}));
    both("\"on\": a\n", &json!({"on": "a"}));
}

#[test]
fn empty_documents_are_skipped_and_lines_are_those_of_the_file() {
    let text = "---\n---\n# only words\n---\na: 1\n---\n\n---\nb: 2\n...\n";
    let found = documents(text, Reading::Kubectl).unwrap();
    let lines: Vec<_> = found.iter().map(|it| (it.line, it.value.clone())).collect();
    assert_eq!(lines, [(5, json!({"a": 1})), (9, json!({"b": 2}))]);
    assert_eq!(documents("", Reading::Kustomize), Ok(vec![]));
    assert_eq!(documents("# nothing\n", Reading::Kustomize), Ok(vec![]));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    both("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n", &json!({"a": 1, "b": "x\ny\n"}));
}

#[test]
fn json_is_read_one_document_after_the_other() {
    let found =
        documents("{\"a\": 1,\n \"b\": 1.0}\n\n{\"c\": \"yes\"}\n", Reading::Kubectl).unwrap();
    let lines: Vec<_> = found.iter().map(|it| (it.line, it.value.clone())).collect();
    assert_eq!(lines, [(1, json!({"a": 1, "b": 1})), (4, json!({"c": "yes"}))]);
    both("{\n\t\"a\": [1, 2]\n}", &json!({"a": [1, 2]}));
    both("{a: b}\n", &json!({"a": "b"}));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    assert_snapshot!(refused("a: 1\nb:\n  c: 1\n  c: 2\n"), @"4:3: duplicate mapping key `c` is not allowed here");
    assert_snapshot!(refused("{\"a\": 1, \"a\": 2}"), @"1:10: duplicate mapping key `a` is not allowed here");
    assert_snapshot!(refused("ok: 1\n---\na: [1, 2\nb: 3\n"), @"4:2: illegal placement of ':' indicator");
    assert_snapshot!(refused("a:\n\t- 1\n"), @"2:2: tabs disallowed within this context (block indentation)");
    assert_snapshot!(refused("a: .inf\n"), @"1:4: value `.inf` is not a finite number");
    assert_snapshot!(refused("a: *nobody\n"), @"1:4: reference to unknown value");
    assert_snapshot!(refused("a: b: c\n"), @"1:5: mapping values are not allowed in this context");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..=9 {
        let last = format!("*l{}", level - 1);
        text += &format!("l{level}: &l{level} [{}]\n", vec![last; 10].join(", "));
    }
    assert_snapshot!(refused(&text), @"6:10: YAML document too large or too complex: total_replayed_events=250001 > 250000");
}

#[test]
fn a_big_file_is_no_bomb() {
    let entry = |it| format!("- {{name: n{it}, value: {it}}}\n");
    let text: String = (0..100_000).map(entry).collect();
    assert_eq!(read(&text, Reading::Kubectl)[0].as_array().map(Vec::len), Some(100_000));
}

#[test]
fn depth_is_limited_not_the_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(documents(&deep, Reading::Kubectl).is_err());
    assert!(documents(&format!("{{\"a\": {deep}}}"), Reading::Kubectl).is_err());
}

#[test]
fn lists_are_flattened() {
    let text = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n---\n\
                kind: ConfigMapList\napiVersion: v1\nitems:\n- {metadata: {name: b}}\n";
    let found = objects(text, Reading::Kustomize).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|it| (it.line, it.value["kind"].clone(), it.value["metadata"]["name"].clone()))
        .collect();
    assert_eq!(names, [(1, json!("Secret"), json!("a")), (6, json!("ConfigMap"), json!("b"))]);
}

#[test]
fn an_object_without_identity_is_refused() {
    let refused = |text| objects(text, Reading::Kustomize).unwrap_err().to_string();
    assert_snapshot!(refused("a: 1\n"), @"line 1: document 1: apiVersion is missing");
    assert_snapshot!(refused("kind: A\napiVersion: v1\nmetadata: {name: x}\n---\nkind: B\n"), @"line 5: document 2: apiVersion is missing");
    assert_snapshot!(refused("kind: B\napiVersion: v1\n"), @"line 1: document 1: B: metadata.name is missing");
    assert_snapshot!(refused("kind: B\napiVersion: v1\nmetadata: {name: 12}\n"), @"line 1: document 1: B: metadata.name must be a string, not a number (12)");
    assert_snapshot!(refused("kind: B\napiVersion: v1\nmetadata: {name: ''}\n"), @"line 1: document 1: B: metadata.name is empty");
    assert_snapshot!(refused("just words\n"), @"line 1: document 1: a string where an object was expected");
    assert_snapshot!(refused("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n- 3\n"), @"line 1: document 1: items[1]: a number where an object was expected");
    assert!(
        objects("kind: B\napiVersion: v1\nmetadata: {generateName: x-}\n", Reading::Kubectl)
            .is_ok()
    );
}

#[test]
fn what_is_written_reads_well() {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "on", "labels": {}, "annotations": {"a/b": "0644", "note": "x: y #z"}},
        "data": {"run.sh": "#!/bin/sh\n  echo \"hi\"\n\nexit 0\n", "keep": "a\n\n", "bare": "a\nb", "tab": "\ta\nb", "url": "http://x:80/"},
        "list": [1, -0.5, null, true, [], ["a", ["b"]], {"k": [{"x": 1}], "y": "no"}],
    });
    assert_snapshot!(to_string(&value), @r#"
    apiVersion: v1
    data:
      bare: |-
        a
        b
      keep: |+
        a

      run.sh: |
        #!/bin/sh
          echo "hi"

        exit 0
      tab: "\ta\nb"
      url: http://x:80/
    kind: ConfigMap
    list:
    - 1
    - -0.5
    - null
    - true
    - []
    - - a
      - - b
    - k:
      - x: 1
      "y": "no"
    metadata:
      annotations:
        a/b: "0644"
        note: "x: y #z"
      labels: {}
      name: "on"
"#);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ \t\r\n\u{85}\u{a0}\u{2028}a:#'\"|>%@`&*!?{}\\[\\],~<=-]{0,8}",
        "[-+]?[0-9_]{0,5}[.eExXob:]?[-+]?[0-9]{0,4}[kMm%]?",
        "(?i)(yes|no|on|off|y|n|true|false|null|\\.nan|[-+]?\\.inf|nan|inf|0o7|---|\\.\\.\\.|<<|=|~)\n?",
        "([ -~]{0,6}\n){0,4}[ -~]{0,6}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let fraction = any::<f64>().prop_filter("JSON cannot hold it, or it is an integer", |it| {
        it.is_finite() && (it.fract() != 0.0 || it.abs() > 1e19)
    });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        fraction.prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_readers_read_what_is_written(value in any_value().prop_filter("no document", |it| !it.is_null())) {
        let text = to_string(&value);
        for reading in [Reading::Kubectl, Reading::Kustomize] {
            let found = documents(&text, reading);
            prop_assert!(found.is_ok(), "{text:?}: {found:?}");
            prop_assert_eq!(&found.unwrap()[0].value, &value, "{:?}", text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ \n\t:a{}\\[\\]&*<>|!%\"'#?,-]{0,40}") {
        let _ = documents(&text, Reading::Kubectl);
        let _ = objects(&text, Reading::Kustomize);
    }
}
