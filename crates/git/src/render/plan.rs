//! Which files of a tree are read, and how: found by name, before any is parsed.

use std::collections::BTreeSet;

use super::closure::Closure;
use super::{BuildError, Options};
use crate::error::TreeError;
use crate::ignore::Patterns;
use crate::tree::{Entry, Tree, lies_in};

/// The names that kustomize looks for.
pub(super) const KUSTOMIZATIONS: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

pub(super) struct Plan {
    /// Files to read as they are.
    pub files: Vec<String>,
    /// Directories to hand to kustomize, with all they refer to.
    pub kustomizations: Vec<Closure>,
    /// What memory goes by; `None` where what is read lies outside the repository too.
    pub key: Option<String>,
}

impl Plan {
    pub(super) fn of(tree: &Tree, options: &Options) -> Result<Self, BuildError> {
        options.refuse_unsupported()?;
        let tops = kustomized(tree);
        let mut kustomizations = Vec::new();
        for directory in &tops {
            kustomizations.push(Closure::of(tree, directory)?);
        }
        let files =
            if tops.contains(tree.path()) { Vec::new() } else { manifests(tree, options, &tops)? };
        let fixed = options.components.is_empty() && kustomizations.iter().all(Closure::is_fixed);
        let key = fixed.then(|| {
            let closures = kustomizations.iter().map(Closure::key);
            let mut parts: Vec<String> = closures.collect();
            parts.extend([tree.path().to_owned(), tree.hash(), options.key()]);
            parts.join("\n")
        });
        Ok(Self { files, kustomizations, key })
    }
}

/// The topmost directories that hold a kustomization.
fn kustomized(tree: &Tree) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in tree.entries().keys() {
        let (directory, name) = file.rsplit_once('/').unwrap_or(("", file));
        if KUSTOMIZATIONS.contains(&name) && !is_hidden(tree.path(), file) {
            all.insert(directory.to_owned());
        }
    }
    let below = |it: &String| all.iter().any(|other| other != it && lies_in(it, other));
    all.iter().filter(|it| !below(it)).cloned().collect()
}

/// YAML and JSON outside of `kustomized`, in order of their paths. A symlink that cannot be followed is an error
/// where it could be one of them, or a directory of them.
fn manifests(
    tree: &Tree,
    options: &Options,
    kustomized: &BTreeSet<String>,
) -> Result<Vec<String>, BuildError> {
    let ignored = patterns(tree, options)?;
    let mut files = Vec::new();
    for (file, entry) in tree.entries() {
        let extension =
            file.rsplit('/').next().and_then(|it| it.rsplit_once('.')).map(|(_, it)| it);
        let wanted = matches!(extension, Some("yaml" | "yml" | "json"));
        let lost = matches!(entry, Entry::BrokenLink { .. }) && extension.is_none();
        let covered = || kustomized.iter().any(|it| lies_in(file, it));
        if !(wanted || lost) || is_hidden(tree.path(), file) || covered() || ignored.exclude(file) {
            continue;
        }
        match entry {
            Entry::File { .. } => files.push(file.clone()),
            Entry::BrokenLink { target, reason } => {
                let (file, target) = (file.clone(), target.clone());
                return Err(TreeError::Symlink { file, target, reason }.into());
            }
            Entry::Submodule { .. } => {}
        }
    }
    Ok(files)
}

fn patterns(tree: &Tree, options: &Options) -> Result<Patterns, BuildError> {
    let reader = tree.reader();
    let mut patterns = Patterns::defaults(options.ignore.as_deref());
    for (directory, text) in reader.ignores_above()? {
        patterns.add(&directory, &text);
    }
    let mut own: Vec<&String> =
        tree.entries().keys().filter(|it| is_named(it, ".sourceignore")).collect();
    own.sort_by_key(|it| it.matches('/').count());
    for file in own {
        let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
        patterns.add(directory, &reader.read(file)?);
    }
    Ok(patterns)
}

fn is_named(file: &str, name: &str) -> bool {
    file.rsplit('/').next() == Some(name)
}

/// Whether a part of the path below `top` starts with a dot.
fn is_hidden(top: &str, file: &str) -> bool {
    file.strip_prefix(top).unwrap_or(file).split('/').any(|it| it.starts_with('.'))
}
