//! What is known about the shape of objects: one compact type graph for the
//! built-in kinds, and one for each custom kind.
//!
//! Reading order: this file is the interface that patches, field sets, defaults,
//! validation, pruning and OpenAPI share; `graph` is what it reads. `builtin`
//! and `structural` build graphs, from the generated table and from OpenAPI v3;
//! `defaults`, `prune` and `validate` walk them beside an object.

mod builtin;
pub mod builtin_defaults;
pub mod defaults;
mod graph;
pub mod intake;
mod path;
pub mod prune;
pub mod settle;
mod structural;
pub mod validate;

use serde_json::Value;

use self::graph::{Field, Flags, NONE, Node};
pub use self::{
    builtin::{Builtin, ResourceRow, Subresource, builtin},
    graph::{Format, Schema},
};
pub(crate) use self::{graph::Rules, structural::check as check_structural};

/// One place in a schema.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    schema: &'a Schema,
    node: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Nothing is known; anything goes (`x-kubernetes-preserve-unknown-fields`, RawExtension).
    #[default]
    Any,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    /// Named fields.
    Object,
    /// Free keys, all values of one type ([`Type::item`]).
    Map,
    /// Elements of one type ([`Type::item`]).
    List,
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind<'a> {
    Atomic,
    Set,
    Map(&'a [Box<str>]),
}

impl<'a> Type<'a> {
    fn at(schema: &'a Schema, node: u32) -> Self {
        match schema.nodes[node as usize].link {
            NONE => Self { schema, node },
            link => Type { schema: builtin().schema(), node: link },
        }
    }

    fn node(self) -> &'a Node {
        &self.schema.nodes[self.node as usize]
    }

    pub fn shape(self) -> Shape {
        self.node().shape
    }

    /// What a scalar is in detail.
    pub fn format(self) -> Format {
        self.node().format
    }

    /// The type of a named field of an object.
    pub fn field(self, name: &str) -> Option<Type<'a>> {
        let fields = self.own_fields();
        let at = fields.binary_search_by(|it| self.schema.text(it.name).cmp(name)).ok()?;
        Some(Self::at(self.schema, fields[at].node))
    }

    /// A named field with all that the object says of it.
    pub fn named_field(self, name: &str) -> Option<NamedField<'a>> {
        let fields = self.own_fields();
        let at = fields.binary_search_by(|it| self.schema.text(it.name).cmp(name)).ok()?;
        Some(self.named(&fields[at]))
    }

    fn named(self, field: &'a Field) -> NamedField<'a> {
        NamedField {
            name: self.schema.text(field.name),
            ty: Self::at(self.schema, field.node),
            required: field.required,
            omit_empty: field.omit_empty,
            path: field.path,
        }
    }

    /// The named fields of an object, in order of name.
    pub fn fields(self) -> impl Iterator<Item = NamedField<'a>> {
        self.own_fields().iter().map(move |it| self.named(it))
    }

    fn own_fields(self) -> &'a [Field] {
        self.schema.fields_of(self.node().body)
    }

    /// The type of a map's values or a list's elements.
    pub fn item(self) -> Option<Type<'a>> {
        match self.node().item {
            NONE => None,
            item => Some(Self::at(self.schema, item)),
        }
    }

    /// The name of an object's type, such as `io.k8s.api.core.v1.Pod`; empty in custom kinds.
    pub fn name(self) -> &'a str {
        self.schema.body(self.node().body).map_or("", |it| self.schema.text(it.name))
    }

    /// The last word of [`Type::name`].
    pub fn short_name(self) -> &'a str {
        self.name().rsplit('.').next().unwrap_or_default()
    }

    /// The object, map or list is owned and replaced as a whole.
    pub fn is_atomic(self) -> bool {
        let node = self.node();
        let body = self.schema.body(node.body);
        node.flags.has(Flags::ATOMIC) || body.is_some_and(|it| it.atomic)
    }

    /// How elements of a list are told apart.
    pub fn list_kind(self) -> ListKind<'a> {
        let node = self.node();
        if node.flags.has(Flags::LIST_MAP) {
            ListKind::Map(&self.schema.keys[node.keys as usize])
        } else if node.flags.has(Flags::LIST_SET) {
            ListKind::Set
        } else {
            ListKind::Atomic
        }
    }

    /// The schema says `x-kubernetes-list-type`, be it `atomic`.
    pub(crate) fn has_list_type(self) -> bool {
        self.node().flags.has(Flags::LIST_ATOMIC) || self.list_kind() != ListKind::Atomic
    }

    /// `x-kubernetes-patch-merge-key`, of a list in a strategic merge patch.
    pub fn patch_merge_key(self) -> Option<&'a str> {
        match self.node().merge_key {
            NONE => None,
            key => Some(self.schema.text(key)),
        }
    }

    /// `x-kubernetes-patch-strategy` contains this word (`merge`, `replace`, `retainKeys`).
    pub fn has_patch_strategy(self, strategy: &str) -> bool {
        Flags::strategy(strategy).is_some_and(|flag| self.node().flags.has(flag))
    }

    /// Fields that the schema does not name are kept, not pruned.
    pub fn preserves_unknown(self) -> bool {
        self.node().flags.has(Flags::PRESERVE)
    }

    /// `x-kubernetes-embedded-resource`: has apiVersion, kind and metadata.
    pub fn is_embedded(self) -> bool {
        self.node().flags.has(Flags::EMBEDDED)
    }

    /// Null is a value here, not absence.
    pub fn is_nullable(self) -> bool {
        self.node().flags.has(Flags::NULLABLE)
    }

    pub fn default(self) -> Option<&'a Value> {
        match self.node().default {
            NONE => None,
            default => Some(&self.schema.values[default as usize]),
        }
    }

    /// What values must fulfil beside having the right type; custom kinds only.
    pub(crate) fn rules(self) -> Option<&'a Rules> {
        match self.node().rules {
            NONE => None,
            rules => Some(&self.schema.rules[rules as usize]),
        }
    }

    /// A node that rules of this schema name (`anyOf` and the like).
    pub(crate) fn branch(self, node: u32) -> Type<'a> {
        Self::at(self.schema, node)
    }
}

/// A field as its object names it.
#[derive(Clone, Copy, Debug)]
pub struct NamedField<'a> {
    pub name: &'a str,
    pub ty: Type<'a>,
    pub required: bool,
    /// Kubernetes leaves the field out when it is empty.
    pub omit_empty: bool,
    /// Protobuf field numbers, those of inlining messages in higher bits; see [`graph::Field`].
    pub(crate) path: u32,
}

#[cfg(test)]
mod custom_tests;
#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod tests;
