//! Paths that are no resources: health, version, metrics, discovery, OpenAPI.

use http::{Response, request::Parts};
use serde_json::json;

use crate::{
    body::Body,
    discovery,
    encode::{typed, value},
    openapi::Kind,
    registry::{Resource, Verbs},
    request::RequestInfo,
    server::State,
    status::Failure,
};

pub(crate) fn serve(
    state: &State,
    parts: &Parts,
    info: &RequestInfo,
) -> Result<Response<Body>, Failure> {
    if info.verb != "get" && info.verb != "head" {
        return Err(Failure::method_not_allowed());
    }
    let path: Vec<&str> = info.path.split('/').filter(|it| !it.is_empty()).collect();
    match path.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok(health(parts, path[0])),
        ["version"] => Ok(value(200, &version(&state.config.git_version), true)),
        ["metrics"] => {
            let text = state.metrics.text(state.store.revision());
            Ok(typed(200, "text/plain; version=0.0.4", Body::whole(text)))
        }
        ["api" | "apis", ..] => discovery::serve(&state.registry(), &path, &parts.headers),
        ["openapi", below @ ..] => openapi(state, below, parts),
        [] => Ok(value(200, &json!({"paths": paths(state)}), true)),
        _ => Err(Failure::no_such_resource()),
    }
}

fn openapi(state: &State, path: &[&str], parts: &Parts) -> Result<Response<Body>, Failure> {
    let registry = state.registry();
    let kinds: Vec<Kind> = registry.iter().map(|it| described(it)).collect();
    state.openapi.serve(&kinds, path, &parts.headers)
}

fn described(resource: &Resource) -> Kind<'_> {
    Kind {
        group: &resource.group,
        version: &resource.version,
        kind: &resource.kind,
        plural: &resource.plural,
        namespaced: resource.is_namespaced(),
        create_only: resource.verbs == Verbs::CreateOnly,
        no_collection: resource.verbs == Verbs::NoCollection,
        status: resource.status,
        scale: resource.scale.is_some(),
        schema: resource.custom.then_some(&resource.open_api),
    }
}

/// A server that answers at all has its store open and its kinds loaded.
fn health(parts: &Parts, which: &str) -> Response<Body> {
    let verbose = crate::options::pairs(parts.uri.query().unwrap_or_default())
        .any(|(key, _)| key == "verbose");
    let text = if verbose {
        format!("[+]ping ok\n[+]store ok\n[+]kinds ok\n{which} check passed\n")
    } else {
        "ok".into()
    };
    typed(200, "text/plain; charset=utf-8", Body::whole(text))
}

fn version(git_version: &str) -> serde_json::Value {
    let mut numbers = git_version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
    json!({
        "major": major, "minor": minor, "gitVersion": git_version, "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "", "platform": "linux/amd64",
    })
}

fn paths(state: &State) -> Vec<String> {
    let registry = state.registry();
    let mut paths = vec!["/api".to_owned(), "/api/v1".into(), "/apis".into()];
    for group in registry.groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(registry.versions(group).iter().map(|it| format!("/apis/{group}/{it}")));
    }
    let others = ["/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/version"];
    paths.extend(others.map(str::to_owned));
    paths
}
