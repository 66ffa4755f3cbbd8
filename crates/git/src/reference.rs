//! Which commit is wanted, in the words of Flux's GitRepository, and how the one that was found is called.

use gix::ObjectId;

use crate::error::FetchError;
use crate::range::{Range, version_of};

/// How many names an error lists of those that exist.
const LISTED: usize = 20;

/// `spec.ref` of a GitRepository. Of several fields the first of commit, name, semver, tag and branch counts;
/// none is the branch `master`, as in Flux. `branch` beside `commit` says where to look for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    pub branch: Option<String>,
    pub tag: Option<String>,
    /// A range; the highest tag in it is taken.
    pub semver: Option<String>,
    /// A full name: `refs/heads/main`, `refs/pull/420/head`.
    pub name: Option<String>,
    pub commit: Option<String>,
}

/// A commit, and its name as Flux writes it: `main@sha1:<commit>`, `sha1:<commit>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// In hex.
    pub commit: String,
    pub label: String,
}

impl Revision {
    pub(crate) fn new(label: Option<&str>, commit: ObjectId) -> Self {
        let commit = commit.to_string();
        let label =
            label.map_or_else(|| format!("sha1:{commit}"), |it| format!("{it}@sha1:{commit}"));
        Self { commit, label }
    }
}

/// A reference that a remote has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteReference {
    /// In full: `refs/tags/v1`.
    pub name: String,
    /// A commit, behind the tag if it is an annotated one.
    pub commit: ObjectId,
}

/// A [`Reference`] that was understood.
#[derive(Debug)]
pub(crate) enum Wanted {
    Commit {
        id: ObjectId,
        branch: Option<String>,
    },
    /// One reference by its full name, and its label.
    Named {
        name: String,
        label: String,
    },
    Highest {
        range: Range,
        text: String,
    },
}

impl Reference {
    /// The branch `name`.
    pub fn branch(name: impl Into<String>) -> Self {
        Self { branch: Some(name.into()), ..Self::default() }
    }

    pub(crate) fn wanted(&self) -> Result<Wanted, FetchError> {
        let bad = |reason: String| FetchError::BadReference { reason };
        let given = |field: &Option<String>| field.clone().filter(|it| !it.is_empty());
        if let Some(commit) = given(&self.commit) {
            let id = ObjectId::from_hex(commit.as_bytes())
                .map_err(|_| bad(format!("commit {commit:?} is not 40 hexadecimal digits")))?;
            return Ok(Wanted::Commit { id, branch: given(&self.branch) });
        }
        if let Some(text) = given(&self.semver) {
            // A name that is given as well wins.
            if given(&self.name).is_none() {
                return Ok(Wanted::Highest { range: Range::parse(&text).map_err(bad)?, text });
            }
        }
        let (name, label) = match (given(&self.name), given(&self.tag), given(&self.branch)) {
            (Some(name), _, _) => (name.clone(), name),
            (_, Some(tag), _) => (format!("refs/tags/{tag}"), tag),
            (_, _, branch) => {
                let branch = branch.unwrap_or_else(|| "master".to_owned());
                (format!("refs/heads/{branch}"), branch)
            }
        };
        if !name.starts_with("refs/")
            || gix::validate::reference::name(name.as_str().into()).is_err()
        {
            return Err(bad(format!(
                "{name:?} is no name of a reference, such as refs/heads/main"
            )));
        }
        Ok(Wanted::Named { name, label })
    }
}

impl Wanted {
    /// What the names of all candidates start with: what a remote is asked to list.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Named { name, .. } if name.starts_with("refs/heads/") => "refs/heads/",
            Self::Named { name, .. } if name.starts_with("refs/tags/") => "refs/tags/",
            Self::Named { name, .. } => name,
            Self::Commit { .. } => "refs/heads/",
            Self::Highest { .. } => "refs/tags/",
        }
    }

    /// The one of `references` that is wanted, and its label. An error that names what there is instead.
    pub(crate) fn choose<'a>(
        &self,
        references: &'a [RemoteReference],
        url: &str,
    ) -> Result<(&'a RemoteReference, String), FetchError> {
        let found = match self {
            Self::Commit { branch, .. } => {
                let name = branch.as_ref().map(|it| format!("refs/heads/{it}"));
                let at = references.iter().find(|it| Some(&it.name) == name.as_ref());
                at.map(|it| (it, short(&it.name).to_owned()))
            }
            Self::Named { name, label } => {
                references.iter().find(|it| it.name == *name).map(|it| (it, label.clone()))
            }
            Self::Highest { range, .. } => highest(range, references),
        };
        found.ok_or_else(|| self.missing(references, url))
    }

    fn missing(&self, references: &[RemoteReference], url: &str) -> FetchError {
        let wanted = match self {
            Self::Commit { id, branch: None } => format!("commit {id}"),
            Self::Commit { branch: Some(branch), .. } => format!("branch {branch}"),
            Self::Highest { text, .. } => format!("tag in the range {text:?}"),
            Self::Named { name, label } if name.starts_with("refs/heads/") => {
                format!("branch {label}")
            }
            Self::Named { name, label } if name.starts_with("refs/tags/") => format!("tag {label}"),
            Self::Named { name, .. } => format!("reference {name}"),
        };
        let prefix = self.prefix();
        let names =
            references.iter().filter(|it| it.name.starts_with(prefix)).map(|it| short(&it.name));
        let mut existing: Vec<String> = names.map(str::to_owned).collect();
        if existing.len() > LISTED {
            let more = existing.len() - LISTED;
            existing.truncate(LISTED);
            existing.push(format!("{more} more"));
        }
        FetchError::ReferenceMissing { url: url.to_owned(), wanted, existing }
    }
}

fn highest<'a>(
    range: &Range,
    references: &'a [RemoteReference],
) -> Option<(&'a RemoteReference, String)> {
    let version = |it: &'a RemoteReference| {
        let tag = it.name.strip_prefix("refs/tags/")?;
        Some((version_of(tag).filter(|it| range.matches(it))?, tag, it))
    };
    let best = references.iter().filter_map(version).max_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    best.map(|(_, tag, it)| (it, tag.to_owned()))
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(name)
}
