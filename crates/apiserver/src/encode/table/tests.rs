//! Against the tables of a real server: the same columns, the same cells.

use serde_json::{Value, json};

use super::*;
use crate::registry::{KindRow, VersionRow};

fn resource(record: &Value) -> Resource {
    let version = record["gv"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = record["kind"].as_str().unwrap();
    let custom = group == "x.io";
    let columns = if custom {
        vec![crate::registry::Column {
            name: "Size".into(),
            column_type: "integer".into(),
            json_path: ".spec.size".into(),
            ..Default::default()
        }]
    } else {
        Vec::new()
    };
    let row = KindRow {
        group: group.into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        versions: vec![VersionRow { name: version.into(), columns, ..Default::default() }],
        ..Default::default()
    };
    let made = Resource::of(&row, custom).remove(0);
    std::sync::Arc::into_inner(made).expect("just made")
}

/// Kinds of betas, and of what a fleet's hub does not serve.
const LEFT_OUT: [&str; 5] = [
    "ComponentStatus",
    "ClusterTrustBundle",
    "PodCertificateRequest",
    "StorageVersionMigration",
    "CertificateSigningRequest",
];

fn records() -> Vec<Value> {
    let lines = include_str!("../../../testdata/tables.jsonl").lines();
    let all = lines.map(|it| serde_json::from_str(it).expect("a line of JSON"));
    all.filter(|it: &Value| !LEFT_OUT.iter().any(|kind| it["kind"] == *kind)).collect()
}

#[test]
fn columns_are_those_of_kubernetes() {
    for record in records() {
        let resource = resource(&record);
        let table = Tables::new(&resource, "v1", Include::None).render(
            &[],
            &json!({}),
            true,
            Timestamp::UNIX_EPOCH,
        );
        let ours: Vec<Value> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| json!([it["name"], it["type"], it["format"], it["priority"]]))
            .collect();
        let mut theirs = record["cols"].clone();
        if resource.kind == "VolumeAttachment" {
            // Kubernetes marks the attacher as a name too.
            theirs[1][2] = "".into();
        }
        assert_eq!(Value::Array(ours), theirs, "{}", record["kind"]);
    }
}

/// The server's clock and that of the record may differ by a second.
fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Value {
    let tables = Tables::new(resource, "v1", Include::None);
    tables.render([object], &json!({}), true, now)["rows"][0].clone()
}

#[test]
fn cells_are_those_of_kubernetes() {
    let mut rows = 0;
    for record in records() {
        let resource = resource(&record);
        let now: Timestamp = record["now"].as_str().unwrap().parse().unwrap();
        for row in record["rows"].as_array().unwrap() {
            if record["gv"] == "autoscaling/v1" {
                // Other metrics than CPU are in annotations there, which the records lack.
                continue;
            }
            rows += 1;
            let seconds = [0, 1, -1].map(|it| now + jiff::SignedDuration::from_secs(it));
            let ours = seconds.map(|now| cells(&resource, &row["object"], now));
            let same = ours.iter().any(|it| it["cells"] == row["cells"]);
            assert!(same, "{}: {} not {}", record["kind"], ours[0]["cells"], row["cells"]);
            let told = |it: &Value| it["conditions"][0]["reason"].clone();
            assert_eq!(told(&ours[0]), told(row));
        }
    }
    assert!(rows > 100, "{rows}");
}

#[test]
fn a_row_carries_what_was_asked_for() {
    let resource = resource(&json!({"gv": "v1", "kind": "Secret"}));
    let object = json!({"metadata": {"name": "s"}, "data": {"a": "Yg=="}});
    let row = |include| {
        Tables::new(&resource, "v1beta1", include).render(
            [&object],
            &json!({"resourceVersion": "7"}),
            false,
            Timestamp::UNIX_EPOCH,
        )
    };
    assert_eq!(row(Include::None)["rows"][0].get("object"), None);
    assert_eq!(row(Include::Object)["rows"][0]["object"], object);
    let table = row(Include::Metadata);
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(table["columnDefinitions"], Value::Null);
    let carried = &table["rows"][0]["object"];
    assert_eq!(carried["kind"], "PartialObjectMetadata");
    assert_eq!(carried.get("data"), None);
}

#[test]
fn custom_kinds_without_columns_show_their_age() {
    let row = KindRow {
        group: "g.io".into(),
        kind: "K".into(),
        plural: "ks".into(),
        versions: vec![VersionRow { name: "v1".into(), ..Default::default() }],
        ..Default::default()
    };
    let resource = Resource::of(&row, true).remove(0);
    let object = json!({"metadata": {"name": "k", "creationTimestamp": "1970-01-01T00:00:00Z"}});
    let table = Tables::new(&resource, "v1", Include::None).render(
        [&object],
        &json!({}),
        true,
        Timestamp::from_second(90).unwrap(),
    );
    assert_eq!(table["columnDefinitions"][1]["name"], "Age");
    assert_eq!(table["rows"][0]["cells"], json!(["k", "90s"]));
}
