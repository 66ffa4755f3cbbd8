//! Repositories behind HTTP: listing before fetching, one commit deep, and faults told apart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod repo;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use kogge_git::{Credentials, FetchError, Reference, Remote};
use repo::http::Server;
use repo::{Followed, git, has_git};

/// A repository with a history, and a server of it.
fn served(authorization: Option<&str>) -> Option<(Followed, Server)> {
    if !has_git() {
        return None;
    }
    let followed = Followed::with(&[("a.yaml", "a: 1\n"), ("big/b.yaml", "b: 1\n")]);
    for index in 0..5 {
        followed.write("a.yaml", &format!("a: old {index}\n"));
        followed.commit();
    }
    let server = Server::start(followed.place.path().to_owned(), authorization);
    Some((followed, server))
}

fn remote(server: &Server) -> Remote {
    Remote::new(format!("{}/origin", server.url))
}

fn objects(followed: &Followed) -> usize {
    let count = git(&followed.place.path().join("cache/1.git"), &["count-objects", "-v"]);
    let number = |field: &str| {
        let line = count.lines().find_map(|it| it.strip_prefix(field)).unwrap();
        line.trim().parse::<usize>().unwrap()
    };
    number("count:") + number("in-pack:")
}

#[test]
fn a_branch_is_fetched_one_commit_deep_and_then_only_listed() {
    let Some((followed, server)) = served(None) else { return };
    let branch = Reference::branch("main");
    let revision = followed.cache.fetch(&remote(&server), &branch).unwrap();
    assert_eq!(revision.commit, git(&followed.origin(), &["rev-parse", "main"]));
    assert_eq!(
        followed.cache.tree(&revision.commit, "").unwrap().read("a.yaml").unwrap(),
        b"a: old 4\n"
    );
    assert_eq!(objects(&followed), 5, "a commit, two trees, two blobs");
    server.requests();
    assert_eq!(followed.cache.fetch(&remote(&server), &branch).unwrap(), revision);
    assert_eq!(server.requests(), ["GET /origin/info/refs", "POST /origin/git-upload-pack"]);
    followed.write("a.yaml", "a: new\n");
    let commit = followed.commit();
    let after = followed.cache.fetch(&remote(&server), &branch).unwrap();
    assert_eq!(after.commit, commit);
    assert_eq!(followed.cache.tree(&commit, "").unwrap().read("a.yaml").unwrap(), b"a: new\n");
    assert_eq!(followed.cache.tree(&commit, "").unwrap().read("big/b.yaml").unwrap(), b"b: 1\n");
    assert_eq!(objects(&followed), 8, "and what changed: a commit, a tree, a blob");
    assert!(
        followed.cache.tree(&revision.commit, "").is_ok(),
        "the commit before is still readable"
    );
}

#[test]
fn a_branch_that_was_rewritten_is_followed() {
    let Some((followed, server)) = served(None) else { return };
    let branch = Reference::branch("main");
    followed.cache.fetch(&remote(&server), &branch).unwrap();
    git(&followed.origin(), &["reset", "-q", "--hard", "HEAD~2"]);
    followed.write("a.yaml", "a: rewritten\n");
    let commit = followed.commit();
    assert_eq!(followed.cache.fetch(&remote(&server), &branch).unwrap().commit, commit);
    git(&followed.origin(), &["reset", "-q", "--hard", "HEAD~3"]);
    let back = git(&followed.origin(), &["rev-parse", "HEAD"]);
    assert_eq!(followed.cache.fetch(&remote(&server), &branch).unwrap().commit, back);
    assert!(followed.cache.tree(&back, "").unwrap().read("a.yaml").is_ok());
}

