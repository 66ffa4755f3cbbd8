//! What the table says of kinds that everybody knows, and what custom schemas come to.

use serde_json::json;

use super::*;

fn at<'a>(api_version: &str, kind: &str, path: &[&str]) -> Type<'a> {
    let root = builtin().kind(api_version, kind).expect("a built-in kind");
    path.iter().fold(root, |ty, step| match *step {
        "*" => ty.item().expect("an item"),
        field => ty.field(field).unwrap_or_else(|| panic!("{field} of {}", ty.name())),
    })
}

#[test]
fn a_deployment_is_known_down_to_its_ports() {
    let containers = at("apps/v1", "Deployment", &["spec", "template", "spec", "containers"]);
    assert_eq!(containers.shape(), Shape::List);
    assert_eq!(containers.list_kind(), ListKind::Map(&["name".into()]));
    assert_eq!(containers.patch_merge_key(), Some("name"));
    assert!(containers.has_patch_strategy("merge") && !containers.has_patch_strategy("replace"));
    let ports = containers.item().unwrap().field("ports").unwrap();
    assert_eq!(ports.list_kind(), ListKind::Map(&["containerPort".into(), "protocol".into()]));
    let protocol = ports.item().unwrap().field("protocol").unwrap();
    assert_eq!(protocol.default(), Some(&json!("TCP")));
    assert!(at("apps/v1", "Deployment", &["spec", "selector"]).is_atomic());
    assert!(!at("apps/v1", "Deployment", &["spec"]).is_atomic());
    assert!(at("apps/v1", "Deployment", &["spec", "strategy"]).has_patch_strategy("retainKeys"));
}

#[test]
fn scalars_are_known_in_detail() {
    let limits = at("v1", "Pod", &["spec", "containers", "*", "resources", "limits", "*"]);
    assert_eq!((limits.shape(), limits.format()), (Shape::String, Format::Quantity));
    let created = at("v1", "Pod", &["metadata", "creationTimestamp"]);
    assert_eq!(created.format(), Format::Time);
    assert_eq!(at("v1", "Secret", &["data", "*"]).format(), Format::Bytes);
    let port = at("v1", "Service", &["spec", "ports", "*", "targetPort"]);
    assert_eq!(port.shape(), Shape::IntOrString);
}

#[test]
fn resources_are_as_discovery_tells_them() {
    let find = |group, plural| {
        let mut all = builtin().resources().iter();
        all.find(|it| it.group == group && it.plural == plural).expect("a resource")
    };
    let deployments = find("apps", "deployments");
    assert_eq!(deployments.short_names, ["deploy"]);
    assert_eq!(deployments.categories, ["all"]);
    assert!(deployments.namespaced && deployments.verbs.contains(&"deletecollection"));
    let scale = deployments.subresources.iter().find(|it| it.name == "scale").unwrap();
    assert_eq!((scale.group, scale.version, scale.kind), ("autoscaling", "v1", "Scale"));
    assert_eq!(find("autoscaling", "horizontalpodautoscalers").storage_version, "v2");
    assert!(!find("", "namespaces").namespaced);
    assert_eq!(find("authorization.k8s.io", "subjectaccessreviews").verbs, ["create"]);
}

#[test]
fn every_resource_has_a_type_with_a_protobuf_number_for_each_field() {
    for row in builtin().resources() {
        let version = match row.group {
            "" => row.version.to_owned(),
            group => format!("{group}/{}", row.version),
        };
        let ty = builtin().kind(&version, row.kind).unwrap_or_else(|| panic!("{}", row.kind));
        let number = |name: &str| ty.fields().find(|it| it.name == name).map(|it| it.path);
        assert_eq!(number("kind"), Some(0));
        for field in ty.fields().filter(|it| !matches!(it.name, "kind" | "apiVersion")) {
            assert_ne!(field.path, 0, "{}.{}", row.kind, field.name);
        }
    }
    assert!(builtin().resources().len() > 60);
    assert!(builtin().schema().heap_bytes() < 512 * 1024);
}

#[test]
fn a_custom_kind_has_kubernetes_metadata_and_its_own_fields() {
    let schema = Schema::of_kind(&json!({"type": "object", "properties": {
        "metadata": {"type": "object"},
        "members": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object",
                "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "spec": {"type": "object", "properties": {"inner": {
            "type": "object", "x-kubernetes-embedded-resource": true,
            "x-kubernetes-preserve-unknown-fields": true}}},
    }}));
    let owners = schema.root().field("metadata").unwrap().field("ownerReferences").unwrap();
    assert_eq!(owners.patch_merge_key(), Some("uid"));
    let members = schema.root().field("members").unwrap();
    assert_eq!(members.list_kind(), ListKind::Map(&["name".into()]));
    let inner = schema.root().field("spec").unwrap().field("inner").unwrap();
    assert!(inner.is_embedded() && inner.preserves_unknown());
    assert!(inner.field("metadata").unwrap().field("name").is_some());
}

#[test]
fn a_kind_without_a_schema_keeps_what_it_is_given() {
    let schema = Schema::of_kind(&Value::Null);
    assert!(schema.root().preserves_unknown());
    assert!(schema.root().field("metadata").unwrap().field("labels").is_some());
    assert_eq!(schema.root().field("spec").map(Type::shape), None);
}

#[track_caller]
fn refuse(schema: &Value, field: &str, words: &str) {
    let causes = check_structural(schema, "s");
    let found = causes.iter().find(|it| it.field == field && it.message.contains(words));
    assert!(found.is_some(), "{causes:?}");
}

#[test]
fn a_schema_that_is_not_structural_is_refused_by_field() {
    let of = |inner: Value| json!({"type": "object", "properties": {"a": inner}});
    refuse(&json!({}), "s.type", "at the root");
    refuse(&json!({"type": "string"}), "s.type", "must be object at the root");
    refuse(&of(json!({})), "s.properties[a].type", "Required value");
    refuse(&of(json!({"type": "blob"})), "s.properties[a].type", "Unsupported value: \"blob\"");
    refuse(&of(json!({"type": "array"})), "s.properties[a].items", "must be specified");
    refuse(&of(json!({"type": "string", "pattern": "("})), "s.properties[a].pattern", "regular");
    refuse(
        &of(
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
        ),
        "s.properties[a].additionalProperties",
        "mutual exclusive",
    );
    refuse(
        &of(json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"})),
        "s.properties[a].x-kubernetes-list-map-keys",
        "must not be empty",
    );
    let fine = of(json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(check_structural(&fine, "s"), []);
}
