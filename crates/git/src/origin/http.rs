//! Git's smart HTTP over ureq: rustls with ring, the system's roots or the Secret's.
//!
//! gix writes a request's body after it has asked for the answer. The exchange therefore happens when the answer is
//! first read: by then the body is complete, and no thread is needed.

use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gix_transport::Protocol;
use gix_transport::client::blocking_io::Transport;
use gix_transport::client::blocking_io::http::{
    self, GetResponse, Http, PostBodyDataKind, PostResponse,
};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, ResponseExt};

use super::Fault;
use super::wire::Connect;
use crate::error::FetchError;
use crate::remote::{Credentials, Remote};

/// How many redirects are followed: moved repositories, http to https.
const REDIRECTS: u32 = 5;

pub(super) struct Dial {
    url: gix::Url,
    shown: String,
    agent: Agent,
    authorization: Option<String>,
}

impl Dial {
    pub(super) fn new(mut url: gix::Url, remote: &Remote) -> Result<Self, FetchError> {
        let authorization = remote.credentials.authorization(&url)?;
        url.set_user(None);
        url.set_password(None);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .user_agent(concat!("git/kogge-", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(remote.timeout))
            .tls_config(tls(&remote.credentials)?);
        Ok(Self { url, shown: remote.shown(), agent: config.build().into(), authorization })
    }
}

fn tls(credentials: &Credentials) -> Result<TlsConfig, FetchError> {
    let roots = match &credentials.ca {
        None => RootCerts::PlatformVerifier,
        Some(ca) => RootCerts::from(certificates("ca.crt", ca)?),
    };
    let client = match &credentials.client {
        None => None,
        Some((chain, key)) => {
            let reason = "tls.key is no private key in PEM".to_owned();
            let key = PrivateKey::from_pem(key.as_bytes())
                .map_err(|_| FetchError::BadCredentials { reason })?;
            Some(ClientCert::new_with_certs(&certificates("tls.crt", chain)?, key))
        }
    };
    Ok(TlsConfig::builder().root_certs(roots).client_cert(client).build())
}

fn certificates(key: &str, pem: &str) -> Result<Vec<Certificate<'static>>, FetchError> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(it)) => Some(it),
        _ => None,
    };
    let found: Vec<_> = parse_pem(pem.as_bytes()).filter_map(certificate).collect();
    if found.is_empty() {
        return Err(FetchError::BadCredentials {
            reason: format!("{key} holds no certificate in PEM"),
        });
    }
    Ok(found)
}

impl Connect for Dial {
    fn connect(&self, fault: &Fault) -> Result<Box<dyn Transport + Send>, FetchError> {
        let client = Client {
            agent: self.agent.clone(),
            authority: authority(&self.url.to_string()).to_owned(),
            authorization: self.authorization.clone(),
            shown: self.shown.clone(),
            redirected: None,
            fault: fault.clone(),
        };
        Ok(Box::new(http::connect_http(client, self.url.clone(), Protocol::V2, false)))
    }
}

/// `https://host:port` of a URL: what credentials are for.
fn authority(url: &str) -> &str {
    let start = url.find("://").map_or(0, |it| it + 3);
    let end = url[start..].find('/').map_or(url.len(), |it| start + it);
    &url[..end]
}

#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    authority: String,
    authorization: Option<String>,
    shown: String,
    /// Where the repository turned out to be, of which gix asks.
    redirected: Option<String>,
    fault: Fault,
}

impl Client {
    fn send(
        &self,
        url: &str,
        headers: &[String],
        body: Option<&[u8]>,
    ) -> io::Result<ureq::http::Response<Body>> {
        let mut request = ureq::http::Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(url);
        for (name, value) in headers.iter().filter_map(|it| it.split_once(": ")) {
            if !name.eq_ignore_ascii_case("user-agent") {
                request = request.header(name, value);
            }
        }
        let ours = authority(url) == self.authority;
        if let Some(value) = self.authorization.as_ref().filter(|_| ours) {
            request = request.header("authorization", value);
        }
        let answer = match body {
            Some(body) => {
                request.body(body).map_err(ureq::Error::from).and_then(|it| self.agent.run(it))
            }
            None => request.body(()).map_err(ureq::Error::from).and_then(|it| self.agent.run(it)),
        };
        let answer = answer.map_err(|error| self.fail(self.unreachable(&error)))?;
        self.check(answer)
    }

