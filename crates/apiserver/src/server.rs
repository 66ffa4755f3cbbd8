//! The server itself: its state, how it starts, and the way of a request through it.

use std::{
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use jiff::Timestamp;
use kogge_store::{Revision, Store};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{
    access::{self, AllowAll},
    admission::Admission,
    authz::{Authorizer, Rbac},
    body::{Body, BoxError},
    bootstrap,
    call::Call,
    changes::Changes,
    encode, follow,
    local::LocalService,
    metrics::Metrics,
    nonresource,
    openapi::OpenApi,
    registry::{self, Current, KindRow, Registry, Resource},
    request::RequestInfo,
    status::Failure,
    user::{APISERVER, User},
    verbs,
};

/// Larger bodies are refused with 413, as in Kubernetes.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

/// What the embedder decides.
pub struct Config {
    /// Kinds beside the built-in ones.
    pub kinds: Vec<KindRow>,
    pub admission: Vec<Arc<dyn Admission>>,
    pub authorization: Authorization,
    pub now: fn() -> Timestamp,
    /// Of `/version`, such as `v1.37.0`.
    pub git_version: String,
    /// How long Events are kept.
    pub event_ttl: Duration,
}

/// Who may do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Roles and their bindings; what none of them allows is denied.
    #[default]
    Rbac,
    /// For servers that only their own process can reach.
    AllowAll,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not write the first objects")]
    Bootstrap(#[source] Failure),
}

/// A Kubernetes API over a store. Clones are handles to the same server.
#[derive(Clone)]
pub struct ApiServer {
    pub(crate) state: Arc<State>,
}

pub(crate) struct State {
    pub store: Arc<dyn Store>,
    pub config: Config,
    pub metrics: Arc<Metrics>,
    pub registry: Arc<Current>,
    /// The rows that never change: built in, and of the embedder.
    pub fixed: Vec<Arc<Resource>>,
    pub rbac: Rbac,
    pub authorizer: Box<dyn Authorizer>,
    pub openapi: OpenApi,
    /// Up to where rights and custom kinds are in step with the store.
    pub followed: watch::Sender<Revision>,
    tasks: Mutex<JoinSet<()>>,
}

impl ApiServer {
    /// Serves what is in `store`. Namespaces and roles that every cluster has are made if missing.
    pub async fn start(store: Arc<dyn Store>, config: Config) -> Result<Self, StartError> {
        let fixed = registry::fixed(&config.kinds);
        let rbac = Rbac::default();
        let authorizer: Box<dyn Authorizer> = match config.authorization {
            Authorization::Rbac => Box::new(rbac.clone()),
            Authorization::AllowAll => Box::new(AllowAll),
        };
        let state = State {
            store,
            config,
            metrics: Arc::default(),
            registry: Arc::default(),
            fixed,
            rbac,
            authorizer,
            openapi: OpenApi::default(),
            followed: watch::Sender::new(0),
            tasks: Mutex::default(),
        };
        state.publish(iter::empty());
        let server = Self { state: Arc::new(state) };
        follow::start(&server).await;
        bootstrap::run(&server).await.map_err(StartError::Bootstrap)?;
        follow::caught_up(&server.state).await;
        crate::controllers::start(&server);
        Ok(server)
    }

    /// The server as a service in this process, asked by `user`.
    pub fn local(&self, user: User) -> LocalService {
        LocalService::new(self.clone(), user)
    }

    /// Everything that is stored and then every change, of all resources; after a revision: only what
    /// came later.
    pub fn changes(&self, after: Option<Revision>) -> Result<Changes, kogge_store::HistoryError> {
        Changes::open(&self.state, after)
    }

    /// The kinds that are served right now.
    pub fn registry(&self) -> Arc<Registry> {
        self.state.registry()
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.state.store
    }

    /// Answers one request of an authenticated user. Never fails: errors become a `Status`.
    pub async fn handle<B>(&self, user: Arc<User>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let pretty = encode::wants_pretty(&parts);
        let _counted = self.state.metrics.in_flight();
        let answer = match collect(body).await {
            Ok(body) => self.route(user, parts, body).await,
            Err(failure) => Err(failure),
        };
        answer.unwrap_or_else(|failure| encode::failure(&failure, pretty))
    }

    async fn route(
        &self,
        user: Arc<User>,
        parts: Parts,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        let started = Instant::now();
        let query = parts.uri.query().unwrap_or_default();
        let mut info = RequestInfo::parse(&parts.method, parts.uri.path(), asks_watch(query));
        let command = parts.headers.get("kubectl-command").and_then(|it| it.to_str().ok());
        command.unwrap_or_default().clone_into(&mut info.command);
        let user = access::impersonate(&self.state, user, &parts.headers)?;
        access::check(&self.state, &user, &info)?;
        if !info.is_resource {
            let mut response = nonresource::serve(&self.state, &parts, &info)?;
            encode::add_warnings(&mut response, &self.state.advice(&info));
            return Ok(response);
        }
        let mut call = Call::new(self.state.clone(), user, info, &parts, body)?;
        let answer = verbs::serve(&mut call).await;
        let pretty = call.options.pretty;
        let mut response = answer.unwrap_or_else(|failure| encode::failure(&failure, pretty));
        encode::add_warnings(&mut response, &call.warnings);
        let RequestInfo { verb, group, resource, .. } = &call.info;
        let code = response.status().as_u16();
        self.state.metrics.request(verb, group, resource, code, started.elapsed());
        Ok(response)
    }

    /// A request of the server to itself: the code, and the answer as JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let user = Arc::new(User::system(APISERVER));
        let content_type = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("user-agent", "apiserver")
            .body(Full::new(Bytes::from(body)))
            .expect("paths made of checked names are URIs");
        let response = Box::pin(self.handle(user, request)).await;
        let code = response.status().as_u16();
        let bytes = match response.into_body().collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(never) => match never {},
        };
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

impl State {
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.get()
    }

    /// Makes these custom kinds, and no others, known beside the fixed ones.
    pub fn publish(&self, custom: impl Iterator<Item = Arc<Resource>>) {
        self.registry.set(Registry::new(self.fixed.iter().cloned().chain(custom)));
    }

    pub fn now(&self) -> Timestamp {
        (self.config.now)()
    }

    /// What the embedder has to say to whoever asks this.
    pub fn advice(&self, info: &RequestInfo) -> Vec<String> {
        self.config.admission.iter().filter_map(|it| it.advise(info)).collect()
    }

    /// Runs a task until it ends or the server is dropped.
    pub fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

fn asks_watch(query: &str) -> bool {
    crate::options::pairs(query)
        .any(|(key, value)| key == "watch" && !matches!(value.as_str(), "0" | "false"))
}

async fn collect<B>(body: B) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {LARGEST_BODY}");
            Err(Failure::new(413, "RequestEntityTooLarge", message))
        }
        Err(error) => Err(Failure::bad_request(format!("could not read the body: {error}"))),
    }
}
