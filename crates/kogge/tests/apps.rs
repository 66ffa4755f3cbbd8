//! Two public applications on simulated clusters.

mod applications;
mod common;

use applications::{Fleet, Member, git::Repository};
use common::{Kubectl, up_with};

#[test]
fn simulated_members_run_both_applications() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("fleet");
    let kubeconfig = data.join("kubeconfig");
    let Some((hub, apps)) = applications::or_skip(kubeconfig.clone()) else { return };
    let path = applications::path_with(&hub.binary);
    let running = up_with(&data, &[], &[("PATH", &path)]);
    let member = |name: &str| Member {
        name: name.to_owned(),
        kubectl: Kubectl { binary: hub.binary.clone(), kubeconfig: kubeconfig.clone() },
        context: name.to_owned(),
    };
    let members = ["member1", "member2", "member3"].map(member).into();
    let repository = Repository(data.join("my-project"));
    applications::run(&Fleet { hub, members, repository }, &apps);
    drop(running);
}
