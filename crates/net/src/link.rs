//! One link to a peer: QUIC, or TLS on TCP where UDP does not get through.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use kogge_gossip::{Channel, MAX_FRAME, Name};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, join},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    carry::{self, Carried, Carrier},
    links::Heard,
    tls,
};

/// A stream that is not through by then is given up; repair brings what it carried.
const STREAM: Duration = Duration::from_secs(5);

/// A stream that is not acknowledged by then, and four round trips more, is stuck: UDP may be blocked
/// since the link was opened. A member that is suspected has little more than a second in all.
const ACKNOWLEDGED: Duration = Duration::from_millis(250);

/// Streams that are being read or written on one link at a time.
pub(crate) const STREAMS: usize = 32;

/// Questions and carried streams on one link at a time.
pub(crate) const QUESTIONS: u8 = 12;

/// What is asked, and the longest answer.
const VIEW: &[u8; 4] = b"view";
const LONGEST_VIEW: usize = 4 << 20;

/// Frames that wait for a TCP link's socket.
const WAITING: usize = 64;

/// A TCP link that says nothing for so long is dead; QUIC's own time is the same.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// The sending end. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Link {
    Quic(quinn::Connection),
    Tcp(mpsc::Sender<Bytes>),
}

/// What a link says of a stream that takes too long.
pub(crate) enum Stuck {
    /// This frame is not through.
    Frame(Bytes),
    /// It is through: the link carries.
    NoMore(Link),
}

impl Link {
    pub fn is_quic(&self) -> bool {
        matches!(self, Self::Quic(_))
    }

    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Quic(one), Self::Quic(other)) => one.stable_id() == other.stable_id(),
            (Self::Tcp(one), Self::Tcp(other)) => one.same_channel(other),
            _ => false,
        }
    }

    pub fn is_open(&self) -> bool {
        match self {
            Self::Quic(connection) => connection.close_reason().is_none(),
            Self::Tcp(queue) => !queue.is_closed(),
        }
    }

    /// Sends a frame, or drops it: what is missed is repaired. `stuck` hears of a stream that the
    /// peer does not acknowledge in good time, and then maybe that it did in the end.
    pub fn send(
        &self,
        how: Channel,
        bytes: Bytes,
        writing: &mut JoinSet<()>,
        stuck: impl Fn(Stuck) + Send + 'static,
    ) {
        match self {
            Self::Quic(connection) => {
                if how == Channel::Datagram && connection.send_datagram(bytes.clone()).is_ok() {
                    return;
                }
                while writing.try_join_next().is_some() {}
                if writing.len() < STREAMS {
                    writing.spawn(write_watched(connection.clone(), bytes, stuck));
                }
            }
            Self::Tcp(queue) => {
                // A full queue is a link that does not move.
                let _ = queue.try_send(bytes);
            }
        }
    }

    /// Asks for the peer's view of the fleet; only QUIC carries questions.
    pub fn ask(&self, answer: oneshot::Sender<Vec<u8>>, asking: &mut JoinSet<()>) {
        if let Self::Quic(connection) = self {
            let connection = connection.clone();
            asking.spawn(async move {
                if let Ok(Ok(view)) = tokio::time::timeout(STREAM, ask(&connection)).await {
                    // Who asked may not wait any more.
                    let _ = answer.send(view);
                }
            });
        }
    }

    /// Opens a stream to the hub that the peer carries; `None` where only QUIC links could.
    pub fn carried(&self) -> Option<impl Future<Output = io::Result<Carried>> + Send + 'static> {
        let Self::Quic(connection) = self else { return None };
        let connection = connection.clone();
        Some(async move {
            let (send, receive) = connection.open_bi().await?;
            carry::ask(join(receive, send)).await
        })
    }

    pub fn close(&self) {
        match self {
            Self::Quic(connection) => connection.close(1u8.into(), b"not needed"),
            // An empty frame is the end.
            Self::Tcp(queue) => drop(queue.try_send(Bytes::new())),
        }
    }
}

/// Says what does not get through, and what did after all.
async fn write_watched(connection: quinn::Connection, bytes: Bytes, stuck: impl Fn(Stuck)) {
    let patience = ACKNOWLEDGED + 4 * connection.rtt();
    let mut written = std::pin::pin!(write(&connection, &bytes));
    if tokio::time::timeout(patience, &mut written).await.is_ok() {
        // Of a link that breaks the peer's task hears by itself.
        return;
    }
    stuck(Stuck::Frame(bytes.clone()));
    if let Ok(Ok(())) = tokio::time::timeout(STREAM, written).await {
        stuck(Stuck::NoMore(Link::Quic(connection.clone())));
    }
}

/// Until the peer has acknowledged all of it.
async fn write(connection: &quinn::Connection, bytes: &[u8]) -> io::Result<()> {
    let mut stream = connection.open_uni().await?;
    stream.write_all(bytes).await?;
    stream.finish()?;
    stream.stopped().await?;
    Ok(())
}

async fn ask(connection: &quinn::Connection) -> io::Result<Vec<u8>> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(VIEW).await?;
    send.finish()?;
    receive.read_to_end(LONGEST_VIEW).await.map_err(io::Error::other)
}

