//! What the hub serves beside the Kubernetes API: the works of a cluster to its agent, and a place
//! for its reports. Only the agent with that very cluster's certificate is let in.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use kogge_agent::{
    link::{Desired, Report},
    wire::{ANSWER, BEAT, CARRIED_BY, Farewell, ToAgent},
};
use kogge_apiserver::{
    Body, User,
    serve::{Beside, Draining, Incoming},
};
use kogge_gossip::Name;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior};

use super::{
    AUTHORITY_PATH, Asking, CLUSTERS, FLEET_KEY_PATH, GOSSIP_PATH, RECOVERY_PATH,
    adopt::{self, Agent},
    keys,
    origin::Foreign,
    user_of,
};
use crate::{
    context::Shared,
    gossip::{FleetGossip, Listening, uid_of},
    reports::Reports,
};

/// The paths that are served here.
const PREFIX: &str = "/kogge/v1/";

/// The largest post of reports. An agent sends 500 at most.
const LARGEST_POST: usize = 32 * 1024 * 1024;

const LARGEST_ASKING: usize = 4096;

/// An agent that brings nothing for so long is gone, and its stream is not kept.
const GONE_AFTER: Duration = ANSWER.saturating_mul(3);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Routes {
    pub hub: Shared,
    pub reports: Reports,
    pub gossip: Listening,
    pub authority_pem: Arc<str>,
    pub foreign: Foreign,
}

