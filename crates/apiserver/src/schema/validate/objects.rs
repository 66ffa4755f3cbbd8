//! The core group.

use serde_json::Value;

use super::{
    causes::{Causes, entries, has, list, text},
    labels, pods, resources, services,
};
use crate::schema::path::Path;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Of a ConfigMap or a Secret, all values together.
const LARGEST: usize = 1024 * 1024;

pub fn validate(kind: &str, object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    let path = Path::Root.field("spec");
    match kind {
        "Pod" => {
            pods::spec(spec, &path, causes);
            causes.one_of(spec, &path, "restartPolicy", &["Always", "OnFailure", "Never"]);
        }
        "ReplicationController" => {
            causes.not_negative(spec, &path, "replicas");
            pods::template(&spec["template"], &path.field("template"), causes);
        }
        "Service" => services::validate(spec, &path, causes),
        "ConfigMap" => {
            keys(object, &["data", "binaryData"], causes);
        }
        "Secret" => secret(object, causes),
        "PersistentVolumeClaim" => claim(spec, &path, causes),
        "PersistentVolume" => volume(spec, &path, causes),
        "ResourceQuota" => resources::amounts(spec, "hard", &path, causes),
        _ => {}
    }
}

/// Keys become file names and variables.
fn keys(object: &Value, fields: &[&str], causes: &mut Causes) {
    let mut size = 0;
    for field in fields {
        let path = Path::Root.field(field);
        for (key, value) in entries(object, field) {
            size += value.as_str().map_or(0, str::len);
            let path = path.key(key);
            let allowed = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
            if key.is_empty() || !key.bytes().all(allowed) {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' \
                           or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used \
                           for validation is '[-._a-zA-Z0-9]+')";
                causes.invalid(&path, &key.into(), why);
            } else if key.len() > 253 {
                causes.invalid(&path, &key.into(), "must be no more than 253 characters");
            } else if matches!(key, "." | "..") {
                causes.invalid(&path, &key.into(), format!("must not be '{key}'"));
            }
        }
    }
    // Base64 of a Secret is longer than what it holds; the limit is on that.
    if size > LARGEST * 4 / 3 {
        let why = format!("may not be more than {LARGEST} bytes");
        causes.invalid(&Path::Root.field("data"), &"".into(), why);
    }
}

fn secret(object: &Value, causes: &mut Causes) {
    keys(object, &["data"], causes);
    let needed: &[&str] = match text(object, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth" => {
            let data = &object["data"];
            if !has(data, "username") && !has(data, "password") {
                let path = Path::Root.field("data");
                causes.required(&path.key("username"), "");
                causes.required(&path.key("password"), "");
            }
            &[]
        }
        _ => &[],
    };
    let path = Path::Root.field("data");
    for key in needed.iter().filter(|it| !has(&object["data"], it)) {
        causes.required(&path.key(key), "");
    }
}

fn claim(spec: &Value, path: &Path, causes: &mut Causes) {
    access_modes(spec, path, "at least 1 access mode is required", causes);
    let at = path.field("resources");
    let storage = &spec["resources"]["requests"]["storage"];
    if storage.is_null() {
        causes.required(&at.key("storage"), "");
    }
    resources::validate(&spec["resources"], &at, causes);
    labels::selector(&spec["selector"], &path.field("selector"), causes);
}

fn access_modes(spec: &Value, path: &Path, none: &str, causes: &mut Causes) {
    let at = path.field("accessModes");
    let modes = list(spec, "accessModes");
    if modes.is_empty() {
        causes.required(&at, none);
    }
    for mode in modes.iter().filter(|it| !MODES.contains(&it.as_str().unwrap_or_default())) {
        causes.unsupported(&at, mode, &MODES);
    }
}

fn volume(spec: &Value, path: &Path, causes: &mut Causes) {
    access_modes(spec, path, "", causes);
    if entries(spec, "capacity").next().is_none() {
        causes.required(&path.field("capacity"), "");
    }
    resources::amounts(spec, "capacity", path, causes);
    causes.one_of(spec, path, "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"]);
}
