//! Schema of `OverridePolicy` and `ClusterOverridePolicy`.

use super::resource_selectors;
use crate::fleet::affinity_schema;
use crate::schema::{Schema, any_value, list, map, object, one_of, text};

pub(super) fn spec() -> (&'static str, Schema) {
    let rule = [
        ("targetCluster", affinity_schema("On which clusters. Without: all.")),
        ("overriders", overriders()),
    ];
    let spec = object(
        "What differs from cluster to cluster.",
        [
            ("resourceSelectors", resource_selectors("Templates it is about. Without: all.")),
            (
                "overrideRules",
                list("Rules, in order.", object("A rule.", rule).required(&["overriders"])),
            ),
            ("targetCluster", affinity_schema("Deprecated: use overrideRules.")),
            ("overriders", overriders()),
        ],
    );
    (
        "Stored, and nothing acts on it yet. \
         Changes templates on their way to particular clusters.",
        spec,
    )
}

fn overriders() -> Schema {
    object(
        "The changes, made in this order: image, command, args, labels, annotations, field, plaintext.",
        [
            ("imageOverrider", list("Changes of images.", image())),
            ("commandOverrider", list("Changes of commands.", words("command"))),
            ("argsOverrider", list("Changes of arguments.", words("args"))),
            ("labelsOverrider", list("Changes of labels.", pairs())),
            ("annotationsOverrider", list("Changes of annotations.", pairs())),
            ("fieldOverrider", list("Changes inside text that is JSON or YAML.", field())),
            ("plaintext", list("Changes by path.", operation("path"))),
        ],
    )
}

fn operator() -> Schema {
    one_of("What to do.", &["add", "remove", "replace"])
}

fn image() -> Schema {
    let predicate = [("path", text("Path of the image field."))];
    object(
        "A change of an image.",
        [
            (
                "predicate",
                object("Which image. Without: all of the pod template.", predicate)
                    .required(&["path"]),
            ),
            ("component", one_of("Part of the image.", &["Registry", "Repository", "Tag"])),
            ("operator", operator()),
            ("value", text("New value.")),
        ],
    )
    .required(&["component", "operator"])
}

fn words(what: &str) -> Schema {
    object(
        "A change of a container's words.",
        [
            ("containerName", text("The container.")),
            ("operator", one_of("What to do.", &["add", "remove"])),
            ("value", list(&format!("Words of {what}."), text("Word."))),
        ],
    )
    .required(&["containerName", "operator"])
}

fn pairs() -> Schema {
    object(
        "A change of keys and values.",
        [("operator", operator()), ("value", map("Keys and values.", text("Value.")))],
    )
    .required(&["operator"])
}

fn operation(path: &str) -> Schema {
    object(
        "An operation, as of a JSON patch.",
        [
            (path, text("Where, as a JSON pointer.")),
            ("operator", operator()),
            ("value", any_value("New value.")),
        ],
    )
    .required(&["operator", path])
}

fn field() -> Schema {
    object(
        "Changes inside one field that holds text.",
        [
            ("fieldPath", text("The field, as a JSON pointer.")),
            ("json", list("Changes of JSON text.", operation("subPath"))),
            ("yaml", list("Changes of YAML text.", operation("subPath"))),
        ],
    )
    .required(&["fieldPath"])
}
