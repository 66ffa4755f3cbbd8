//! An agent at work on a member in this process, and a hub that only talks.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use kogge_agent::link::{Desired, HubLink, Mode, Report, Work};
use kogge_apiserver::Authorization;
use kogge_member::{Client, ObjectKey};
use kogge_sim::{Faults, GroupSpec, SimMember, SimOptions};
use kogge_store::Embedded;
use kogge_testkit::wait_until_async;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

pub const SOON: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The hub's end: what it says is sent by hand, what it hears is kept.
pub struct Hub {
    say: Mutex<mpsc::UnboundedSender<Desired>>,
    listen: Mutex<Option<mpsc::UnboundedReceiver<Desired>>>,
    pub heard: Mutex<Vec<Report>>,
}

impl Hub {
    fn new(id: &str) -> Arc<Self> {
        let (say, listen) = mpsc::unbounded_channel();
        let (say, listen) = (Mutex::new(say), Mutex::new(Some(listen)));
        let hub = Self { say, listen, heard: Mutex::default() };
        hub.say(Desired::Begin { hub: id.into() });
        Arc::new(hub)
    }

    pub fn say(&self, desired: Desired) {
        // An agent that has stopped hears nothing.
        let _ = self.say.lock().unwrap().send(desired);
    }

    pub fn put(&self, object: &Value, mode: Mode) {
        let manifest = serde_json::to_vec(object).unwrap();
        self.say(Desired::Put(Arc::new(Work {
            key: ObjectKey::of(object),
            api_version: object["apiVersion"].as_str().unwrap().to_owned(),
            hash: format!("{object}"),
            manifest: manifest.into(),
            mode,
        })));
    }

    fn find<T>(&self, wanted: impl Fn(&Report) -> Option<T>) -> Option<T> {
        self.heard.lock().unwrap().iter().find_map(wanted)
    }

    pub async fn hear<T>(&self, what: &str, wanted: impl Fn(&Report) -> Option<T>) -> T {
        wait_until_async(SOON, what, || {
            let found = self.find(&wanted);
            async move { found }
        })
        .await
    }
}

struct Link(Arc<Hub>);

impl HubLink for Link {
    fn desired(&self) -> BoxStream<'static, Desired> {
        let Some(receive) = self.0.listen.lock().unwrap().take() else {
            return futures::stream::pending().boxed();
        };
        futures::stream::unfold(receive, async |mut it| it.recv().await.map(|said| (said, it)))
            .boxed()
    }

    fn report(&self, report: Report) {
        self.0.heard.lock().unwrap().push(report);
    }
}

/// An agent at work, until it is dropped.
pub struct Agent {
    pub hub: Arc<Hub>,
    _stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Agent {
    pub fn start(client: Client) -> Self {
        Self::of("test", client)
    }

    pub fn of(hub: &str, client: Client) -> Self {
        let hub = Hub::new(hub);
        let (stop, stopped) = watch::channel(());
        let config = kogge_agent::Config {
            cluster: "member1".into(),
            client,
            link: Arc::new(Link(hub.clone())),
            now,
        };
        let task = tokio::spawn(kogge_agent::run(config, stopped));
        Self { hub, _stop: stop, task }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn member(groups: Vec<GroupSpec>) -> SimMember {
    SimMember::start(SimOptions {
        name: "member1".to_owned(),
        store: Arc::new(Embedded::in_memory()),
        groups,
        faults: Faults::default(),
        start_delay: Duration::ZERO,
        now,
        authorization: Authorization::Rbac,
    })
    .await
    .unwrap()
}
