//! The storage group.

use serde_json::{Value, json};

use super::{inner, set};

pub fn apply(kind: &str, object: &mut Value) {
    match kind {
        "StorageClass" => {
            set(object, "reclaimPolicy", "Delete");
            set(object, "volumeBindingMode", "Immediate");
        }
        "CSIDriver" => {
            let Some(spec) = inner(object, &["spec"]) else { return };
            set(spec, "attachRequired", true);
            set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
            set(spec, "volumeLifecycleModes", json!(["Persistent"]));
            for flag in [
                "podInfoOnMount",
                "preventPodSchedulingIfMissing",
                "requiresRepublish",
                "seLinuxMount",
                "storageCapacity",
            ] {
                set(spec, flag, false);
            }
        }
        _ => {}
    }
}
