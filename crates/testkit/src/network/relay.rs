//! A relay that delays and loses what it carries, by a seed.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, mpsc::sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use super::namespace::Door;

/// Senders that one UDP address has at a time; those beyond are not heard.
const SENDERS: usize = 256;

/// Pieces of a TCP stream that wait for their time.
const WAITING: usize = 64;

/// What a relay does to each datagram, and to each piece of a stream, of which none is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// At least and at most, evenly spread; datagrams overtake each other.
    pub delay: (Duration, Duration),
    /// Of a hundred datagrams.
    pub loss_percent: u64,
}

/// Relays until it is dropped.
pub struct Relay {
    sky: Sky,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// From each first address, behind the door, to the second.
    pub(super) fn start(
        door: Door,
        routes: Vec<(SocketAddr, SocketAddr)>,
        seed: u64,
    ) -> io::Result<Self> {
        let sky = Sky(Arc::new(Mutex::new((Weather::default(), seed))));
        let (stop, stopped) = oneshot::channel();
        let (started, outcome) = sync_channel(1);
        let here = sky.clone();
        let run = move || {
            let begun = door.enter().and_then(|()| begin(&here, routes));
            let runtime = match begun {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            // The caller waits for it.
            let _ = started.send(Ok(()));
            // An error is a holder that is gone, which is a stop as well.
            let _ = runtime.block_on(stopped);
        };
        let thread = Some(thread::spawn(run));
        let relay = Self { sky, stop: Some(stop), thread };
        outcome.recv().map_err(io::Error::other)??;
        Ok(relay)
    }

    /// The weather from now on; what is on its way is not touched.
    pub fn set(&self, weather: Weather) {
        self.sky.0.lock().unwrap_or_else(PoisonError::into_inner).0 = weather;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It has panicked at worst, which a test sees by what is not carried.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn begin(sky: &Sky, routes: Vec<(SocketAddr, SocketAddr)>) -> io::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for (from, to) in routes {
            let (udp, tcp) = (UdpSocket::bind(from).await?, TcpListener::bind(from).await?);
            tokio::spawn(datagrams(sky.clone(), udp, to));
            tokio::spawn(streams(sky.clone(), tcp, to));
        }
        Ok::<_, io::Error>(())
    })?;
    Ok(runtime)
}

/// The weather, and the state of the random numbers.
#[derive(Clone)]
struct Sky(Arc<Mutex<(Weather, u64)>>);

impl Sky {
    /// How long the next piece takes; `None` if it is lost.
    fn next(&self) -> Option<Duration> {
        let mut sky = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Weather { delay: (least, most), loss_percent } = sky.0;
        if random(&mut sky.1) % 100 < loss_percent {
            return None;
        }
        let spread = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        let more = random(&mut sky.1) % spread.saturating_add(1).max(1);
        Some(least + Duration::from_micros(more))
    }
}

/// splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Each sender has a socket of its own towards the target, so that answers find back.
async fn datagrams(sky: Sky, socket: UdpSocket, to: SocketAddr) {
    let socket = Arc::new(socket);
    let mut senders: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        // The error is of a datagram that was sent before.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if !senders.contains_key(&from) {
            let Ok(onward) = towards(to).await else { continue };
            if senders.len() == SENDERS {
                continue;
            }
            let onward = Arc::new(onward);
            senders.insert(from, onward.clone());
            tokio::spawn(answers(sky.clone(), onward, socket.clone(), from));
        }
        carry(&sky, senders[&from].clone(), to, buffer[..length].to_vec());
    }
}

async fn towards(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(to).await?;
    Ok(socket)
}

async fn answers(sky: Sky, from: Arc<UdpSocket>, by: Arc<UdpSocket>, to: SocketAddr) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        // The error is of a datagram that was sent before.
        let Ok(length) = from.recv(&mut buffer).await else { continue };
        carry(&sky, by.clone(), to, buffer[..length].to_vec());
    }
}

fn carry(sky: &Sky, by: Arc<UdpSocket>, to: SocketAddr, bytes: Vec<u8>) {
    let Some(delay) = sky.next() else { return };
    tokio::spawn(async move {
        sleep(delay).await;
        // Nobody listens there: as if it were lost.
        let _ = if by.peer_addr().is_ok() {
            by.send(&bytes).await
        } else {
            by.send_to(&bytes, to).await
        };
    });
}

async fn streams(sky: Sky, listener: TcpListener, to: SocketAddr) {
    while let Ok((here, _)) = listener.accept().await {
        let sky = sky.clone();
        tokio::spawn(async move {
            let Ok(there) = TcpStream::connect(to).await else { return };
            let ((read, write), (read_there, write_there)) =
                (here.into_split(), there.into_split());
            tokio::spawn(pieces(sky.clone(), read, write_there));
            pieces(sky, read_there, write).await;
        });
    }
}

/// Carries one direction of a stream until it ends.
async fn pieces(
    sky: Sky,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
) {
    let (send, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(WAITING);
    tokio::spawn(async move {
        while let Some((due, bytes)) = queue.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // It may have ended by itself.
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 1 << 14];
    while let Ok(length) = from.read(&mut buffer).await {
        let due = Instant::now() + sky.next().unwrap_or_default();
        if length == 0 || send.send((due, buffer[..length].to_vec())).await.is_err() {
            return;
        }
    }
}