#[test]
fn tags_names_and_commits_are_found() {
    let Some((followed, server)) = served(None) else { return };
    let head = git(&followed.origin(), &["rev-parse", "main"]);
    let old = git(&followed.origin(), &["rev-parse", "main~2"]);
    git(&followed.origin(), &["tag", "-a", "-m", "x", "v1.1.0"]);
    git(&followed.origin(), &["tag", "v1.0.0", "main~2"]);
    git(&followed.origin(), &["update-ref", "refs/pull/7/head", "main~1"]);
    let find = |reference: &Reference| followed.cache.fetch(&remote(&server), reference).unwrap();
    let none = Reference::default();
    let commit = find(&Reference { commit: Some(old.clone()), ..none.clone() });
    assert_eq!(commit.label, format!("sha1:{old}"));
    assert!(followed.cache.tree(&old, "").is_ok());
    server.requests();
    find(&Reference { commit: Some(old.clone()), ..none.clone() });
    assert_eq!(server.requests(), [""; 0], "a commit that is here needs no remote");
    assert_eq!(find(&Reference { tag: Some("v1.1.0".to_owned()), ..none.clone() }).commit, head);
    assert_eq!(find(&Reference { semver: Some("<1.1.0".to_owned()), ..none.clone() }).commit, old);
    let pull = find(&Reference { name: Some("refs/pull/7/head".to_owned()), ..none.clone() });
    assert_eq!(pull.commit, git(&followed.origin(), &["rev-parse", "main~1"]));
    let missing =
        Reference { commit: Some("1".repeat(40)), branch: Some("main".to_owned()), ..none };
    let error = followed.cache.fetch(&remote(&server), &missing).unwrap_err();
    assert!(matches!(error, FetchError::ReferenceMissing { .. }), "{error:?}");
}

#[test]
fn a_missing_branch_names_those_there_are() {
    let Some((followed, server)) = served(None) else { return };
    git(&followed.origin(), &["branch", "release"]);
    let error = followed.cache.fetch(&remote(&server), &Reference::branch("mian")).unwrap_err();
    let text = error.to_string().replace(&server.url, "URL");
    assert_eq!(text, "URL/origin has no branch mian; there is main, release");
}

