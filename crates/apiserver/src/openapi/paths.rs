//! Operations: what clients look up is which kind a path is about, and which
//! options its PATCH takes (`dryRun`, `fieldValidation`).

use serde_json::{Map, Value, json};

use super::{Kind, schemas::reference};

const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// Adds the paths of a kind whose type is called `name`.
pub fn add(paths: &mut Map<String, Value>, kind: &Kind, name: &str) {
    let root = format!("/{}", kind.place());
    let plural = kind.plural;
    let all = if kind.namespaced {
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    let operation = |action: &str| operation(kind, name, action);
    if kind.create_only {
        paths.insert(all.clone(), path(&all, [("post", operation("post"))]));
        return;
    }
    if kind.namespaced {
        let place = format!("{root}/{plural}");
        paths.insert(place.clone(), path(&place, [("get", operation("list"))]));
    }
    let mut many = path(&all, [("get", operation("list")), ("post", operation("post"))]);
    if !kind.no_collection {
        many["delete"] = operation("deletecollection");
    }
    paths.insert(all.clone(), many);
    let one = format!("{all}/{{name}}");
    let change =
        || [("get", operation("get")), ("put", operation("put")), ("patch", operation("patch"))];
    let mut whole = path(&one, change());
    whole["delete"] = operation("delete");
    paths.insert(one.clone(), whole);
    if kind.status {
        let place = format!("{one}/status");
        paths.insert(place.clone(), path(&place, change()));
    }
    if kind.scale {
        let scale = Kind { group: "autoscaling", version: "v1", kind: "Scale", ..*kind };
        let operation = |action| self::operation(&scale, "", action);
        let change =
            [("get", operation("get")), ("put", operation("put")), ("patch", operation("patch"))];
        let place = format!("{one}/scale");
        paths.insert(place.clone(), path(&place, change));
    }
}

fn path<const N: usize>(place: &str, operations: [(&str, Value); N]) -> Value {
    let named = ["name", "namespace"].into_iter().filter(|it| place.contains(&format!("{{{it}}}")));
    let parameters: Vec<Value> = named
        .map(|it| json!({"name": it, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut path = Map::new();
    if !parameters.is_empty() {
        path.insert("parameters".into(), parameters.into());
    }
    path.extend(operations.map(|(method, it)| (method.to_owned(), it)));
    path.into()
}

fn operation(kind: &Kind, name: &str, action: &str) -> Value {
    let schema = if name.is_empty() { json!({"type": "object"}) } else { reference(name) };
    let mut operation = json!({
        "parameters": options(action),
        "responses": {"200": {"description": "OK", "content": {
            "application/json": {"schema": schema},
        }}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": kind.group, "version": kind.version, "kind": kind.kind,
        },
    });
    match action {
        "post" | "put" => {
            operation["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        "patch" => {
            let allowed =
                PATCHES.iter().filter(|it| kind.schema.is_none() || !it.contains("strategic"));
            let content: Map<String, Value> = allowed
                .map(|it| ((*it).to_owned(), json!({"schema": {"type": "object"}})))
                .collect();
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        _ => {}
    }
    operation
}

fn options(action: &str) -> Value {
    let names: &[(&str, &str)] = match action {
        "list" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "post" | "put" => {
            &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")]
        }
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        "delete" | "deletecollection" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("propagationPolicy", "string"),
        ],
        _ => &[],
    };
    let option = |(name, kind): &(&str, &str)| json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}});
    names.iter().map(option).collect()
}
