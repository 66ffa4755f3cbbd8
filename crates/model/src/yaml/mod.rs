//! YAML as Kubernetes reads it, which is neither YAML 1.1 nor 1.2.
//!
//! kubectl and kustomize disagree on `on`, `yes` and `y`; both read `0644` as octal, merge `<<` keys, skip
//! empty documents and take JSON. [`documents`] follows either [`Reading`], [`objects`] looks at what was read
//! as Kubernetes objects, and [`to_string`] writes what both read back alike.
//!
//! Reading order: this file, `node` (numbers, duplicate keys), `objects`, `write`.

mod node;
mod objects;
#[cfg(test)]
mod tests;
mod write;

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, MessageFormatter, Options, Spanned, UserMessageFormatter};

use node::Node;
pub use objects::objects;
pub use write::to_string;

/// Whose reading of YAML to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reading {
    /// `yes`, `on`, `y` and the like are booleans, as for kubectl, helm and the API server.
    Kubectl,
    /// Only `true` and `false` are booleans, as for kustomize and Flux.
    Kustomize,
}

/// One document of a YAML stream that is not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it starts, from 1.
    pub line: usize,
    /// What it says. Numbers without a fraction are integers where they fit.
    pub value: Value,
}

/// What is wrong with a text, and where. Line and column count from 1; 0 where unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Error {
    pub line: usize,
    pub column: usize,
    /// In lower case, without the place.
    pub reason: String,
}

/// Every document of `text` that is not empty, in order.
///
/// A key twice in one mapping is an error, and so are aliases that unfold beyond measure, and numbers that JSON cannot hold.
pub fn documents(text: &str, reading: Reading) -> Result<Vec<Document>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Some(found) = json(text)
    {
        return Ok(found);
    }
    let found =
        serde_saphyr::from_multiple_with_options::<Spanned<Node>>(text, options(text, reading))
            .map_err(|error| from_saphyr(&error))?;
    let document =
        |it: Spanned<Node>| Document { line: line_of(&it.referenced), value: it.value.0 };
    Ok(found.into_iter().map(document).collect())
}

/// JSON documents one after the other. `None` where the text is no JSON: YAML's flow style starts alike.
fn json(text: &str) -> Option<Vec<Document>> {
    let mut found = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Node>();
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = stream.byte_offset();
        let start = text.len() - text[start..].trim_start().len();
        match stream.next() {
            None => return Some(found),
            Some(value) => {
                line += text[counted..start].matches('\n').count();
                counted = start;
                found.push(Document { line, value: value.ok()?.0 });
            }
        }
    }
}

/// The parser's limits grow with the text; what aliases may add does not, which is what stops an alias bomb.
fn options(text: &str, reading: Reading) -> Options {
    let size = text.len().max(64 * 1024);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: size.saturating_mul(4).max(1_000_000),
            max_nodes: size.saturating_mul(2).max(250_000),
            max_documents: size,
            max_depth: 128,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 250_000 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        strict_booleans: reading == Reading::Kustomize,
        with_snippet: false,
    }
}

fn line_of(location: &Location) -> usize {
    usize::try_from(location.line()).unwrap_or(0)
}

fn from_saphyr(error: &serde_saphyr::Error) -> Error {
    let place = error.location();
    Error {
        line: place.as_ref().map_or(0, line_of),
        column: place.map_or(0, |it| usize::try_from(it.column()).unwrap_or(0)),
        reason: UserMessageFormatter.format_message(error.without_snippet()).into_owned(),
    }
}
