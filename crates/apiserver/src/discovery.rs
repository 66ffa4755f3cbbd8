//! What is served, told to clients: the plain documents and the aggregated ones.

use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    body::Body,
    encode,
    registry::{Registry, Resource, Verbs},
    status::Failure,
};

const ALL: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const ONE_BY_ONE: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];
const CHANGE: [&str; 3] = ["get", "patch", "update"];

/// A part of an object with its own path.
struct Subresource {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    /// Empty: that of the object.
    kind: &'static str,
    verbs: &'static [&'static str],
}

/// Answers `/api`, `/apis` and what is below, down to one group and version.
pub(crate) fn serve(
    registry: &Registry,
    path: &[&str],
    headers: &HeaderMap,
) -> Result<Response<Body>, Failure> {
    let aggregated = aggregated_version(headers);
    match (path, aggregated) {
        (["api"], Some(version)) => {
            Ok(tagged(&aggregate(registry, &[""], version), version, headers))
        }
        (["apis"], Some(version)) => {
            Ok(tagged(&aggregate(registry, &registry.groups(), version), version, headers))
        }
        (["api"], None) => Ok(plain(&json!({
            "kind": "APIVersions", "versions": registry.versions(""),
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        }))),
        (["apis"], None) => {
            let groups: Vec<Value> =
                registry.groups().into_iter().map(|it| group(registry, it)).collect();
            Ok(plain(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})))
        }
        (["apis", name], _) if !registry.versions(name).is_empty() => {
            let mut document = group(registry, name);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            Ok(plain(&document))
        }
        (["api", version], _) => resources(registry, "", version),
        (["apis", name, version], _) => resources(registry, name, version),
        _ => Err(Failure::no_such_resource()),
    }
}

/// Which version of the aggregated form the client prefers to the plain one.
fn aggregated_version(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    let first = accept.split(',').find(|it| it.trim_start().starts_with("application/"))?;
    let has = |part: &str| first.split(';').any(|it| it.trim() == part);
    if !has("g=apidiscovery.k8s.io") || !has("as=APIGroupDiscoveryList") {
        return None;
    }
    ["v2", "v2beta1"].into_iter().find(|it| has(&format!("v={it}")))
}

fn plain(document: &Value) -> Response<Body> {
    encode::value(200, document, false)
}

/// With an ETag, so that a client that has it already need not read it again.
fn tagged(document: &Value, version: &str, headers: &HeaderMap) -> Response<Body> {
    let bytes = serde_json::to_vec(document).expect("JSON always serialises into memory");
    let mut tag = String::from("\"");
    for byte in Sha256::digest(&bytes) {
        tag.push_str(&format!("{byte:02X}"));
    }
    tag.push('"');
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes());
    let media = match version {
        "v2beta1" => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    };
    let mut response = if known {
        encode::typed(304, media, Body::empty())
    } else {
        encode::typed(200, media, Body::whole(bytes))
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn group(registry: &Registry, name: &str) -> Value {
    let version = |it: &str| json!({"groupVersion": format!("{name}/{it}"), "version": it});
    let versions: Vec<Value> = registry.versions(name).into_iter().map(version).collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn of_version<'a>(
    registry: &'a Registry,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Resource> {
    let belongs = move |it: &&Resource| it.group == group && it.version == version;
    registry.iter().map(AsRef::as_ref).filter(belongs)
}

fn verbs(resource: &Resource) -> &'static [&'static str] {
    match resource.verbs {
        Verbs::All => &ALL,
        Verbs::NoCollection => &ONE_BY_ONE,
        Verbs::CreateOnly => &["create"],
    }
}

fn subresources(resource: &Resource) -> Vec<Subresource> {
    let mut found = Vec::new();
    let of = |name, group, version, kind, verbs| Subresource { name, group, version, kind, verbs };
    if resource.is("", "pods") {
        found.push(of("binding", "", "v1", "Binding", &["create"]));
        found.push(of("eviction", "policy", "v1", "Eviction", &["create"]));
    }
    if resource.is("", "namespaces") {
        found.push(of("finalize", "", "", "", &["update"]));
    }
    if resource.scale.is_some() {
        found.push(of("scale", "autoscaling", "v1", "Scale", &CHANGE));
    }
    if resource.status {
        found.push(of("status", "", "", "", &CHANGE));
    }
    found
}

fn resources(registry: &Registry, group: &str, version: &str) -> Result<Response<Body>, Failure> {
    let mut listed = Vec::new();
    for resource in of_version(registry, group, version) {
        let mut row = json!({
            "name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.is_namespaced(), "kind": resource.kind,
            "verbs": verbs(resource),
        });
        name_shortly(&mut row, resource);
        listed.push(row);
        for part in subresources(resource) {
            let kind = if part.kind.is_empty() { resource.kind.as_str() } else { part.kind };
            let mut row = json!({
                "name": format!("{}/{}", resource.plural, part.name), "singularName": "",
                "namespaced": resource.is_namespaced(), "kind": kind, "verbs": part.verbs,
            });
            if !part.version.is_empty() {
                row["group"] = part.group.into();
                row["version"] = part.version.into();
            }
            listed.push(row);
        }
    }
    if listed.is_empty() {
        return Err(Failure::no_such_resource());
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(plain(&json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed,
    })))
}

fn name_shortly(row: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        row["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        row["categories"] = resource.categories.clone().into();
    }
}

fn aggregate(registry: &Registry, groups: &[&str], version: &str) -> Value {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let versions: Vec<Value> = registry
                .versions(group)
                .into_iter()
                .map(|version| {
                    let rows: Vec<Value> =
                        of_version(registry, group, version).map(aggregated_row).collect();
                    json!({"version": version, "resources": rows, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group}, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    })
}

fn aggregated_row(resource: &Resource) -> Value {
    let own = json!({
        "group": resource.group, "version": resource.version, "kind": resource.kind,
    });
    let parts: Vec<Value> = subresources(resource)
        .into_iter()
        .map(|it| {
            let kind = match it.kind {
                "" => own.clone(),
                kind => json!({"group": it.group, "version": it.version, "kind": kind}),
            };
            json!({"subresource": it.name, "responseKind": kind, "verbs": it.verbs})
        })
        .collect();
    let mut row = json!({
        "resource": resource.plural, "responseKind": own,
        "scope": if resource.is_namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(resource),
    });
    name_shortly(&mut row, resource);
    if !parts.is_empty() {
        row["subresources"] = parts.into();
    }
    row
}
