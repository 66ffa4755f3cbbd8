//! Field numbers of `generated.proto`: just enough of the language to read those files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

/// Messages by full name, such as `k8s.io.api.apps.v1.Deployment`.
#[derive(Default)]
pub struct Messages(BTreeMap<String, Vec<Field>>);

pub struct Field {
    pub name: String,
    pub number: u32,
    /// The full name of a message, or a scalar's; of maps, that of the values.
    pub ty: String,
    /// Neither repeated nor a map.
    pub single: bool,
}

/// What is called otherwise in JSON: fields of JSONSchemaProps.
fn json_name(name: &str) -> String {
    match name {
        "schema" | "ref" => format!("${name}"),
        _ if name.starts_with("xKubernetes") => {
            let mut renamed = String::new();
            for letter in name.chars() {
                if letter.is_ascii_uppercase() {
                    renamed.push('-');
                }
                renamed.push(letter.to_ascii_lowercase());
            }
            renamed
        }
        _ => name.to_owned(),
    }
}

impl Messages {
    pub fn get(&self, name: &str) -> Option<&[Field]> {
        self.0.get(name).map(Vec::as_slice)
    }

    pub fn read_tree(&mut self, dir: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(dir).with_context(|| format!("no folder {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                self.read_tree(&path)?;
            } else if path.file_name().is_some_and(|it| it == "generated.proto") {
                let text = fs::read_to_string(&path)?;
                self.read(&text).with_context(|| format!("could not read {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn read(&mut self, text: &str) -> anyhow::Result<()> {
        let mut package = String::new();
        let mut message = None;
        for line in text.lines() {
            let line = line.split("//").next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix("package ") {
                name.trim_end_matches(';').clone_into(&mut package);
            } else if let Some(rest) = line.strip_prefix("message ") {
                let name = format!("{package}.{}", rest.trim_end_matches('{').trim());
                self.0.insert(name.clone(), Vec::new());
                message = Some(name);
            } else if line == "}" {
                message = None;
            } else if let Some(name) = &message
                && !line.is_empty()
            {
                let mut field = field(line, &package)?;
                if name.ends_with(".JSONSchemaProps") {
                    field.name = json_name(&field.name);
                }
                self.0.entry(name.clone()).or_default().push(field);
            }
        }
        Ok(())
    }
}

fn field(line: &str, package: &str) -> anyhow::Result<Field> {
    let line = line.trim_end_matches(';');
    let Some((head, number)) = line.rsplit_once('=') else { bail!("no field: {line}") };
    let head = head.trim();
    let (label, rest) = match head.split_once(' ') {
        Some((label @ ("optional" | "repeated"), rest)) => (label, rest.trim()),
        _ => ("", head),
    };
    let (ty, name) = rest.rsplit_once(' ').with_context(|| format!("no type: {line}"))?;
    let is_map = ty.starts_with("map<");
    let ty = if is_map {
        ty.trim_end_matches('>').split_once(',').context("a map has two types")?.1.trim()
    } else {
        ty.trim()
    };
    let full = match ty.strip_prefix('.') {
        Some(full) => full.to_owned(),
        None if ty.starts_with(char::is_lowercase) && !ty.contains('.') => ty.to_owned(),
        None if ty.contains('.') => ty.to_owned(),
        None => format!("{package}.{ty}"),
    };
    Ok(Field {
        name: name.to_owned(),
        number: number.trim().parse().with_context(|| format!("no number: {line}"))?,
        ty: full,
        single: label != "repeated" && !is_map,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_full_type_names() {
        let mut messages = Messages::default();
        messages
            .read(
                "package k8s.io.api.apps.v1;\n// Prose {\nmessage A {\n  // prose = 3;\n  \
                 optional int32 replicas = 1;\n  repeated B parts = 2;\n  \
                 map<string, .k8s.io.x.Q> limits = 3;\n}\n",
            )
            .unwrap();
        let fields = messages.get("k8s.io.api.apps.v1.A").unwrap();
        let told: Vec<_> = fields
            .iter()
            .map(|it| (it.name.as_str(), it.number, it.ty.as_str(), it.single))
            .collect();
        assert_eq!(
            told,
            [
                ("replicas", 1, "int32", true),
                ("parts", 2, "k8s.io.api.apps.v1.B", false),
                ("limits", 3, "k8s.io.x.Q", false),
            ]
        );
    }
}
