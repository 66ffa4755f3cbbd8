//! Who gets a certificate. Pure: one request and what is known about it in, what to do out.

use jiff::{SignedDuration, Timestamp};
use kogge_api::fleet::{Cluster, SyncMode};
use kogge_apiserver::{pki::Holder, user::CERTIFICATE_URIS};
use kogge_member::object;
use serde_json::{Value, json};

use crate::{
    controllers::cluster,
    pull::{BOOTSTRAPPERS, Bootstrap, CLUSTERS, INTRODUCTION, Introduction, origin, user_of},
};

/// How long an answered request is kept, as Kubernetes keeps it.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A request for an agent's certificate, as the API server stored it.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub name: String,
    /// Who asked, on the API server's word.
    pub username: String,
    pub groups: Vec<String>,
    /// The uid in the certificate that was shown, if it was one.
    pub uid: String,
    /// The hub that gave that certificate, as it names it.
    pub origin: Option<String>,
    /// On the asker's word.
    pub introduction: Introduction,
    pub made: Option<Timestamp>,
    pub answered: bool,
}

impl Request {
    pub fn of(object: &Value) -> Self {
        let text = |path: &str| object::text(object, path).to_owned();
        let introduction = object.pointer("/metadata/annotations");
        let introduction = introduction.and_then(|it| it.get(INTRODUCTION)?.as_str());
        let introduction = introduction.and_then(|it| serde_json::from_str(it).ok());
        let uris = object.pointer("/spec/extra").and_then(|it| it.get(CERTIFICATE_URIS));
        let groups = object.pointer("/spec/groups").and_then(Value::as_array);
        let groups = groups.into_iter().flatten().filter_map(Value::as_str);
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        Self {
            name: object::name(object).to_owned(),
            username: text("/spec/username"),
            groups: groups.map(str::to_owned).collect(),
            uid: text("/spec/uid"),
            origin: uris.and_then(|it| it.get(0)?.as_str()).map(str::to_owned),
            introduction: introduction.unwrap_or_default(),
            made: text("/metadata/creationTimestamp").parse().ok(),
            answered: conditions.is_some_and(|it| !it.is_empty())
                || !text("/status/certificate").is_empty(),
        }
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|it| it == group)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub now: Timestamp,
    /// The identity of the hub's store.
    pub hub: String,
    pub request: Request,
    /// The token that was shown.
    pub token: Option<Bootstrap>,
    /// The Cluster of the name that is asked for.
    pub cluster: Option<Cluster>,
    /// A Cluster of another name that is the same cluster.
    pub twin: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    UseToken(Bootstrap),
    CreateCluster(Value),
    /// A patch of a Cluster that was listed and that nobody has joined yet.
    AdoptCluster(Value),
    Issue(Holder),
    Deny(String),
    /// The request was answered long ago.
    Remove,
}

/// Effects in the order in which they are done: cut short, the next run goes on where it ended.
pub(super) fn decide(seen: &Observed) -> Vec<Effect> {
    let request = &seen.request;
    if request.answered {
        let is_old = request.made.is_some_and(|it| KEPT < seen.now.duration_since(it));
        return if is_old { vec![Effect::Remove] } else { Vec::new() };
    }
    let decided = if request.is_in(BOOTSTRAPPERS) {
        newcomer(seen)
    } else if request.is_in(CLUSTERS) {
        renewal(seen)
    } else {
        Err("a bootstrap token, or the certificate of a cluster, is needed for this".to_owned())
    };
    match decided {
        Ok(mut effects) => {
            effects.push(Effect::Issue(holder(seen)));
            effects
        }
        Err(why) => vec![Effect::Deny(why)],
    }
}

