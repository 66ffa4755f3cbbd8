//! Things are deleted and edited on clusters behind the fleet's back, as chance will have it; all
//! of it comes back, and the hub says what was done and by whom.

use std::{env, fmt};

use kogge_testkit::wait_until;
use serde_json::Value;

use super::{
    BOUTIQUE, Fleet, Member, PODINFO,
    snapshot::{Key, Snapshot},
};
use crate::common::SOON;

/// Overrides the seed, to run again what failed.
const SEED: &str = "KOGGE_TEST_SEED";
const DEEDS: usize = 24;

/// Knuth's generator: enough to choose with, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % limit
    }
}

/// One thing that was done to one object of one cluster.
struct Deed {
    cluster: String,
    key: Key,
    words: Vec<String>,
    /// What the event says of it.
    said: &'static str,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on {}: kubectl {}", self.cluster, self.words.join(" "))
    }
}

pub fn wreak(fleet: &Fleet) {
    let seed = env::var(SEED).ok().and_then(|it| it.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    // Printed by the harness when the test fails.
    eprintln!("{SEED}={seed}");
    let look = |it: &Member| Snapshot::of(|words| it.run(words)).expect("the cluster answers");
    let wanted: Vec<Snapshot> = fleet.members.iter().map(look).collect();
    let mut chance = Chance(seed);
    let mut deeds: Vec<Deed> = Vec::new();
    while deeds.len() < DEEDS {
        let index = chance.below(fleet.members.len());
        let targets: Vec<(&Key, &Value)> =
            wanted[index].0.iter().filter(|(key, _)| is_fair(key)).collect();
        let (key, content) = targets[chance.below(targets.len())];
        let member = &fleet.members[index];
        if deeds.iter().any(|it| it.cluster == member.name && it.key == *key) {
            continue;
        }
        let (words, said) = deed(&mut chance, key, content);
        let deed = Deed { cluster: member.name.clone(), key: key.clone(), words, said };
        eprintln!("{deed}");
        member.ok(&deed.words.iter().map(String::as_str).collect::<Vec<_>>());
        deeds.push(deed);
    }
    for (member, wanted) in fleet.members.iter().zip(&wanted) {
        wait_until(SOON, &format!("all is back on {}", member.name), || {
            let now = Snapshot::of(|words| member.run(words)).ok()?;
            now.differences(wanted).is_empty().then_some(())
        });
    }
    for deed in &deeds {
        wait_until(SOON, &format!("the hub says what was done {deed}"), || {
            is_told(fleet, deed).then_some(())
        });
    }
    let available = ["wait", "--for=condition=Available", "deploy", "--all", "-A", "--timeout=90s"];
    fleet.members.iter().for_each(|it| drop(it.ok(&available)));
    fleet.hub.ok(&available);
}

fn is_fair((kind, namespace, _): &Key) -> bool {
    let kinds = ["Deployment", "Service", "ConfigMap", "ServiceAccount"];
    let is_ours = PODINFO.contains(&namespace.as_str()) || BOUTIQUE.contains(&namespace.as_str());
    kinds.contains(&kind.as_str()) && is_ours
}

/// The words for kubectl, and those of the event.
fn deed(chance: &mut Chance, key: &Key, content: &Value) -> (Vec<String>, &'static str) {
    let (kind, namespace, name) = key;
    let object = format!("{}/{name}", kind.to_lowercase());
    let command = |words: &[&str]| -> Vec<String> {
        words.iter().chain(&["-n", namespace.as_str()]).map(|it| (*it).to_owned()).collect()
    };
    let delete = (command(&["delete", &object, "--wait=false"]), "deleted at");
    if chance.below(2) == 0 {
        return delete;
    }
    match kind.as_str() {
        "Deployment" if name == "loadgenerator" => {
            (command(&["scale", &object, "--replicas=3"]), "spec.replicas changed by kubectl")
        }
        "Deployment" => {
            (command(&["set", "image", &object, "*=other:1"]), "changed by kubectl-set")
        }
        "Service" => {
            let patch = r#"[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 4711}]"#;
            let words = command(&["patch", &object, "--type=json", "-p", patch]);
            (words, "changed by kubectl-patch")
        }
        "ConfigMap" => {
            let data = content["data"].as_object().and_then(|it| it.keys().next());
            let data = data.expect("each holds something");
            let patch = serde_json::json!({"data": {data: "other"}}).to_string();
            (command(&["patch", &object, "-p", &patch]), "changed by kubectl-patch")
        }
        _ => delete,
    }
}

fn is_told(fleet: &Fleet, deed: &Deed) -> bool {
    let (kind, namespace, name) = &deed.key;
    let field = format!("involvedObject.kind={kind},involvedObject.name={name}");
    let messages = "jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}";
    let words = ["get", "events", "-n", namespace, "--field-selector", &field, "-o", messages];
    let said = fleet.hub.run(&words).unwrap_or_default();
    let begin = format!("DriftHealed: on {}: ", deed.cluster);
    said.lines().any(|it| it.starts_with(&begin) && it.contains(deed.said))
}
