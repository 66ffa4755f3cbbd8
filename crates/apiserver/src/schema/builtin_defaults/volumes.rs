//! Volumes of pods, and claims.

use serde_json::Value;

use super::{empty, has, inner, items, set, set_text};

/// `0644`.
const MODE: i64 = 420;

const SOURCES: [&str; 31] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
    "podCertificate",
];

/// Sources of a volume that are set.
pub fn sources(volume: &Value) -> Vec<&'static str> {
    SOURCES.into_iter().filter(|it| has(volume, it)).collect()
}

pub fn volume(volume: &mut Value) {
    if sources(volume).is_empty() {
        set(volume, "emptyDir", empty());
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(found) = inner(volume, &[source]) {
            set(found, "defaultMode", MODE);
        }
    }
    if let Some(downward) = inner(volume, &["downwardAPI"]) {
        field_versions(downward);
    }
    if let Some(projected) = inner(volume, &["projected"]) {
        for source in items(projected, "sources") {
            if let Some(downward) = inner(source, &["downwardAPI"]) {
                field_versions(downward);
            }
            if let Some(token) = inner(source, &["serviceAccountToken"]) {
                set(token, "expirationSeconds", 3600);
            }
        }
    }
    persistent(volume);
    if let Some(spec) = inner(volume, &["ephemeral", "volumeClaimTemplate", "spec"]) {
        set(spec, "volumeMode", "Filesystem");
    }
}

/// Sources that volumes of pods and persistent volumes share.
pub fn persistent(holder: &mut Value) {
    if let Some(path) = inner(holder, &["hostPath"]) {
        set(path, "type", "");
    }
    if let Some(iscsi) = inner(holder, &["iscsi"]) {
        set_text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = inner(holder, &["rbd"]) {
        set_text(rbd, "pool", "rbd");
        set_text(rbd, "user", "admin");
        set_text(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = inner(holder, &["azureDisk"]) {
        set(disk, "cachingMode", "ReadWrite");
        set(disk, "fsType", "ext4");
        set(disk, "readOnly", false);
        set(disk, "kind", "Shared");
    }
    if let Some(scale) = inner(holder, &["scaleIO"]) {
        set_text(scale, "storageMode", "ThinProvisioned");
        set_text(scale, "fsType", "xfs");
    }
}

fn field_versions(downward: &mut Value) {
    for item in items(downward, "items") {
        if let Some(field) = inner(item, &["fieldRef"]) {
            set_text(field, "apiVersion", "v1");
        }
        if let Some(field) = inner(item, &["resourceFieldRef"]) {
            set(field, "divisor", "0");
        }
    }
}

pub fn claim(claim: &mut Value) {
    if let Some(spec) = inner(claim, &["spec"]) {
        set(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = inner(claim, &["status"]) {
        set_text(status, "phase", "Pending");
    }
}
