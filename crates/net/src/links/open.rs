//! How links are opened: dialled, and accepted from others.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, future::select_ok};
use kogge_gossip::Name;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::RandomConnectionIdGenerator;
use rustls::pki_types::ServerName;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{HANDSHAKE, Links};
use crate::{
    carry::{self, Carried},
    link::{Link, QUESTIONS, SILENCE, STREAMS, open_tcp, peer_of, read_quic},
    tls::{self, Tls},
};

/// TCP is tried when QUIC has not answered for so long.
const HEAD_START: Duration = Duration::from_millis(600);

/// Handshakes of others at a time.
const HANDSHAKES: usize = 64;

/// With more than that, who begins one proves first that it can be reached at its address.
const UNPROVEN: usize = 16;

/// Bytes of a connection's id, which stands in each datagram. A member has some hundred of them,
/// new ones are never like old ones, and a stray datagram fails its seal.
const CONNECTION_ID: usize = 4;

impl Links {
    /// A link to the first address that answers, if the right member does.
    pub(super) async fn dial(
        &self,
        addresses: &[String],
        wanted: Option<&Name>,
    ) -> Option<(Name, Link)> {
        for address in addresses {
            let Ok(found) = tokio::net::lookup_host(address).await else { continue };
            for address in found {
                let quic = timeout(HANDSHAKE, self.dial_quic(address)).map(flat).boxed();
                let tcp = async {
                    tokio::time::sleep(HEAD_START).await;
                    timeout(HANDSHAKE, self.dial_tcp(address)).map(flat).await
                };
                match select_ok([quic, tcp.boxed()]).await {
                    Ok(((name, link), _)) if wanted.is_none_or(|it| *it == name) => {
                        return Some((name, link));
                    }
                    Ok(((_, link), _)) => link.close(),
                    Err(error) => tracing::debug!(%address, %error, "could not dial"),
                }
            }
        }
        None
    }

    pub(super) async fn dial_quic(&self, address: SocketAddr) -> io::Result<(Name, Link)> {
        let config = QuicClientConfig::try_from(self.tls().client).map_err(io::Error::other)?;
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        config.transport_config(transport());
        let connecting = self.inner.quic.connect_with(config, address, tls::ANY_NAME);
        let connection = connecting.map_err(io::Error::other)?.await?;
        self.opened(connection).ok_or_else(|| io::Error::other("no member, or none any more"))
    }

    fn opened(&self, connection: quinn::Connection) -> Option<(Name, Link)> {
        let name = peer_of(&connection)?;
        if self.revoked().contains(&name) {
            connection.close(2u8.into(), b"removed");
            return None;
        }
        let (heard, carrier) = (self.inner.heard.clone(), self.inner.carrier.clone());
        tokio::spawn(read_quic(connection.clone(), name.clone(), heard, carrier));
        Some((name, Link::Quic(connection)))
    }

    pub(super) async fn dial_tcp(&self, address: SocketAddr) -> io::Result<(Name, Link)> {
        let stream = TcpStream::connect(address).await?;
        let (peer, stream) = self.tls_over(stream, self.tls().client).await?;
        if self.revoked().contains(&peer) {
            return Err(io::Error::other("it is a member no more"));
        }
        Ok((peer.clone(), open_tcp(stream, peer, self.inner.heard.clone())))
    }

    async fn tls_over(
        &self,
        stream: TcpStream,
        config: Arc<rustls::ClientConfig>,
    ) -> io::Result<(Name, tokio_rustls::client::TlsStream<TcpStream>)> {
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(tls::ANY_NAME).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok((peer_name(stream.get_ref().1.peer_certificates())?, stream))
    }

