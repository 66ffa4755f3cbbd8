//! Where we are in an object, as a list on the stack that costs nothing until it is told.

use std::fmt;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    /// A key of a free map.
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    pub fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// As Go's decoder tells it: named fields only.
    pub fn fields_only(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(Path::Root, name) => (*name).to_owned(),
            Self::Field(parent, name) => format!("{}.{name}", parent.fields_only()),
            Self::Index(parent, _) | Self::Key(parent, _) => parent.fields_only(),
        }
    }

    /// As OpenAPI's validation tells it: keys of maps are fields.
    pub fn dotted(&self) -> String {
        match self {
            Self::Key(Path::Root, key) => (*key).to_owned(),
            Self::Key(parent, key) | Self::Field(parent, key) if !matches!(parent, Path::Root) => {
                format!("{}.{key}", parent.dotted())
            }
            Self::Index(parent, index) => format!("{}[{index}]", parent.dotted()),
            _ => self.to_string(),
        }
    }
}

/// `spec.containers[0].resources.limits[cpu]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}
