//! The server on a socket: TLS, HTTP/1.1 and HTTP/2, and an end without loose ends.

mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response};
pub use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

pub use self::tls::{TlsConfig, TlsError};
use crate::{
    authn::{Tokens, authenticate, user_of_certificate},
    body::{Body, BoxError},
    encode,
    server::ApiServer,
    user::User,
};

/// A client that does not finish its handshake in this time is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Told to running watches, so that they end when the server does. An extension of each request.
#[derive(Clone)]
pub struct Draining(watch::Receiver<bool>);

impl Draining {
    /// Returns when the server stops.
    pub async fn begun(&mut self) {
        // An error means that the server is gone, which is as good.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// Answers what is served beside the Kubernetes API.
pub trait Beside: Send + Sync {
    /// Whether a path is its own; all others are the API server's.
    fn has(&self, path: &str) -> bool;

    /// Answers a request to one of its paths. Who asks is authenticated, and may be anonymous:
    /// what they may do is for this to check.
    fn answer(
        &self,
        user: Arc<User>,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<Body>>;
}

/// What an embedder adds to a server that listens.
#[derive(Clone, Default)]
pub struct Added {
    /// Who knows bearer tokens.
    pub tokens: Vec<Arc<dyn Tokens>>,
    pub beside: Option<Arc<dyn Beside>>,
}

/// A server that listens. Dropping it stops it at once; [`Serving::stop`] lets requests end.
pub struct Serving {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Serving {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, ends watches, waits for other requests for some seconds.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Front {
    server: ApiServer,
    tokens: Arc<[Arc<dyn Tokens>]>,
    beside: Option<Arc<dyn Beside>>,
    draining: Draining,
}

/// Serves on `listener`. Callers are who their client certificate or bearer token says.
pub fn listen(
    server: ApiServer,
    listener: TcpListener,
    tls: &TlsConfig,
    tokens: Vec<Arc<dyn Tokens>>,
) -> Result<Serving, TlsError> {
    listen_with(server, listener, tls, Added { tokens, beside: None })
}

/// The same, with what an embedder adds.
pub fn listen_with(
    server: ApiServer,
    listener: TcpListener,
    tls: &TlsConfig,
    added: Added,
) -> Result<Serving, TlsError> {
    let acceptor = tls.acceptor()?;
    let address = listener.local_addr().map_err(TlsError::Listener)?;
    let (stopping, stop) = watch::channel(false);
    let Added { tokens, beside } = added;
    let front = Front { server, tokens: tokens.into(), beside, draining: Draining(stop) };
    let task = tokio::spawn(accept(listener, acceptor, front));
    Ok(Serving { address, stopping, task })
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, front: Front) {
    let graceful = Arc::new(GracefulShutdown::new());
    let mut stop = front.draining.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.begun() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (acceptor, front, graceful) =
                    (acceptor.clone(), front.clone(), graceful.clone());
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, &acceptor, front, &graceful).await {
                        tracing::debug!(%error, "a connection ended");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others may close meanwhile.
                tracing::warn!(%error, "could not accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = timeout(DRAIN, graceful.shutdown()).await;
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    front: Front,
    graceful: &GracefulShutdown,
) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE, acceptor.accept(stream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let peer = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| user_of_certificate(chain.first()?))
        .map(Arc::new);
    let service = service_fn(move |request| {
        let (front, peer) = (front.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(answer(&front, peer.as_ref(), request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    graceful.watch(connection).await
}

async fn answer(
    front: &Front,
    peer: Option<&Arc<User>>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    match authenticate(request.headers(), peer, &front.tokens) {
        Ok(user) => {
            request.extensions_mut().insert(front.draining.clone());
            match &front.beside {
                Some(beside) if beside.has(request.uri().path()) => {
                    beside.answer(user, request).await
                }
                _ => front.server.handle(user, request).await,
            }
        }
        Err(failure) => encode::failure(&failure, false),
    }
}
