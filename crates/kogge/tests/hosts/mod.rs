//! A hub and agents as real processes, each on a host of its own, and what each of them has seen.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use kogge_testkit::{
    Process, TempDir, kubectl,
    kubectl::Version,
    network::{Fault, Host, Network},
    process::Leash,
    wait_until,
};
use serde_json::Value;

use crate::{
    common::{Kubectl, SOON},
    pulled::Member as Cluster,
};

/// Where an agent answers on its own host.
const STATUS: &str = "127.0.0.1:8080";

/// Of gossip, on each host.
const PORT: u16 = 7946;

pub struct Fleet {
    pub members: Vec<Member>,
    pub hub: Hub,
    pub network: Network,
    dir: TempDir,
}

pub struct Hub {
    pub kubectl: Kubectl,
    pub process: Process,
    pub host: Host,
    /// How often it was started.
    starts: usize,
    dir: PathBuf,
}

/// An agent and its cluster, which is served on the agent's loopback.
pub struct Member {
    pub name: String,
    pub agent: Process,
    /// `None` once it is gone for good, or where it is a real one.
    pub cluster: Option<Cluster>,
    /// To the cluster.
    pub kubectl: Kubectl,
    pub host: Host,
    starts: usize,
    dir: PathBuf,
}

impl Fleet {
    /// A hub and as many hosts without agents: the address of each is known before any starts.
    pub fn or_skip(count: usize) -> Option<(Self, Vec<Host>)> {
        let dir = tempfile::tempdir().unwrap();
        let binary = kubectl::or_skip(Version::V1_37)?;
        let mut network = Network::or_skip()?;
        let host = network.host().unwrap();
        let hub = Hub::start(dir.path(), host, &binary);
        let hosts = (0..count).map(|_| network.host().unwrap()).collect();
        Some((Self { members: Vec::new(), hub, network, dir }, hosts))
    }

    /// Agents on these hosts, `c01` and so on, each let in by a token; others dial them at what
    /// `advertise` says, where it says something.
    pub fn join(&mut self, hosts: Vec<Host>, advertise: &[SocketAddr]) {
        for (at, host) in hosts.into_iter().enumerate() {
            let name = format!("c{:02}", self.members.len() + 1);
            let member = Member::start(self.dir.path(), host, &name, &self.hub, advertise.get(at));
            self.members.push(member);
        }
        for member in &mut self.members {
            member.agent.wait_log("is a member of the fleet", SOON);
        }
    }

    /// The agent of a real control plane, which is outside and reached by its host's loopback.
    pub fn join_real(&mut self, host: Host, name: &str, kubeconfig: &Path, port: u16) {
        let here: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        carry(host.listen(here).unwrap(), here);
        let binary = kubectl::or_skip(Version::V1_37).unwrap();
        let kubectl = Kubectl { binary, kubeconfig: kubeconfig.to_owned() };
        let words = self.hub.token(name);
        let dir = self.dir.path().to_owned();
        let agent = run_agent(&host, &dir, name, &kubectl, &words, 1);
        let name = name.to_owned();
        let mut member = Member { name, agent, cluster: None, kubectl, host, starts: 1, dir };
        member.agent.wait_log("is a member of the fleet", SOON);
        self.members.push(member);
    }

    pub fn member(&self, name: &str) -> &Member {
        self.members.iter().find(|it| it.name == name).unwrap()
    }

    pub fn member_mut(&mut self, name: &str) -> &mut Member {
        self.members.iter_mut().find(|it| it.name == name).unwrap()
    }

    /// Waits until the hub and every member see all of them in that state.
    #[track_caller]
    pub fn all_see_all_alive(&self) {
        let all = self.members.len() + 1;
        let is_whole = |view: &Value| count(view, "Alive") == all;
        wait_until(SOON, "the hub sees all alive", || is_whole(&self.hub.view()).then_some(()));
        for member in &self.members {
            wait_until(SOON, &format!("{} sees all alive", member.name), || {
                is_whole(&member.view()).then_some(())
            });
        }
    }

