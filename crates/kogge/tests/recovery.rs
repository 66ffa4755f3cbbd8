//! A hub that comes back without its disk: with its identity it takes its fleet back and deletes
//! nothing, without it nobody obeys.

mod common;
mod pulled;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Kubectl, SOON, kogge};
use kogge_testkit::{Process, wait_until};
use pulled::{Hub, Member, POLICY, agent};
use serde_json::{Value, json};

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];

struct Agent {
    process: Process,
    member: Member,
    data: PathBuf,
    status: String,
}

impl Agent {
    fn join(dir: &Path, hub: &Hub, name: &str) -> Self {
        let member = Member::start(dir, name, &hub.kubectl);
        let port = kogge_testkit::ports::free().expect("a free port");
        let (data, status) = (dir.join(name), format!("127.0.0.1:{port}"));
        let words = [hub.token(&[name]), words(&status)[1..].to_vec()].concat();
        let process = agent(&data, &member.kubectl.kubeconfig, &words);
        Self { process, member, data, status }
    }

    fn start_again(&mut self) {
        let words = words(&self.status);
        self.process = agent(&self.data, &self.member.kubectl.kubeconfig, &words);
    }

    fn heals(&self) {
        let kubectl = &self.member.kubectl;
        kubectl.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
        kubectl.wait(&WEB, "2/2");
    }

    fn uid(&self) -> String {
        self.member.kubectl.ok(&[&WEB[..], &["-o", "jsonpath={.metadata.uid}"]].concat())
    }

    /// Whether it has heard that a cluster was removed.
    fn knows_removed(&self, name: &str) -> bool {
        let output = kogge().args(["gossip", "--agent", &self.status]).output();
        let said = String::from_utf8(output.expect("kogge runs").stdout).unwrap_or_default();
        said.lines().any(|it| it.starts_with(name) && it.to_lowercase().contains("removed"))
    }
}

fn words(status: &str) -> Vec<String> {
    ["agent", "--gossip-address", "127.0.0.1:0", "--status-address", status]
        .map(str::to_owned)
        .into()
}

fn give_state(hub: &Hub) {
    hub.apply("policy.json", POLICY);
    hub.kubectl.ok(&["create", "namespace", "shop"]);
    let web = ["create", "deployment", "web", "-n", "shop", "--image=nginx", "--replicas=2"];
    hub.kubectl.ok(&web);
}

fn is_a_member_again(hub: &Kubectl, name: &str) {
    let ready = hub.wait(&["get", "cluster", name], "True");
    assert!(ready.contains("Pull"), "{ready}");
    let said = hub.wait(&["get", "cluster", name, "-o", "yaml"], "HubRecovering");
    assert!(said.contains("kogge identity recovered") && said.contains("Adopted"), "{said}");
}

/// A person applies its Cluster as they had it: it is no guess any more.
#[track_caller]
fn is_given_back(hub: &Hub, name: &str) {
    let id = hub.kubectl.ok(&["get", "cluster", name, "-o", "jsonpath={.spec.id}"]);
    let cluster = json!({
        "apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
        "metadata": {"name": name}, "spec": {"id": id, "syncMode": "Pull", "region": "east"},
    });
    hub.apply("cluster.json", &cluster.to_string());
    wait_until(SOON, "it is adopted no more", || {
        let yaml = hub.kubectl.ok(&["get", "cluster", name, "-o", "yaml"]);
        (!yaml.contains("GoodCertificate") && yaml.contains("HubRecovering")).then_some(())
    });
}

#[track_caller]
fn exports_once(data: &Path, file: &Path) {
    let export = || {
        let mut command = kogge();
        command.args(["identity", "export"]).arg(file).arg("--data-dir").arg(data);
        command.output().expect("kogge runs")
    };
    let exported = export();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let mode = fs::metadata(file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!export().status.success(), "it was written over");
}

