//! A join that is refused or fails leaves nothing behind, on the hub and on the cluster.

mod common;

use common::{Kubectl, kogge, up_with};

/// Joins a member of another fleet to this one, in vain.
#[track_caller]
fn fails(fleet: &Kubectl, other: &Kubectl, words: &[&str], because: &str) {
    let mut command = kogge();
    command.arg("join").args(words).args(["--cluster-context", "member1", "--cluster-kubeconfig"]);
    command.arg(&other.kubeconfig).arg("--kubeconfig").arg(&fleet.kubeconfig);
    let output = command.output().expect("kogge runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "kogge join {words:?} went well");
    assert!(said.contains(because), "kogge join {words:?}: {said}");
    let left = ["get", "serviceaccounts,clusterrolebindings", "-n", "kogge-system"];
    let left = other.ok(&[&left[..], &["-o", "name", "--context", "member1"]].concat());
    assert!(!left.lines().any(|it| it.ends_with("/kogge")), "kogge join {words:?} left {left}");
    let left = fleet.ok(&["get", "clusters,secrets", "-n", "kogge-system", "-o", "name"]);
    assert!(!left.contains(words[0]), "kogge join {words:?} left {left}");
}

#[test]
fn a_join_that_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = ["fleet", "other"].map(|it| dir.path().join(it));
    let Some(fleet) = Kubectl::or_skip(data[0].join("kubeconfig")) else { return };
    let other = Kubectl { kubeconfig: data[1].join("kubeconfig"), binary: fleet.binary.clone() };
    let running = data.map(|it| up_with(&it, &["--members", "1"], &[]));
    fails(&fleet, &other, &["Bad_Name"], "RFC 1123");
    // What only the hub can tell is asked before the cluster is touched.
    let labels = ["odd", "--labels", "tier=not a value"];
    fails(&fleet, &other, &labels, "the fleet refuses the cluster");
    // A simulated member gives no tokens: the account is there by then.
    fails(&fleet, &other, &["late"], "could not get a token");
    drop(running);
}