    fn check(&self, answer: ureq::http::Response<Body>) -> io::Result<ureq::http::Response<Body>> {
        let (url, status) = (self.shown.clone(), answer.status());
        let error = match status.as_u16() {
            200..=299 => return Ok(answer),
            401 | 403 if self.authorization.is_none() => FetchError::AuthRefused {
                url,
                reason: format!(
                    "it asks for credentials and none are given ({status}); name a Secret in secretRef"
                ),
            },
            401 | 403 => FetchError::AuthRefused { url, reason: format!("it answered {status}") },
            404 | 410 => FetchError::RemoteGone {
                url,
                reason: format!(
                    "it answered {status}, which is also what a private repository tells strangers"
                ),
            },
            _ => FetchError::Unreachable { url, reason: format!("it answered {status}") },
        };
        Err(self.fail(error))
    }

    fn unreachable(&self, error: &ureq::Error) -> FetchError {
        let mut reason = error.to_string();
        if reason.to_lowercase().contains("certificate") {
            reason.push_str(
                "; if its authority is your own, give its certificate as ca.crt in the Secret",
            );
        }
        FetchError::Unreachable { url: self.shown.clone(), reason }
    }

    fn fail(&self, error: FetchError) -> io::Error {
        let text = error.to_string();
        self.fault.note(error);
        io::Error::other(text)
    }
}

impl Http for Client {
    type Headers = BufReader<Head>;
    type ResponseBody = BufReader<Tail>;
    type PostBody = RequestBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<GetResponse<Self::Headers, Self::ResponseBody>, gix::Error> {
        let headers: Vec<String> = headers.into_iter().map(|it| it.as_ref().to_owned()).collect();
        let answer = self.send(url, &headers, None).map_err(gix::Error::from_error)?;
        let arrived = answer.get_uri().to_string();
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        self.redirected =
            arrived.strip_suffix(tail).filter(|it| *it != base_url).map(str::to_owned);
        let exchange = Shared::new(Exchange::done(answer));
        Ok(GetResponse { headers: exchange.head(), body: exchange.tail() })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>, gix::Error> {
        let exchange = Shared::new(Exchange::Pending(Box::new(Pending {
            client: self.clone(),
            url: url.to_owned(),
            headers: headers.into_iter().map(|it| it.as_ref().to_owned()).collect(),
            body: Vec::new(),
        })));
        let (headers, body) = (exchange.head(), exchange.tail());
        Ok(PostResponse { post_body: RequestBody(exchange), headers, body })
    }

    fn configure(&mut self, _: &dyn std::any::Any) -> Result<(), gix::Error> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

/// A request and its answer, of which gix holds three ends.
#[derive(Clone)]
struct Shared(Arc<Mutex<Exchange>>);

enum Exchange {
    Pending(Box<Pending>),
    Done { head: Cursor<Vec<u8>>, body: Box<dyn Read + Send> },
    Failed,
}

struct Pending {
    client: Client,
    url: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Exchange {
    fn done(answer: ureq::http::Response<Body>) -> Self {
        let mut head = Vec::new();
        for (name, value) in answer.headers() {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.push(b'\n');
        }
        Self::Done { head: Cursor::new(head), body: Box::new(answer.into_body().into_reader()) }
    }
}

impl Shared {
    fn new(exchange: Exchange) -> Self {
        Self(Arc::new(Mutex::new(exchange)))
    }

    fn head(&self) -> BufReader<Head> {
        BufReader::new(Head(self.clone()))
    }

    fn tail(&self) -> BufReader<Tail> {
        BufReader::new(Tail(self.clone()))
    }

    /// Reads from the answer, which is asked for now if it was not yet.
    fn read(&self, from: impl FnOnce(&mut Exchange) -> io::Result<usize>) -> io::Result<usize> {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Exchange::Pending(_) = *exchange
            && let Exchange::Pending(it) = std::mem::replace(&mut *exchange, Exchange::Failed)
        {
            *exchange = Exchange::done(it.client.send(&it.url, &it.headers, Some(&it.body))?);
        }
        from(&mut exchange)
    }
}

/// The answer's headers, a line each.
pub(super) struct Head(Shared);

impl Read for Head {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(|exchange| match exchange {
            Exchange::Done { head, .. } => head.read(buffer),
            _ => Ok(0),
        })
    }
}

/// The answer's body.
pub(super) struct Tail(Shared);

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(|exchange| match exchange {
            Exchange::Done { body, .. } => body.read(buffer),
            _ => Ok(0),
        })
    }
}

/// Collects the request's body.
pub(super) struct RequestBody(Shared);

impl Write for RequestBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut exchange = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *exchange {
            Exchange::Pending(it) => it.body.write(bytes),
            _ => Err(io::Error::other("the request was sent already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