/// As where they were kept apart, and not the identity of the store with them.
fn gives_back_the_keys_alone(data: &Path, exported: &Path) {
    let text = fs::read_to_string(exported).expect("exported");
    let identity: Value = serde_json::from_str(&text).expect("JSON");
    let field = |name: &str| identity[name].as_str().expect("text").to_owned();
    let decoded = |name: &str| STANDARD.decode(field(name)).expect("base64");
    let files = [
        ("pki/ca.crt", field("caCertificate").into_bytes()),
        ("pki/ca.key", field("caKey").into_bytes()),
        ("gossip/fleet.json", decoded("fleetKeys")),
    ];
    fs::remove_dir_all(data).expect("removed");
    for (name, content) in files {
        let path = data.join("hub").join(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        fs::write(path, content).expect("written");
    }
}

/// Nothing flaps, and from then on it decides.
fn has_its_state_again(hub: &Hub, eu: &Agent, us: &Agent) {
    let before = eu.uid();
    give_state(hub);
    hub.kubectl.ok(&["create", "configmap", "late", "-n", "shop"]);
    let placed = || hub.kubectl.ok(&["get", "resourcebindings", "-A", "-o", "name"]);
    assert_eq!(placed(), "");
    hub.ok(&["identity", "recovered"]);
    hub.kubectl.wait(&WEB, "2/2");
    us.member.kubectl.wait(&["get", "configmap", "late", "-n", "shop"], "late");
    assert_eq!(eu.uid(), before);
    let again = hub.run(&["identity", "recovered"]);
    assert!(!again.status.success());
    wait_until(SOON, "nothing is said of it any more", || {
        let yaml = hub.kubectl.ok(&["get", "clusters", "-o", "yaml"]);
        (!yaml.contains("HubRecovering")).then_some(())
    });
    hub.kubectl.ok(&["delete", "deployment", "web", "-n", "shop"]);
    for agent in [eu, us] {
        agent.member.kubectl.wait_gone(&WEB);
    }
}

/// What it has stays, until a person says that it is to hold what the hub wants: no `web` any more.
fn comes_late(hub: &Hub, late: &mut Agent) {
    late.start_again();
    let adopted = hub.kubectl.wait(&["get", "cluster", "late", "-o", "yaml"], "GoodCertificate");
    assert!(adopted.contains("kogge.dev/adopted-"), "{adopted}");
    late.process.wait_log("the hub waits for its state", SOON);
    late.heals();
    hub.kubectl.ok(&["annotate", "cluster", "late", "kogge.dev/adopted-"]);
    late.member.kubectl.wait_gone(&WEB);
}

/// Its gossip is found again at the same port.
fn hub_or_skip(dir: &Path) -> Option<Hub> {
    let port = kogge_testkit::ports::free().expect("a free port").to_string();
    Hub::or_skip_with(dir, "24h", &["--gossip-port", &port])
}

#[test]
fn a_hub_without_its_disk_takes_its_fleet_back_and_waits_for_its_state() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = hub_or_skip(dir.path()) else { return };
    let data = dir.path().join("hub-data");
    let names = ["eu", "us", "asia", "late"];
    let [mut eu, us, mut asia, mut late] = names.map(|it| Agent::join(dir.path(), &hub, it));
    for name in names {
        hub.kubectl.wait(&["get", "cluster", name], "True");
    }
    give_state(&hub);
    hub.kubectl.wait(&WEB, "2/2");
    for agent in [&eu, &us, &asia, &late] {
        agent.member.kubectl.wait(&WEB, "2/2");
    }

    // One that leaves while nothing of it hears of it: the others remember.
    wait_until(SOON, "they gossip", || hub.ok(&["gossip"]).contains("asia").then_some(()));
    asia.process.kill().expect("killed");
    hub.ok(&["unjoin", "asia", "--force"]);
    wait_until(SOON, "us knows", || us.knows_removed("asia").then_some(()));

    // One whose site is away until all is over.
    late.process.kill().expect("killed");

    let file = dir.path().join("identity.json");
    exports_once(&data, &file);

    // Without its identity nobody obeys it, and it says what helps.
    let port = hub.port();
    hub.process.kill().expect("killed");
    fs::remove_dir_all(&data).expect("removed");
    hub.start_at(&port);
    eu.process.wait_log("give it its identity back", SOON);
    assert!(!hub.kubectl.ok(&["get", "clusters"]).contains("eu"));
    eu.heals();

    // Nor do its keys alone make it the hub, and it takes nobody for its own.
    hub.process.kill().expect("killed");
    gives_back_the_keys_alone(&data, &file);
    hub.start_at(&port);
    hub.process.wait_log("an agent was refused: the certificate of", SOON);
    eu.process.wait_log("which has that one's keys and another store", SOON);
    assert!(!hub.kubectl.ok(&["get", "clusters"]).contains("eu"));
    eu.heals();
    let before = eu.uid();

    // With it the fleet is taken back; a restart does not end the wait.
    hub.process.kill().expect("killed");
    fs::remove_dir_all(&data).expect("removed");
    hub.words.extend(["--identity".to_owned(), file.display().to_string()]);
    hub.start_at(&port);
    for name in ["eu", "us"] {
        is_a_member_again(&hub.kubectl, name);
    }
    hub.kubectl.wait(&["get", "events"], "Adopted");
    assert!(hub.ok(&["gossip"]).contains("RECOVERING"));
    hub.process.kill().expect("killed");
    hub.words.truncate(2);
    hub.start_again();
    for name in ["eu", "us"] {
        is_a_member_again(&hub.kubectl, name);
    }
    is_given_back(&hub, "us");
    assert_eq!(eu.uid(), before);
    eu.process.kill().expect("killed");
    let kubectl = &eu.member.kubectl;
    kubectl.ok(&["delete", "deployment", "web", "-n", "shop", "--wait=true"]);
    eu.start_again();
    eu.process.wait_log("the hub waits for its state", SOON);
    eu.member.kubectl.wait(&WEB, "2/2");

    // Who was removed is told so, by what its neighbours kept.
    asia.start_again();
    let ended = asia.process.wait_exit(SOON).expect("waited");
    assert!(ended.is_some_and(|it| it.success()), "{}", asia.process.log_tail(20));
    asia.member.kubectl.wait(&WEB, "2/2");

    has_its_state_again(&hub, &eu, &us);
    comes_late(&hub, &mut late);
}

