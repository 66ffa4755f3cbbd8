//! Small words to write structural schemas with. Every word takes the description first, since
//! `kubectl explain` shows it.

use serde_json::{Map, Value, json};

/// A schema under construction.
#[derive(Clone, Debug)]
pub(crate) struct Schema(Map<String, Value>);

fn of(kind: &str, about: &str) -> Schema {
    Schema(Map::new()).with("type", kind).with("description", about)
}

pub(crate) fn text(about: &str) -> Schema {
    of("string", about)
}

pub(crate) fn time(about: &str) -> Schema {
    text(about).with("format", "date-time")
}

/// A Go duration, as `1m30s`.
pub(crate) fn duration(about: &str) -> Schema {
    text(about).with("pattern", r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")
}

pub(crate) fn integer(about: &str) -> Schema {
    of("integer", about).with("format", "int64")
}

/// A whole number that is not negative.
pub(crate) fn count(about: &str) -> Schema {
    of("integer", about).with("format", "int32").with("minimum", 0)
}

pub(crate) fn boolean(about: &str) -> Schema {
    of("boolean", about)
}

pub(crate) fn one_of(about: &str, words: &[&str]) -> Schema {
    text(about).with("enum", words.to_vec())
}

/// A quantity, as `500m` or `16Gi`; a bare number is accepted.
pub(crate) fn quantity(about: &str) -> Schema {
    let mut schema = Schema(Map::new()).with("description", about);
    schema = schema.with("x-kubernetes-int-or-string", true);
    schema.with("anyOf", json!([{"type": "integer"}, {"type": "string"}]))
}

pub(crate) fn list(about: &str, item: Schema) -> Schema {
    of("array", about).with("items", item.build())
}

/// A list whose elements are told apart by a field, which each must have beside others it requires.
pub(crate) fn list_by(about: &str, key: &str, item: Schema) -> Schema {
    let item = if item.0.contains_key("required") { item } else { item.required(&[key]) };
    list(about, item)
        .with("x-kubernetes-list-type", "map")
        .with("x-kubernetes-list-map-keys", json!([key]))
}

pub(crate) fn map(about: &str, item: Schema) -> Schema {
    of("object", about).with("additionalProperties", item.build())
}

pub(crate) fn object<const N: usize>(about: &str, fields: [(&str, Schema); N]) -> Schema {
    of("object", about).fields(fields)
}

/// An object of any shape, kept as given.
pub(crate) fn anything(about: &str) -> Schema {
    of("object", about).with("x-kubernetes-preserve-unknown-fields", true)
}

/// Any JSON value, kept as given.
pub(crate) fn any_value(about: &str) -> Schema {
    Schema(Map::new()).with("description", about).with("x-kubernetes-preserve-unknown-fields", true)
}

impl Schema {
    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Adds fields to an object.
    pub fn fields<const N: usize>(mut self, fields: [(&str, Schema); N]) -> Self {
        let all = self.0.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(all) = all {
            all.extend(fields.into_iter().map(|(name, it)| (name.to_owned(), it.build())));
        }
        self
    }

    pub fn required(self, names: &[&str]) -> Self {
        self.with("required", names.to_vec())
    }

    pub fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }

    pub fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    pub fn range(self, least: i64, most: i64) -> Self {
        self.with("minimum", least).with("maximum", most)
    }

    pub fn at_least_one(self) -> Self {
        self.with("minItems", 1)
    }

    pub fn not_empty(self) -> Self {
        self.with("minLength", 1)
    }

    pub fn build(self) -> Value {
        Value::Object(self.0)
    }
}

/// The whole object of a kind: `apiVersion`, `kind`, `metadata` and what is given.
pub(crate) fn root<const N: usize>(about: &str, fields: [(&str, Schema); N]) -> Schema {
    object(about, fields).fields([
        ("apiVersion", text("Version of the schema that this object is written in.")),
        ("kind", text("The kind of this object.")),
        ("metadata", Schema(Map::new()).with("type", "object")),
    ])
}

pub(crate) fn conditions() -> Schema {
    list_by(
        "What is true of this object now, one entry per type.",
        "type",
        object(
            "One aspect of the object's state.",
            [
                ("type", text("Aspect, in CamelCase.")),
                ("status", one_of("Whether it holds.", &["True", "False", "Unknown"])),
                ("reason", text("One word, in CamelCase, for programs.")),
                ("message", text("A sentence for people.")),
                ("lastTransitionTime", time("When status last changed.")),
                ("observedGeneration", integer("Generation that this was said about.")),
            ],
        ),
    )
}

pub(crate) fn label_selector(about: &str) -> Schema {
    object(
        about,
        [
            (
                "matchLabels",
                map("Labels that must all be there with these values.", text("Value.")),
            ),
            (
                "matchExpressions",
                list(
                    "Requirements that must all hold.",
                    object(
                        "A requirement on one label.",
                        [
                            ("key", text("Label key.")),
                            (
                                "operator",
                                one_of("Operator.", &["In", "NotIn", "Exists", "DoesNotExist"]),
                            ),
                            ("values", list("Values for In and NotIn.", text("Value."))),
                        ],
                    )
                    .required(&["key", "operator"]),
                ),
            ),
        ],
    )
}

pub(crate) fn taints(about: &str) -> Schema {
    list(
        about,
        object(
            "Keeps away what does not tolerate it.",
            [
                ("key", text("Taint key.")),
                ("value", text("Taint value.")),
                (
                    "effect",
                    one_of(
                        "What happens to what does not tolerate it.",
                        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
                    ),
                ),
                ("timeAdded", time("When the taint was added.")),
            ],
        )
        .required(&["key", "effect"]),
    )
}

/// A reference to an object by name, in the same namespace.
pub(crate) fn local_reference(about: &str) -> Schema {
    object(about, [("name", text("Name of the object.").not_empty())]).required(&["name"])
}

/// A reference to a namespaced object.
pub(crate) fn reference(about: &str) -> Schema {
    object(
        about,
        [
            ("name", text("Name of the object.").not_empty()),
            ("namespace", text("Namespace of the object.")),
        ],
    )
    .required(&["name"])
}
