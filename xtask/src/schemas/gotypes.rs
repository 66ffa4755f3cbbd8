//! Which fields Kubernetes leaves out of JSON when they are empty: not told by OpenAPI, so it is
//! read from the tags of the Go types.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Structs by name as in OpenAPI, without `io.k8s.`: `api.apps.v1.DeploymentSpec`.
#[derive(Default)]
pub struct Structs(BTreeMap<String, Vec<Field>>);

enum Field {
    Inline(String),
    /// JSON name, of a field that is omitted when it is empty.
    Omitted(String),
}

impl Structs {
    /// Reads all Go files of a module called `name`.
    pub fn read_tree(&mut self, dir: &Path, name: &str) -> anyhow::Result<()> {
        for entry in fs::read_dir(dir).with_context(|| format!("no folder {}", dir.display()))? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                self.read_tree(&path, &format!("{name}.{file}"))?;
            } else if path.extension().is_some_and(|it| it == "go")
                && !file.contains("_test")
                && !file.contains("generated")
            {
                self.read(&fs::read_to_string(&path)?, name);
            }
        }
        Ok(())
    }

    fn read(&mut self, text: &str, package: &str) {
        let mut open = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("type ") {
                open = rest.strip_suffix(" struct {").map(|it| format!("{package}.{}", it.trim()));
            } else if line == "}" {
                open = None;
            } else if let Some(name) = &open
                && let Some(field) = field(line, package)
            {
                self.0.entry(name.clone()).or_default().push(field);
            }
        }
    }

    /// The JSON names that a struct omits when they are empty, inlined ones included.
    pub fn omitted(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for field in self.0.get(name).into_iter().flatten() {
            match field {
                Field::Inline(other) if other != name => found.extend(self.omitted(other)),
                Field::Inline(_) => {}
                Field::Omitted(json) => {
                    found.insert(json.as_str());
                }
            }
        }
        found
    }
}

fn field(line: &str, package: &str) -> Option<Field> {
    let (code, tags) = line.trim().split_once('`')?;
    if code.starts_with("//") {
        return None;
    }
    let (_, tag) = tags.split_once("json:\"")?;
    let (tag, _) = tag.split_once('"')?;
    let (name, options) = tag.split_once(',').unwrap_or((tag, ""));
    let mut words = code.split_whitespace();
    let (first, ty) = (words.next()?, words.next());
    if options.contains("inline") {
        let ty = ty.unwrap_or(first).trim_start_matches('*');
        let ty = ty.rsplit('.').next().unwrap_or(ty);
        return Some(Field::Inline(format!("{package}.{ty}")));
    }
    let is_pointer = ty.unwrap_or(first).starts_with('*');
    (!is_pointer && options.contains("omit")).then(|| Field::Omitted(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_fields_without_omitempty_are_kept() {
        let mut structs = Structs::default();
        structs.read(
            "type A struct {\n\tB `json:\",inline\"`\n\t// prose `json:\"no,omitempty\"`\n\t\
             Replicas *int32 `json:\"replicas,omitempty\"`\n\tPaused bool `json:\"paused,omitempty\"`\n\t\
             Name string `json:\"name\"`\n}\ntype B struct {\n\tList []string `json:\"list,omitempty\"`\n}\n",
            "p",
        );
        assert_eq!(structs.omitted("p.A").into_iter().collect::<Vec<_>>(), ["list", "paused"]);
    }
}