impl Beside for Routes {
    fn has(&self, path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    fn answer(
        &self,
        user: Arc<User>,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<Body>> {
        let routes = self.clone();
        async move {
            let asked = routes.route(&user, request).await;
            asked.unwrap_or_else(|refusal| refusal)
        }
        .boxed()
    }
}

impl Routes {
    async fn route(
        &self,
        user: &User,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Response<Body>> {
        let path = request.uri().path().to_owned();
        if path == AUTHORITY_PATH && request.method() == Method::GET {
            let pem = Body::whole(self.authority_pem.to_string());
            return Ok(answer(StatusCode::OK, "application/x-pem-file", pem));
        }
        if path == GOSSIP_PATH && request.method() == Method::GET {
            return self.report(user, request.uri().query()).await;
        }
        if path == FLEET_KEY_PATH {
            return Ok(keys::answer(self, user, request.method()).await);
        }
        if path == RECOVERY_PATH {
            return Ok(self.recovery(user, request.method()).await);
        }
        let cluster = path.strip_prefix(PREFIX).and_then(|it| it.strip_prefix("clusters/"));
        let Some((name, what)) = cluster.and_then(|it| it.split_once('/')) else {
            return Err(refusal(404, "NotFound", &format!("there is nothing at {path}")));
        };
        if user.name != user_of(name) || !user.is_in(CLUSTERS) {
            let message = format!("only the agent of {name} may do this, not {}", user.name);
            return Err(refusal(403, "Forbidden", &message));
        }
        if let Some(why) = self.foreign.refuse(self.hub.works.hub(), name, user) {
            return Err(refusal(403, "Forbidden", &why));
        }
        // Before that, a cluster that is not known may be one that was not read yet.
        if !self.hub.works.is_complete() && !self.hub.recovery.is_on() {
            return Err(refusal(503, "ServiceUnavailable", "the hub is starting"));
        }
        let draining = request.extensions().get::<Draining>().cloned();
        let id = user.uid.as_str();
        match (request.method(), what) {
            (&Method::GET, "desired") => {
                self.take_back(name, id).await?;
                Ok(self.desired(name, id, draining))
            }
            (&Method::POST, "reports" | "gossip")
                if let Some(refused) = self.stranger(name, id) =>
            {
                Err(refused)
            }
            (&Method::POST, "reports") => {
                let carrier = carrier(request.uri().query());
                self.take(name, carrier.as_deref(), request.into_body()).await
            }
            (&Method::POST, "gossip") => self.admit(name, id, request.into_body()).await,
            _ => Err(refusal(404, "NotFound", &format!("there is nothing at {path}"))),
        }
    }

    /// The gossip, or what to say while it is not joined.
    pub(super) fn gossip(&self) -> Result<&FleetGossip, &'static str> {
        self.gossip.get().map(AsRef::as_ref).ok_or("the hub does not gossip yet")
    }

    /// The fleet as somebody sees it: nothing secret, but for the fleet's own.
    async fn report(
        &self,
        user: &User,
        query: Option<&str>,
    ) -> Result<Response<Body>, Response<Body>> {
        if !user.is_master() && !user.is_in(CLUSTERS) {
            let message =
                format!("only admins and agents may ask for the fleet, not {}", user.name);
            return Err(refusal(403, "Forbidden", &message));
        }
        let from = query.and_then(|it| it.strip_prefix("from="));
        let later = |why: &str| refusal(503, "ServiceUnavailable", why);
        let gossip = self.gossip().map_err(later)?;
        let Some(report) = gossip.report(from).await else {
            let from = from.unwrap_or("the hub");
            let message = format!("{from} cannot be asked: it is no member, or does not answer");
            return Err(refusal(404, "NotFound", &message));
        };
        Ok(json_answer(&report))
    }

    async fn admit(
        &self,
        name: &str,
        id: &str,
        body: Incoming,
    ) -> Result<Response<Body>, Response<Body>> {
        let bad = |error: String| refusal(400, "BadRequest", &error);
        let bytes = Limited::new(body, LARGEST_ASKING).collect().await;
        let bytes = bytes.map_err(|it| bad(it.to_string()))?.to_bytes();
        let asking: Asking =
            serde_json::from_slice(&bytes).map_err(|it| bad(format!("key: {it}")))?;
        let later = |why: &str| refusal(503, "ServiceUnavailable", why);
        let gossip = self.gossip().map_err(later)?;
        let admitted = gossip.admit(name, &uid_of(id), &asking.key).await;
        let admission = admitted.map_err(|it| refusal(500, "InternalError", &it.to_string()))?;
        Ok(json_answer(&admission))
    }

    /// What the hub waits for; a POST says that it waits no more.
    async fn recovery(&self, user: &User, method: &Method) -> Response<Body> {
        if !user.is_master() {
            let message = format!("only admins may do this, not {}", user.name);
            return refusal(403, "Forbidden", &message);
        }
        let recovering = self.hub.recovery.get();
        match (method, &recovering) {
            (&Method::GET, _) => json_answer(&recovering),
            (&Method::POST, None) => {
                refusal(409, "Conflict", "the hub is not recovering: it waits for nothing")
            }
            (&Method::POST, Some(_)) => {
                if let Err(error) = adopt::accept_all(&self.hub).await {
                    return refusal(500, "InternalError", &error.chain());
                }
                match self.hub.recovery.end() {
                    Ok(()) => json_answer(&recovering),
                    Err(error) => refusal(500, "InternalError", &error.to_string()),
                }
            }
            _ => refusal(405, "MethodNotAllowed", "there is GET and POST"),
        }
    }

    fn agent(&self, name: &str, id: &str) -> Agent {
        adopt::agent(&self.hub, name, id)
    }

    /// What to answer to an agent that is no member's.
    fn stranger(&self, name: &str, id: &str) -> Option<Response<Body>> {
        match self.agent(name, id) {
            Agent::Member => None,
            Agent::Parts(Farewell { why, .. }) => Some(refusal(403, "Forbidden", &why)),
            Agent::Stray => Some(refusal(503, "ServiceUnavailable", "it is no member yet")),
            Agent::Waits(why) => Some(refusal(503, "ServiceUnavailable", &why)),
        }
    }

    /// Makes a stray a member again: it comes back when its Cluster is read, with what holds for
    /// the adopted. Who has left hears of it on its stream.
    async fn take_back(&self, name: &str, id: &str) -> Result<(), Response<Body>> {
        match self.agent(name, id) {
            Agent::Member | Agent::Parts(_) => Ok(()),
            Agent::Waits(why) => Err(refusal(503, "ServiceUnavailable", &why)),
            Agent::Stray => {
                let adopted = adopt::adopt(&self.hub, name, id).await;
                adopted.map_err(|it| refusal(500, "InternalError", &it.chain()))?;
                Err(refusal(503, "ServiceUnavailable", &format!("{name} is being adopted")))
            }
        }
    }

    /// Why a cluster's agent is not needed, if it is not.
    fn not_needed(&self, name: &str, id: &str) -> Option<Farewell> {
        match self.agent(name, id) {
            Agent::Parts(farewell) => Some(farewell),
            Agent::Member | Agent::Stray | Agent::Waits(_) => None,
        }
    }

    fn desired(&self, name: &str, id: &str, draining: Option<Draining>) -> Response<Body> {
        let mut heartbeat = tokio::time::interval(BEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let recovering = self.hub.recovery.get().map(|it| it.message());
        let adopted = adopt::waits(&self.hub, name).filter(|_| recovering.is_none());
        let stream = Stream {
            routes: self.clone(),
            name: name.to_owned(),
            id: id.to_owned(),
            desired: match adopted {
                Some(_) => futures::stream::pending().boxed(),
                None => self.hub.works.listen(name),
            },
            heartbeat,
            draining,
            ended: false,
            adopted: adopted.is_some(),
            waits: recovering.or(adopted),
        };
        tracing::info!(cluster = name, "its agent has dialled");
        let lines = futures::stream::unfold(stream, |mut it| async move {
            it.next().await.map(|said| (line(&said), it))
        });
        answer(StatusCode::OK, "application/json", Body::stream(lines))
    }

    async fn take(
        &self,
        name: &str,
        carrier: Option<&str>,
        body: Incoming,
    ) -> Result<Response<Body>, Response<Body>> {
        let bytes = Limited::new(body, LARGEST_POST).collect().await;
        let bytes = bytes.map_err(|error| refusal(400, "BadRequest", &error.to_string()))?;
        self.reports.heard(name, carrier, (self.hub.now)());
        let reports: Vec<Value> = serde_json::from_slice(&bytes.to_bytes())
            .map_err(|error| refusal(400, "BadRequest", &format!("reports: {error}")))?;
        for report in reports {
            match serde_json::from_value(report) {
                Ok(report) if self.is_about_its_works(name, &report) => {
                    self.reports.take(name, report);
                }
                Ok(_) => {}
                // From a newer agent: one that is not understood does not hold up the others.
                Err(error) => tracing::warn!(cluster = name, %error, "a report is not understood"),
            }
        }
        Ok(answer(StatusCode::OK, "application/json", Body::whole("{}")))
    }

    /// What nobody wants there is nothing to the hub: who makes it up fills no memory here.
    fn is_about_its_works(&self, name: &str, report: &Report) -> bool {
        match report {
            Report::Applied { key, .. } | Report::Status { key, .. } => {
                self.hub.works.hash(name, key).is_some()
            }
            _ => true,
        }
    }
}

/// One agent's stream.
struct Stream {
    routes: Routes,
    name: String,
    id: String,
    desired: BoxStream<'static, Desired>,
    heartbeat: Interval,
    draining: Option<Draining>,
    ended: bool,
    /// It was adopted, and a person has not accepted it yet: then the stream begins anew.
    adopted: bool,
    /// Said once, at first: why the hub has nothing to say.
    waits: Option<String>,
}

impl Stream {
    async fn next(&mut self) -> Option<ToAgent> {
        if self.ended {
            return None;
        }
        let draining = async {
            match &mut self.draining {
                Some(it) => it.begun().await,
                None => std::future::pending().await,
            }
        };
        // The first tick is at once: who is no member hears that before anything else.
        tokio::select! {
            biased;
            () = draining => None,
            _ = self.heartbeat.tick() => self.beat(),
            desired = self.desired.next() => match desired {
                // A cluster that left is to hold nothing, and keeps what it has: it hears of
                // its leave, and not of what follows from it.
                Some(Desired::Remove { .. } | Desired::Complete) if !self.is_needed() => self.gone(),
                other => other.map(ToAgent::Desired),
            }
        }
    }

    fn is_needed(&self) -> bool {
        self.routes.not_needed(&self.name, &self.id).is_none()
    }

    fn gone(&mut self) -> Option<ToAgent> {
        let farewell = self.routes.not_needed(&self.name, &self.id)?;
        self.ended = true;
        Some(ToAgent::Gone { hub: self.routes.hub.works.hub().to_owned(), farewell })
    }

    fn beat(&mut self) -> Option<ToAgent> {
        if let Some(gone) = self.gone() {
            return Some(gone);
        }
        if self.adopted && adopt::waits(&self.routes.hub, &self.name).is_none() {
            return None;
        }
        let last = self.routes.reports.last_heard(&self.name);
        let silent = last.map(|it| (self.routes.hub.now)().duration_since(it));
        let is_gone = silent.is_some_and(|it| it.unsigned_abs() > GONE_AFTER);
        let said = self.waits.take().map_or(ToAgent::Alive, |why| ToAgent::Waits { why });
        (!is_gone).then_some(said)
    }
}

/// The member that carries what an agent says, as the agent has it.
fn carrier(query: Option<&str>) -> Option<String> {
    let (parameter, member) = query?.split_once('=')?;
    let member = Name::new(member).filter(|_| parameter == CARRIED_BY)?;
    Some(member.to_string())
}

pub(super) fn json_answer(value: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_string(value).expect("what is answered is plain JSON");
    answer(StatusCode::OK, "application/json", Body::whole(text))
}

fn line(said: &ToAgent) -> Bytes {
    let mut line = serde_json::to_vec(said).expect("messages to agents are JSON");
    line.push(b'\n');
    line.into()
}

fn answer(code: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    let content_type = header::HeaderValue::from_static(content_type);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

pub(super) fn refusal(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(code, "application/json", Body::whole(status.to_string()))
}