    /// Each change of a member's state that anybody has told in its log, as `by: of=State`.
    pub fn news(&self) -> Vec<String> {
        let logs = self.members.iter().map(|it| (it.name.as_str(), it.logs()));
        let logs = logs.chain([("hub", self.hub.logs())]);
        let said = |(by, log): (&str, String)| -> Vec<String> {
            let words = log.lines().filter_map(|it| it.split_once("gossip member="));
            words.map(|(_, it)| format!("{by}: {}", it.replacen(" state", "", 1))).collect()
        };
        logs.flat_map(said).collect()
    }

    /// Whom somebody has called dead, once for each time and each who did.
    pub fn called_dead(&self) -> Vec<String> {
        let mut dead: Vec<String> = self
            .news()
            .iter()
            .filter_map(|it| Some(it.split_once(": ")?.1.strip_suffix("=Dead")?.to_owned()))
            .collect();
        dead.sort();
        dead
    }

    pub fn cut(&self, a: &Host, b: &Host) {
        for (from, to) in [(a, b), (b, a)] {
            self.network.block(Fault::OneWay(from.address(), to.address())).unwrap();
        }
    }

    pub fn uncut(&self, a: &Host, b: &Host) {
        for (from, to) in [(a, b), (b, a)] {
            self.network.mend(Fault::OneWay(from.address(), to.address())).unwrap();
        }
    }
}

impl Hub {
    fn start(dir: &Path, host: Host, binary: &Path) -> Self {
        let kubeconfig = dir.join("hub-data/kubeconfig");
        let kubectl = Kubectl { binary: on(&host, dir, "hub", binary), kubeconfig };
        let process = run_hub(&host, dir, 1);
        Self { kubectl, process, host, starts: 1, dir: dir.to_owned() }
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.starts += 1;
        self.process = run_hub(&self.host, &self.dir, self.starts);
    }

    /// What a command of kogge prints.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let mut command = kogge(&self.host);
        command.args(words).arg("--kubeconfig").arg(&self.kubectl.kubeconfig);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kogge {words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The words after `kogge` of the line that lets a cluster in.
    fn token(&self, name: &str) -> Vec<String> {
        let line = self.ok(&["token", "create", name]);
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    }

    /// How it sees the fleet; nothing while it is away.
    pub fn view(&self) -> Value {
        let mut command = kogge(&self.host);
        command.args(["gossip", "-o", "json", "--kubeconfig"]).arg(&self.kubectl.kubeconfig);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or_default()
    }

    pub fn apply(&self, file: &str, text: &str) {
        let path = self.dir.join(file);
        fs::write(&path, text).unwrap();
        self.kubectl.ok(&["apply", "-f", path.to_str().unwrap()]);
    }

    fn logs(&self) -> String {
        logs(&self.dir, "hub", self.starts)
    }
}

fn run_hub(host: &Host, dir: &Path, start: usize) -> Process {
    let mut command = kogge(host);
    let address = host.address().to_string();
    command.args(["hub", "--bind-address", &address, "--port", "6443"]);
    command.args(["--gossip-port", &PORT.to_string(), "--data-dir"]).arg(dir.join("hub-data"));
    let log = dir.join(format!("hub.{start}.log"));
    let mut hub = Process::spawn("hub", command, &log, Leash::Watchdog).unwrap();
    hub.wait_log("kogge token create", SOON);
    hub
}

impl Member {
    fn start(
        dir: &Path,
        host: Host,
        name: &str,
        hub: &Hub,
        advertise: Option<&SocketAddr>,
    ) -> Self {
        let listener = host.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let binary = kubectl::or_skip(Version::V1_37).unwrap();
        let outside = Kubectl { binary: on(&host, dir, name, &binary), kubeconfig: PathBuf::new() };
        let cluster = Cluster::start_at(listener, dir, name, &outside);
        let kubeconfig = cluster.kubectl.kubeconfig.clone();
        let kubectl = Kubectl { kubeconfig, ..outside };
        let mut words = hub.token(name);
        words.extend(advertise.map(|it| format!("--gossip-advertise={it}")));
        let agent = run_agent(&host, dir, name, &kubectl, &words, 1);
        let dir = dir.to_owned();
        let name = name.to_owned();
        Self { name, agent, cluster: Some(cluster), kubectl, host, starts: 1, dir }
    }

