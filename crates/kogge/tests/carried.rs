//! An agent that cannot reach its hub any more, and others that can: they carry.

mod common;
mod pulled;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::SOON;
use kogge_testkit::wait_until;
use pulled::{Hub, Member, POLICY, agent, gate::Gate};

/// From the hub to a cluster, where a neighbour carries.
const PROMISED: Duration = Duration::from_secs(5);

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];

/// A free port on loopback, free a moment ago at least.
fn free() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port")
}

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_neighbour_carries_what_the_hub_and_a_member_say() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(hub) = Hub::or_skip(dir.path(), "24h") else { return };
    let url = hub.kubectl.ok(&["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]);
    let gate = Gate::open(url.trim_start_matches("https://").parse().expect("an address"));
    hub.apply("policy.json", POLICY);
    hub.kubectl.ok(&["create", "namespace", "shop"]);

    let near = Member::start(dir.path(), "near", &hub.kubectl);
    let mut words = hub.token(&["near"]);
    words.extend(["--gossip-address".to_owned(), free().to_string()]);
    let mut near_agent = agent(&dir.path().join("near"), &near.kubectl.kubeconfig, &words);
    near_agent.wait_log("near is a member of the fleet", SOON);

    let far = Member::start(dir.path(), "far", &hub.kubectl);
    let through = format!("https://{}", gate.address());
    let mut words = hub.token(&["far", "--hub", &through]);
    words.extend(["--gossip-address".to_owned(), free().to_string()]);
    let mut far_agent = agent(&dir.path().join("far"), &far.kubectl.kubeconfig, &words);
    far_agent.wait_log("gossips with the fleet", SOON);
    let web = ["create", "deployment", "web", "-n", "shop", "--image=nginx", "--replicas=2"];
    hub.kubectl.ok(&web);
    far.kubectl.wait(&WEB, "2/2");
    let connected = "jsonpath={.status.conditions[?(@.type==\"Connected\")].reason}";
    let connected = ["get", "cluster", "far", "-o", connected];
    hub.kubectl.wait(&connected, "Direct");
    let alive = || {
        let view = hub.ok(&["gossip", "--from", "far", "-o", "json"]);
        (view.matches("\"Alive\"").count() == 3).then_some(())
    };
    wait_until(SOON, "three members are alive to far", alive);

    // What the hub wants arrives, and what became of it comes back.
    gate.cut();
    let cut = now();
    hub.kubectl.ok(&["scale", "deployment", "web", "-n", "shop", "--replicas=3"]);
    far.kubectl.wait(&[&WEB[..], &["-o", "jsonpath={.spec.replicas}"]].concat(), "3");
    let found = cut.elapsed();
    far.kubectl.wait(&WEB, "3/3");
    hub.kubectl.wait(&connected, "ThroughMember");
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    assert_eq!(hub.kubectl.ok(&["get", "cluster", "far", "-o", ready]), "True");
    let said = now();
    hub.kubectl.ok(&["set", "image", "deployment/web", "-n", "shop", "nginx=nginx:2"]);
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    far.kubectl.wait(&[&WEB[..], &["-o", image]].concat(), "nginx:2");
    let carried = said.elapsed();
    eprintln!("what the hub wants arrives {found:?} after the cut, then in {carried:?}");
    // The first has to wait until the hub has been silent for 3 s.
    assert!(carried < PROMISED, "{carried:?}");
    hub.kubectl.wait(&WEB, "3/3");
    let said = hub.kubectl.why("deploy/web", "shop");
    assert!(said.contains("news to and from far travels through"), "{said}");
    far.kubectl.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
    hub.kubectl.wait(&["get", "events", "-n", "shop"], "on far: deleted at");

    // Straight again as soon as that works.
    gate.mend();
    hub.kubectl.wait(&connected, "Direct");
    hub.kubectl.ok(&["scale", "deployment", "web", "-n", "shop", "--replicas=1"]);
    far.kubectl.wait(&WEB, "1/1");

    // Nobody links to it any more, but that it is removed it hears.
    gate.cut();
    hub.kubectl.wait(&connected, "ThroughMember");
    hub.ok(&["unjoin", "far"]);
    let ended = far_agent.wait_exit(SOON).expect("waited").expect("the agent ends");
    assert!(ended.success(), "{ended}");
    far.kubectl.wait(&WEB, "1/1");
}
