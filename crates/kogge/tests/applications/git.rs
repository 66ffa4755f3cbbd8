//! The repository that the fleet follows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use kogge_git::{Author, commit_all, init_with};

pub struct Repository(pub PathBuf);

fn author() -> Author {
    Author { name: "test".into(), email: "test@localhost".into() }
}

fn time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

impl Repository {
    pub fn init(path: &Path) -> Self {
        let files = [("manifests/empty.yaml", "---\n")];
        init_with(path, &files, "nothing yet", &author(), time()).expect("a repository");
        Self(path.to_owned())
    }

    /// Copies an application in.
    pub fn add(&self, apps: &Path, name: &str) {
        copy(&apps.join(name), &self.0.join(name));
    }

    pub fn write(&self, path: &str, content: &str) {
        fs::write(self.0.join(path), content).expect("written");
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).expect("removed");
    }

    pub fn commit(&self, message: &str) {
        commit_all(&self.0, message, &author(), time()).expect("committed");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A Kustomization of the repository called my-project, as Flux has it.
fn kustomization(name: &str, path: &str, more: &str) -> String {
    format!(
        "---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: kogge-system}}
spec:
  interval: 1m
  path: {path}
  prune: true
  sourceRef: {{kind: GitRepository, name: my-project}}
{more}"
    )
}

/// One that brings no namespace of its own.
fn into_namespace(name: &str, path: &str, more: &str) -> String {
    let namespace = format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    namespace + &kustomization(name, path, &format!("  targetNamespace: {name}\n{more}"))
}

/// The three overlays, and the plain kustomization.
pub fn podinfo() -> String {
    let overlay = |it: &&str| kustomization(it, &format!("./podinfo/deploy/overlays/{it}"), "");
    let overlays: String = ["dev", "staging", "production"].iter().map(overlay).collect();
    overlays + &into_namespace("podinfo", "./podinfo/kustomize", "  wait: true\n")
}

/// Kustomized with components, and the plain release.
pub fn boutique() -> String {
    let components = "  components:
  - components/network-policies
  - components/google-cloud-operations
  - components/single-shared-session
  - components/cymbal-branding
  - components/container-images-tag
";
    into_namespace("boutique", "./microservices-demo/kustomize", components)
        + &into_namespace("release", "./microservices-demo/release", "")
}

/// What needs kinds, charts or bases that are not there.
pub fn broken() -> String {
    let demo = "./microservices-demo/kustomize";
    kustomization("istio", &format!("{demo}/tests/service-mesh-istio-with-all-components"), "")
        + &kustomization("secure", "./podinfo/deploy/secure", "")
        + &kustomization("chart", "./podinfo/charts", "")
        + &kustomization("component", &format!("{demo}/components/spanner"), "")
}
