//! Kubernetes' own kinds, from the table that `cargo xtask schemas` writes.
//!
//! The format is told in xtask/src/schemas/write.rs. The table is part of the
//! program, so a line that cannot be read is a defect found by the tests; such a
//! line is passed over.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use serde_json::Value;

use super::{
    Format, Schema, Shape, Type,
    graph::{Builder, Field, Flags, NONE, Node, index},
};

const TABLE: &str = include_str!("table.txt");

/// All built-in kinds.
#[derive(Debug)]
pub struct Builtin {
    schema: Schema,
    resources: Vec<ResourceRow>,
    /// By name without `io.k8s.`; the index is that of node and body both.
    messages: HashMap<&'static str, u32>,
    /// By apiVersion and kind.
    kinds: HashMap<(&'static str, &'static str), u32>,
}

/// A built-in kind in one version, as discovery tells it.
#[derive(Clone, Debug)]
pub struct ResourceRow {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub list_kind: String,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: Vec<&'static str>,
    pub categories: Vec<&'static str>,
    pub namespaced: bool,
    /// The group's preferred version of the kind, which is the one stored.
    pub storage_version: &'static str,
    pub verbs: Vec<&'static str>,
    pub subresources: Vec<Subresource>,
}

#[derive(Clone, Debug)]
pub struct Subresource {
    pub name: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub verbs: Vec<&'static str>,
}

/// The built-in kinds; read from the table on first use.
pub fn builtin() -> &'static Builtin {
    static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| Builtin::parse(TABLE));
    &BUILTIN
}

impl Builtin {
    /// In the table's order: by group as discovery has them, preferred versions first.
    pub fn resources(&self) -> &[ResourceRow] {
        &self.resources
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The type of a kind's objects; also of kinds that are no resource, such as `DeleteOptions`.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<Type<'_>> {
        let node = self.kinds.get(&(api_version, kind)).copied();
        let node = node.or_else(|| self.options(kind));
        Some(Type::at(&self.schema, node?))
    }

    /// Kinds of meta/v1 are sent with the apiVersion of any group.
    fn options(&self, kind: &str) -> Option<u32> {
        let name = match kind {
            "DeleteOptions" => "apimachinery.pkg.apis.meta.v1.DeleteOptions",
            "Status" => "apimachinery.pkg.apis.meta.v1.Status",
            _ => return None,
        };
        self.messages.get(name).copied()
    }

    /// The type of a message, named as in OpenAPI without `io.k8s.`.
    pub fn message(&self, name: &str) -> Option<Type<'_>> {
        Some(Type::at(&self.schema, *self.messages.get(name)?))
    }

    pub(super) fn object_meta(&self) -> u32 {
        self.messages.get("apimachinery.pkg.apis.meta.v1.ObjectMeta").copied().unwrap_or(NONE)
    }

    fn parse(table: &'static str) -> Self {
        let mut reader = Reader::default();
        // Messages first, so that fields can refer to any of them.
        for line in table.lines() {
            if let Some(line) = line.strip_prefix("M ") {
                reader.declare(line);
            }
        }
        let mut fields = Vec::new();
        let mut open = None;
        for line in table.lines() {
            if let Some(line) = line.strip_prefix(' ') {
                fields.extend(reader.field(line));
                continue;
            }
            reader.close(open.take(), &mut fields);
            if let Some(line) = line.strip_prefix("M ") {
                open = Some(line);
            } else if let Some(line) = line.strip_prefix("R ") {
                reader.resources.extend(resource(line));
            }
        }
        reader.close(open, &mut fields);
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    resources: Vec<ResourceRow>,
    messages: HashMap<&'static str, u32>,
    kinds: HashMap<(&'static str, &'static str), u32>,
    /// Fields by body, put in order when all are known.
    closed: u32,
}

impl Reader {
    fn declare(&mut self, line: &'static str) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let body = index(self.messages.len());
        let node = self.builder.node(Node { shape: Shape::Object, body, ..Node::default() });
        self.messages.insert(name, node);
        if let Some((api_version, kind)) = words.find_map(|it| it.rsplit_once('/')) {
            self.kinds.insert((api_version.trim_start_matches('/'), kind), node);
        }
    }

    /// Messages are closed in the order they were declared in, so bodies get the right index.
    fn close(&mut self, line: Option<&'static str>, fields: &mut Vec<Field>) {
        let Some(line) = line else { return };
        let name = line.split(' ').next().unwrap_or_default();
        let name = self.builder.text(format!("io.k8s.{name}").into());
        let atomic = line.split(' ').any(|it| it == "atomic");
        let body = self.builder.body(name, std::mem::take(fields), atomic);
        debug_assert_eq!(body, self.closed);
        self.closed += 1;
    }

