//! What an agent says to who is beside it, in plain HTTP: whether it runs, and how it sees the fleet.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use kogge_net::{FleetReport, Gossip};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

/// Connections at a time.
const CONNECTIONS: usize = 32;

/// How long a request's head may take to come.
const HEAD: Duration = Duration::from_secs(5);

/// Serves for ever.
pub async fn serve(listener: TcpListener, gossip: Arc<Gossip>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some come free.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let gossip = gossip.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, gossip.clone()));
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
            // Who hangs up in between has no answer to get.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    gossip: Arc<Gossip>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (code, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok".to_owned()),
        "/gossip" => match gossip.view().await {
            Some(view) => match serde_json::to_string(&FleetReport::from(view)) {
                Ok(text) => (StatusCode::OK, text),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            None => (StatusCode::SERVICE_UNAVAILABLE, "the agent stops".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, "there is /healthz and /gossip".to_owned()),
    };
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = code;
    Ok(answer)
}