    /// Starts the agent again where it was.
    pub fn start_again(&mut self) {
        self.starts += 1;
        let words = ["agent".to_owned()];
        self.agent =
            run_agent(&self.host, &self.dir, &self.name, &self.kubectl, &words, self.starts);
    }

    /// How the agent sees the fleet, asked on its host; nothing while it is away.
    pub fn view(&self) -> Value {
        let mut command = kogge(&self.host);
        command.args(["gossip", "--agent", STATUS, "-o", "json"]);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or_default()
    }

    /// The same as it comes, without a process for the question.
    pub fn status(&self) -> io::Result<String> {
        let mut stream = self.host.connect(STATUS.parse().unwrap())?;
        stream.write_all(b"GET /gossip HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|it| it.1.to_owned());
        body.ok_or_else(|| io::Error::other("the answer is no HTTP"))
    }

    fn logs(&self) -> String {
        logs(&self.dir, &self.name, self.starts)
    }
}

fn run_agent(
    host: &Host,
    dir: &Path,
    name: &str,
    kubectl: &Kubectl,
    words: &[String],
    start: usize,
) -> Process {
    let mut command = kogge(host);
    command.args(words).arg("--kubeconfig").arg(&kubectl.kubeconfig);
    command.arg("--data-dir").arg(dir.join(name));
    command.args(["--gossip-address", &format!("{}:{PORT}", host.address())]);
    command.args(["--status-address", STATUS]);
    let log = dir.join(format!("{name}.{start}.log"));
    Process::spawn(name, command, &log, Leash::Watchdog).unwrap()
}

fn kogge(host: &Host) -> Command {
    host.command(Path::new(env!("CARGO_BIN_EXE_kogge")))
}

/// A program that runs another one on a host.
fn on(host: &Host, dir: &Path, name: &str, binary: &Path) -> PathBuf {
    let command = host.command(binary);
    let words = command.get_args().map(|it| format!("'{}'", it.to_str().unwrap()));
    let words: Vec<String> = words.collect();
    let script = dir.join(format!("{name}.kubectl"));
    fs::write(&script, format!("#!/bin/sh\nexec nsenter {} \"$@\"\n", words.join(" "))).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn logs(dir: &Path, name: &str, starts: usize) -> String {
    let read = |it| fs::read_to_string(dir.join(format!("{name}.{it}.log"))).unwrap_or_default();
    (1..=starts).map(read).collect()
}

/// Carries what comes to a listener to an address outside, as long as the test runs.
fn carry(listener: TcpListener, to: SocketAddr) {
    let copy = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || {
            // However it ends, the other side is told.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    };
    thread::spawn(move || {
        for here in listener.incoming().flatten() {
            let Ok(there) = TcpStream::connect(to) else { continue };
            copy(&here, &there);
            copy(&there, &here);
        }
    });
}

/// How many members are in a state.
pub fn count(view: &Value, state: &str) -> usize {
    let members = view["members"].as_array();
    members.into_iter().flatten().filter(|it| it["state"] == state).count()
}

/// What a view says of a member; of the hub by `hub`.
pub fn seen<'a>(view: &'a Value, name: &str) -> &'a Value {
    let is_it = |it: &&Value| it["name"] == name || name == "hub" && it["hub"] == true;
    let members = view["members"].as_array();
    members.into_iter().flatten().find(is_it).unwrap_or(&Value::Null)
}

/// Waits until a member sees another in a state.
#[track_caller]
pub fn sees(by: &Member, name: &str, state: &str) {
    wait_until(SOON, &format!("{} sees {name} {state}", by.name), || {
        (seen(&by.view(), name)["state"] == state).then_some(())
    });
}

/// Waits until a moment.
#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
pub fn until(moment: Instant) {
    wait_until(Duration::from_hours(1), "the time has passed", || {
        (moment <= Instant::now()).then_some(())
    });
}

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
pub fn now() -> Instant {
    Instant::now()
}
