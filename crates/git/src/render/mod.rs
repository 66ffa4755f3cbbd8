//! A tree turned into objects, as Flux's kustomize-controller does it.
//!
//! A directory without a kustomization is rendered in process: all its YAML, recursively, in kustomize's reading. A
//! `kustomization.yaml`, at the top or below, goes through kustomize or kubectl. What a Kustomization asks for on top
//! (namespace, metadata in process; prefixes, images, patches through kustomize) comes last.
//!
//! Reading order: `plan` (what is read), `plain`, `kustomize` with `closure` and `origin`, then `namespace`.

mod closure;
mod error;
mod kustomize;
mod memo;
mod namespace;
mod options;
mod origin;
mod plain;
mod plan;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use error::BuildError;
pub use memo::Renderer;
pub use options::Options;
use plan::Plan;

use crate::tree::Tree;

/// One object, and where in the repository it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedObject {
    pub value: Value,
    /// From the root of the repository. For what kustomize built, the file it read the object from; where that is not
    /// known, its kustomization.
    pub file: String,
    /// Where the object's document starts in that file, from 1; 0 where kustomize built it.
    pub line: usize,
}

/// Renders `tree`, unmemoised. No objects is a success: whoever prunes must look at that.
pub fn render(tree: &Tree, options: &Options) -> Result<Vec<RenderedObject>, BuildError> {
    run(tree, options, &Plan::of(tree, options)?)
}

fn run(tree: &Tree, options: &Options, plan: &Plan) -> Result<Vec<RenderedObject>, BuildError> {
    let mut objects = plain::read(tree, &plan.files)?;
    for closure in &plan.kustomizations {
        objects.extend(kustomize::build(closure, options)?);
    }
    refuse_duplicates(&objects)?;
    if options.needs_kustomize() {
        objects = kustomize::overlay(&objects, tree, options)?;
    }
    if let Some(namespace) = &options.target_namespace {
        namespace::set(&mut objects, namespace);
    }
    for object in &mut objects {
        add_metadata(&mut object.value, "labels", &options.labels);
        add_metadata(&mut object.value, "annotations", &options.annotations);
    }
    refuse_duplicates(&objects)?;
    Ok(objects)
}

fn add_metadata(value: &mut Value, field: &str, added: &BTreeMap<String, String>) {
    if added.is_empty() {
        return;
    }
    let map = &mut value["metadata"][field];
    if !map.is_object() {
        *map = Value::Object(Map::new());
    }
    for (key, text) in added {
        map[key.as_str()] = text.as_str().into();
    }
}

/// The same object twice has no answer to which of them is meant. Versions of one group are one kind.
fn refuse_duplicates(objects: &[RenderedObject]) -> Result<(), BuildError> {
    let mut seen = BTreeMap::new();
    for object in objects {
        if let Some(first) = seen.insert(identity(&object.value), object) {
            let [group, kind, namespace, name] = identity(&object.value);
            let kind = if group.is_empty() { kind } else { format!("{kind}.{group}") };
            let name = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
            return Err(BuildError::Invalid {
                file: object.file.clone(),
                line: object.line,
                reason: format!("{kind} {name} is also in {}", place(&first.file, first.line)),
            });
        }
    }
    Ok(())
}

/// Group, kind, namespace, name.
fn identity(value: &Value) -> [String; 4] {
    let text =
        |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let group =
        text("/apiVersion").rsplit_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default();
    [group, text("/kind"), text("/metadata/namespace"), text("/metadata/name")]
}

/// `file:line`, or the file alone.
fn place(file: &str, line: usize) -> String {
    if line == 0 { file.to_owned() } else { format!("{file}:{line}") }
}
