//! Agents that dial their hub: they join by a token, and go on while the hub is away.

mod common;
mod pulled;

use std::{fs, path::Path, time::Duration};

use common::{Kubectl, SOON};
use kogge_testkit::wait_until;
use pulled::{Hub, Member, POLICY, agent, get};

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];

const AUTOSCALER: &str = r#"{"apiVersion": "autoscaling/v1beta2",
"kind": "ClusterAutoscaler", "metadata": {"name": "nodes"},
"spec": {"scaleDownUnneededWorkloads": true, "nodeSelector": {"beta.kubernetes.io/os": "linux"},
    "minAvailable": 1, "maxAvailable": 6, "minPods": 2, "maxPods": 50}}"#;

const FEDERATION: &str = r#"{"apiVersion": "federation.k8s.io/v1beta1", "kind": "Federation",
"metadata": {"name": "fed"}, "members": [{"name": "us", "url": "https://us.example.com"}]}"#;

fn agent_words() -> Vec<String> {
    vec!["agent".to_owned()]
}

/// Something that a restart or a rollback would change: uid and generation.
fn mark(member: &Kubectl) -> String {
    let fields = "jsonpath={.metadata.uid} {.metadata.generation}";
    member.ok(&[&WEB[..], &["-o", fields]].concat())
}

#[track_caller]
fn heals(member: &Kubectl) {
    member.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
    member.wait(&WEB, "2/2");
}

#[track_caller]
fn is_ready(hub: &Kubectl) {
    let ready = hub.wait(&["get", "cluster", "eu"], "True");
    assert!(ready.contains("Pull"), "{ready}");
}

/// A second agent on one directory is refused.
#[track_caller]
fn is_alone(dir: &Path, member: &Kubectl) {
    let mut second = common::kogge();
    second.arg("agent").arg("--kubeconfig").arg(&member.kubeconfig).arg("--data-dir").arg(dir);
    let ended = second.output().expect("it ran");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("another agent runs on"), "{said}");
}

fn certificate(dir: &Path) -> String {
    let identity = fs::read_to_string(dir.join("identity.json")).expect("kept");
    identity.lines().find(|it| it.contains("\"certificate\"")).expect("it has one").to_owned()
}

#[test]
fn an_agent_joins_by_a_token_and_goes_on_without_its_hub() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = Hub::or_skip(dir.path(), "12s") else { return };
    let member = Member::start(dir.path(), "eu", &hub.kubectl);
    let kept = dir.path().join("agent");
    let words = hub.token(&["eu"]);
    let mut running = agent(&kept, &member.kubectl.kubeconfig, &words);
    running.wait_log("eu is a member of the fleet", SOON);
    let first = certificate(&kept);
    is_ready(&hub.kubectl);
    is_alone(&kept, &member.kubectl);

    // The main job: placed, status back, healed, pruned.
    hub.apply("policy.json", POLICY);
    hub.kubectl.ok(&["create", "namespace", "shop"]);
    let web = ["create", "deployment", "web", "-n", "shop", "--image=nginx", "--replicas=2"];
    hub.kubectl.ok(&web);
    hub.kubectl.wait(&WEB, "2/2");
    heals(&member.kubectl);
    hub.kubectl.wait(&["get", "events", "-n", "shop"], "on eu: deleted at");
    hub.kubectl.ok(&["create", "configmap", "passing", "-n", "shop"]);
    let passing = ["get", "configmap", "passing", "-n", "shop"];
    member.kubectl.wait(&passing, "passing");
    hub.kubectl.ok(&["delete", "configmap", "passing", "-n", "shop"]);
    member.kubectl.wait_gone(&passing);
    wait_until(SOON, "the certificate is renewed", || (certificate(&kept) != first).then_some(()));
    running.wait_log("the certificate is renewed", SOON);

    hub.apply("autoscaler.json", AUTOSCALER);
    let covered = "jsonpath={.status.clusters[*].name}";
    hub.kubectl.wait(&["get", "clusterautoscaler", "nodes", "-o", covered], "eu");

    // Without the hub, and without anything in memory either.
    hub.process.kill().expect("killed");
    heals(&member.kubectl);
    running.kill().expect("killed");
    member.kubectl.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
    let mut running = agent(&kept, &member.kubectl.kubeconfig, &agent_words());
    running.wait_log("going on by what it wanted last", SOON);
    member.kubectl.wait(&WEB, "2/2");
    let local = ["create", "deployment", "local", "--image=nginx", "--replicas=3"];
    member.kubectl.ok(&local);
    member.kubectl.ok(&["set", "resources", "deployment", "local", "--requests=cpu=3"]);
    member.kubectl.wait(&["get", "deployment", "local"], "3/3");
    let before = mark(&member.kubectl);
    // Long enough that the certificate has run out, which must not lock the agent out.
    let last = certificate(&kept);
    let expired = Duration::from_secs(30);
    let until = pulled::now() + Duration::from_secs(13);
    wait_until(expired, "the certificate runs out", || (until < pulled::now()).then_some(()));
    assert_eq!(certificate(&kept), last);

    // The hub is back: nothing flaps, and what it says now counts.
    hub.start_again();
    is_ready(&hub.kubectl);
    wait_until(SOON, "a certificate after the one that ran out", || {
        (certificate(&kept) != last).then_some(())
    });
    hub.kubectl.wait(&WEB, "2/2");
    assert_eq!(mark(&member.kubectl), before);
    hub.kubectl.ok(&["scale", "deployment", "web", "-n", "shop", "--replicas=3"]);
    member.kubectl.wait(&WEB, "3/3");

    // Silence is seen, and said.
    running.signal("STOP").expect("stopped");
    let yaml = ["get", "cluster", "eu", "-o", "yaml"];
    let said = hub.kubectl.wait(&yaml, "AgentSilent");
    assert!(said.contains("its agent was last heard at"), "{said}");
    running.signal("CONT").expect("continued");
    is_ready(&hub.kubectl);

    // It leaves: the agent ends by itself, and touches nothing.
    hub.ok(&["unjoin", "eu"]);
    let ended = running.wait_exit(SOON).expect("waited").expect("the agent ends");
    assert!(ended.success(), "{}", running.log_tail(20));
    assert!(running.log().contains("its workloads go on running"), "{}", running.log_tail(20));
    let labels = [&WEB[..], &["-o", "jsonpath={.metadata.labels}"]].concat();
    let left = member.kubectl.ok(&labels);
    assert!(!left.contains("kogge.dev"), "{left}");
    let mut again = agent(&kept, &member.kubectl.kubeconfig, &agent_words());
    again.wait_exit(SOON).expect("waited").expect("what it has is of no use any more");
    assert!(again.log().contains("is no cluster of this fleet"), "{}", again.log_tail(20));
}

