//! What a Kustomization, or its GitRepository, asks for beside the path.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::BuildError;

/// How long kustomize may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Fields of Flux's Kustomization by their names there.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub target_namespace: Option<String>,
    pub name_prefix: Option<String>,
    pub name_suffix: Option<String>,
    /// `commonMetadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `commonMetadata.annotations`
    pub annotations: BTreeMap<String, String>,
    pub images: Vec<Value>,
    pub patches: Vec<Value>,
    /// From `path`, as in Flux.
    pub components: Vec<String>,
    pub post_build: Option<Value>,
    pub decryption: Option<Value>,
    /// `spec.ignore` of the GitRepository.
    pub ignore: Option<String>,
    /// The program to build with; else `kustomize`, else `kubectl`, from PATH.
    pub kustomize: Option<PathBuf>,
    /// For one run of it.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target_namespace: None,
            name_prefix: None,
            name_suffix: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            images: Vec::new(),
            patches: Vec::new(),
            components: Vec::new(),
            post_build: None,
            decryption: None,
            ignore: None,
            kustomize: None,
            timeout: TIMEOUT,
        }
    }
}

impl Options {
    pub(super) fn refuse_unsupported(&self) -> Result<(), BuildError> {
        let given = |it: &Option<Value>| {
            it.as_ref().is_some_and(|it| *it != json!(null) && *it != json!({}))
        };
        match (given(&self.post_build), given(&self.decryption)) {
            (true, _) => Err(BuildError::Unsupported { field: "spec.postBuild" }),
            (_, true) => Err(BuildError::Unsupported { field: "spec.decryption" }),
            _ => Ok(()),
        }
    }

    /// Whether something is asked for that only kustomize does.
    pub(super) fn needs_kustomize(&self) -> bool {
        let named = |it: &Option<String>| it.as_ref().is_some_and(|it| !it.is_empty());
        named(&self.name_prefix)
            || named(&self.name_suffix)
            || !(self.images.is_empty() && self.patches.is_empty() && self.components.is_empty())
    }

    /// Equal for options that render alike.
    pub(super) fn key(&self) -> String {
        let Self {
            target_namespace,
            name_prefix,
            name_suffix,
            labels,
            annotations,
            images,
            patches,
            ..
        } = self;
        let names = json!([target_namespace, name_prefix, name_suffix, labels, annotations]);
        json!([names, images, patches, self.components, self.ignore, self.kustomize]).to_string()
    }
}
