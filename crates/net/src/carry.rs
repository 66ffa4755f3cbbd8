//! Streams to the hub that one member carries for another, which cannot reach it.
//!
//! The two ends speak TLS with each other inside: who carries reads nothing, changes nothing, and
//! can only withhold. It carries to the hub that it knows, and nowhere else; also for a member that
//! was removed, as long as its certificate counts: only the hub can tell it so.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kogge_gossip::Name;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

/// What opens a stream that is to be carried.
pub(crate) const TO_HUB: &[u8; 4] = b"hub\n";

/// The answer once the hub is connected; a stream that ends before is a refusal.
const CONNECTED: u8 = 1;

/// A hub that is not connected by then is not reached from here.
const CONNECT: Duration = Duration::from_secs(2);

/// Streams that one member carries at a time.
const CARRIED: usize = 64;

/// Of these for one peer.
const OF_ONE: usize = 12;

/// A stream that somebody carries.
pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// A stream to the hub; what is inside is for the two ends to protect.
pub type Carried = Pin<Box<dyn Stream>>;

/// Carries others' streams to the hub.
pub(crate) struct Carrier {
    hub: Option<String>,
    slots: Semaphore,
    /// Streams of each peer that has any.
    peers: Mutex<BTreeMap<Name, usize>>,
}

impl Carrier {
    /// `hub` is the address of its API as this member reaches it, `host:port`; without it all are
    /// refused.
    pub fn new(hub: Option<String>) -> Self {
        Self { hub, slots: Semaphore::new(CARRIED), peers: Mutex::default() }
    }

    /// Carries for a peer until either end closes. The stream's opening is read already.
    pub async fn carry(&self, peer: &Name, stream: impl Stream) -> io::Result<()> {
        let full = || io::Error::other("too many streams are carried");
        let _slot = self.slots.try_acquire().map_err(|_| full())?;
        let _place = self.place(peer).ok_or_else(full)?;
        self.lead(stream).await
    }

    async fn lead(&self, stream: impl Stream) -> io::Result<()> {
        let hub = self.hub.as_ref().ok_or_else(|| io::Error::other("no hub is known"))?;
        let hub = timeout(CONNECT, TcpStream::connect(hub)).await??;
        hub.set_nodelay(true)?;
        let (mut from_peer, mut to_peer) = split(Box::pin(stream));
        to_peer.write_u8(CONNECTED).await?;
        to_peer.flush().await?;
        let (mut from_hub, mut to_hub) = hub.into_split();
        // TLS says goodbye inside; an end that closes is the end of both.
        tokio::select! {
            out = copy(&mut from_peer, &mut to_hub) => out?,
            back = copy(&mut from_hub, &mut to_peer) => back?,
        };
        to_peer.shutdown().await
    }

    fn place(&self, peer: &Name) -> Option<Place<'_>> {
        let mut peers = self.peers();
        let streams = peers.entry(peer.clone()).or_default();
        if *streams == OF_ONE {
            return None;
        }
        *streams += 1;
        Some(Place { carrier: self, peer: peer.clone() })
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<Name, usize>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's place among its peer's, until it is dropped.
struct Place<'a> {
    carrier: &'a Carrier,
    peer: Name,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut peers = self.carrier.peers();
        if let Some(streams) = peers.get_mut(&self.peer) {
            *streams -= 1;
            if *streams == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

/// Asks for a stream to be carried, and waits until the hub is connected.
pub(crate) async fn ask(stream: impl Stream + 'static) -> io::Result<Carried> {
    let mut stream = Box::pin(stream);
    stream.write_all(TO_HUB).await?;
    stream.flush().await?;
    if stream.read_u8().await? != CONNECTED {
        return Err(io::Error::other("this is no carrier"));
    }
    Ok(stream)
}

/// Reads what opens a stream, and carries it.
pub(crate) async fn accept(
    carrier: &Carrier,
    peer: &Name,
    mut stream: impl Stream + Unpin,
) -> io::Result<()> {
    let mut opening = [0; TO_HUB.len()];
    timeout(CONNECT, stream.read_exact(&mut opening)).await??;
    if &opening != TO_HUB {
        return Err(io::Error::other("this is no stream to the hub"));
    }
    carrier.carry(peer, stream).await
}
