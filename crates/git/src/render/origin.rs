//! Which file each object of a build comes from: kustomize says it in an annotation where it is asked to.

use std::fs;
use std::io;
use std::path::Path;

use kogge_model::yaml::{self, Reading};
use serde_json::{Value, json};

/// What a kustomization lists under `buildMetadata` to be told.
pub(super) const ASKED: &str = "originAnnotations";
/// Where kustomize says it, as YAML: `path`, or for what a generator made `configuredIn`.
const ANNOTATION: &str = "config.kubernetes.io/origin";

/// Adds the question to a kustomization. False, and nothing is changed, where it says something about the build itself,
/// or where a line cannot be added to it.
pub(super) fn ask(kustomization: &Path) -> io::Result<bool> {
    let text = fs::read_to_string(kustomization)?;
    let Some(asking) = asking(&text) else { return Ok(false) };
    fs::write(kustomization, asking)?;
    Ok(true)
}

fn asking(text: &str) -> Option<String> {
    let read = |text: &str| {
        let documents = yaml::documents(text, Reading::Kustomize).ok()?;
        let [document] = <[_; 1]>::try_from(documents).ok()?;
        Some(document.value)
    };
    let mut wanted = read(text)?;
    let fields = wanted.as_object_mut()?;
    if fields.insert("buildMetadata".to_owned(), json!([ASKED])).is_some() {
        return None;
    }
    let asking = format!("{text}\nbuildMetadata: [{ASKED}]\n");
    (read(&asking)? == wanted).then_some(asking)
}

pub(super) fn is_said(value: &Value) -> bool {
    value["metadata"]["annotations"].get(ANNOTATION).is_some()
}

/// The file an object comes from, seen from the directory that was built; `None` for one of another repository. The
/// annotation is gone afterwards.
pub(super) fn take(value: &mut Value) -> Option<String> {
    let metadata = value.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let said = annotations.remove(ANNOTATION)?;
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    let origin = yaml::documents(said.as_str()?, Reading::Kustomize).ok()?.into_iter().next()?;
    let text = |field: &str| origin.value[field].as_str().map(str::to_owned);
    if text("repo").is_some() {
        return None;
    }
    text("path").or_else(|| text("configuredIn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_added_where_that_changes_nothing_else() {
        let added = Some("resources: [a.yaml]\n\nbuildMetadata: [originAnnotations]\n".to_owned());
        assert_eq!(asking("resources: [a.yaml]\n"), added);
        assert!(asking("patches:\n- patch: |-\n    a: b").is_some());
        for left_alone in [
            "{resources: [a.yaml]}",
            "buildMetadata: []\n",
            "resources: []\n---\nresources: []\n",
            "resources: []\n...\n",
            "",
        ] {
            assert_eq!(asking(left_alone), None, "{left_alone}");
        }
    }

    #[test]
    fn an_origin_is_read_and_taken_off() {
        let check = |origin: &str, other: bool, want: Option<&str>| {
            let mut value = json!({"metadata": {"name": "a", "annotations": {ANNOTATION: origin}}});
            let mut after = json!({"metadata": {"name": "a"}});
            if other {
                value["metadata"]["annotations"]["x"] = "y".into();
                after["metadata"]["annotations"] = json!({"x": "y"});
            }
            assert_eq!(take(&mut value).as_deref(), want);
            assert_eq!(value, after);
        };
        check("path: ../base/a.yaml\n", false, Some("../base/a.yaml"));
        let generated =
            "configuredIn: kustomization.yaml\nconfiguredBy: {kind: ConfigMapGenerator}\n";
        check(generated, true, Some("kustomization.yaml"));
        check("path: a.yaml\nrepo: https://example.com/x\n", true, None);
    }
}
