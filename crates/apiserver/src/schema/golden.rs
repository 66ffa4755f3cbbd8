//! What a real kube-apiserver 1.37 made of objects that were created there.
//!
//! `testdata/created.jsonl` has for each object what was sent (`in`), what came
//! back as JSON (`out`) and as protobuf (`pb`), without what differs from time to time.

use serde_json::Value;

pub(crate) struct Created {
    pub sent: Value,
    pub made: Value,
    pub protobuf: String,
}

pub(crate) fn created() -> Vec<Created> {
    let lines = include_str!("../../testdata/created.jsonl").lines();
    let parse = |line: &str| {
        let mut record: Value = serde_json::from_str(line).expect("a line of JSON");
        Created {
            sent: record["in"].take(),
            made: record["out"].take(),
            protobuf: record["pb"].as_str().unwrap_or_default().to_owned(),
        }
    };
    lines.map(parse).collect()
}

/// Takes out what differs from time to time.
pub(crate) fn without_identity(mut object: Value) -> Value {
    if let Some(meta) = object["metadata"].as_object_mut() {
        for field in ["uid", "creationTimestamp", "managedFields", "resourceVersion"] {
            meta.remove(field);
        }
    }
    object
}
