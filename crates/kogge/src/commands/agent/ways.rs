//! The ways to the hub: straight, or carried by another member where that does not get through.
//!
//! All that the agent says to its hub goes in by [`Ways::door`], a port on loopback, and leaves by
//! the way that opens first. TLS with the hub is inside, so whoever carries reads nothing.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, future::select_ok, stream::FuturesUnordered,
};
use http::Uri;
use kogge_gossip::{Name, State, View};
use kogge_net::{Carried, Gossip};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// The hub has so long to answer before others are asked as well.
const HEAD_START: Duration = Duration::from_millis(400);

/// A way by which nothing came is the last choice for so long; a straight one that was cut opens
/// again no later than that.
const DOUBT: Duration = Duration::from_secs(20);

/// A way that is not open by then is none.
const OPEN: Duration = Duration::from_secs(3);

/// Between the askings of two members.
const STEP: Duration = Duration::from_millis(200);

/// So many members are asked.
const ASKED: usize = 6;

/// How often the straight way is tried while another carries.
const LOOK: Duration = Duration::from_secs(5);

/// Who carries what is said to the hub; nobody where it is dialled.
pub type Carrier = Option<Name>;

/// A stream to the hub, and who carries it.
type Way = (Carrier, Carried);

/// The ways of one agent. The door closes when this is dropped.
pub struct Ways {
    inner: Arc<Inner>,
    door: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Inner {
    /// `host:port`
    hub: String,
    gossip: watch::Sender<Option<Arc<Gossip>>>,
    carrier: watch::Sender<Carrier>,
    /// Ways by which nothing came, and until when they are the last choice.
    doubted: Mutex<BTreeMap<Carrier, Instant>>,
    /// Changes when all streams are to end, and begin anew by the best way.
    hung_up: watch::Sender<()>,
}

impl Ways {
    /// # Errors
    /// If the hub's URL names no host, or no port can be opened.
    pub async fn open(hub: &str) -> anyhow::Result<Self> {
        let inner = Arc::new(Inner {
            hub: hub.parse::<Address>()?.dial,
            gossip: watch::Sender::new(None),
            carrier: watch::Sender::new(None),
            doubted: Mutex::default(),
            hung_up: watch::Sender::new(()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("could not open a port on loopback")?;
        let door = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(inner.clone().let_in(listener));
        tasks.spawn(inner.clone().look_for_ever());
        Ok(Self { inner, door, _tasks: tasks })
    }

    /// Where the hub is reached.
    pub fn door(&self) -> SocketAddr {
        self.door
    }

    /// The hub's API, `host:port`.
    pub fn hub(&self) -> &str {
        &self.inner.hub
    }

    /// Members that gossip may carry from now on.
    pub fn use_members(&self, gossip: Option<Arc<Gossip>>) {
        self.inner.gossip.send_replace(gossip);
    }

    /// Who carries.
    pub fn carrier(&self) -> watch::Receiver<Carrier> {
        self.inner.carrier.subscribe()
    }

    /// Nothing comes by the present way: ends what is open, and takes another if there is one.
    pub fn doubt(&self) {
        let way = self.inner.carrier.borrow().clone();
        let mut doubted = self.inner.doubted();
        let now = Instant::now();
        doubted.retain(|_, until| now < *until);
        doubted.insert(way, now + DOUBT);
        drop(doubted);
        self.inner.hung_up.send_replace(());
    }
}

impl Inner {
    async fn let_in(self: Arc<Self>, listener: TcpListener) {
        let mut open = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors, most likely: some come free.
                sleep(STEP).await;
                continue;
            };
            while open.try_join_next().is_some() {}
            open.spawn(self.clone().lead(stream));
        }
    }

    /// One stream, until either end closes it or all are to begin anew.
    async fn lead(self: Arc<Self>, mut stream: TcpStream) {
        let mut hung_up = self.hung_up.subscribe();
        let led = async {
            stream.set_nodelay(true)?;
            let (carrier, mut hub) = self.way().await?;
            self.note(carrier);
            copy_bidirectional(&mut stream, &mut hub).await
        };
        tokio::select! {
            led = led => if let Err(error) = led {
                tracing::debug!(hub = self.hub, %error, "a stream to the hub ended");
            },
            _ = hung_up.changed() => {}
        }
    }

    /// The first that opens. The present way has a head start, unless nothing came by it.
    async fn way(&self) -> io::Result<Way> {
        let carrier = self.carrier.borrow().clone();
        let (straight, carried) = match (self.is_doubted(&None), carrier) {
            (false, None) => (Duration::ZERO, HEAD_START),
            (false, Some(_)) => (HEAD_START, Duration::ZERO),
            (true, _) => (OPEN / 2, Duration::ZERO),
        };
        let straight = sleep(straight)
            .then(|()| self.straight())
            .map_ok(|hub| -> Way { (None, Box::pin(hub)) });
        let carried =
            sleep(carried).then(|()| self.carried()).map_ok(|(by, hub)| -> Way { (Some(by), hub) });
        Ok(select_ok([straight.boxed(), carried.boxed()]).await?.0)
    }

    fn is_doubted(&self, way: &Carrier) -> bool {
        self.doubted().get(way).is_some_and(|until| Instant::now() < *until)
    }

    fn doubted(&self) -> MutexGuard<'_, BTreeMap<Carrier, Instant>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn straight(&self) -> io::Result<TcpStream> {
        let opened = timeout(OPEN, TcpStream::connect(&self.hub)).await;
        let opened = opened.unwrap_or_else(|it| Err(it.into()));
        if opened.is_err() {
            // It does not open and lead nowhere: that it opens again is worth something.
            self.doubted().remove(&None);
        }
        let hub = opened?;
        hub.set_nodelay(true)?;
        Ok(hub)
    }