    fn field(&mut self, line: &'static str) -> Option<Field> {
        let (line, default) = match line.split_once(" =") {
            Some((line, default)) => (line, Some(default)),
            None => (line, None),
        };
        let mut words = line.split(' ');
        let name = words.next()?;
        let path = words.next()?.split('.').try_fold(0, |path: u32, number| {
            Some(path << 10 | number.parse::<u32>().ok().filter(|it| *it < 1024)?)
        })?;
        let mut node = self.ty(words.next()?)?;
        for word in words {
            let (key, value) = word.split_once('=')?;
            self.attribute(&mut node, key, value);
        }
        if let Some(default) = default {
            let default: Value = serde_json::from_str(default).ok()?;
            node.default = self.builder.value(default);
        }
        let node = self.builder.node(node);
        let omit_empty = name.ends_with('~');
        let name = name.trim_end_matches('~');
        let required = name.ends_with('!');
        let name = self.builder.text(Cow::Borrowed(name.trim_end_matches('!')));
        Some(Field { name, node, path, required, omit_empty })
    }

    fn ty(&mut self, word: &'static str) -> Option<Node> {
        if let Some(name) = word.strip_prefix('@') {
            let node = *self.messages.get(name)?;
            return self.builder.schema.nodes.get(node as usize).copied();
        }
        let listed = word.strip_prefix('[').map(|it| (Shape::List, it));
        if let Some((shape, item)) = listed.or(word.strip_prefix('{').map(|it| (Shape::Map, it))) {
            let item = self.ty(item)?;
            let item = self.builder.node(item);
            return Some(Node { shape, item, ..Node::default() });
        }
        let (shape, format) = scalar(word)?;
        let mut node = Node { shape, format, ..Node::default() };
        if shape == Shape::Any {
            node.flags.set(Flags::PRESERVE);
        }
        Some(node)
    }

    fn attribute(&mut self, node: &mut Node, key: &str, value: &'static str) {
        match (key, value) {
            ("lt", "set") => node.flags.set(Flags::LIST_SET),
            ("lt", "map") => node.flags.set(Flags::LIST_MAP),
            ("lt", "atomic") => node.flags.set(Flags::LIST_ATOMIC),
            ("mt", "atomic") => node.flags.set(Flags::ATOMIC),
            ("lk", keys) => node.keys = self.builder.keys(keys.split(',')),
            ("pk", key) => node.merge_key = self.builder.text(Cow::Borrowed(key)),
            ("ps", words) => {
                words.split(',').filter_map(Flags::strategy).for_each(|it| node.flags.set(it));
            }
            _ => {}
        }
    }

    fn finish(self) -> Builtin {
        let Self { builder, mut resources, messages, kinds, .. } = self;
        let mut preferred = HashMap::new();
        for row in &mut resources {
            row.storage_version = preferred.entry((row.group, row.plural)).or_insert(row.version);
        }
        Builtin { schema: builder.finish(), resources, messages, kinds }
    }
}

fn scalar(word: &str) -> Option<(Shape, Format)> {
    Some(match word {
        "s" => (Shape::String, Format::Plain),
        "i32" => (Shape::Integer, Format::Int32),
        "i64" => (Shape::Integer, Format::Int64),
        "f64" => (Shape::Number, Format::Double),
        "b" => (Shape::Boolean, Format::Plain),
        "bytes" => (Shape::String, Format::Bytes),
        "time" => (Shape::String, Format::Time),
        "micro" => (Shape::String, Format::MicroTime),
        "qty" => (Shape::String, Format::Quantity),
        "ios" => (Shape::IntOrString, Format::IntOrString),
        "raw" => (Shape::Any, Format::Raw),
        "fields" => (Shape::Any, Format::FieldsV1),
        "json" => (Shape::Any, Format::Json),
        "jarr" => (Shape::Any, Format::SchemaOrArray),
        "jbool" => (Shape::Any, Format::SchemaOrBool),
        "jstr" => (Shape::Any, Format::SchemaOrStrings),
        "any" => (Shape::Any, Format::Plain),
        _ => return None,
    })
}

fn resource(line: &'static str) -> Option<ResourceRow> {
    let words: Vec<&'static str> = line.split(' ').collect();
    let [group, version, kind, plural, singular, scope, shorts, categories, verbs, parts] =
        *<&[&str; 10]>::try_from(words.as_slice()).ok()?;
    let group = if group == "-" { "" } else { group };
    Some(ResourceRow {
        group,
        version,
        kind,
        list_kind: format!("{kind}List"),
        plural,
        singular,
        short_names: list(shorts),
        categories: list(categories),
        namespaced: scope == "N",
        storage_version: version,
        verbs: verbs_of(verbs),
        subresources: list(parts).into_iter().filter_map(subresource).collect(),
    })
}

fn list(words: &'static str) -> Vec<&'static str> {
    if words == "-" { Vec::new() } else { words.split(',').collect() }
}

fn subresource(text: &'static str) -> Option<Subresource> {
    let (name, rest) = text.split_once('=')?;
    let (kind, verbs) = rest.rsplit_once(':')?;
    let (group_version, kind) = kind.rsplit_once('/')?;
    let (group, version) = group_version.split_once('/')?;
    Some(Subresource { name, group, version, kind, verbs: verbs_of(verbs) })
}

fn verbs_of(letters: &str) -> Vec<&'static str> {
    let all = ["create", "delete", "get", "list", "patch", "update", "watch"];
    let verb = |letter: char| match letter {
        'D' => Some("deletecollection"),
        letter => all.into_iter().find(|it| it.starts_with(letter)),
    };
    letters.chars().filter_map(verb).collect()
}