fn newcomer(seen: &Observed) -> Result<Vec<Effect>, String> {
    const ANOTHER: &str = "make another one on the hub with: kogge token create";
    let Introduction { name, id, .. } = &seen.request.introduction;
    let Some(token) = seen.token.as_ref().filter(|it| !it.is_expired(seen.now)) else {
        return Err(format!("the token has expired or was deleted; {ANOTHER}"));
    };
    let used = token.used_by.as_ref();
    if used.is_some_and(|it| *it != seen.request.name) {
        return Err(format!("token {} was used already, and serves once; {ANOTHER}", token.id));
    }
    kogge_model::names::cluster_name(name)
        .map_err(|why| format!("{name:?} cannot be a cluster's name: {why}"))?;
    if id.is_empty() {
        return Err("the request does not say which cluster asks (spec.id)".to_owned());
    }
    if let Some(bound) = token.cluster.as_ref().filter(|it| *it != name) {
        return Err(format!(
            "token {} is for a cluster named {bound}; say --name {bound}",
            token.id
        ));
    }
    if let Some(twin) = &seen.twin {
        return Err(format!(
            "this cluster is a member already, as {twin}; to rename it: kogge unjoin {twin}"
        ));
    }
    let mut effects = Vec::new();
    if used.is_none() {
        effects.push(Effect::UseToken(token.clone()));
    }
    match &seen.cluster {
        None => effects.push(Effect::CreateCluster(new_cluster(&seen.request.introduction))),
        Some(it) if it.metadata.deletion_timestamp.is_some() => {
            return Err(format!("{name} is leaving the fleet; try again when it is gone"));
        }
        // A Federation lists it, and the hub has no way to it: its agent has found the way here.
        Some(it) if it.spec.id.is_empty() && it.spec.secret_ref.is_none() => {
            let version = &it.metadata.resource_version;
            effects.push(Effect::AdoptCluster(json!({
                "metadata": {"resourceVersion": version}, "spec": {"id": id, "syncMode": "Pull"},
            })));
        }
        Some(it) if it.spec.id != *id => {
            return Err(format!(
                "another cluster is a member as {name}; choose another name with --name, or: \
                 kogge unjoin {name}"
            ));
        }
        Some(it) if it.spec.sync_mode == SyncMode::Push => {
            return Err(format!(
                "the hub dials {name} itself; to let its agent dial instead: kogge unjoin {name}"
            ));
        }
        // Its id is no secret: only who was given a token for this very cluster may be it.
        Some(_) if used.is_none() && token.cluster.as_ref() != Some(name) => {
            return Err(format!(
                "{name} is a member already; to let its agent in anew make a token for it on the \
                 hub with: kogge token create {name}"
            ));
        }
        Some(_) => {}
    }
    Ok(effects)
}

fn renewal(seen: &Observed) -> Result<Vec<Effect>, String> {
    let Introduction { name, id, .. } = &seen.request.introduction;
    if seen.request.username != user_of(name) || seen.request.uid != *id {
        return Err(format!("{} may not ask for {name}'s certificate", seen.request.username));
    }
    if let Some(why) = origin::foreign(&seen.hub, name, seen.request.origin.as_deref()) {
        return Err(why);
    }
    let is_member = |it: &&Cluster| {
        it.spec.sync_mode == SyncMode::Pull
            && it.spec.id == *id
            && it.metadata.deletion_timestamp.is_none()
    };
    match seen.cluster.as_ref().filter(is_member) {
        Some(_) => Ok(Vec::new()),
        None => Err(format!("{name} is no cluster of this fleet, or no longer")),
    }
}

fn holder(seen: &Observed) -> Holder {
    let Introduction { name, id, .. } = &seen.request.introduction;
    Holder {
        user: user_of(name),
        group: CLUSTERS.to_owned(),
        uid: id.clone(),
        dns_name: name.clone(),
        uri: origin::uri(&seen.hub, name),
    }
}

fn new_cluster(it: &Introduction) -> Value {
    let mut cluster = json!({
        "apiVersion": cluster::API_VERSION, "kind": "Cluster",
        "metadata": {"name": it.name, "labels": it.labels},
        "spec": {"id": it.id, "syncMode": "Pull"},
    });
    for (field, value) in [("region", &it.region), ("provider", &it.provider)] {
        if let Some(value) = value {
            cluster["spec"][field] = value.clone().into();
        }
    }
    if let Some(zone) = &it.zone {
        cluster["spec"]["zones"] = json!([zone]);
    }
    cluster
}
