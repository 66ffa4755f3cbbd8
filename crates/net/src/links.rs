//! All links of one member: dialled when there is something to send, accepted from others, one
//! task for each peer.

mod open;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::Timestamp;
use kogge_gossip::{Channel, Name};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};

use self::open::{flat, quic_endpoint, quic_server};
use crate::{
    carry::{Carried, Carrier},
    identity::Identity,
    link::{Link, Stuck},
    peer::{Peer, ToPeer},
    tls::Tls,
};

/// A handshake that is not done by then is given up.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// A peer that could not be dialled is left alone for so long.
const REST: Duration = Duration::from_secs(1);

/// A peer to whom nothing was sent for so long is forgotten.
const IDLE: Duration = Duration::from_mins(2);

/// Frames that wait for a link to one peer.
const WAITING: usize = 128;

/// What the links bring.
pub(crate) enum Heard {
    Frame {
        from: Name,
        bytes: Bytes,
    },
    /// A seed answered under this name.
    Met(Name),
    Undialable(Name),
    /// A peer wants to know how the fleet is seen here.
    Asked {
        answer: oneshot::Sender<Vec<u8>>,
    },
}

/// Cheap to clone. All end by [`Links::close`].
#[derive(Clone)]
pub(crate) struct Links {
    inner: Arc<Inner>,
}

struct Inner {
    tls: RwLock<Tls>,
    /// Who was removed: no link of frames to or from it stays or opens.
    revoked: RwLock<BTreeSet<Name>>,
    now: fn() -> Timestamp,
    quic: quinn::Endpoint,
    listens: bool,
    address: SocketAddr,
    heard: mpsc::Sender<Heard>,
    carrier: Arc<Carrier>,
    peers: Mutex<BTreeMap<Name, mpsc::Sender<ToPeer>>>,
}

