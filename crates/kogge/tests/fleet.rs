//! Twenty agents on hosts of their own, and what happens to networks and processes.
#![cfg(target_os = "linux")]

mod common;
mod hosts;
mod pulled;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::common::SOON;
use hosts::{Fleet, count, now, seen, sees, until};
use kogge_testkit::{
    network::{Fault, Weather},
    wait_until,
};

const MEMBERS: usize = 20;

/// One fleet at a time: what is measured is not how two share a machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn delay_and_loss_bury_nobody() {
    let _alone = alone();
    let Some((mut fleet, hosts)) = Fleet::or_skip(MEMBERS) else { return };
    let targets: Vec<_> = hosts.iter().map(|it| (it.address(), 7946).into()).collect();
    let (relay, addresses) = fleet.network.relay(&targets, 7).expect("a relay");
    fleet.join(hosts, &addresses);
    fleet.all_see_all_alive();
    let delay = (Duration::from_millis(20), Duration::from_millis(50));
    relay.set(Weather { delay, loss_percent: 10 });
    until(now() + Duration::from_mins(1));
    assert_eq!(fleet.called_dead(), Vec::<String>::new());
    // The relay was in the way: nobody is as near as before.
    let view = fleet.members[0].view();
    let members = view["members"].as_array().expect("a view");
    let trips: Vec<f64> =
        members.iter().filter_map(|it| it["roundTripMilliseconds"].as_f64()).collect();
    assert!(trips.iter().filter(|it| 30.0 < **it).count() > 2, "{trips:?}");
    fleet.all_see_all_alive();
}

/// One copy somewhere, of what may run on two clusters; and one everywhere, with nodes for it.
const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: web, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web}]
  placement: {clusterAffinity: {}}
---
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: one, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: one}]
  placement:
    clusterAffinity: {clusterNames: [STOPPED]}
    spreadConstraints: [{spreadByField: cluster, minGroups: 1, maxGroups: 1}]
  failover: {cluster: {purgeMode: Gracefully}}
---
apiVersion: autoscaling/v1beta2
kind: ClusterAutoscaler
metadata: {name: nodes}
spec:
  nodeSelector: {beta.kubernetes.io/os: linux}
  minAvailable: 1
  maxAvailable: 6
  minPods: 2
  maxPods: 50
";

fn deployment(name: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{containers: [{{name: {name}, image: 'nginx:1.29'}}]}}\n"
    )
}

/// Who has which part; everybody else only watches.
struct Cast {
    /// Of two that watch, the first does not get through to the second.
    mute: String,
    unheard: String,
    without_udp: String,
    cut_off: String,
    stopped: String,
    killed: String,
    spare: String,
    rest: Vec<String>,
}

impl Cast {
    fn choose(fleet: &Fleet) -> Self {
        let view = fleet.members[0].view();
        let unheard = "c01".to_owned();
        let observers = seen(&view, &unheard)["vouchers"].as_array().expect("observers").clone();
        let mut observers = observers.iter().filter_map(|it| it.as_str());
        let mute = observers.find(|it| it.starts_with('c')).expect("an observer").to_owned();
        let names = fleet.members.iter().map(|it| it.name.clone());
        let mut rest: Vec<String> = names.filter(|it| *it != mute && *it != unheard).collect();
        let mut next = || rest.pop().expect("there are twenty");
        let [without_udp, cut_off, stopped, killed, spare] = [(); 5].map(|()| next());
        Self { mute, unheard, without_udp, cut_off, stopped, killed, spare, rest }
    }
}

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];
const ONE: [&str; 5] = ["get", "deployment", "one", "-n", "shop"];

/// Something that a restart or a rollback would change.
fn mark(fleet: &Fleet, name: &str) -> String {
    let fields = "jsonpath={.metadata.uid} {.metadata.generation}";
    fleet.member(name).kubectl.ok(&[&WEB[..], &["-o", fields]].concat())
}

fn dead(name: &str) -> [String; 5] {
    let path = "jsonpath={.status.conditions[?(@.type==\"Dead\")].status}";
    ["get", "cluster", name, "-o", path].map(str::to_owned)
}

#[track_caller]
fn hub_says_dead(fleet: &Fleet, name: &str, is: &str) {
    let words = dead(name);
    fleet.hub.kubectl.wait(&words.each_ref().map(String::as_str), is);
}

#[track_caller]
fn is_not_dead(fleet: &Fleet, name: &str) {
    let words = dead(name);
    let said = fleet.hub.kubectl.ok(&words.each_ref().map(String::as_str));
    assert_ne!(said, "True", "{name} is not reached by the hub alone");
}

/// The names of what moved, as Events tell it.
const MOVED: &str = "jsonpath={.items[?(@.reason=='FailedOver')].involvedObject.name}";

