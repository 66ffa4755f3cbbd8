//! A repository on this machine, read where it is: without git, without a copy.

use std::path::PathBuf;

use gix::ObjectId;

use super::{Origin, Source};
use crate::error::FetchError;
use crate::reference::RemoteReference;
use crate::remote::Remote;

pub(super) struct Local {
    repository: gix::Repository,
    url: String,
}

impl Local {
    pub(super) fn open(url: &gix::Url, remote: &Remote) -> Result<Self, FetchError> {
        let shown = remote.shown();
        let gone =
            |reason: &str| FetchError::RemoteGone { url: shown.clone(), reason: reason.to_owned() };
        let path =
            gix::path::from_bstr(url.path.clone()).map_err(|error| gone(&error.to_string()))?;
        if !path.exists() {
            return Err(gone("there is no such directory"));
        }
        let repository = gix::open_opts(path.as_ref(), gix::open::Options::isolated())
            .map_err(|error| gone(&error.to_string()))?;
        Ok(Self { repository, url: shown })
    }

    fn failed(&self, source: impl Into<crate::error::Source>) -> FetchError {
        FetchError::Protocol { url: self.url.clone(), source: source.into() }
    }
}

impl Origin for Local {
    fn objects(&self) -> Option<PathBuf> {
        let objects = self.repository.objects.store_ref().path();
        Some(objects.canonicalize().unwrap_or_else(|_| objects.to_owned()))
    }

    fn references(
        &self,
        _: &gix::Repository,
        prefix: &str,
    ) -> Result<Vec<RemoteReference>, FetchError> {
        let platform = self.repository.references().map_err(|it| self.failed(it))?;
        let found = platform.all().map_err(|it| self.failed(it))?;
        let mut references = Vec::new();
        for reference in found {
            let mut reference = reference.map_err(|it| self.failed(it))?;
            let name = reference.name().as_bstr().to_string();
            if !name.starts_with(prefix) {
                continue;
            }
            // A tag of a tree or a dangling symbolic reference is nothing to deploy.
            if let Ok(commit) = reference.peel_to_commit() {
                references.push(RemoteReference { name, commit: commit.id });
            }
        }
        Ok(references)
    }

    fn bring(&self, _: &gix::Repository, from: &Source<'_>) -> Result<(), FetchError> {
        let wanted = match from {
            Source::Commit(id) if self.has(*id) => return Ok(()),
            Source::Commit(id) => format!("commit {id}"),
            Source::Reference(name) | Source::History(name) => format!("objects of {name}"),
        };
        Err(FetchError::ReferenceMissing { url: self.url.clone(), wanted, existing: Vec::new() })
    }
}

impl Local {
    fn has(&self, id: ObjectId) -> bool {
        self.repository.find_commit(id).is_ok()
    }
}
