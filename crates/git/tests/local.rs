//! Repositories on this machine: which commit a reference names, what its tree holds, what is written.

mod repo;

use std::fs;

use insta::assert_snapshot;
use kogge_git::{Entry, FetchError, Reference, Remote, Repository, TreeError, init_with};
use repo::{Followed, at, author, git, has_git};

fn text(error: &dyn std::error::Error, followed: &Followed) -> String {
    error.to_string().replace(&followed.place.path().display().to_string(), "PLACE")
}

#[test]
fn a_commit_is_labelled_as_flux_labels_it() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let revision = followed.fetch();
    assert_eq!(revision.label, format!("main@sha1:{}", revision.commit));
    let by_name = Reference { name: Some("refs/heads/main".to_owned()), ..Reference::default() };
    let found = followed.cache.fetch(&followed.remote(), &by_name).unwrap();
    assert_eq!(found.label, format!("refs/heads/main@sha1:{}", revision.commit));
    let by_commit = Reference { commit: Some(revision.commit.clone()), ..Reference::default() };
    let found = followed.cache.fetch(&followed.remote(), &by_commit).unwrap();
    assert_eq!(found.label, format!("sha1:{}", revision.commit));
    let on_branch = Reference { branch: Some("main".to_owned()), ..by_commit };
    assert_eq!(followed.cache.fetch(&followed.remote(), &on_branch).unwrap(), revision);
}

#[test]
fn a_new_commit_is_seen_and_the_old_one_stays_readable() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let before = followed.fetch();
    assert_eq!(followed.fetch(), before);
    followed.write("a.yaml", "a: 2\n");
    assert_eq!(followed.fetch(), before, "what is not committed is not there");
    let commit = followed.commit();
    assert_eq!(followed.fetch().commit, commit);
    let read = |commit: &str| followed.cache.tree(commit, "").unwrap().read("a.yaml").unwrap();
    assert_eq!(read(&before.commit), b"a: 1\n");
    assert_eq!(read(&commit), b"a: 2\n");
}

#[test]
fn a_file_url_is_a_path() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let remote = Remote::new(format!("file://{}", followed.origin().display()));
    let found = followed.cache.fetch(&remote, &Reference::branch("main")).unwrap();
    assert_eq!(found, followed.fetch());
}