fn incarnation(fleet: &Fleet, by: &str, of: &str) -> u64 {
    seen(&fleet.member(by).view(), of)["incarnation"].as_u64().expect("it has one")
}

/// Says how long the hub stays away; a minute where nothing else is asked for.
fn away() -> Duration {
    let minutes = std::env::var("KOGGE_HUB_AWAY_MINUTES").ok().and_then(|it| it.parse().ok());
    Duration::from_mins(minutes.unwrap_or(1))
}

#[test]
fn a_fleet_bears_faults_of_links_and_processes_and_a_hub_that_is_gone() {
    let _alone = alone();
    let Some((mut fleet, hosts)) = Fleet::or_skip(MEMBERS) else { return };
    fleet.join(hosts, &[]);
    fleet.all_see_all_alive();
    let cast = Cast::choose(&fleet);
    let objects = OBJECTS.replace("STOPPED", &cast.stopped);
    fleet.hub.apply("objects.yaml", &(objects + &deployment("web") + &deployment("one")));
    for member in &fleet.members {
        member.kubectl.wait(&WEB, "1/1");
    }
    fleet.member(&cast.stopped).kubectl.wait(&ONE, "1/1");
    links_and_processes(&mut fleet, &cast);
    without_hub(&mut fleet, &cast);
}

fn links_and_processes(fleet: &mut Fleet, cast: &Cast) {
    // What is on one cluster may be on another, once it must.
    let wider = format!(
        r#"{{"spec":{{"placement":{{"clusterAffinity":{{"clusterNames":["{}","{}"]}}}}}}}}"#,
        cast.stopped, cast.spare
    );
    let words = ["patch", "propagationpolicy", "one", "-n", "shop", "--type=merge", "-p", &wider];
    fleet.hub.kubectl.ok(&words);
    let watching = &fleet.member(&cast.rest[0]).name.clone();
    let life = incarnation(fleet, watching, &cast.killed);

    let address = |name: &str| fleet.member(name).host.address();
    let one_way = Fault::OneWay(address(&cast.mute), address(&cast.unheard));
    let no_udp = Fault::Udp(address(&cast.without_udp));
    fleet.network.block(one_way).expect("a rule");
    fleet.network.block(no_udp).expect("a rule");
    fleet.cut(&fleet.hub.host, &fleet.member(&cast.cut_off).host);
    fleet.member(&cast.stopped).agent.signal("STOP").expect("stopped");
    let goes_on = now() + Duration::from_mins(1);
    fleet.member_mut(&cast.killed).agent.kill().expect("killed");

    for by in &cast.rest[..3] {
        sees(fleet.member(by), &cast.stopped, "Dead");
        sees(fleet.member(by), &cast.killed, "Dead");
    }
    let view = fleet.member(watching).view();
    let words = seen(&view, &cast.stopped)["links"].as_array().expect("words").clone();
    assert!(2 < words.iter().filter(|it| it["word"] == "Down").count(), "{words:?}");
    hub_says_dead(fleet, &cast.stopped, "True");
    wait_until(SOON, "the broken link is shown", || {
        let view = fleet.member(watching).view();
        let words = seen(&view, &cast.unheard)["links"].as_array()?.clone();
        words
            .into_iter()
            .find(|it| it["from"] == *cast.mute && (it["word"] == "Cut" || it["word"] == "OneWay"))
    });
    fleet.member_mut(&cast.killed).start_again();
    for by in &cast.rest[..3] {
        sees(fleet.member(by), &cast.killed, "Alive");
    }
    assert!(life < incarnation(fleet, watching, &cast.killed), "{life}");
    fleet.member(&cast.spare).kubectl.wait(&ONE, "1/1");
    fleet.hub.kubectl.wait(&["get", "events", "-n", "shop", "-o", MOVED], "one");
    until(goes_on);
    is_not_dead(fleet, &cast.cut_off);
    // Only the one that stands still, in the sight of who has no UDP.
    let view = fleet.member(&cast.without_udp).view();
    assert_eq!(count(&view, "Dead"), 1, "{view:#}");
    assert_eq!(seen(&view, &cast.stopped)["state"], "Dead");

    fleet.member(&cast.stopped).agent.signal("CONT").expect("continued");
    for by in &cast.rest[..3] {
        sees(fleet.member(by), &cast.stopped, "Alive");
    }
    hub_says_dead(fleet, &cast.stopped, "False");
    fleet.member(&cast.stopped).kubectl.wait_gone(&ONE);
    fleet.member(&cast.spare).kubectl.wait(&ONE, "1/1");
    let mut called = fleet.called_dead();
    called.dedup();
    let mut died = [cast.killed.clone(), cast.stopped.clone()];
    died.sort();
    assert_eq!(called, died, "{:#?}", fleet.news());
    fleet.network.mend(one_way).expect("a rule");
    fleet.network.mend(no_udp).expect("a rule");
    fleet.uncut(&fleet.hub.host, &fleet.member(&cast.cut_off).host);
    fleet.all_see_all_alive();
}

