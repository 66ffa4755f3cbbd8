//! What is wrong with an input, and where: the only error of this crate's readers.

/// A part of an object or a string that could not be read. `field` is a path such as `spec.containers[0].resources`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Error {
    /// The part that is wrong.
    pub field: String,
    /// Why, in Kubernetes' words where it has some.
    pub reason: String,
}

impl Error {
    /// An error at `field`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// The same error one level further out: `requests.cpu` in `spec` is `spec.requests.cpu`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() {
            outer.to_owned()
        } else {
            format!("{outer}.{}", self.field)
        };
        self
    }
}