impl Links {
    /// Listens on UDP and TCP, on the same port of both; without an address it only dials.
    pub async fn open(
        identity: &Identity,
        listen: Option<SocketAddr>,
        now: fn() -> Timestamp,
        heard: mpsc::Sender<Heard>,
        carrier: Carrier,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<Self> {
        let tls = Tls::new(identity, now).map_err(io::Error::other)?;
        let (tcp, quic) = match listen {
            Some(address) => {
                let tcp = TcpListener::bind(address).await?;
                let quic = quic_endpoint(tcp.local_addr()?, Some(quic_server(&tls)?))?;
                (Some(tcp), quic)
            }
            None => (None, quic_endpoint((Ipv4Addr::UNSPECIFIED, 0).into(), None)?),
        };
        let address = quic.local_addr()?;
        let inner = Inner {
            tls: RwLock::new(tls),
            revoked: RwLock::default(),
            now,
            quic,
            listens: listen.is_some(),
            address,
            heard,
            carrier: Arc::new(carrier),
            peers: Mutex::default(),
        };
        let links = Self { inner: Arc::new(inner) };
        if let Some(tcp) = tcp {
            tasks.spawn(links.clone().accept_quic());
            tasks.spawn(links.clone().accept_tcp(tcp));
        }
        Ok(links)
    }

    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// From now on links are opened and accepted with this certificate.
    pub fn renew(&self, identity: &Identity) -> io::Result<()> {
        let tls = Tls::new(identity, self.inner.now).map_err(io::Error::other)?;
        if self.inner.listens {
            self.inner.quic.set_server_config(Some(quic_server(&tls)?));
        }
        *self.inner.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        Ok(())
    }

    /// Sends a frame, over a link that is there or is opened now. Never waits; frames of which too
    /// many wait are dropped.
    pub fn send(&self, to: &Name, how: Channel, bytes: Vec<u8>, addresses: Vec<String>) {
        let message = ToPeer::Send { how, bytes: bytes.into(), addresses };
        let _ = self.peer(to).try_send(message);
    }

    /// Asks a member how it sees the fleet; the answer is dropped where it cannot be asked.
    pub fn ask(&self, whom: &Name, addresses: Vec<String>, answer: oneshot::Sender<Vec<u8>>) {
        let _ = self.peer(whom).try_send(ToPeer::Ask { answer, addresses });
    }

    /// Has a member carry a stream to the hub; the answer is dropped where it does not.
    pub fn carry(&self, by: &Name, addresses: Vec<String>, answer: oneshot::Sender<Carried>) {
        let _ = self.peer(by).try_send(ToPeer::Carry { answer, addresses });
    }

    /// Opens a link where none is open, for the peer to use.
    pub fn keep(&self, to: &Name, addresses: Vec<String>) {
        let _ = self.peer(to).try_send(ToPeer::Keep { addresses });
    }

    /// Cuts a member's links, and opens and accepts none.
    pub fn revoke(&self, name: &Name) {
        let mut revoked = self.inner.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.insert(name.clone()) {
            let peer = self.peer(name);
            // After all that waits there, which may be as much as fits.
            tokio::spawn(async move { drop(peer.send(ToPeer::Close).await) });
        }
    }

    /// Lets a member that was refused link again.
    pub fn restore(&self, name: &Name) {
        self.inner.revoked.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn revoked(&self) -> RwLockReadGuard<'_, BTreeSet<Name>> {
        self.inner.revoked.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials an address without knowing who is there.
    pub fn meet(&self, address: String) {
        let links = self.clone();
        tokio::spawn(async move {
            if let Some((name, link)) = links.dial(&[address], None).await {
                let _ = links.peer(&name).try_send(ToPeer::Meet(link));
                let _ = links.inner.heard.send(Heard::Met(name)).await;
            }
        });
    }

    /// Closes all of them, and lets their ports go.
    pub fn close(&self) {
        self.inner.quic.close(0u8.into(), b"stopped");
        self.inner.peers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn tls(&self) -> Tls {
        self.inner.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn peer(&self, name: &Name) -> mpsc::Sender<ToPeer> {
        let mut peers = self.inner.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(name).filter(|it| !it.is_closed()) {
            return peer.clone();
        }
        let (send, receive) = mpsc::channel(WAITING);
        peers.insert(name.clone(), send.clone());
        tokio::spawn(self.clone().serve(name.clone(), receive));
        send
    }

    fn adopt(&self, name: &Name, link: Link) {
        // Held, so that what closes all links comes after this one.
        let revoked = self.revoked();
        if revoked.contains(name) {
            return link.close();
        }
        if let Err(refused) = self.peer(name).try_send(ToPeer::Adopt(link))
            && let ToPeer::Adopt(link) = refused.into_inner()
        {
            link.close();
        }
    }

    /// One peer's task: sends what there is over the best link that is open.
    async fn serve(self, name: Name, mut receive: mpsc::Receiver<ToPeer>) {
        let mut peer = Peer::default();
        let mut rest = Instant::now();
        loop {
            let Ok(Some(message)) = timeout(IDLE, receive.recv()).await else { break };
            peer.forget_closed();
            match message {
                ToPeer::Adopt(link) => peer.adopt(link),
                ToPeer::Meet(link) => peer.meet(link),
                ToPeer::Close => peer.close(),
                ToPeer::Send { how, bytes, addresses } => {
                    self.have_link(&name, &addresses, &mut peer, &mut rest).await;
                    peer.send(how, &bytes, || self.on_stuck(&name, &addresses));
                }
                ToPeer::Ask { answer, addresses } => {
                    self.have_link(&name, &addresses, &mut peer, &mut rest).await;
                    peer.ask(answer);
                }
                ToPeer::Stuck { bytes, addresses } => {
                    if !peer.detour(&bytes) && rest <= Instant::now() {
                        rest = Instant::now() + REST;
                        tokio::spawn(self.clone().dial_detour(name.clone(), addresses, bytes));
                    }
                }
                ToPeer::Carry { answer, addresses } => {
                    self.have_link(&name, &addresses, &mut peer, &mut rest).await;
                    let carrying = self.clone().carried(peer.best(), name.clone(), addresses);
                    tokio::spawn(carrying.map(|it| it.map(|it| answer.send(it))));
                }
                ToPeer::Detour { link, bytes } => {
                    peer.adopt(link);
                    peer.detour(&bytes);
                }
                ToPeer::Carries(link) => peer.prefer(&link),
                ToPeer::Keep { addresses } => {
                    self.have_link(&name, &addresses, &mut peer, &mut rest).await;
                }
            }
        }
        peer.close();
        // Whoever sends now finds a closed queue, or none, and starts anew.
        receive.close();
        let mut peers = self.inner.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.get(&name).is_some_and(mpsc::Sender::is_closed) {
            peers.remove(&name);
        }
    }

    /// What the peer's task is told of a stream that takes too long.
    fn on_stuck(&self, name: &Name, addresses: &[String]) -> impl Fn(Stuck) + Send + 'static {
        let (links, name, addresses) = (self.clone(), name.clone(), addresses.to_vec());
        move |stuck| {
            let message = match stuck {
                Stuck::Frame(bytes) => ToPeer::Stuck { bytes, addresses: addresses.clone() },
                Stuck::NoMore(link) => ToPeer::Carries(link),
            };
            let _ = links.peer(&name).try_send(message);
        }
    }

    /// TLS on TCP beside a QUIC link that is stuck, with the frame that is.
    async fn dial_detour(self, name: Name, addresses: Vec<String>, bytes: Bytes) {
        for address in addresses {
            let Ok(found) = tokio::net::lookup_host(address).await else { continue };
            for address in found {
                match timeout(HANDSHAKE, self.dial_tcp(address)).map(flat).await {
                    Ok((peer, link)) if peer == name => {
                        let _ = self.peer(&name).try_send(ToPeer::Detour { link, bytes });
                        return;
                    }
                    Ok((_, link)) => link.close(),
                    Err(error) => tracing::debug!(%address, %error, "no detour"),
                }
            }
        }
    }

    /// Dials where no link is open, unless that failed a moment ago.
    async fn have_link(
        &self,
        name: &Name,
        addresses: &[String],
        peer: &mut Peer,
        rest: &mut Instant,
    ) {
        if peer.may_try_quic() {
            tokio::spawn(self.clone().try_quic(name.clone(), addresses.to_vec()));
        }
        if peer.has_link() || Instant::now() < *rest {
            return;
        }
        if let Some((_, link)) = self.dial(addresses, Some(name)).await {
            peer.adopt(link);
        } else {
            *rest = Instant::now() + REST;
            let _ = self.inner.heard.send(Heard::Undialable(name.clone())).await;
        }
    }

    async fn try_quic(self, name: Name, addresses: Vec<String>) {
        for address in open::resolved(&addresses).await {
            if let Ok((peer, link)) = timeout(HANDSHAKE, self.dial_quic(address)).map(flat).await {
                if peer == name {
                    return self.adopt(&name, link);
                }
                link.close();
            }
        }
    }

    /// A stream over the best link; beside it where that is one of frames only, or is refused.
    async fn carried(
        self,
        best: Option<Link>,
        by: Name,
        addresses: Vec<String>,
    ) -> Option<Carried> {
        let opening = async {
            if let Some(opening) = best.as_ref().and_then(Link::carried)
                && let Ok(carried) = opening.await
            {
                return Ok(carried);
            }
            self.carried_by_tcp(&by, &addresses).await
        };
        let carried = timeout(HANDSHAKE, opening).map(flat).await;
        carried
            .inspect_err(|error| tracing::debug!(member = %by, %error, "does not carry to the hub"))
            .ok()
    }
}