/// Drift is healed and nodes come; what breaks and what is lost is known to the others.
fn clusters_go_on(fleet: &mut Fleet, rest: &[String]) {
    let [drifts, grows, breaks, is_lost, watching] = [0, 1, 2, 3, 4].map(|it| rest[it].clone());
    let cluster = &fleet.member(&drifts).kubectl;
    cluster.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
    cluster.wait(&WEB, "1/1");
    let cluster = &fleet.member(&grows).kubectl;
    cluster.ok(&["create", "deployment", "local", "--image=nginx", "--replicas=3"]);
    cluster.ok(&["set", "resources", "deployment", "local", "--requests=cpu=3"]);
    cluster.wait(&["get", "deployment", "local"], "3/3");
    // The first pods, that asked for nothing, had room.
    wait_until(SOON, "a node comes", || {
        (1 < cluster.ok(&["get", "nodes", "-o", "name"]).lines().count()).then_some(())
    });
    cluster.wait(&["get", "deployment", "local"], "3/3");
    wait_until(SOON, "members know of the room that came", || {
        let nodes = cluster.ok(&["get", "nodes", "-o", "name"]).lines().count();
        let known = seen(&fleet.member(&watching).view(), &grows)["capacity"]["nodes"].clone();
        (known == nodes).then_some(())
    });
    let broken = fleet.member(&breaks);
    let node = broken.kubectl.ok(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    let faults = broken.cluster.as_ref().expect("it runs").faults();
    faults.node_dead(&node, true);
    broken.kubectl.wait(&["get", "node", &node], "NotReady");
    drop(fleet.member_mut(&is_lost).cluster.take());
    wait_until(SOON, "members know how a cluster is", || {
        let view = fleet.member(&watching).view();
        (seen(&view, &is_lost)["health"] == "Down").then_some(())
    });
}

fn without_hub(fleet: &mut Fleet, cast: &Cast) {
    let [_, grows, breaks, is_lost] = [0, 1, 2, 3].map(|it| cast.rest[it].clone());
    let watching = cast.rest[4].clone();
    let before = fleet.called_dead();
    fleet.hub.process.kill().expect("killed");
    let back = now() + away();
    sees(fleet.member(&watching), "hub", "Dead");

    clusters_go_on(fleet, &cast.rest);
    let names: Vec<String> = cast.rest.iter().filter(|it| **it != is_lost).cloned().collect();
    let marks: Vec<String> = names.iter().map(|it| mark(fleet, it)).collect();
    until(back);

    let started = now();
    fleet.hub.start_again();
    let up = started.elapsed();
    wait_until(SOON, "the hub sees all alive", || {
        (count(&fleet.hub.view(), "Alive") == MEMBERS + 1).then_some(())
    });
    let members = started.elapsed();
    let ready = [
        "get",
        "clusters",
        "-o",
        "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}",
    ];
    wait_until(SOON, "the hub has heard all agents", || {
        let said = fleet.hub.kubectl.run(&ready).ok()?;
        (said.matches("True").count() == MEMBERS - 1 && said.contains("False")).then_some(())
    });
    let whole = started.elapsed();
    eprintln!(
        "the hub answers after {up:?}, sees all members after {members:?}, all clusters {whole:?}"
    );
    assert!(members < Duration::from_secs(5), "{up:?} {members:?} {whole:?}");
    let counted = |of: &str, what: &str| {
        let path = format!("jsonpath={{.status.nodeSummary.{what}}}");
        fleet.hub.kubectl.ok(&["get", "cluster", of, "-o", &path])
    };
    let nodes = fleet.member(&grows).kubectl.ok(&["get", "nodes", "-o", "name"]).lines().count();
    // Until the first report, a Cluster shows what the hub knew before it was killed.
    wait_until(SOON, "the nodes that came meanwhile are counted", || {
        (counted(&grows, "totalNum") == nodes.to_string()).then_some(())
    });
    wait_until(SOON, "so is the one that broke", || {
        (counted(&breaks, "readyNum") != counted(&breaks, "totalNum")).then_some(())
    });
    let late = now() + Duration::from_secs(10);
    until(late);
    assert_eq!(names.iter().map(|it| mark(fleet, it)).collect::<Vec<_>>(), marks);
    let after = fleet.called_dead();
    let but_hub: Vec<&String> = after.iter().filter(|it| it.starts_with('c')).collect();
    assert_eq!(but_hub.len(), before.len(), "{:#?}", fleet.news());
}
