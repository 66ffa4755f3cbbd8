//! The link of an agent that dials its hub: a stream of lines in, batches of reports out.
//!
//! Both sides say something every few seconds, so that either notices soon that the other is gone.
//! Reading order: [`ToAgent`] (what the hub says), [`Wire`] (the link), `outbox` (what waits to be
//! sent).

mod outbox;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use kogge_member::{Client, Error, Fault};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use self::outbox::Outbox;
use crate::{
    link::{Desired, HubLink, Report},
    lock::lock,
};

/// How often the hub says something, if only that it is there.
pub const BEAT: Duration = Duration::from_secs(1);

/// A hub that is silent for longer is looked for by another way.
const SILENCE: Duration = Duration::from_secs(3);

/// How often an agent says something, if only that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// What is not answered by then never is.
pub const ANSWER: Duration = Duration::from_secs(6);

/// Wait before a batch that did not arrive is sent again.
const RESEND: Duration = Duration::from_secs(1);

/// What holds while the hub is another.
const KEPT_UP: &str = "what it wanted before is kept up";

/// What the hub says to an agent that dialled it, a line of JSON each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    Desired(Desired),
    /// The hub is there, and has nothing to say.
    Alive,
    /// The hub is there, and its state is in doubt: what it wanted before holds.
    Waits {
        why: String,
    },
    /// This agent is not needed, or no longer. `hub` is the store of the hub that says so.
    Gone {
        hub: String,
        farewell: Farewell,
    },
}

/// Why an agent is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    pub why: String,
    /// The cluster is none of the fleet's: its marks are to go. Otherwise another agent has it.
    pub has_left: bool,
}

/// Where the hub serves what a cluster should be.
pub fn desired_path(cluster: &str) -> String {
    format!("/kogge/v1/clusters/{cluster}/desired")
}

/// The parameter of a post of reports that says which member carries it, where one does.
pub const CARRIED_BY: &str = "carried-by";

/// Where the hub takes a cluster's reports: a JSON array of them.
pub fn reports_path(cluster: &str) -> String {
    format!("/kogge/v1/clusters/{cluster}/reports")
}

/// The hub, dialled. Reports are sent as long as it lives.
pub struct Wire {
    inner: Arc<Inner>,
    _sending: AbortOnDrop,
}

struct Inner {
    cluster: String,
    /// The store of the hub that let this cluster in.
    hub: String,
    client: watch::Sender<Client>,
    outbox: Mutex<Outbox>,
    news: Notify,
    gone: watch::Sender<Option<Farewell>>,
    /// Who was heard when the hub was last listened to; not known at first.
    hearing: watch::Sender<Option<Hearing>>,
    /// What was last logged of it.
    told: Mutex<String>,
    /// The member that carries what is said.
    carrier: Mutex<Option<String>>,
}

impl Wire {
    /// `client` shows the cluster's certificate. Needs a tokio runtime around it.
    pub fn new(cluster: &str, hub: &str, client: Client) -> Self {
        let inner = Arc::new(Inner {
            cluster: cluster.to_owned(),
            hub: hub.to_owned(),
            client: watch::Sender::new(client),
            outbox: Mutex::default(),
            news: Notify::new(),
            gone: watch::Sender::new(None),
            hearing: watch::Sender::new(None),
            told: Mutex::default(),
            carrier: Mutex::default(),
        });
        let sending = AbortOnDrop(tokio::spawn(inner.clone().send_for_ever()));
        Self { inner, _sending: sending }
    }

    /// Uses another client from now on, with a renewed certificate for one.
    pub fn use_client(&self, client: Client) {
        self.inner.client.send_replace(client);
    }

    /// Who answers where the hub is to be; not known at first.
    pub fn hearing(&self) -> watch::Receiver<Option<Hearing>> {
        self.inner.hearing.subscribe()
    }

    /// Tells the hub which member carries what is said to it, if one does.
    pub fn carried_by(&self, member: Option<String>) {
        *lock(&self.inner.carrier) = member;
        self.inner.news.notify_one();
    }

    /// Returns when the hub says that this agent is not needed any more.
    pub async fn gone(&self) -> Farewell {
        let mut gone = self.inner.gone.subscribe();
        let said = gone.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        match said {
            Some(farewell) => farewell,
            // The sender lives as long as this does.
            None => std::future::pending().await,
        }
    }
}

impl HubLink for Wire {
    fn desired(&self) -> BoxStream<'static, Desired> {
        let inner = self.inner.clone();
        streamed(move |send| async move {
            match inner.listen(&send).await {
                Ok(Ended::Closed) => inner.note(Hearing::Nobody, "it closed the connection"),
                Ok(Ended::Silence) => inner.note(Hearing::Silence, "it fell silent"),
                Ok(Ended::Foreign(hub)) => inner.note(Hearing::Another, &inner.foreign(&hub)),
                Err(error) => inner.note_error(&error),
            }
        })
    }

    fn report(&self, report: Report) {
        self.inner.outbox().put(report);
        self.inner.news.notify_one();
    }
}

