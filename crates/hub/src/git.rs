//! The local copies of Git repositories, and the renderings made from them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use kogge_git::{FetchError, Renderer, Repository};
use kogge_member::ObjectKey;

use crate::lock::lock;

/// Objects of renderings that are remembered, over all repositories.
const REMEMBERED: usize = 20_000;

#[derive(Clone)]
pub(crate) struct Git {
    directory: PathBuf,
    open: Arc<Mutex<BTreeMap<ObjectKey, Open>>>,
    pub renderer: Arc<Renderer>,
}

struct Open {
    url: String,
    repository: Arc<Repository>,
}

impl Git {
    /// Keeps its copies in `directory`, which may be thrown away while no hub runs.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, open: Arc::default(), renderer: Arc::new(Renderer::new(REMEMBERED)) }
    }

    /// The copy that belongs to a GitRepository; blocks. Another URL is another copy.
    pub fn repository(&self, key: &ObjectKey, url: &str) -> Result<Arc<Repository>, FetchError> {
        let mut open = lock(&self.open);
        if let Some(it) = open.get(key).filter(|it| it.url == url) {
            return Ok(it.repository.clone());
        }
        let hash = kogge_sync::canonical::hash(url.as_bytes());
        let name = format!("{}_{}_{}", key.namespace, key.name, &hash[..12]);
        let repository = Arc::new(Repository::open_or_init(&self.directory.join(name))?);
        let it = Open { url: url.to_owned(), repository: repository.clone() };
        open.insert(key.clone(), it);
        Ok(repository)
    }

    /// The GitRepository is gone. Its copy stays on disk for one of the same name.
    pub fn forget(&self, key: &ObjectKey) {
        lock(&self.open).remove(key);
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        let words = it.to_string();
        if !said.contains(&words) {
            said.push_str(": ");
            said.push_str(&words);
        }
        cause = it.source();
    }
    said
}