#[test]
fn credentials_are_sent_and_their_refusal_is_told() {
    // user:secret
    let Some((followed, server)) = served(Some("Basic dXNlcjpzZWNyZXQ=")) else { return };
    let fetch = |credentials: Credentials| {
        let remote = Remote { credentials, ..remote(&server) };
        followed.cache.fetch(&remote, &Reference::branch("main"))
    };
    let secret = |password: &str| {
        let pair = [("username", "user"), ("password", password)];
        let data: BTreeMap<_, _> =
            pair.iter().map(|(key, it)| ((*key).to_owned(), it.as_bytes().to_vec())).collect();
        Credentials::from_secret(&data).unwrap()
    };
    for (credentials, words) in [(Credentials::default(), "secretRef"), (secret("wrong"), "401")] {
        let error = fetch(credentials).unwrap_err();
        assert!(
            matches!(&error, FetchError::AuthRefused { reason, .. } if reason.contains(words)),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("wrong"), "no secret in an error");
    }
    fetch(secret("secret\n")).unwrap();
    let in_url = Remote::new(remote(&server).url.replace("http://", "http://user:secret@"));
    followed.cache.fetch(&in_url, &Reference::branch("main")).unwrap();
    assert!(!in_url.shown().contains("secret"));
    let error = followed.cache.fetch(&in_url, &Reference::branch("nope")).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn tls_is_checked_against_the_secrets_authority() {
    if !has_git() {
        return;
    }
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let root = followed.place.path().to_owned();
    let (server, authority) = Server::start_tls(root, Some("Bearer token"));
    let fetch = |data: &[(&str, &str)]| {
        let data =
            data.iter().map(|(key, it)| ((*key).to_owned(), it.as_bytes().to_vec())).collect();
        let remote =
            Remote { credentials: Credentials::from_secret(&data).unwrap(), ..remote(&server) };
        followed.cache.fetch(&remote, &Reference::branch("main"))
    };
    let stranger = fetch(&[("bearerToken", "token")]).unwrap_err();
    assert!(
        matches!(&stranger, FetchError::Unreachable { reason, .. } if reason.contains("ca.crt")),
        "{stranger:?}"
    );
    let refused = fetch(&[("bearerToken", "wrong"), ("ca.crt", &authority)]).unwrap_err();
    assert!(matches!(refused, FetchError::AuthRefused { .. }), "{refused:?}");
    fetch(&[("bearerToken", "token"), ("caFile", &authority)]).unwrap();
    let broken = fetch(&[("ca.crt", "nothing")]).unwrap_err();
    assert!(matches!(broken, FetchError::BadCredentials { .. }), "{broken:?}");
}

#[test]
fn secrets_that_could_not_work_are_refused_before_they_are_sent() {
    let read = |data: &[(&str, &str)]| {
        let data =
            data.iter().map(|(key, it)| ((*key).to_owned(), it.as_bytes().to_vec())).collect();
        Credentials::from_secret(&data).map(drop).map_err(|it| it.to_string())
    };
    assert!(read(&[("identity", "key")]).unwrap_err().contains("known_hosts"));
    assert!(read(&[("tls.crt", "x")]).unwrap_err().contains("tls.key"));
    assert!(read(&[("githubAppID", "1")]).unwrap_err().contains("githubAppID"));
    read(&[("identity", "key"), ("known_hosts", "h"), ("identity.pub", "x")]).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let cache = kogge_git::Repository::open_or_init(cache.path()).unwrap();
    let credentials = Credentials { bearer_token: Some("t".to_owned()), ..Credentials::default() };
    let remote = Remote { credentials, ..Remote::new("http://localhost/x") };
    let error = cache.fetch(&remote, &Reference::branch("main")).unwrap_err();
    assert!(matches!(error, FetchError::BadCredentials { .. }), "{error:?}");
}

#[test]
fn a_store_does_not_grow_without_end() {
    let Some((followed, server)) = served(None) else { return };
    let cache = followed.place.path().join("cache");
    let mut tree = None;
    for index in 0..55 {
        followed.write("a.yaml", &format!("a: new {index}\n"));
        let commit = followed.commit();
        let found = followed.cache.fetch(&remote(&server), &Reference::branch("main")).unwrap();
        assert_eq!(found.commit, commit);
        if index == 50 {
            tree = Some(followed.cache.tree(&commit, "").unwrap());
        }
    }
    let packs = |store: &str| fs::read_dir(cache.join(store).join("objects/pack")).unwrap().count();
    assert!(packs("2.git") < 20, "{}", packs("2.git"));
    assert_eq!(
        tree.unwrap().read("a.yaml").unwrap(),
        b"a: new 50\n",
        "what was being read still is"
    );
    let again = kogge_git::Repository::open_or_init(&cache).unwrap();
    assert!(again.tree(&followed.commit(), "").is_ok());
    assert!(!cache.join("1.git").exists());
}

#[test]
fn a_repository_that_moved_is_followed() {
    let Some((followed, server)) = served(None) else { return };
    let moved = Remote::new(format!("{}/moved/origin", server.url));
    let found = followed.cache.fetch(&moved, &Reference::branch("main")).unwrap();
    assert!(followed.cache.tree(&found.commit, "").is_ok());
}

#[test]
fn remotes_that_are_gone_or_unreachable_are_told_apart() {
    let Some((followed, server)) = served(None) else { return };
    let fail = |url: String| {
        let remote = Remote { timeout: Duration::from_secs(2), ..Remote::new(url) };
        followed.cache.fetch(&remote, &Reference::branch("main")).unwrap_err()
    };
    let gone = fail(format!("{}/nothing", server.url));
    assert!(matches!(gone, FetchError::RemoteGone { .. }), "{gone:?}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = fail(format!("http://{free}/x"));
    assert!(
        matches!(&refused, FetchError::Unreachable { reason, .. } if reason.contains("refused")),
        "{refused:?}"
    );
    // A host that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let timeout = fail(format!("http://{}/x", silent.local_addr().unwrap()));
    assert!(
        matches!(&timeout, FetchError::Unreachable { reason, .. } if reason.contains("timeout")),
        "{timeout:?}"
    );
}

#[test]
fn a_store_goes_from_a_local_repository_to_a_remote_one_and_back() {
    let Some((followed, server)) = served(None) else { return };
    let here = followed.fetch();
    assert_eq!(objects(&followed), 0, "read in place");
    let there = followed.cache.fetch(&remote(&server), &Reference::branch("main")).unwrap();
    assert_eq!(here, there);
    assert_eq!(objects(&followed), 5, "now its own");
    fs::rename(followed.origin(), followed.place.path().join("away")).unwrap();
    assert!(followed.cache.tree(&there.commit, "").unwrap().read("a.yaml").is_ok());
}
