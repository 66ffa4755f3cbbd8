//! A kustomization with all it refers to: the directories and files of the repository that kustomize may read.
//!
//! Found by following paths from kustomization to kustomization, so that a build is a function of what is listed here
//! and needs only that on disk. A path that leads out of the repository is refused before kustomize sees it.

use std::collections::BTreeMap;

use kogge_model::yaml::{self, Reading};
use serde_json::Value;

use super::BuildError;
use super::plain::invalid;
use super::plan::KUSTOMIZATIONS;
use crate::error::TreeError;
use crate::tree::{Entry, Tree, beside, join, lies_in};

/// How much a build may read.
const SIZE: usize = 64 << 20;

/// Fields whose strings are paths of files or directories with YAML in them.
const YAML: [&str; 9] = [
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "patchesStrategicMerge",
];
/// Fields that load plugins' configurations, which may name files of their own.
const PLUGINS: [&str; 3] = ["generators", "transformers", "validators"];

#[derive(Debug)]
pub(super) struct Closure {
    /// The directory to build.
    pub directory: String,
    /// Its kustomization.
    pub file: String,
    /// Every directory that is read, and its tree. None lies in another.
    trees: BTreeMap<String, Tree>,
    remote: bool,
    plugins: bool,
}

/// A path in a kustomization.
struct Mention {
    path: String,
    yaml: bool,
}

impl Closure {
    pub(super) fn of(tree: &Tree, directory: &str) -> Result<Self, BuildError> {
        let file =
            kustomization_in(tree, directory).unwrap_or_else(|| join(directory, KUSTOMIZATIONS[0]));
        let mut closure = Self {
            directory: directory.to_owned(),
            file,
            trees: BTreeMap::new(),
            remote: false,
            plugins: false,
        };
        closure.add(tree, directory)?;
        Ok(closure)
    }

    /// Whether the build reads nothing but the repository.
    pub(super) fn is_fixed(&self) -> bool {
        !self.remote
    }

    /// Whether kustomize may read outside of the directory it builds: only what was looked through here.
    pub(super) fn is_known(&self) -> bool {
        !self.remote && !self.plugins
    }

    pub(super) fn key(&self) -> String {
        let trees = self.trees.iter().map(|(path, tree)| format!("{path}={}", tree.hash()));
        format!("{}:{}", self.directory, trees.collect::<Vec<_>>().join(","))
    }

