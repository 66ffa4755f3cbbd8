//! The loop: hears what is wanted and what is, and keeps the two the same.
//!
//! One task owns all state. Effects run beside it, at most one per object and
//! [`IN_FLIGHT`] in all, and come back as messages; nothing here waits for one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use kogge_member::{Client, watch::Seen};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{
    capacity::Capacity,
    effects,
    inventory::Inventory,
    link::{Desired, HubLink},
    scale::{Autoscalers, Scaler},
    state::{State, Step},
    view::View,
    watches::{GroupKind, Heard, Watches},
};

/// Requests to one member at a time. More than a small API server answers at
/// once only moves the queue there.
const IN_FLIGHT: usize = 24;

/// Wait before all is read anew.
const RESTART: Duration = Duration::from_secs(2);

/// How often a look is taken whether the member still is this hub's.
const CHECK_OWNER: Duration = Duration::from_secs(30);

/// Wait before the hub is asked for its stream again.
const RECONNECT: Duration = Duration::from_millis(500);

pub struct Config {
    pub cluster: String,
    pub client: Client,
    pub link: Arc<dyn HubLink>,
    pub now: fn() -> Timestamp,
}

/// Runs until `stop` says so or its sender is gone. Leaves the member as it is.
pub async fn run(config: Config, mut stop: watch::Receiver<()>) {
    let stopped = async {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stop.changed().await;
    };
    let view = View::default();
    let found = Found::default();
    let capacity = Capacity::new(&config, view.clone(), &found);
    let scaler = Scaler::new(&config, view.clone(), found.autoscalers.subscribe());
    tokio::select! {
        () = stopped => {}
        () = follow_for_ever(&config, &found) => {}
        () = capacity.run() => {}
        () = view.follow(&config.client) => {}
        () = scaler.run() => {}
    }
    tracing::info!(cluster = config.cluster, "agent stopped");
}

/// What the loop finds out, for others in the agent.
#[derive(Default)]
pub(crate) struct Found {
    autoscalers: watch::Sender<Option<Autoscalers>>,
    /// Another hub that has the member.
    pub foreign: watch::Sender<Option<String>>,
    /// How many objects kogge owns there, once that is known.
    pub owned: watch::Sender<Option<usize>>,
}

/// Follows the hub, anew whenever what is known of the member is worth nothing any more.
async fn follow_for_ever(config: &Config, found: &Found) {
    loop {
        follow(config, found).await;
        found.autoscalers.send_replace(None);
        found.owned.send_replace(None);
        tokio::time::sleep(RESTART).await;
    }
}

/// Until the member turns out to be another hub's, or to have another history.
async fn follow(config: &Config, found: &Found) {
    let inventory = Arc::new(Inventory::new(config.client.clone()));
    let (mut watches, mut heard) = Watches::new(config.client.clone(), inventory.clone());
    let mut awaited = BTreeSet::new();
    for (api_version, kind) in read_inventory(config, &inventory).await {
        awaited.insert(watches.ensure(&api_version, &kind));
    }
    let (link, now) = (config.link.clone(), config.now);
    let mut state = State::new(link.clone(), now, watches, awaited, found.autoscalers.clone());
    let mut running = JoinSet::new();
    let (send, mut wanted) = mpsc::channel(256);
    let mut listening = std::pin::pin!(listen(link, &inventory, &found.foreign, send));
    while !state.is_rewound() {
        start_effects(&mut state, &mut running, &config.client);
        tell(&found.owned, state.owned());
        tokio::select! {
            () = &mut listening => return,
            Some(desired) = wanted.recv() => state.want(desired),
            Some((kind, heard)) = heard.recv() => on_heard(&mut state, &kind, heard),
            Some(Ok((key, done))) = running.join_next() => state.finish(&key, done),
            () = tokio::time::sleep_until(state.next_retry()) => state.retry(Instant::now()),
        }
    }
    tracing::warn!(cluster = config.cluster, "the member was restored or made anew: starting over");
}

/// Keeps the stream of desired state open, as long as the member is this hub's.
async fn listen(
    link: Arc<dyn HubLink>,
    inventory: &Inventory,
    foreign: &watch::Sender<Option<String>>,
    send: mpsc::Sender<Desired>,
) {
    let mut ours = String::new();
    let mut check = tokio::time::interval_at(Instant::now() + CHECK_OWNER, CHECK_OWNER);
    loop {
        let mut stream = link.desired();
        loop {
            let desired = tokio::select! {
                desired = stream.next() => desired,
                _ = check.tick(), if !ours.is_empty() => {
                    if is_foreign(inventory, &ours, foreign).await == Some(true) {
                        return;
                    }
                    continue;
                }
            };
            let Some(desired) = desired else { break };
            if let Desired::Begin { hub } = &desired {
                ours.clone_from(hub);
                match is_foreign(inventory, hub, foreign).await {
                    Some(false) => {}
                    Some(true) => return,
                    None => break,
                }
            }
            if send.send(desired).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Claims the member for the hub; `None` if it cannot be asked.
async fn is_foreign(
    inventory: &Inventory,
    hub: &str,
    foreign: &watch::Sender<Option<String>>,
) -> Option<bool> {
    let owner = inventory.claim(hub).await.ok()?;
    let is_foreign = owner.is_some();
    tell(foreign, owner);
    Some(is_foreign)
}

/// Says so only where that is news.
fn tell<T: PartialEq>(to: &watch::Sender<T>, now: T) {
    to.send_if_modified(|it| {
        let changed = *it != now;
        *it = now;
        changed
    });
}

/// Tries until the member answers: without its inventory nothing may be decided.
async fn read_inventory(config: &Config, inventory: &Inventory) -> Vec<(String, String)> {
    let mut wait = Duration::from_millis(200);
    loop {
        match inventory.read().await {
            Ok(kinds) => return kinds.into_iter().collect(),
            Err(error) => {
                tracing::debug!(
                    cluster = config.cluster,
                    error = error.chain(),
                    "no inventory yet"
                );
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

fn on_heard(state: &mut State, kind: &GroupKind, heard: Heard) {
    match heard {
        Heard::Seen(Seen::Reset { items, version }) => {
            state.reset(kind, &items, version.parse().unwrap_or(0));
        }
        Heard::Seen(Seen::Applied(object)) => state.applied(&object),
        Heard::Seen(Seen::Deleted(object)) => state.deleted(&object),
        Heard::Seen(Seen::Broken(error)) => {
            tracing::debug!(kind = kind.1, error = error.chain(), "watch broken");
        }
        Heard::NoWatch { message, is_unknown } => state.no_watch(kind, &message, is_unknown),
    }
}

type Running = JoinSet<(kogge_member::ObjectKey, effects::Done)>;

fn start_effects(state: &mut State, running: &mut Running, client: &Client) {
    while running.len() < IN_FLIGHT {
        let Some(step) = state.next_step(Instant::now()) else { break };
        let client = client.clone();
        running.spawn(async move {
            match step {
                Step::Apply { work, live } => {
                    (work.key.clone(), effects::apply(&client, &work, &live).await)
                }
                Step::Delete { key, meta } => {
                    let done = effects::delete(&client, &key, &meta).await;
                    (key, done)
                }
            }
        });
    }
}