/// The hub hears of a floor only after it has taken the cluster back, since who knows of it is away.
#[test]
fn a_cluster_that_had_been_removed_is_let_go_again_when_the_fleet_says_so() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = hub_or_skip(dir.path()) else { return };
    let [eu, mut asia] = ["eu", "asia"].map(|it| Agent::join(dir.path(), &hub, it));
    for name in ["eu", "asia"] {
        hub.kubectl.wait(&["get", "cluster", name], "True");
    }
    wait_until(SOON, "they gossip", || hub.ok(&["gossip"]).contains("asia").then_some(()));
    asia.process.kill().expect("killed");
    hub.ok(&["unjoin", "asia"]);
    wait_until(SOON, "eu knows", || eu.knows_removed("asia").then_some(()));
    eu.process.signal("STOP").expect("stopped");

    let (data, file) = (dir.path().join("hub-data"), dir.path().join("identity.json"));
    exports_once(&data, &file);
    let port = hub.port();
    hub.process.kill().expect("killed");
    fs::remove_dir_all(&data).expect("removed");
    hub.words.extend(["--identity".to_owned(), file.display().to_string()]);
    hub.start_at(&port);
    asia.start_again();
    is_a_member_again(&hub.kubectl, "asia");

    eu.process.signal("CONT").expect("continued");
    hub.kubectl.wait_gone(&["get", "cluster", "asia"]);
    let ended = asia.process.wait_exit(SOON).expect("waited");
    assert!(ended.is_some_and(|it| it.success()), "{}", asia.process.log_tail(20));
    is_a_member_again(&hub.kubectl, "eu");
}