#[track_caller]
fn refused(dir: &Path, member: &Kubectl, words: &[String], because: &str) {
    let mut agent = agent(dir, &member.kubeconfig, words);
    let ended = agent.wait_exit(SOON).expect("waited");
    let log = agent.log();
    let is_refused = ended.is_some_and(|it| !it.success());
    assert!(is_refused && log.contains(because), "{because}: {log}");
}

#[test]
fn a_token_lets_one_cluster_in_once_and_not_for_ever() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(hub) = Hub::or_skip(dir.path(), "1h") else { return };
    let [eu, us] = ["eu", "us"].map(|it| Member::start(dir.path(), it, &hub.kubectl));
    let data = ["first", "second", "third"].map(|it| dir.path().join(it));
    let once = hub.token(&[]);
    let (token, words) = once.split_last().expect("a token");
    let file = dir.path().join("token");
    fs::write(&file, format!("{token}\n")).expect("written");
    let [words @ .., flag] = words else { panic!("{once:?}") };
    assert_eq!(flag, "--token");
    let from_file = ["--token-file".to_owned(), file.display().to_string()];
    let words = [words, &from_file].concat();
    let mut running = agent(&data[0], &eu.kubectl.kubeconfig, &words);
    running.wait_log("eu is a member of the fleet", SOON);
    is_ready(&hub.kubectl);
    let another =
        "was used already, and serves once; make another one on the hub with: kogge token";
    refused(&data[1], &us.kubectl, &once, another);

    let named = |name: &str| [hub.token(&[]), vec!["--name".into(), name.into()]].concat();
    refused(&data[1], &eu.kubectl, &named("other"), "a member already, as eu");
    refused(&data[1], &us.kubectl, &named("eu"), "another cluster is a member as eu");
    refused(&data[1], &hub.kubectl, &hub.token(&[]), "leads to a hub");
    let bound = hub.token(&["asia"]);
    let unbound = &bound[..bound.len() - 2];
    refused(&data[1], &us.kubectl, unbound, "is for a cluster named asia");

    let short = hub.token(&["--ttl", "1s"]);
    let id = short.last().and_then(|it| it.split_once('.')).expect("a token").0.to_owned();
    wait_until(SOON, "the token expires and goes", || {
        (!hub.ok(&["token", "list"]).contains(&id)).then_some(())
    });
    refused(&data[1], &us.kubectl, &short, "make another one on the hub with: kogge token create");
    let mut wrong = hub.token(&[]);
    let last = wrong.last_mut().expect("a token");
    let pin = last.len() - 64;
    last.replace_range(pin.., &"0".repeat(64));
    refused(&data[1], &us.kubectl, &wrong, "its authority is another");
    let deleted = hub.token(&[]);
    let token = deleted.last().expect("a token");
    hub.ok(&["token", "delete", token]);
    refused(&data[1], &us.kubectl, &deleted, "kogge token create");

    // One that a Federation lists, and that the hub has no credentials of, may come by itself.
    hub.apply("federation.json", FEDERATION);
    hub.kubectl.wait(&["get", "cluster", "us", "-o", "yaml"], "NoCredentials");

    // A certificate opens its own cluster's door and no other.
    let own = get(&data[0], "/kogge/v1/clusters/eu/desired");
    assert!(own.contains("\"Begin\""), "{own}");
    let other = get(&data[0], "/kogge/v1/clusters/us/desired");
    assert!(other.contains("only the agent of us may do this, not system:cluster:eu"), "{other}");
    let secrets = get(&data[0], "/api/v1/namespaces/kogge-system/secrets");
    assert!(secrets.contains("is forbidden"), "{secrets}");

    let mut second = agent(&data[2], &us.kubectl.kubeconfig, &hub.token(&[]));
    second.wait_log("us is a member of the fleet", SOON);
    let listed = hub.kubectl.wait(&["get", "cluster", "us"], "True");
    assert!(listed.contains("Pull"), "{listed}");
}

