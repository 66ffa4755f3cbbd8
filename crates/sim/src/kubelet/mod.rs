//! Plays the kubelet of every simulated node: one watch of pods, and what each pod needs next.
//!
//! Reading order: `decide` (what a pod needs), `status` (what is written), `own` (which nodes),
//! [`Kubelet::run`].

mod decide;
mod own;
mod status;

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use kogge_member::{
    Client, DeleteOptions, Error, object,
    watch::{Scope, Seen, watch},
};
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};

use self::decide::{Step, decide};
pub(crate) use self::own::OwnNodes;
use crate::{Faults, kinds, nodes::NodesConfig};

const RETRY: Duration = Duration::from_millis(500);
/// Writes side by side: each has a connection of its own to a real cluster, which stays.
const AT_ONCE: usize = 16;
/// What a shell says of a process that was told to go.
const TERMINATED: i64 = 143;

pub(crate) struct Kubelet {
    client: Client,
    own: OwnNodes,
    faults: Faults,
    start_delay: Duration,
    now: fn() -> Timestamp,
    /// The highest pod address given, as in 10.128.0.0/9.
    addresses: u32,
    /// Pods with a step under way, by uid.
    busy: HashMap<String, Busy>,
    steps: JoinSet<(String, Result<(), Error>)>,
    turns: Arc<Semaphore>,
}

struct Busy {
    step: AbortHandle,
    /// The step is one of a pod on its way out.
    going: bool,
    /// The pod as it was last heard of meanwhile.
    heard: Option<Value>,
}

impl Kubelet {
    pub fn new(config: &NodesConfig) -> Self {
        Self {
            client: config.client.clone(),
            own: OwnNodes::default(),
            faults: config.faults.clone(),
            start_delay: config.start_delay,
            now: config.now,
            addresses: u32::from(Ipv4Addr::new(10, 128, 0, 0)),
            busy: HashMap::new(),
            steps: JoinSet::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    pub fn own_nodes(&self) -> OwnNodes {
        self.own.clone()
    }

    pub async fn run(mut self) {
        let mut faults = self.faults.watch();
        let mut own = self.own.watch();
        loop {
            let mut pods = Box::pin(watch(self.client.clone(), kinds::pods(), Scope::default()));
            loop {
                tokio::select! {
                    Some(seen) = pods.next() => self.see(seen),
                    Some(ended) = self.steps.join_next() => {
                        // One that was given up says nothing.
                        if let Ok((uid, done)) = ended {
                            self.done(&uid, done);
                        }
                    }
                    // Pods of a node that is back, or ours only now, are looked at anew.
                    Ok(()) = faults.changed() => break,
                    Ok(()) = own.changed() => break,
                }
            }
        }
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => {
                // No address is given twice, so all are known before the first is.
                for pod in &items {
                    self.note_address(pod);
                }
                for pod in items {
                    self.look(pod);
                }
            }
            Seen::Applied(pod) => {
                self.note_address(&pod);
                self.look(pod);
            }
            Seen::Deleted(_) => {}
            Seen::Broken(error) => {
                tracing::debug!(error = %error.chain(), "the watch of pods broke");
            }
        }
    }

    fn note_address(&mut self, pod: &Value) {
        let range =
            u32::from(Ipv4Addr::new(10, 128, 0, 0))..=u32::from(Ipv4Addr::new(10, 255, 255, 255));
        let address = object::text(pod, "/status/podIP").parse::<Ipv4Addr>().map(u32::from);
        if let Some(address) = address.ok().filter(|it| range.contains(it)) {
            self.addresses = self.addresses.max(address);
        }
    }

    fn done(&mut self, uid: &str, done: Result<(), Error>) {
        if let Err(error) = done
            && !error.is_not_found()
        {
            tracing::debug!(error = %error.chain(), "could not play a pod");
        }
        if let Some(pod) = self.busy.remove(uid).and_then(|it| it.heard) {
            self.look(pod);
        }
    }

    fn look(&mut self, pod: Value) {
        let uid = object::uid(&pod);
        if let Some(busy) = self.busy.get_mut(uid) {
            if busy.going || !object::is_deleting(&pod) {
                busy.heard = Some(pod);
                return;
            }
            // Told to go: whatever else it waits for no longer matters.
            busy.step.abort();
            self.busy.remove(object::uid(&pod));
        }
        if self.is_ours(&pod)
            && let Some(step) = decide(&pod, self.start_delay)
        {
            self.begin(step, pod);
        }
    }

    /// Bound to a node that is played here and is not dead.
    fn is_ours(&self, pod: &Value) -> bool {
        let node = object::text(pod, "/spec/nodeName");
        self.own.address(node).is_some() && !self.faults.state().dead.contains(node)
    }

    fn begin(&mut self, step: Step, pod: Value) {
        let (uid, going) = (object::uid(&pod).to_owned(), object::is_deleting(&pod));
        let host = self.own.address(object::text(&pod, "/spec/nodeName")).unwrap_or_default();
        let address = self.address(&pod, &host);
        let player = Player {
            client: self.client.clone(),
            now: self.now,
            turns: self.turns.clone(),
            host,
            address,
        };
        let faults = self.faults.clone();
        let key = uid.clone();
        let step = self.steps.spawn(async move {
            let done = player.play(&pod, &step, &faults).await;
            if matches!(&done, Err(error) if !error.is_not_found()) {
                tokio::time::sleep(RETRY).await;
            }
            (uid, done)
        });
        self.busy.insert(key, Busy { step, going, heard: None });
    }

    /// The one it has, or the next.
    fn address(&mut self, pod: &Value, host: &str) -> String {
        let has = object::text(pod, "/status/podIP");
        if !has.is_empty() {
            return has.to_owned();
        }
        if pod["spec"]["hostNetwork"] == true {
            return host.to_owned();
        }
        self.addresses += 1;
        Ipv4Addr::from(self.addresses).to_string()
    }
}

/// Plays one step of one pod.
struct Player {
    client: Client,
    now: fn() -> Timestamp,
    turns: Arc<Semaphore>,
    host: String,
    address: String,
}

impl Player {
    async fn play(&self, pod: &Value, step: &Step, faults: &Faults) -> Result<(), Error> {
        let wait = match step {
            Step::Delete => {
                let _turn = self.turns.acquire().await;
                return self.delete(pod).await;
            }
            Step::Start(wait) | Step::Finish { after: wait, .. } => *wait,
            Step::Revive | Step::Stop => Duration::ZERO,
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let _turn = self.turns.acquire().await;
        if faults.state().dead.contains(object::text(pod, "/spec/nodeName")) {
            return Ok(());
        }
        let now = (self.now)();
        let status = match step {
            Step::Finish { code, .. } => status::finished(pod, now, *code),
            Step::Stop => status::finished(pod, now, TERMINATED),
            _ => status::running(pod, now, &self.host, &self.address),
        };
        // The uid keeps the write from a namesake that came meanwhile.
        let patch = json!({"metadata": {"uid": object::uid(pod)}, "status": status});
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        self.client.merge(&kinds::pods(), namespace, name, Some("status"), &patch).await?;
        Ok(())
    }

    async fn delete(&self, pod: &Value) -> Result<(), Error> {
        let options = DeleteOptions {
            uid: Some(object::uid(pod).to_owned()),
            grace_period_seconds: Some(0),
            ..DeleteOptions::default()
        };
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        self.client.delete(&kinds::pods(), namespace, name, &options).await
    }
}
