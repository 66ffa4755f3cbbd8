//! Repositories to fetch from, made without git, and by git where it is installed.

#![allow(dead_code, reason = "every test file takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod http;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use kogge_git::{Author, Reference, Remote, Repository, Revision, Tree, commit_all, init_with};
use tempfile::TempDir;

/// A repository and the cache of whoever follows it.
pub struct Followed {
    pub place: TempDir,
    pub cache: Repository,
}

impl Followed {
    /// On branch main, with one commit of `files`.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        init_with(&place.path().join("origin"), files, "first", &author(), at(0)).unwrap();
        Self::in_place(place)
    }

    pub fn in_place(place: TempDir) -> Self {
        let cache = Repository::open_or_init(&place.path().join("cache")).unwrap();
        Self { place, cache }
    }

    pub fn origin(&self) -> PathBuf {
        self.place.path().join("origin")
    }

    pub fn remote(&self) -> Remote {
        Remote::new(self.origin().display().to_string())
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.origin().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.origin().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub fn commit(&self) -> String {
        commit_all(&self.origin(), "more", &author(), at(1)).unwrap()
    }

    pub fn fetch(&self) -> Revision {
        self.cache.fetch(&self.remote(), &Reference::branch("main")).unwrap()
    }

    /// What `path` holds on branch main now.
    pub fn tree(&self, path: &str) -> Tree {
        self.cache.tree(&self.fetch().commit, path).unwrap()
    }
}

pub fn author() -> Author {
    Author { name: "A Author".to_owned(), email: "a@example.com".to_owned() }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// Whether git is installed; said aloud where it is not, since the test then shows nothing.
pub fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok_and(|it| it.status.success());
    if !found {
        eprintln!("SKIPPED: git is not installed");
    }
    found
}

/// Runs git in `dir`, free of the configuration of whoever runs the test.
#[track_caller]
pub fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=G",
            "-c",
            "user.email=g@example.com",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