impl Inner {
    /// One stream, until it ends or falls silent.
    async fn listen(&self, send: &mpsc::Sender<Desired>) -> Result<Ended, Error> {
        let client = self.client.borrow().clone();
        let path = desired_path(&self.cluster);
        let Ok(lines) = timeout(ANSWER, client.lines(&path)).await else {
            return Ok(Ended::Silence);
        };
        let mut lines = std::pin::pin!(lines?);
        loop {
            let Ok(line) = timeout(SILENCE, lines.next()).await else { return Ok(Ended::Silence) };
            let Some(line) = line else { return Ok(Ended::Closed) };
            match serde_json::from_str(&line?) {
                Ok(ToAgent::Alive) => {}
                Ok(ToAgent::Waits { why }) => {
                    self.note(Hearing::Hub, "");
                    self.note_wait(&why);
                    self.tell_all_again();
                }
                Ok(ToAgent::Desired(Desired::Begin { hub })) if hub != self.hub => {
                    return Ok(Ended::Foreign(hub));
                }
                Ok(ToAgent::Desired(desired)) => {
                    if matches!(desired, Desired::Begin { .. }) {
                        self.note(Hearing::Hub, "");
                        self.tell_all_again();
                    }
                    if send.send(desired).await.is_err() {
                        return Ok(Ended::Closed);
                    }
                }
                Ok(ToAgent::Gone { hub, farewell }) if hub == self.hub => {
                    self.gone.send_replace(Some(farewell));
                }
                Ok(ToAgent::Gone { hub, .. }) => return Ok(Ended::Foreign(hub)),
                // A newer hub may say more than this agent understands.
                Err(error) => tracing::debug!(%error, "not understood"),
            }
        }
    }

    /// The hub may have been away, and know nothing of what was said before.
    fn tell_all_again(&self) {
        self.outbox().all_again();
        self.news.notify_one();
    }

    fn foreign(&self, hub: &str) -> String {
        let was = &self.hub;
        format!("the hub lost its state, or is another: it is {hub} and was {was}; {KEPT_UP}")
    }

    fn note_error(&self, error: &Error) {
        let chain = error.chain();
        match error.fault {
            Fault::Untrusted(_) => self.note(
                Hearing::Another,
                &format!(
                    "{chain}; if the hub lost its disk, give it its identity back (kogge hub \
                     --identity FILE); {KEPT_UP}"
                ),
            ),
            // In its own words: it has this one's keys, and is another.
            Fault::Forbidden(_) => self.note(Hearing::Another, &format!("{chain}; {KEPT_UP}")),
            _ => self.note(Hearing::Nobody, &chain),
        }
    }

    /// Once for each reason.
    fn note_wait(&self, why: &str) {
        if self.is_news(why) {
            let cluster = self.cluster.as_str();
            tracing::warn!(cluster, why, "the hub waits for its state, and is not obeyed");
        }
    }

    fn is_news(&self, said: &str) -> bool {
        let mut told = lock(&self.told);
        let is_news = *told != said;
        said.clone_into(&mut told);
        is_news
    }

    /// Says so when that changes, and not at each attempt; of another hub, what is wrong with it may
    /// change as well.
    fn note(&self, hearing: Hearing, why: &str) {
        let before = self.hearing.send_replace(Some(hearing));
        let is_as_before = before == Some(hearing);
        if is_as_before && (hearing != Hearing::Another || !self.is_news(why)) {
            return;
        }
        why.clone_into(&mut lock(&self.told));
        let cluster = self.cluster.as_str();
        if hearing == Hearing::Hub {
            tracing::info!(cluster, "the hub is heard");
        } else {
            tracing::warn!(cluster, "the hub is not heard, and dialled again: {why}");
        }
    }

    async fn send_for_ever(self: Arc<Self>) {
        loop {
            let _ = timeout(HEARTBEAT, self.news.notified()).await;
            while let Err(why) = self.send_batch().await {
                tracing::debug!(cluster = self.cluster, why, "reports wait");
                tokio::time::sleep(RESEND).await;
            }
        }
    }

    /// Everything that waits, in as many posts as it takes; one if nothing does.
    async fn send_batch(&self) -> Result<(), String> {
        loop {
            let (batch, body) = self.outbox().post().map_err(|it| it.to_string())?;
            let client = self.client.borrow().clone();
            let path = self.reports_path();
            let sent = timeout(ANSWER, client.post_bytes(&path, body)).await;
            let failed = match sent {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.chain()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            let mut outbox = self.outbox();
            if let Some(why) = failed {
                outbox.put_back(batch);
                return Err(why);
            }
            if outbox.is_empty() {
                return Ok(());
            }
        }
    }

    fn reports_path(&self) -> String {
        let path = reports_path(&self.cluster);
        let carrier = lock(&self.carrier);
        match carrier.as_deref() {
            Some(member) => format!("{path}?{CARRIED_BY}={member}"),
            None => path,
        }
    }

    fn outbox(&self) -> std::sync::MutexGuard<'_, Outbox> {
        lock(&self.outbox)
    }
}

/// Who answers where the hub is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    Hub,
    Nobody,
    /// A way is open, and nothing comes by it.
    Silence,
    /// Somebody with another authority, or with another store.
    Another,
}

/// How a stream ended that was no error.
enum Ended {
    Closed,
    Silence,
    /// Another hub spoke, with this store.
    Foreign(String),
}

/// A task that ends with its holder.
pub(crate) struct AbortOnDrop(pub JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a task sends, as a stream; the task ends when the stream is dropped.
pub(crate) fn streamed<F, T>(task: F) -> BoxStream<'static, Desired>
where
    F: FnOnce(mpsc::Sender<Desired>) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let (send, receive) = mpsc::channel(1_024);
    let running = AbortOnDrop(tokio::spawn(task(send)));
    futures::stream::unfold((receive, running), |(mut receive, running)| async move {
        receive.recv().await.map(|it| (it, (receive, running)))
    })
    .boxed()
}