#[test]
fn a_member_that_dials_leaves_its_federation_when_nothing_of_it_is_left_there() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(hub) = Hub::or_skip(dir.path(), "1h") else { return };
    let both = FEDERATION.replace('[', r#"[{"name": "eu", "url": "https://eu.example.com"}, "#);
    hub.apply("federation.json", &both);
    let [eu, mut us] = ["eu", "us"].map(|name| {
        hub.kubectl.wait(&["get", "cluster", name, "-o", "yaml"], "NoCredentials");
        let member = Member::start(dir.path(), name, &hub.kubectl);
        let data = dir.path().join(name);
        let agent = agent(&data, &member.kubectl.kubeconfig, &hub.token(&[name]));
        hub.kubectl.wait(&["get", "cluster", name], "True");
        (member, agent)
    });
    hub.apply("policy.json", POLICY);
    hub.kubectl.ok(&["create", "namespace", "shop"]);
    hub.kubectl.ok(&["create", "deployment", "web", "-n", "shop", "--image=nginx", "--replicas=2"]);
    for (member, _) in [&eu, &us] {
        member.kubectl.wait(&WEB, "2/2");
    }

    // Its agent is the only one who knows what is left: while it is silent, the cluster stays.
    us.1.signal("STOP").expect("stopped");
    hub.kubectl.wait(&["get", "cluster", "us", "-o", "yaml"], "AgentSilent");
    hub.apply("federation.json", &FEDERATION.replace("us", "eu"));
    let members = ["get", "federation", "fed", "-o", "jsonpath={.status.members[*].message}"];
    hub.kubectl.wait(&members, "its agent is silent");
    us.1.signal("CONT").expect("continued");

    hub.kubectl.wait_gone(&["get", "cluster", "us"]);
    let ended = us.1.wait_exit(SOON).expect("waited").expect("the agent ends");
    assert!(ended.success(), "{}", us.1.log_tail(20));
    assert!(us.0.kubectl.run(&WEB).is_err_and(|it| it.contains("NotFound")));
    hub.kubectl.wait(&["get", "events"], "MemberLeft");
    eu.0.kubectl.ok(&WEB);
    is_ready(&hub.kubectl);
}

/// What a process holds beside its own program, in kilobytes.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0)
}

#[test]
fn an_agent_with_a_hundred_works_is_small() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(hub) = Hub::or_skip(dir.path(), "1h") else { return };
    let member = Member::start(dir.path(), "eu", &hub.kubectl);
    let kept = dir.path().join("agent");
    let running = agent(&kept, &member.kubectl.kubeconfig, &hub.token(&["eu"]));
    is_ready(&hub.kubectl);
    hub.apply("policy.json", POLICY);
    let works: Vec<String> = (0..100)
        .map(|it| {
            format!(
                r#"{{"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {{"name": "web-{it}", "namespace": "default"}},
                "spec": {{"replicas": 1, "selector": {{"matchLabels": {{"app": "web-{it}"}}}},
                "template": {{"metadata": {{"labels": {{"app": "web-{it}"}}}},
                "spec": {{"containers": [{{"name": "web", "image": "nginx"}}]}}}}}}}}"#
            )
        })
        .collect();
    let list = format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{}]}}"#, works.join(","));
    hub.apply("works.json", &list);
    let ready = ["get", "deployments", "-o", "jsonpath={.items[*].status.readyReplicas}"];
    let all = vec!["1"; 100].join(" ");
    hub.kubectl.wait(&ready, &all);
    let held = memory(running.pid());
    assert!(held < 20 * 1024, "{held} kB");

    // So many at once, that nobody asked for, wait for a word, and have it.
    let elsewhere =
        POLICY.replace(r#""clusterAffinity": {}"#, r#""clusterAffinity": {"exclude": ["eu"]}"#);
    hub.apply("policy.json", &elsewhere);
    hub.kubectl.wait(&["get", "cluster", "eu", "-o", "yaml"], "100 of 100 objects");
    hub.kubectl.ok(&["annotate", "cluster", "eu", "kogge.dev/approve-deletions=true"]);
    wait_until(SOON, "they are gone", || {
        member.kubectl.ok(&["get", "deployments", "-o", "name"]).is_empty().then_some(())
    });
}