/// What `kogge identity keys` and `rotate` print of each key: which it is, and whether it signs.
fn keys(said: &str) -> Vec<(String, bool)> {
    let lines = said.lines().skip(1).map(|it| it.split_whitespace().collect::<Vec<_>>());
    let keys = lines.filter(|it| it.len() == 4 || it.ends_with(&["no", "end"]));
    keys.map(|it| (it[0].to_owned(), it[1] == "yes")).collect()
}

/// As if it were later: that time has come.
fn comes(hub: &mut Hub, data: &Path, key: usize, field: &str) {
    hub.process.kill().expect("killed");
    let file = data.join("hub/gossip/fleet.json");
    let mut keys: Value = serde_json::from_slice(&fs::read(&file).expect("there")).expect("JSON");
    assert!(keys[key][field].is_string(), "{field}");
    keys[key][field] = pulled::now().to_string().into();
    fs::write(&file, keys.to_string()).expect("written");
    hub.start_again();
}

/// As it does every 16 hours; how many keys it trusts then.
fn renews(agent: &mut Agent) -> usize {
    let file = agent.data.join("gossip/member.json");
    let read =
        || -> Value { serde_json::from_slice(&fs::read(&file).expect("there")).expect("JSON") };
    agent.process.kill().expect("killed");
    let mut member = read();
    member["admitted"] = "2020-01-01T00:00:00Z".into();
    fs::write(&file, member.to_string()).expect("written");
    agent.start_again();
    wait_until(SOON, "it has renewed its certificate", || {
        let member = read();
        let anew = member["admitted"] != "2020-01-01T00:00:00Z";
        anew.then(|| member["admission"]["issued"]["trust"]["keys"].as_array().map_or(0, Vec::len))
    })
}

/// The hub that runs now has heard these itself.
fn hears(hub: &Hub, names: &[&str]) {
    wait_until(SOON, "the hub hears the members", || {
        let said = hub.ok(&["gossip"]);
        let heard = |name: &&str| {
            let line = said.lines().find(|it| it.starts_with(*name)).unwrap_or_default();
            line.to_lowercase().contains("alive") && line.contains(" ago")
        };
        names.iter().all(heard).then_some(())
    });
}

#[test]
fn the_fleets_key_is_rotated_while_the_fleet_runs() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = hub_or_skip(dir.path()) else { return };
    let data = dir.path().join("hub-data");
    let [mut eu, mut us] = ["eu", "us"].map(|it| Agent::join(dir.path(), &hub, it));
    hears(&hub, &["eu", "us"]);
    let first = keys(&hub.ok(&["identity", "keys"]));
    assert!(first.len() == 1 && first[0].1, "{first:?}");

    let said = hub.ok(&["identity", "rotate"]);
    assert!(said.contains("kogge identity export"), "{said}");
    let both = keys(&said);
    assert!(both.len() == 2 && both[0] == first[0] && !both[1].1, "{both:?}");
    let again = hub.run(&["identity", "rotate"]);
    let why = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && why.contains("is being rotated already, until"), "{why}");
    assert_eq!((renews(&mut eu), renews(&mut us)), (2, 2));
    hears(&hub, &["eu", "us"]);

    // Eight days later the next one signs; who has not renewed since then is heard all the same.
    comes(&mut hub, &data, 1, "signsFrom");
    let signing = keys(&hub.ok(&["identity", "keys"]));
    assert_eq!(signing, [(both[0].0.clone(), false), (both[1].0.clone(), true)]);
    hears(&hub, &["eu", "us"]);
    assert_eq!(renews(&mut eu), 2);
    hears(&hub, &["eu", "us"]);
    assert_eq!(renews(&mut us), 2);

    // After the last certificate of the first one nobody knows it any more.
    comes(&mut hub, &data, 0, "trustedUntil");
    assert_eq!(keys(&hub.ok(&["identity", "keys"])), [signing[1].clone()]);
    hears(&hub, &["eu", "us"]);
    assert_eq!((renews(&mut eu), renews(&mut us)), (1, 1));
    hears(&hub, &["eu", "us"]);
}
