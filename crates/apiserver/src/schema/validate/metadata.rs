//! Labels, annotations and owners of any object.

use serde_json::Value;

use super::{
    causes::{Causes, entries, list, text},
    labels,
};
use crate::{names, schema::path::Path};

/// Of one object's annotations, keys and values together.
const LARGEST: usize = 256 * 1024;

pub fn validate(meta: &Value, path: &Path, causes: &mut Causes) {
    labels::labels(meta, "labels", &path.field("labels"), causes);
    annotations(meta, &path.field("annotations"), causes);
    owners(meta, &path.field("ownerReferences"), causes);
}

/// `path` is that of the annotations.
pub fn annotations(meta: &Value, path: &Path, causes: &mut Causes) {
    let mut size = 0;
    for (key, value) in entries(meta, "annotations") {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Some(why) = names::label_key(&key.to_lowercase()) {
            causes.invalid(path, &key.into(), why);
        }
    }
    if LARGEST < size {
        causes.too_long(path, LARGEST);
    }
}

fn owners(meta: &Value, path: &Path, causes: &mut Causes) {
    let mut controller: Option<String> = None;
    let all = list(meta, "ownerReferences");
    for (index, owner) in all.iter().enumerate() {
        self::owner(owner, &path.index(index), causes);
        if owner["controller"] != true {
            continue;
        }
        let this = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
        match &controller {
            None => controller = Some(this),
            Some(first) => {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in \
                     references for {first} and {this}"
                );
                causes.invalid(path, &all.into(), why);
            }
        }
    }
}

fn owner(owner: &Value, path: &Path, causes: &mut Causes) {
    let version = text(owner, "apiVersion");
    for field in ["apiVersion", "kind", "name", "uid"] {
        if text(owner, field).is_empty() {
            causes.required(&path.field(field), "must not be empty");
        }
    }
    if 1 < version.matches('/').count() || version.ends_with('/') {
        let why = "must be <group>/<version> or <version>";
        causes.invalid(&path.field("apiVersion"), &version.into(), why);
    }
    if version == "v1" && text(owner, "kind") == "Event" {
        let why = "/v1, Kind=Event is disallowed from being an owner";
        causes.invalid(path, owner, why);
    }
}
