//! What kubectl looks up in the documents, and how they are kept.

use http_body_util::BodyExt;

use super::*;

fn deployments() -> Kind<'static> {
    Kind {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        namespaced: true,
        create_only: false,
        no_collection: false,
        status: true,
        scale: true,
        schema: None,
    }
}

fn widgets(schema: &Value) -> Kind<'_> {
    Kind {
        group: "x.io",
        kind: "Widget",
        plural: "widgets",
        scale: false,
        schema: Some(schema),
        ..deployments()
    }
}

fn get(api: &OpenApi, kinds: &[Kind], path: &[&str]) -> Value {
    let response = api.serve(kinds, path, &HeaderMap::new()).unwrap();
    let body = futures::executor::block_on(response.into_body().collect()).unwrap();
    serde_json::from_slice(&body.to_bytes()).unwrap()
}

/// Every reference of a document leads somewhere in it.
fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            map.values().for_each(|it| check_references(document, it));
        }
        Value::Array(list) => list.iter().for_each(|it| check_references(document, it)),
        _ => {}
    }
}

#[test]
fn the_index_names_documents_by_hash() {
    let schema = json!({"type": "object"});
    let (api, kinds) = (OpenApi::default(), [deployments(), widgets(&schema)]);
    let index = get(&api, &kinds, &["v3"]);
    let urls: Vec<&str> = ["apis/apps/v1", "apis/x.io/v1"]
        .into_iter()
        .map(|it| index["paths"][it]["serverRelativeURL"].as_str().unwrap())
        .collect();
    assert!(urls[0].starts_with("/openapi/v3/apis/apps/v1?hash="), "{urls:?}");
    let stricter = json!({"type": "object", "description": "more"});
    let other = get(&api, &[deployments(), widgets(&stricter)], &["v3"]);
    assert_eq!(other["paths"]["apis/apps/v1"]["serverRelativeURL"], urls[0]);
    assert_ne!(other["paths"]["apis/x.io/v1"]["serverRelativeURL"], urls[1]);
}

#[test]
fn built_in_kinds_are_described_with_merge_keys() {
    let document = get(&OpenApi::default(), &[deployments()], &["v3", "apis", "apps", "v1"]);
    check_references(&document, &document);
    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
    assert_eq!(strategy["x-kubernetes-patch-strategy"], "retainKeys");
    assert_eq!(
        strategy["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy"
    );
}

#[test]
fn patch_tells_that_it_can_be_tried_and_validated() {
    let document = get(&OpenApi::default(), &[deployments()], &["v3", "apis", "apps", "v1"]);
    let one = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let patch = &document["paths"][one]["patch"];
    let names: Vec<&Value> =
        patch["parameters"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    assert!(document["paths"][format!("{one}/scale")].is_object());
    assert!(document["paths"]["/apis/apps/v1/deployments"]["get"].is_object());
}

#[test]
fn custom_kinds_keep_their_prose() {
    let schema = json!({"type": "object", "description": "A widget.", "properties": {
        "spec": {"type": "object", "description": "What is wanted."}}});
    let document = get(&OpenApi::default(), &[widgets(&schema)], &["v3", "apis", "x.io", "v1"]);
    check_references(&document, &document);
    let widget = &document["components"]["schemas"]["io.x.v1.Widget"];
    assert_eq!(widget["description"], "A widget.");
    assert_eq!(widget["properties"]["spec"]["description"], "What is wanted.");
    assert!(widget["properties"]["metadata"]["allOf"].is_array());
    let patch = &document["paths"]["/apis/x.io/v1/namespaces/{namespace}/widgets/{name}"]["patch"];
    let types = patch["requestBody"]["content"].as_object().unwrap();
    assert!(!types.contains_key("application/strategic-merge-patch+json"));
}

#[test]
fn a_client_that_has_the_document_is_told_so() {
    let (api, kinds) = (OpenApi::default(), [deployments()]);
    let path = ["v3", "apis", "apps", "v1"];
    let first = api.serve(&kinds, &path, &HeaderMap::new()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
    assert_eq!(api.serve(&kinds, &path, &headers).unwrap().status(), 304);
}

#[test]
fn what_is_not_there_or_not_json_is_refused() {
    let api = OpenApi::default();
    let refuse = |path: &[&str], accept: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        api.serve(&[deployments()], path, &headers).err().map_or(200, |it| it.code)
    };
    let protobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    assert_eq!(refuse(&["v3"], protobuf), 406);
    assert_eq!(refuse(&["v3"], "application/json"), 200);
    assert_eq!(refuse(&["v2"], "*/*"), 404);
    assert_eq!(refuse(&["v2"], V2), 200);
    assert_eq!(refuse(&["v3", "apis", "nothing", "v1"], "*/*"), 404);
}

#[test]
fn every_built_in_kind_can_be_described() {
    let rows = crate::schema::builtin().resources();
    let kinds: Vec<Kind> = rows
        .iter()
        .map(|it| Kind {
            group: it.group,
            version: it.version,
            kind: it.kind,
            plural: it.plural,
            namespaced: it.namespaced,
            create_only: it.verbs == ["create"],
            no_collection: false,
            status: it.subresources.iter().any(|it| it.name == "status"),
            scale: it.subresources.iter().any(|it| it.name == "scale"),
            schema: None,
        })
        .collect();
    let api = OpenApi::default();
    let index = get(&api, &kinds, &["v3"]);
    for place in index["paths"].as_object().unwrap().keys() {
        let path: Vec<&str> = std::iter::once("v3").chain(place.split('/')).collect();
        let document = get(&api, &kinds, &path);
        check_references(&document, &document);
    }
}