    pub(super) async fn accept_quic(self) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        while let Some(incoming) = self.inner.quic.accept().await {
            if handshakes.available_permits() < HANDSHAKES - UNPROVEN && incoming.may_retry() {
                // It begins again, or there was nobody.
                let _ = incoming.retry();
                continue;
            }
            let Ok(permit) = handshakes.clone().try_acquire_owned() else {
                incoming.ignore();
                continue;
            };
            let links = self.clone();
            tokio::spawn(async move {
                let Ok(Ok(connection)) = timeout(HANDSHAKE, incoming).await else { return };
                drop(permit);
                if let Some((name, link)) = links.opened(connection) {
                    links.adopt(&name, link);
                }
            });
        }
    }

    pub(super) async fn accept_tcp(self, listener: TcpListener) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors, most likely: some come free.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let links = self.clone();
            tokio::spawn(async move {
                let accepted = timeout(HANDSHAKE, links.accepted_tcp(stream)).await;
                drop(permit);
                match accepted {
                    Ok(Ok((name, stream))) => links.opened_tcp(&name, stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a link was not opened"),
                    Err(_) => {}
                }
            });
        }
    }

    async fn accepted_tcp(&self, stream: TcpStream) -> io::Result<(Name, ServerStream)> {
        stream.set_nodelay(true)?;
        let stream = TlsAcceptor::from(self.tls().server).accept(stream).await?;
        Ok((peer_name(stream.get_ref().1.peer_certificates())?, stream))
    }

    /// What was accepted is a link of frames, or one stream to the hub.
    async fn opened_tcp(&self, peer: &Name, stream: ServerStream) {
        if stream.get_ref().1.alpn_protocol() != Some(tls::CARRIED) {
            return self.adopt(peer, open_tcp(stream, peer.clone(), self.inner.heard.clone()));
        }
        if let Err(error) = carry::accept(&self.inner.carrier, peer, stream).await {
            tracing::debug!(%peer, %error, "a stream to the hub is not carried");
        }
    }

    pub(super) async fn carried_by_tcp(
        &self,
        by: &Name,
        addresses: &[String],
    ) -> io::Result<Carried> {
        let stream = TcpStream::connect(&resolved(addresses).await[..]).await?;
        let (peer, stream) = self.tls_over(stream, self.tls().carried).await?;
        if peer != *by {
            return Err(io::Error::other("another member answers there"));
        }
        carry::ask(stream).await
    }
}

type ServerStream = tokio_rustls::server::TlsStream<TcpStream>;

/// All that the addresses stand for.
pub(super) async fn resolved(addresses: &[String]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for address in addresses {
        found.extend(tokio::net::lookup_host(address).await.into_iter().flatten());
    }
    found
}

pub(super) fn flat<T>(result: Result<io::Result<T>, tokio::time::error::Elapsed>) -> io::Result<T> {
    result.unwrap_or_else(|it| Err(it.into()))
}

fn peer_name(chain: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> io::Result<Name> {
    let name = chain.and_then(<[_]>::first).and_then(tls::name_of);
    name.ok_or_else(|| io::Error::other("no name on the certificate"))
}

/// An endpoint that dials, and accepts where there is a server.
pub(super) fn quic_endpoint(
    address: SocketAddr,
    server: Option<quinn::ServerConfig>,
) -> io::Result<quinn::Endpoint> {
    let mut config = quinn::EndpointConfig::default();
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID)));
    let socket = UdpSocket::bind(address)?;
    quinn::Endpoint::new(config, server, socket, Arc::new(quinn::TokioRuntime))
}

pub(super) fn quic_server(tls: &Tls) -> io::Result<quinn::ServerConfig> {
    let config = QuicServerConfig::try_from(tls.server.clone()).map_err(io::Error::other)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
    config.transport_config(transport());
    Ok(config)
}

fn transport() -> Arc<quinn::TransportConfig> {
    let mut config = quinn::TransportConfig::default();
    let streams = u32::try_from(STREAMS).unwrap_or(u32::MAX);
    config.max_concurrent_uni_streams(streams.into());
    config.max_concurrent_bidi_streams(QUESTIONS.into());
    // Looking for a larger one costs each new link more than it ever carries.
    config.mtu_discovery_config(None);
    config.max_idle_timeout(Some(SILENCE.try_into().expect("30 s is a QUIC time")));
    Arc::new(config)
}