/// Does what a peer's stream asks for: a view, or a way to the hub.
async fn answer(
    (mut send, mut receive): (quinn::SendStream, quinn::RecvStream),
    from: Name,
    heard: mpsc::Sender<Heard>,
    carrier: Arc<Carrier>,
) -> io::Result<()> {
    let mut asked = [0; VIEW.len()];
    let read = tokio::time::timeout(STREAM, receive.read_exact(&mut asked)).await?;
    read.map_err(io::Error::other)?;
    match &asked {
        VIEW => {
            let sent = tokio::time::timeout(STREAM, show(&mut send, heard)).await?;
            sent.and_then(|()| Ok(send.finish()?))
        }
        carry::TO_HUB => carrier.carry(&from, join(receive, send)).await,
        _ => Err(io::Error::other("this is no question")),
    }
}

async fn show(send: &mut quinn::SendStream, heard: mpsc::Sender<Heard>) -> io::Result<()> {
    let (answer, view) = oneshot::channel();
    heard.send(Heard::Asked { answer }).await.map_err(io::Error::other)?;
    Ok(send.write_all(&view.await.map_err(io::Error::other)?).await?)
}

/// The name on the certificate of the other end.
pub(crate) fn peer_of(connection: &quinn::Connection) -> Option<Name> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    tls::name_of(chain.first()?)
}

/// Reads a QUIC link until it ends.
pub(crate) async fn read_quic(
    connection: quinn::Connection,
    from: Name,
    heard: mpsc::Sender<Heard>,
    carrier: Arc<Carrier>,
) {
    let mut reading = JoinSet::new();
    // QUIC itself limits how many there are.
    let mut answering = JoinSet::new();
    loop {
        while reading.try_join_next().is_some() || answering.try_join_next().is_some() {}
        let bytes = tokio::select! {
            datagram = connection.read_datagram() => match datagram {
                Ok(bytes) => bytes,
                Err(_) => return,
            },
            stream = connection.accept_uni(), if reading.len() < STREAMS => {
                let Ok(mut stream) = stream else { return };
                let (from, heard) = (from.clone(), heard.clone());
                reading.spawn(async move {
                    let read = tokio::time::timeout(STREAM, stream.read_to_end(MAX_FRAME)).await;
                    if let Ok(Ok(bytes)) = read {
                        let _ = heard.send(Heard::Frame { from, bytes: bytes.into() }).await;
                    }
                });
                continue;
            }
            question = connection.accept_bi() => {
                let Ok(question) = question else { return };
                let (from, heard, carrier) = (from.clone(), heard.clone(), carrier.clone());
                answering.spawn(async move {
                    // Who asked sees a stream that ends too soon.
                    if let Err(error) = answer(question, from, heard, carrier).await {
                        tracing::debug!(%error, "a peer's question was not answered");
                    }
                });
                continue;
            }
            _ = reading.join_next(), if reading.len() == STREAMS => continue,
        };
        if heard.send(Heard::Frame { from: from.clone(), bytes }).await.is_err() {
            return;
        }
    }
}

/// Starts to write and read a TCP link; both end together.
pub(crate) fn open_tcp<S>(stream: S, from: Name, heard: mpsc::Sender<Heard>) -> Link
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let (send, queue) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        tokio::select! {
            () = read_tcp(read, from, heard) => {}
            _ = write_tcp(write, queue) => {}
        }
    });
    Link::Tcp(send)
}

async fn read_tcp<S: AsyncRead>(mut stream: ReadHalf<S>, from: Name, heard: mpsc::Sender<Heard>) {
    loop {
        let Ok(Ok(bytes)) = tokio::time::timeout(SILENCE, read_frame(&mut stream)).await else {
            return;
        };
        if heard.send(Heard::Frame { from: from.clone(), bytes }).await.is_err() {
            return;
        }
    }
}

async fn read_frame<S: AsyncRead>(stream: &mut ReadHalf<S>) -> io::Result<Bytes> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if MAX_FRAME < length {
        return Err(io::Error::other("the frame is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes.into())
}

async fn write_tcp<S: AsyncWrite>(
    mut stream: WriteHalf<S>,
    mut queue: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    while let Some(bytes) = queue.recv().await.filter(|it| !it.is_empty()) {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_u32(length).await?;
        stream.write_all(&bytes).await?;
        stream.flush().await?;
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use proptest::prelude::*;

    /// What is read of these bytes, after which nothing comes but the line stays open.
    fn read(bytes: &[u8]) -> Option<io::Result<Bytes>> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(bytes).now_or_never()?.ok()?;
        let (mut read, _write) = tokio::io::split(near);
        read_frame(&mut read).now_or_never()
    }

    #[test]
    fn a_frame_that_claims_to_be_huge_is_refused_before_it_comes() {
        let most = u32::try_from(MAX_FRAME).unwrap();
        for claimed in [most + 1, u32::MAX] {
            let error = read(&claimed.to_be_bytes()).unwrap().unwrap_err();
            assert_eq!(error.to_string(), "the frame is too long");
        }
        assert!(read(&most.to_be_bytes()).is_none(), "the rest is waited for");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_are_waited_for_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            let claimed = bytes.first_chunk().map(|it| u32::from_be_bytes(*it) as usize);
            let rest = bytes.get(4..).unwrap_or_default();
            match (claimed, read(&bytes)) {
                (Some(claimed), Some(Ok(frame))) => prop_assert_eq!(&rest[..claimed], &frame[..]),
                (Some(claimed), Some(Err(_))) => prop_assert!(MAX_FRAME < claimed),
                (Some(claimed), None) => prop_assert!(rest.len() < claimed && claimed <= MAX_FRAME),
                (None, read) => prop_assert!(read.is_none()),
            }
        }
    }
}
