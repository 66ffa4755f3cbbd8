//! Two public applications through a whole fleet: committed, synced, placed on three clusters,
//! healed, and taken away again. What the clusters are is the caller's.
//!
//! Reading order: this file is the story, `git` the repository it is told to, `snapshot` what a
//! cluster holds, `havoc` what is done to it behind the fleet's back.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod git;
mod havoc;
pub mod snapshot;

use std::path::Path;

use kogge_testkit::{kubectl, wait_until};

use self::{git::Repository, snapshot::Snapshot};
use crate::common::{Kubectl, SOON};

/// Namespaces of podinfo, which leaves in the end, and of microservices-demo, which stays.
const PODINFO: [&str; 4] = ["dev", "staging", "production", "podinfo"];
const BOUTIQUE: [&str; 2] = ["boutique", "release"];

/// How many objects there are at least in each.
const OBJECTS: [(&str, usize); 6] = [
    ("dev", 24),
    ("staging", 24),
    ("production", 24),
    ("podinfo", 3),
    ("boutique", 50),
    ("release", 35),
];

/// One cluster of the fleet, as its own administrator sees it.
pub struct Member {
    pub name: String,
    pub kubectl: Kubectl,
    /// Empty: the current one.
    pub context: String,
}

impl Member {
    pub fn run(&self, words: &[&str]) -> Result<String, String> {
        let mut all = words.to_vec();
        if !self.context.is_empty() {
            all.extend(["--context", &self.context]);
        }
        self.kubectl.run(&all)
    }

    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let name = &self.name;
        self.run(words).unwrap_or_else(|said| panic!("on {name}, kubectl {words:?}: {said}"))
    }
}

pub struct Fleet {
    pub hub: Kubectl,
    pub members: Vec<Member>,
    pub repository: Repository,
}

/// The whole story; `apps` is the folder with both applications.
pub fn run(fleet: &Fleet, apps: &Path) {
    fleet.repository.add(apps, "podinfo");
    fleet.repository.add(apps, "microservices-demo");
    fleet.repository.write("manifests/podinfo.yaml", &git::podinfo());
    fleet.repository.write("manifests/boutique.yaml", &git::boutique());
    fleet.repository.commit("two applications");

    arrive(fleet);
    claims_are_said(fleet);
    what_cannot_work_says_where_and_why(fleet);
    havoc::wreak(fleet);
    leave(fleet);
}

/// Every Kustomization is Ready, and every cluster holds all of it with all Deployments Available.
fn arrive(fleet: &Fleet) {
    let ready = [
        "get",
        "kustomizations",
        "-n",
        "kogge-system",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type==\"Ready\")].status} {end}",
    ];
    for name in PODINFO.iter().chain(&BOUTIQUE) {
        fleet.hub.wait(&ready, &format!("{name}=True "));
    }
    let available = ["wait", "--for=condition=Available", "deploy", "--all", "-A", "--timeout=90s"];
    fleet.hub.ok(&available);
    let wanted = Snapshot::of(|words| fleet.hub.run(words)).expect("the hub answers");
    for (namespace, least) in OBJECTS {
        let found = wanted.count(namespace);
        assert!(least <= found, "{namespace} has {found} objects on the hub");
    }
    for member in &fleet.members {
        member.ok(&available);
        wait_until(SOON, &format!("{} holds all that the hub holds", member.name), || {
            let held = Snapshot::of(|words| member.run(words)).ok()?;
            held.has_objects_of(&wanted).then_some(())
        });
    }
}

/// No cluster here has a provisioner: that is said, and nothing else is held up by it.
fn claims_are_said(fleet: &Fleet) {
    let claim = ["get", "pvc", "database-primary", "-n", "dev", "-o", "jsonpath={.status.phase}"];
    assert_eq!(fleet.hub.ok(&claim), "Pending");
    let why = |object: &str| fleet.hub.why(object, "dev");
    let said = why("pvc/database-primary");
    for member in &fleet.members {
        let line = format!("{}  pending: no volume is bound yet", member.name);
        assert!(said.contains(&line), "{said}");
    }
    let said = why("sts/database-primary");
    let line = "waits for  persistentvolumeclaim/database-primary: no volume is bound yet on ";
    assert!(said.contains(line), "{said}");
    let said = why("deploy/frontend");
    assert!(said.contains("is healthy on 3 of 3 clusters"), "{said}");
}

/// Kinds that are not there, charts, a base that is missing: nothing else is held up either.
fn what_cannot_work_says_where_and_why(fleet: &Fleet) {
    fleet.repository.write("manifests/broken.yaml", &git::broken());
    fleet.repository.commit("what cannot work");
    let said = |name: &str, texts: &[&str]| {
        let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].message}";
        let words = ["get", "kustomization", name, "-n", "kogge-system", "-o", ready];
        for text in texts {
            fleet.hub.wait(&words, text);
        }
    };
    said(
        "istio",
        &[
            "microservices-demo/kustomize/components/service-mesh-istio/frontend-gateway.yaml",
            "the fleet serves no kind Gateway of gateway.networking.k8s.io/",
        ],
    );
    said("secure", &["podinfo/deploy/secure/common/cluster-issuer.yaml:1", "ClusterIssuer"]);
    said("chart", &["podinfo/charts/podinfo/Chart.yaml:1: it belongs to a Helm chart"]);
    said("component", &["components/spanner/kustomization.yaml: kustomize: no resource matches"]);
    fleet.repository.remove("manifests/broken.yaml");
    fleet.repository.commit("without it");
}

/// What leaves Git leaves every cluster, and the other application does not notice.
fn leave(fleet: &Fleet) {
    let before: Vec<Snapshot> = fleet
        .members
        .iter()
        .map(|it| Snapshot::of(|words| it.run(words)).expect("the cluster answers"))
        .collect();
    fleet.repository.remove("manifests/podinfo.yaml");
    fleet.repository.commit("without podinfo");
    for namespace in PODINFO {
        let get = ["get", "namespace", namespace];
        fleet.hub.wait_gone(&get);
        for member in &fleet.members {
            wait_until(SOON, &format!("{namespace} leaves {}", member.name), || {
                member.run(&get).err().filter(|it| it.contains("NotFound"))
            });
        }
    }
    for (member, before) in fleet.members.iter().zip(&before) {
        let after = Snapshot::of(|words| member.run(words)).expect("the cluster answers");
        for namespace in BOUTIQUE {
            assert_eq!(after.count(namespace), before.count(namespace), "{}", member.name);
        }
    }
}

/// A `PATH` with kubectl first, for those who build kustomizations.
pub fn path_with(kubectl: &Path) -> std::ffi::OsString {
    let folder = kubectl.parent().expect("kubectl is in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder).chain(std::env::split_paths(&path));
    std::env::join_paths(all).expect("no folder here has a colon in its name")
}

/// kubectl, but only where the applications are too.
pub fn or_skip(kubeconfig: std::path::PathBuf) -> Option<(Kubectl, std::path::PathBuf)> {
    let apps = kogge_testkit::apps::or_skip()?;
    let binary = kubectl::or_skip(kubectl::Version::V1_37)?;
    Some((Kubectl { binary, kubeconfig }, apps))
}
