//! The graph's own data: nodes in one vector, names and values told once.
//!
//! Object types (`Body`) are shared by all nodes that refer to them, so what
//! differs from use to use (default, merge key) sits in the node.

use std::{borrow::Cow, collections::HashMap};

use regex::Regex;
use serde_json::Value;

use super::{Shape, Type};

pub(super) const NONE: u32 = u32::MAX;

/// A type graph. Nodes refer to each other by index, so recursive types are fine.
#[derive(Debug, Default)]
pub struct Schema {
    pub(super) nodes: Vec<Node>,
    pub(super) bodies: Vec<Body>,
    pub(super) fields: Vec<Field>,
    pub(super) texts: Vec<Cow<'static, str>>,
    pub(super) keys: Vec<Box<[Box<str>]>>,
    pub(super) values: Vec<Value>,
    pub(super) rules: Vec<Rules>,
    pub(super) root: u32,
}

/// What a scalar, or a value without a schema, is in detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    #[default]
    Plain,
    Int32,
    Int64,
    Double,
    /// Base64 in JSON.
    Bytes,
    /// RFC 3339 in seconds.
    Time,
    /// RFC 3339 in microseconds.
    MicroTime,
    Quantity,
    IntOrString,
    /// RawExtension: an object of any kind.
    Raw,
    FieldsV1,
    /// JSONSchemaProps' own unions.
    Json,
    SchemaOrArray,
    SchemaOrBool,
    SchemaOrStrings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flags(u16);

impl Flags {
    pub const ATOMIC: Self = Self(1);
    pub const PRESERVE: Self = Self(1 << 1);
    pub const EMBEDDED: Self = Self(1 << 2);
    pub const NULLABLE: Self = Self(1 << 3);
    pub const LIST_SET: Self = Self(1 << 4);
    pub const LIST_MAP: Self = Self(1 << 5);
    pub const LIST_ATOMIC: Self = Self(1 << 6);

    /// The flag of a word of `x-kubernetes-patch-strategy`.
    pub fn strategy(word: &str) -> Option<Self> {
        match word {
            "merge" => Some(Self(1 << 7)),
            "replace" => Some(Self(1 << 8)),
            "retainKeys" => Some(Self(1 << 9)),
            _ => None,
        }
    }

    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }
}

/// One place; indices are [`NONE`] where there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub shape: Shape,
    pub format: Format,
    pub flags: Flags,
    pub body: u32,
    pub item: u32,
    pub keys: u32,
    pub merge_key: u32,
    pub default: u32,
    pub rules: u32,
    /// The node of the built-in graph that this one stands for.
    pub link: u32,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            shape: Shape::Any,
            format: Format::Plain,
            flags: Flags::default(),
            body: NONE,
            item: NONE,
            keys: NONE,
            merge_key: NONE,
            default: NONE,
            rules: NONE,
            link: NONE,
        }
    }
}

/// An object's fields, `fields[from..to]` in order of name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub name: u32,
    pub from: u32,
    pub to: u32,
    pub atomic: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub name: u32,
    pub node: u32,
    /// Protobuf field numbers, 10 bits each, the innermost lowest: of `2.7`, `2 << 10 | 7`.
    pub path: u32,
    pub required: bool,
    /// Kubernetes leaves the field out when it is `""`, 0, false, or an empty list or map.
    pub omit_empty: bool,
}

/// Value validations of a custom kind.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<f64>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub pattern: Option<Regex>,
    pub format: Box<str>,
    pub one_of_values: Vec<Value>,
    pub required: Vec<Box<str>>,
    /// Nodes of `allOf`, `anyOf`, `oneOf` and `not`.
    pub all_of: Vec<u32>,
    pub any_of: Vec<u32>,
    pub one_of: Vec<u32>,
    pub not: Option<u32>,
}

impl Schema {
    /// The type of a custom kind's objects.
    pub fn root(&self) -> Type<'_> {
        Type::at(self, self.root)
    }

    pub(super) fn text(&self, text: u32) -> &str {
        &self.texts[text as usize]
    }

    pub(super) fn body(&self, body: u32) -> Option<&Body> {
        self.bodies.get(body as usize)
    }

    pub(super) fn fields_of(&self, body: u32) -> &[Field] {
        self.body(body).map_or(&[], |it| &self.fields[it.from as usize..it.to as usize])
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Node>() * self.nodes.capacity()
            + size_of::<Body>() * self.bodies.capacity()
            + size_of::<Field>() * self.fields.capacity()
            + size_of::<Cow<str>>() * self.texts.capacity()
            + size_of::<Value>() * self.values.capacity()
            + size_of::<Rules>() * self.rules.capacity()
    }
}

/// Builds a graph; equal nodes and texts are stored once.
#[derive(Default)]
pub(super) struct Builder {
    pub schema: Schema,
    texts: HashMap<Cow<'static, str>, u32>,
    nodes: HashMap<Node, u32>,
    keys: HashMap<Box<[Box<str>]>, u32>,
    values: HashMap<String, u32>,
}

pub(super) fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a schema has fewer than 2^32 parts: it came in one request")
}

impl Builder {
    pub fn text(&mut self, text: Cow<'static, str>) -> u32 {
        let Self { schema, texts, .. } = self;
        *texts.entry(text).or_insert_with_key(|text| {
            schema.texts.push(text.clone());
            index(schema.texts.len() - 1)
        })
    }

    pub fn node(&mut self, node: Node) -> u32 {
        let Self { schema, nodes, .. } = self;
        *nodes.entry(node).or_insert_with(|| {
            schema.nodes.push(node);
            index(schema.nodes.len() - 1)
        })
    }

    pub fn keys<'k>(&mut self, keys: impl Iterator<Item = &'k str>) -> u32 {
        let Self { schema, keys: known, .. } = self;
        *known.entry(keys.map(Into::into).collect()).or_insert_with_key(|keys| {
            schema.keys.push(keys.clone());
            index(schema.keys.len() - 1)
        })
    }

    pub fn value(&mut self, value: Value) -> u32 {
        let Self { schema, values, .. } = self;
        *values.entry(value.to_string()).or_insert_with(|| {
            schema.values.push(value);
            index(schema.values.len() - 1)
        })
    }

    pub fn rules(&mut self, rules: Rules) -> u32 {
        self.schema.rules.push(rules);
        index(self.schema.rules.len() - 1)
    }

    /// The fields need not be in order yet.
    pub fn body(&mut self, name: u32, mut fields: Vec<Field>, atomic: bool) -> u32 {
        let schema = &mut self.schema;
        fields.sort_by(|a, b| schema.texts[a.name as usize].cmp(&schema.texts[b.name as usize]));
        let from = index(schema.fields.len());
        schema.fields.extend(fields);
        let to = index(schema.fields.len());
        schema.bodies.push(Body { name, from, to, atomic });
        index(schema.bodies.len() - 1)
    }

    pub fn finish(self) -> Schema {
        let mut schema = self.schema;
        schema.nodes.shrink_to_fit();
        schema.bodies.shrink_to_fit();
        schema.fields.shrink_to_fit();
        schema.texts.shrink_to_fit();
        schema
    }
}
