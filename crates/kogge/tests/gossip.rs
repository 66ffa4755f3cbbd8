//! Members tell each other, with the hub and without it.

mod common;
mod pulled;

use std::path::Path;

use common::{SOON, kogge};
use kogge_model::yaml::{self, Reading};
use kogge_testkit::{Process, process::Leash, wait_until};
use pulled::{Hub, Member};
use serde_json::Value;

/// An agent that others can dial, and that answers at a port of its own.
struct Agent {
    process: Process,
    status: String,
}

impl Agent {
    fn start(dir: &Path, hub: &Hub, member: &Member, name: &str) -> Self {
        let port = kogge_testkit::ports::free().expect("a free port");
        let status = format!("127.0.0.1:{port}");
        let mut words = hub.token(&[name]);
        let more = ["--gossip-address", "127.0.0.1:0", "--status-address", &status];
        words.extend(more.map(str::to_owned));
        let process = pulled::agent(&dir.join(name), &member.kubectl.kubeconfig, &words);
        Self { process, status }
    }

    /// How it sees the fleet; it is asked itself.
    fn view(&self) -> Value {
        let output = kogge().args(["gossip", "--agent", &self.status, "-o", "json"]).output();
        let output = output.expect("kogge runs");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

/// The state of a member; of the hub by `hub`.
fn state(view: &Value, name: &str) -> String {
    let is_it = |it: &&Value| it["name"] == name || name == "hub" && it["hub"] == true;
    let members = view["members"].as_array();
    let found = members.and_then(|it| it.iter().find(is_it));
    found.and_then(|it| it["state"].as_str()).unwrap_or("unknown").to_owned()
}

#[track_caller]
fn sees(view: impl Fn() -> Value, wanted: &[(&str, &str)]) {
    wait_until(SOON, &format!("{wanted:?} is seen"), || {
        let view = view();
        wanted.iter().all(|(name, want)| state(&view, name) == *want).then_some(())
    });
}

fn view_of(hub: &Hub) -> Value {
    serde_json::from_str(&hub.ok(&["gossip", "-o", "json"])).expect("JSON")
}

#[test]
fn members_know_of_each_other_with_and_without_their_hub() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = Hub::or_skip(dir.path(), "24h") else { return };
    let names = ["eu", "us", "asia"];
    let members = names.map(|it| Member::start(dir.path(), it, &hub.kubectl));
    let agent = |at: usize| Agent::start(dir.path(), &hub, &members[at], names[at]);
    let (mut eu, us, asia) = (agent(0), agent(1), agent(2));
    let all = [("hub", "Alive"), ("eu", "Alive"), ("us", "Alive"), ("asia", "Alive")];
    sees(|| view_of(&hub), &all);
    sees(|| us.view(), &all);
    let as_asia = hub.ok(&["gossip", "--from", "asia", "-o", "json"]);
    let as_asia: Value = serde_json::from_str(&as_asia).expect("JSON");
    assert_eq!(as_asia["from"], "asia");
    let nobody = hub.run(&["gossip", "--from", "nobody"]);
    assert!(!nobody.status.success());

    // Without the hub they go on, and see one of them die.
    hub.process.kill().expect("killed");
    sees(|| us.view(), &[("hub", "Dead"), ("eu", "Alive"), ("asia", "Alive")]);
    eu.process.kill().expect("killed");
    sees(|| us.view(), &[("eu", "Dead"), ("asia", "Alive")]);
    sees(|| asia.view(), &[("eu", "Dead"), ("us", "Alive")]);

    // The hub is back and knows it, and acts on it.
    hub.start_again();
    sees(|| view_of(&hub), &[("eu", "Dead"), ("us", "Alive"), ("asia", "Alive")]);
    let dead = "jsonpath={.status.conditions[?(@.type==\"Dead\")].status}";
    hub.kubectl.wait(&["get", "cluster", "eu", "-o", dead], "True");
    let told = "jsonpath={range .items[*]}{.reason} {.involvedObject.name},{end}";
    hub.kubectl.wait(&["get", "events", "-A", "-o", told], "ClusterDead eu,");

    // Who leaves is no member any more.
    hub.ok(&["unjoin", "asia"]);
    sees(|| us.view(), &[("asia", "Removed"), ("hub", "Alive")]);
}

/// The first line that begins so.
#[track_caller]
fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    let found = text.lines().find(|it| it.starts_with(begin));
    found.unwrap_or_else(|| panic!("{begin:?} begins no line of\n{text}"))
}

#[test]
fn the_fleet_is_shown_in_every_form_and_watched_on_while_the_hub_is_away() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = Hub::or_skip(dir.path(), "24h") else { return };
    let member = Member::start(dir.path(), "eu", &hub.kubectl);
    let _eu = Agent::start(dir.path(), &hub, &member, "eu");
    sees(|| view_of(&hub), &[("hub", "Alive"), ("eu", "Alive")]);
    is_shown_in_every_form(&hub);

    let mut command = kogge();
    command.args(["gossip", "--watch", "--kubeconfig"]).arg(&hub.kubectl.kubeconfig);
    let log = dir.path().join("watch.log");
    let mut watch = Process::spawn("watch", command, &log, Leash::Watchdog).expect("it starts");
    let rounds = |watch: &Process| watch.log().matches("NAME ").count();
    wait_until(SOON, "two rounds", || (2 <= rounds(&watch)).then_some(()));
    hub.process.kill().expect("killed");
    watch.wait_log("error: the hub does not say", SOON);
    let once = hub.run(&["gossip"]);
    assert_eq!((once.status.code(), once.stdout.len()), (Some(1), 0));

    let before = rounds(&watch);
    hub.start_again();
    wait_until(SOON, "two more rounds", || (before + 2 <= rounds(&watch)).then_some(()));
    let log = watch.log();
    let errors: Vec<&str> = log.lines().filter(|it| it.starts_with("error: ")).collect();
    assert!(errors.is_sorted_by(|a, b| a != b), "what was said is said again:\n{log}");
    let is_known =
        |it: &str| ["NAME ", "eu ", "hub-", "error: "].iter().any(|word| it.starts_with(word));
    assert!(log.lines().all(|it| it.is_empty() || is_known(it)), "{log}");
    watch.signal("INT").expect("signalled");
    let ended = watch.wait_exit(SOON).expect("waited").expect("it stops when asked");
    assert!(ended.success(), "{ended}");
}

#[track_caller]
fn is_shown_in_every_form(hub: &Hub) {
    let told = yaml::documents(&hub.ok(&["gossip", "-o", "yaml"]), Reading::Kubectl);
    let told = told.expect("YAML").remove(0).value;
    assert_eq!([state(&told, "hub"), state(&told, "eu")], ["Alive", "Alive"]);
    assert!(told["members"][0]["vouchers"].is_array(), "{told:#}");

    let table = wait_until(SOON, "eu serves", || {
        let table = hub.ok(&["gossip"]);
        let cells: Vec<&str> = line(&table, "eu ").split_whitespace().collect();
        cells.starts_with(&["eu", "Alive", "Serving", "1"]).then_some(table)
    });
    let wide = hub.ok(&["gossip", "-o", "wide"]);
    assert!(line(&wide, "eu ").contains("Alive"), "{wide}");
    for column in ["VERSION", "CHANGED", "SAID OF IT"] {
        assert!(line(&wide, "NAME ").contains(column), "{wide}");
        assert!(!line(&table, "NAME ").contains(column), "{table}");
    }
    assert!(line(&wide, "eu ").contains("s ago"), "when it changed:\n{wide}");
}
