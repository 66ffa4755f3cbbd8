//! Members tell each other, with the hub and without it.

mod common;
mod pulled;

use std::path::Path;

use common::{SOON, kogge};
use kogge_testkit::{Process, wait_until};
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

#[test]
fn members_know_of_each_other_with_and_without_their_hub() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = Hub::or_skip(dir.path(), "24h") else { return };
    let names = ["eu", "us", "asia"];
    let members = names.map(|it| Member::start(dir.path(), it, &hub.kubectl));
    let agent = |at: usize| Agent::start(dir.path(), &hub, &members[at], names[at]);
    let (mut eu, us, asia) = (agent(0), agent(1), agent(2));
    let all = [("hub", "Alive"), ("eu", "Alive"), ("us", "Alive"), ("asia", "Alive")];
    let view_of = |hub: &Hub| {
        let text = hub.ok(&["gossip", "-o", "json"]);
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
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
    hub.kubectl.wait(&["get", "events", "-A"], "ClusterDead");

    // Who leaves is no member any more.
    hub.ok(&["unjoin", "asia"]);
    sees(|| us.view(), &[("asia", "Removed"), ("hub", "Alive")]);
}
