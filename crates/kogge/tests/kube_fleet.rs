//! Two real control planes among twenty members: heard, healed and counted like the others.
#![cfg(target_os = "linux")]

mod common;
mod hosts;
mod pulled;

use std::time::Duration;

use common::SOON;
use hosts::{Fleet, count, now, sees, until};
use kogge_testkit::{
    kube::{self, Cluster, Options},
    wait_until,
};
use pulled::POLICY;

const MEMBERS: usize = 20;
const REAL: [&str; 2] = ["real1", "real2"];
const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];

/// Something that a restart or a rollback would change.
fn mark(fleet: &Fleet, name: &str) -> String {
    let fields = "jsonpath={.metadata.uid} {.metadata.generation}";
    fleet.member(name).kubectl.ok(&[&WEB[..], &["-o", fields]].concat())
}

#[test]
fn real_clusters_and_simulated_ones_know_of_each_other_and_go_on_without_their_hub() {
    let Some(binary) = kube::or_skip() else { return };
    let Some((mut fleet, mut hosts)) = Fleet::or_skip(MEMBERS) else { return };
    let clusters = REAL.map(|it| Cluster::start(&binary, &Options::named(it)).expect("a cluster"));
    for (name, cluster) in REAL.iter().zip(&clusters) {
        let port = cluster.url().rsplit(':').next().and_then(|it| it.parse().ok());
        let host = hosts.pop().expect("there are twenty");
        fleet.join_real(host, name, cluster.kubeconfig(), port.expect("a port"));
    }
    fleet.join(hosts, &[]);
    fleet.all_see_all_alive();
    fleet.hub.apply("policy.json", POLICY);
    fleet.hub.kubectl.ok(&["create", "namespace", "shop"]);
    fleet.hub.kubectl.ok(&["create", "deployment", "web", "-n", "shop", "--image=nginx"]);
    for member in &fleet.members {
        member.kubectl.wait(&WEB, "web");
    }

    fleet.hub.process.kill().expect("killed");
    let back = now() + Duration::from_secs(30);
    for name in REAL {
        sees(fleet.member(name), "hub", "Dead");
        let cluster = &fleet.member(name).kubectl;
        let before = mark(&fleet, name);
        cluster.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
        wait_until(SOON, "it is healed", || {
            let fields = [&WEB[..], &["-o", "jsonpath={.metadata.uid}"]].concat();
            cluster.run(&fields).ok().filter(|it| !it.is_empty() && !before.contains(it.as_str()))
        });
    }
    fleet.member_mut("real1").agent.kill().expect("killed");
    for by in ["real2", "c03", "c04"] {
        sees(fleet.member(by), "real1", "Dead");
    }
    fleet.member_mut("real1").start_again();
    for by in ["real2", "c03", "c04"] {
        sees(fleet.member(by), "real1", "Alive");
    }
    let marks = REAL.map(|it| mark(&fleet, it));
    until(back);

    fleet.hub.start_again();
    wait_until(Duration::from_secs(5), "the hub sees all alive", || {
        (count(&fleet.hub.view(), "Alive") == MEMBERS + 1).then_some(())
    });
    for name in REAL {
        fleet.hub.kubectl.wait(&["get", "cluster", name], "True");
    }
    until(now() + Duration::from_secs(5));
    assert_eq!(REAL.map(|it| mark(&fleet, it)), marks);
    let mut dead = fleet.called_dead();
    dead.dedup();
    assert!(dead.iter().all(|it| it == "real1" || it.starts_with("hub")), "{:#?}", fleet.news());
}
