//! Files of objects, read as they are.

use kogge_model::yaml::{self, Reading};
use serde_json::Value;

use super::{BuildError, RenderedObject};
use crate::tree::Tree;

/// How much text one rendering may read.
const SIZE: usize = 64 << 20;
/// What marks a directory as a Helm chart.
const CHART: &str = "Chart.yaml";
/// What a file starts with that Git LFS keeps elsewhere.
const LFS: &str = "version https://git-lfs.github.com/";

pub(super) fn read(tree: &Tree, files: &[String]) -> Result<Vec<RenderedObject>, BuildError> {
    let reader = tree.reader();
    let (mut objects, mut size) = (Vec::new(), 0);
    for file in files {
        let text = text(file, reader.read(file)?)?;
        size += text.len();
        if size > SIZE {
            return Err(BuildError::invalid(
                file,
                0,
                format!("all files together are larger than {} MiB", SIZE >> 20),
            ));
        }
        // JSON that is no manifest lies in many repositories; YAML that is none is more likely a mistake.
        let is_json = file.rsplit('.').next() == Some("json");
        if is_json && !text.contains("\"apiVersion\"") {
            continue;
        }
        objects.extend(parse(file, &text)?);
    }
    Ok(objects)
}

fn text(file: &str, bytes: Vec<u8>) -> Result<String, BuildError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let readable =
            String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        BuildError::invalid(file, readable.matches('\n').count() + 1, "it is not UTF-8")
    })?;
    if text.starts_with(LFS) {
        return Err(BuildError::invalid(
            file,
            0,
            "its content is kept by Git LFS, which is not supported",
        ));
    }
    Ok(text)
}

/// The objects of one file.
fn parse(file: &str, text: &str) -> Result<Vec<RenderedObject>, BuildError> {
    let found = yaml::objects(text, Reading::Kustomize).map_err(|error| invalid(file, &error))?;
    let mut objects = Vec::new();
    for document in found {
        if document.value.get("sops").is_some_and(Value::is_object) {
            return Err(BuildError::invalid(
                file,
                document.line,
                "it is encrypted with SOPS, which is not supported yet",
            ));
        }
        objects.push(RenderedObject {
            value: document.value,
            file: file.to_owned(),
            line: document.line,
        });
    }
    Ok(objects)
}

pub(super) fn invalid(file: &str, error: &yaml::Error) -> BuildError {
    let mut reason = error.reason.clone();
    if file.rsplit('/').next() == Some(CHART) {
        "it belongs to a Helm chart, and charts are not rendered; name its directory in \
         .sourceignore, and commit what helm template prints"
            .clone_into(&mut reason);
    } else if reason.contains("apiVersion is missing") || reason.contains("kind is missing") {
        reason.push_str("; if this is no Kubernetes object, name the file in .sourceignore");
    }
    BuildError::invalid(file, error.line, reason)
}