    /// The first member that carries; the one that does already is asked first.
    async fn carried(&self) -> io::Result<(Name, Carried)> {
        let nobody = || io::Error::other("no other member carries");
        let gossip = self.gossip.borrow().clone().ok_or_else(nobody)?;
        let view = gossip.view().await.ok_or_else(nobody)?;
        let mut names = carriers(&view);
        let present = self.carrier.borrow().clone();
        names.sort_by_key(|it| {
            let it = Some(it.clone());
            (self.is_doubted(&it), it != present)
        });
        let asked = names.into_iter().take(ASKED).zip(0..);
        let mut asked: FuturesUnordered<_> = asked
            .map(async |(name, turn): (Name, u32)| {
                sleep(STEP * turn).await;
                let carried = timeout(OPEN, gossip.carried_by(&name)).await.ok()??;
                Some((name, carried))
            })
            .collect();
        while let Some(answer) = asked.next().await {
            if let Some(carried) = answer {
                return Ok(carried);
            }
        }
        Err(nobody())
    }

    fn note(&self, carrier: Carrier) {
        self.carrier.send_if_modified(|known| {
            if *known == carrier {
                return false;
            }
            if let Some(member) = &carrier {
                tracing::warn!(%member, "the hub is reached through a member");
            } else {
                tracing::info!("the hub is reached straight again");
            }
            *known = carrier;
            true
        });
    }

    /// Goes back to the straight way as soon as it opens twice in a row.
    async fn look_for_ever(self: Arc<Self>) {
        let mut carrier = self.carrier.subscribe();
        while carrier.wait_for(Option::is_some).await.is_ok() {
            let mut open = 0;
            while open < 2 && carrier.borrow().is_some() {
                sleep(LOOK).await;
                // As promptly as a way has to open to be taken.
                let straight = timeout(HEAD_START, self.straight()).await;
                let opens = matches!(straight, Ok(Ok(_))) && !self.is_doubted(&None);
                open = if opens { open + 1 } else { 0 };
            }
            self.note(None);
            self.hung_up.send_replace(());
        }
    }
}

/// Members that are alive and reach the hub, as they say, and hubs; from a place of this member's
/// own on, so that not all ask the same.
fn carriers(view: &View) -> Vec<Name> {
    let may = |it: &&kogge_gossip::MemberView| {
        it.state == State::Alive && it.hub_link && it.name != view.from
    };
    let mut names: Vec<Name> = view.members.iter().filter(may).map(|it| it.name.clone()).collect();
    let after = names.partition_point(|it| *it < view.from);
    names.rotate_left(after);
    names
}

/// Where a hub is, of its URL.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// `host:port`, to dial.
    dial: String,
    /// The name that the hub's certificate is to bear.
    pub host: String,
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(hub: &str) -> anyhow::Result<Self> {
        let url: Uri = hub.parse().with_context(|| format!("{hub} is no URL"))?;
        let host = url.host().with_context(|| format!("{hub} names no host"))?;
        let scheme = url.scheme_str();
        let scheme = scheme.with_context(|| format!("{hub} is no URL: it names no scheme"))?;
        let usual = if scheme == "http" { 80 } else { 443 };
        let dial = format!("{host}:{}", url.port_u16().unwrap_or(usual));
        Ok(Self { dial, host: host.trim_matches(['[', ']']).to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_dialled_at_its_port() {
        for (hub, address, host) in [
            ("https://hub.example:6443", "hub.example:6443", "hub.example"),
            ("https://hub.example", "hub.example:443", "hub.example"),
            ("https://[::1]:7/", "[::1]:7", "::1"),
            ("http://10.0.0.1", "10.0.0.1:80", "10.0.0.1"),
        ] {
            let want = Address { dial: address.to_owned(), host: host.to_owned() };
            assert_eq!(hub.parse::<Address>().unwrap(), want);
        }
        assert!("hub".parse::<Address>().is_err());
    }
}