    /// Every file to be written, with its content.
    pub(super) fn files(&self) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
        let (mut files, mut size) = (Vec::new(), 0);
        for tree in self.trees.values() {
            let reader = tree.reader();
            for (file, entry) in tree.entries() {
                if let Entry::File { .. } = entry {
                    let content = reader.read(file)?;
                    size += content.len();
                    if size > SIZE {
                        let limit = format!("{} MiB", SIZE >> 20);
                        return Err(
                            TreeError::TooLarge { path: self.directory.clone(), limit }.into()
                        );
                    }
                    files.push((file.clone(), content));
                }
            }
        }
        Ok(files)
    }

    /// Adds a directory, and what its kustomizations mention.
    pub(super) fn add(&mut self, near: &Tree, directory: &str) -> Result<(), BuildError> {
        if self.trees.keys().any(|it| lies_in(directory, it)) {
            return Ok(());
        }
        let Some(tree) = near.sibling(directory)? else { return Ok(()) };
        // A directory above swallows those below.
        self.trees.retain(|it, _| !lies_in(it, directory));
        self.trees.insert(directory.to_owned(), tree.clone());
        for (file, entry) in tree.entries() {
            let name = file.rsplit('/').next().unwrap_or(file);
            if KUSTOMIZATIONS.contains(&name) && matches!(entry, Entry::File { .. }) {
                self.follow(&tree, file)?;
            }
        }
        Ok(())
    }

    /// Adds what the kustomization `file` mentions.
    fn follow(&mut self, tree: &Tree, file: &str) -> Result<(), BuildError> {
        let Some(kustomization) = parse(tree, file)? else { return Ok(()) };
        self.plugins |= PLUGINS.iter().any(|it| kustomization.get(it).is_some());
        for Mention { path, yaml } in mentions(&kustomization) {
            if is_remote(&path) {
                self.remote = true;
                continue;
            }
            let Some(at) = beside(file, &path) else {
                let reason = format!("{path} lies outside of the repository");
                return Err(BuildError::invalid(file, 0, reason));
            };
            match tree.entries().get(&at) {
                Some(Entry::File { .. }) if yaml => check(tree, &at)?,
                Some(Entry::File { .. }) => {}
                Some(Entry::BrokenLink { target, reason }) => {
                    return Err(
                        TreeError::Symlink { file: at, target: target.clone(), reason }.into()
                    );
                }
                _ => self.add_mentioned(tree, file, &path, &at)?,
            }
        }
        Ok(())
    }

    /// Adds what lies outside of `tree`: a directory, or the directory of a file.
    fn add_mentioned(
        &mut self,
        tree: &Tree,
        file: &str,
        path: &str,
        at: &str,
    ) -> Result<(), BuildError> {
        if tree.sibling(at)?.is_some() {
            return self.add(tree, at);
        }
        let directory = at.rsplit_once('/').map_or("", |(directory, _)| directory);
        let holds = |it: &Tree| it.entries().contains_key(at);
        if !lies_in(directory, tree.path()) && tree.sibling(directory)?.as_ref().is_some_and(holds)
        {
            return self.add(tree, directory);
        }
        if path
            .split('/')
            .next()
            .is_some_and(|it| it.contains('.') && !it.trim_matches('.').is_empty())
            && path.contains('/')
        {
            // github.com/owner/repository, without a scheme.
            self.remote = true;
            return Ok(());
        }
        Err(BuildError::invalid(file, 0, format!("{path} is not in the repository")))
    }
}

fn kustomization_in(tree: &Tree, directory: &str) -> Option<String> {
    KUSTOMIZATIONS.iter().map(|it| join(directory, it)).find(|it| tree.entries().contains_key(it))
}

fn parse(tree: &Tree, file: &str) -> Result<Option<Value>, BuildError> {
    let text = String::from_utf8(tree.read(file)?)
        .map_err(|_| BuildError::invalid(file, 0, "it is not UTF-8"))?;
    let documents =
        yaml::documents(&text, Reading::Kustomize).map_err(|error| invalid(file, &error))?;
    Ok(documents.into_iter().next().map(|it| it.value))
}

/// Malformed YAML gets our error with its line: kustomize counts lines from anywhere.
fn check(tree: &Tree, file: &str) -> Result<(), BuildError> {
    parse(tree, file).map(drop)
}

fn mentions(kustomization: &Value) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut add = |value: &Value, yaml: bool| {
        // With a line break it is the patch itself.
        if let Some(path) = value.as_str().filter(|it| !it.contains('\n') && !it.is_empty()) {
            found.push(Mention { path: path.to_owned(), yaml });
        }
    };
    let list = |field: &str| kustomization[field].as_array().into_iter().flatten();
    for field in YAML {
        list(field).for_each(|it| add(it, true));
    }
    for field in ["patches", "patchesJson6902", "replacements"] {
        list(field).for_each(|it| add(&it["path"], true));
    }
    add(&kustomization["openapi"]["path"], false);
    for field in ["configMapGenerator", "secretGenerator"] {
        for generator in list(field) {
            add(&generator["env"], false);
            for files in ["files", "envs"] {
                for entry in generator[files].as_array().into_iter().flatten() {
                    let path =
                        entry.as_str().map(|it| it.split_once('=').map_or(it, |(_, path)| path));
                    add(&path.map_or(Value::Null, Value::from), false);
                }
            }
        }
    }
    found
}

fn is_remote(path: &str) -> bool {
    path.contains("://")
        || path.contains("?ref=")
        || path.contains("//")
        || path.starts_with("git@")
}