#[test]
fn what_is_missing_is_named_with_what_there_is() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let fail = |reference: &Reference| {
        let error = followed.cache.fetch(&followed.remote(), reference).unwrap_err();
        text(&error, &followed)
    };
    assert_snapshot!(fail(&Reference::branch("mian")), @"PLACE/origin has no branch mian; there is main");
    assert_snapshot!(fail(&Reference::default()), @"PLACE/origin has no branch master; there is main");
    assert_snapshot!(fail(&Reference { tag: Some("v1".to_owned()), ..Reference::default() }), @"PLACE/origin has no tag v1");
    assert_snapshot!(fail(&Reference { semver: Some(">=1".to_owned()), ..Reference::default() }), @r#"PLACE/origin has no tag in the range ">=1""#);
    assert_snapshot!(fail(&Reference { semver: Some("latest".to_owned()), ..Reference::default() }), @r#"the reference is not valid: semver "latest": "latest" is no version"#);
    assert_snapshot!(fail(&Reference { commit: Some("abc".to_owned()), ..Reference::default() }), @r#"the reference is not valid: commit "abc" is not 40 hexadecimal digits"#);
    assert_snapshot!(fail(&Reference { commit: Some("1".repeat(40)), ..Reference::default() }), @"PLACE/origin has no commit 1111111111111111111111111111111111111111");
    assert_snapshot!(fail(&Reference { name: Some("main".to_owned()), ..Reference::default() }), @r#"the reference is not valid: "main" is no name of a reference, such as refs/heads/main"#);
}

#[test]
fn a_remote_that_is_gone_is_said_to_be() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let before = followed.fetch();
    fs::create_dir(followed.place.path().join("empty")).unwrap();
    for gone in ["nowhere", "empty"] {
        let remote = Remote::new(followed.place.path().join(gone).display().to_string());
        let error = followed.cache.fetch(&remote, &Reference::branch("main")).unwrap_err();
        assert!(matches!(error, FetchError::RemoteGone { .. }), "{error:?}");
    }
    assert!(
        followed.cache.tree(&before.commit, "").is_ok(),
        "what was there before is still there"
    );
    for url in ["ftp://h/x", "git://h/x"] {
        let error =
            followed.cache.fetch(&Remote::new(url), &Reference::branch("main")).unwrap_err();
        assert!(matches!(error, FetchError::BadUrl { .. }), "{error:?}");
    }
}

#[test]
fn a_path_that_is_missing_is_named() {
    let followed = Followed::with(&[("deploy/a.yaml", "a: 1\n")]);
    let commit = followed.fetch().commit;
    let fail = |path: &str| {
        let error = followed.cache.tree(&commit, path).unwrap_err();
        assert!(matches!(error, TreeError::PathMissing { .. }), "{error:?}");
        error.to_string().replace(&commit, "COMMIT")
    };
    assert_snapshot!(fail("./deplyo"), @"path ./deplyo is not in commit COMMIT");
    assert_snapshot!(fail("deploy/a.yaml"), @"path deploy/a.yaml is not in commit COMMIT: it is a file, not a directory");
    assert_snapshot!(fail("../etc"), @"path ../etc is not in commit COMMIT");
    for path in ["", ".", "./", "/", "./deploy", "deploy/", "/deploy/../deploy"] {
        let tree = followed.cache.tree(&commit, path).unwrap();
        assert_eq!(tree.entries().keys().collect::<Vec<_>>(), ["deploy/a.yaml"], "{path:?}");
    }
}

#[test]
fn a_commit_elsewhere_does_not_change_a_trees_hash() {
    let followed = Followed::with(&[("deploy/a.yaml", "a: 1\n"), ("README.md", "x\n")]);
    let before = followed.tree("deploy").hash();
    followed.write("README.md", "y\n");
    followed.commit();
    assert_eq!(followed.tree("deploy").hash(), before);
    followed.write("deploy/b.yaml", "b: 1\n");
    followed.commit();
    let after = followed.tree("deploy").hash();
    assert_ne!(after, before);
    followed.write(".sourceignore", "/deploy/b.yaml\n");
    followed.commit();
    assert_ne!(followed.tree("deploy").hash(), after, "patterns above count as well");
}

#[test]
fn symlinks_are_followed_inside_the_tree_and_nowhere_else() {
    let followed = Followed::with(&[("common/a.yaml", "a: 1\n")]);
    followed.link("deploy/a.yaml", "../common/a.yaml");
    followed.link("deploy/more", "../common");
    followed.link("deploy/twice.yaml", "a.yaml");
    followed.link("deploy/out.yaml", "../../secret.yaml");
    followed.link("deploy/root.yaml", "/etc/passwd");
    followed.link("deploy/lost.yaml", "nowhere.yaml");
    followed.link("deploy/me.yaml", "me.yaml");
    followed.link("deploy/up", "..");
    followed.link("alias", "deploy");
    followed.commit();
    let tree = followed.tree("deploy");
    let seen = |(path, entry): (&String, &Entry)| match entry {
        Entry::File { .. } => format!("{path} is a file"),
        Entry::BrokenLink { target, reason } => format!("{path} -> {target} {reason}"),
        Entry::Submodule { .. } => format!("{path} is a submodule"),
    };
    assert_snapshot!(tree.entries().iter().map(seen).collect::<Vec<_>>().join("\n"), @"
    deploy/a.yaml is a file
    deploy/lost.yaml -> nowhere.yaml leads nowhere
    deploy/me.yaml -> me.yaml leads round in a circle
    deploy/more/a.yaml is a file
    deploy/out.yaml -> ../../secret.yaml leads out of the repository
    deploy/root.yaml -> /etc/passwd leads out of the repository
    deploy/twice.yaml is a file
    deploy/up -> .. leads round in a circle
");
    assert_eq!(tree.read("deploy/more/a.yaml").unwrap(), b"a: 1\n");
    assert_snapshot!(tree.read("deploy/out.yaml").unwrap_err(), @"deploy/out.yaml is a symlink to ../../secret.yaml, which leads out of the repository");
    let alias = followed.tree("alias");
    assert_eq!(alias.read("alias/twice.yaml").unwrap(), b"a: 1\n");
    let before = tree.hash();
    followed.write("common/a.yaml", "a: 2\n");
    followed.commit();
    assert_ne!(followed.tree("deploy").hash(), before, "what a link leads to counts as well");
}

#[test]
fn tags_are_peeled_and_the_highest_in_range_is_taken() {
    if !has_git() {
        return;
    }
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let mut commits = Vec::new();
    for (index, tag) in ["v1.0.0", "v1.2.0", "v1.10.0", "v2.0.0-rc.1", "nightly"].iter().enumerate()
    {
        followed.write("a.yaml", &format!("a: {index}{index}\n"));
        commits.push(followed.commit());
        let annotate: &[&str] = if index % 2 == 0 { &["-a", "-m", "x"] } else { &[] };
        git(&followed.origin(), &[&["tag"], annotate, &[tag]].concat());
    }
    git(&followed.origin(), &["pack-refs", "--all"]);
    let find = |reference: Reference| followed.cache.fetch(&followed.remote(), &reference).unwrap();
    let tag = |it: &str| Reference { tag: Some(it.to_owned()), ..Reference::default() };
    let semver = |it: &str| Reference { semver: Some(it.to_owned()), ..Reference::default() };
    assert_eq!(find(tag("v1.0.0")).label, format!("v1.0.0@sha1:{}", commits[0]));
    assert_eq!(find(semver("1.x")).label, format!("v1.10.0@sha1:{}", commits[2]));
    assert_eq!(find(semver(">=1.0.0 <1.10.0")).commit, commits[1]);
    assert_eq!(find(semver(">=1.0.0-0")).commit, commits[3]);
    git(&followed.origin(), &["gc", "-q"]);
    assert_eq!(find(tag("nightly")).commit, commits[4], "packed references and objects are read");
    assert!(followed.cache.tree(&commits[0], "").is_ok());
}

#[test]
fn submodules_are_reported_not_followed() {
    if !has_git() {
        return;
    }
    let other = Followed::with(&[("b.yaml", "b: 1\n")]);
    let followed = Followed::with(&[("deploy/a.yaml", "a: 1\n")]);
    let url = other.origin().display().to_string();
    git(&followed.origin(), &["submodule", "add", "-q", &url, "deploy/other"]);
    git(&followed.origin(), &["commit", "-qm", "submodule"]);
    assert_eq!(followed.tree("deploy").submodules().collect::<Vec<_>>(), ["deploy/other"]);
    let commit = followed.fetch().commit;
    let error = followed.cache.tree(&commit, "deploy/other").unwrap_err();
    assert_snapshot!(error.to_string().replace(&commit, "COMMIT"), @"path deploy/other is not in commit COMMIT: it is a submodule, and those are not fetched");
}

#[test]
fn git_finds_nothing_to_complain_about() {
    if !has_git() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let files = [
        ("manifests/a.yaml", "a: 1\n"),
        ("scripts/apply.sh", "#!/bin/sh\n"),
        (".gitignore", "*.log\n"),
    ];
    let commit = init_with(place.path(), &files, "kogge init\n\nwhy\n", &author(), at(0)).unwrap();
    let see = |arguments: &[&str]| git(place.path(), arguments);
    assert_eq!(see(&["rev-parse", "main"]), commit);
    assert_eq!(see(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(see(&["status", "--porcelain"]), "");
    see(&["fsck", "--strict"]);
    assert_eq!(
        see(&["log", "-1", "--format=%an <%ae> %at %s"]),
        "A Author <a@example.com> 1700000000 kogge init"
    );
    assert!(see(&["ls-files", "-s", "scripts/apply.sh"]).starts_with("100755"));
    // A person goes on with git, then kogge again.
    fs::write(place.path().join("manifests/b.yaml"), "b: 1\n").unwrap();
    fs::write(place.path().join("x.log"), "noise\n").unwrap();
    see(&["add", "-A"]);
    see(&["commit", "-qm", "by git"]);
    fs::remove_file(place.path().join("manifests/a.yaml")).unwrap();
    let commit = kogge_git::commit_all(place.path(), "less", &author(), at(2)).unwrap();
    assert_eq!(see(&["rev-parse", "HEAD"]), commit);
    assert_eq!(see(&["status", "--porcelain"]), "");
    assert_eq!(
        see(&["ls-tree", "-r", "--name-only", "HEAD"]),
        ".gitignore\nmanifests/b.yaml\nscripts/apply.sh"
    );
    let again = kogge_git::commit_all(place.path(), "nothing", &author(), at(3)).unwrap();
    assert_eq!(again, commit, "no change is no commit");
}

#[test]
fn a_repository_is_not_made_twice() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    assert!(init_with(&followed.origin(), &[], "again", &author(), at(1)).is_err());
}

#[test]
fn a_store_that_was_cut_short_is_made_anew_and_nothing_else_is_deleted() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let cache = followed.place.path().join("cache");
    fs::remove_file(cache.join("1.git/HEAD")).unwrap();
    fs::write(cache.join("thesis.txt"), "x").unwrap();
    let again = Repository::open_or_init(&cache).unwrap();
    let found = again.fetch(&followed.remote(), &Reference::branch("main")).unwrap();
    assert!(again.tree(&found.commit, "").is_ok());
    assert!(cache.join("thesis.txt").exists());
}

#[test]
fn a_store_is_reopened_with_what_it_held() {
    let followed = Followed::with(&[("a.yaml", "a: 1\n")]);
    let commit = followed.fetch().commit;
    let again = Repository::open_or_init(&followed.place.path().join("cache")).unwrap();
    assert!(again.tree(&commit, "").is_ok(), "without a fetch");
}
