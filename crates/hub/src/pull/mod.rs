//! Clusters whose agents dial the hub: how they get in, and what is served to them.
//!
//! A bootstrap token (`token`) lets an agent ask for a certificate; `controllers/signing` gives it
//! one; with it the agent gets its cluster's works and brings reports (`routes`), at the hub that
//! gave it (`origin`).

pub(crate) mod adopt;
mod keys;
pub(crate) mod origin;
mod routes;
mod token;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kogge_apiserver::{pki::Authority, serve::Added};
use kogge_member::{Apply, Client, Error, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::token::Bootstrap;
use self::{origin::Foreign, routes::Routes, token::BootstrapTokens};
use crate::{context::Shared, gossip::Listening, reports::Reports};

/// The signer of agents' certificates.
pub const SIGNER: &str = "kogge.dev/agent";

/// The group of every agent's certificate.
pub const CLUSTERS: &str = "system:clusters";

/// The group of who shows a bootstrap token.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers";

/// The annotation of a request for a certificate that says which cluster asks: an [`Introduction`].
pub const INTRODUCTION: &str = "kogge.dev/cluster";

/// Where anybody gets the hub's authority; it is worth something only to who knows its hash.
pub const AUTHORITY_PATH: &str = "/kogge/v1/authority";

/// Where anybody who is known gets the fleet as its members see it; `?from=MEMBER` as that one does.
pub const GOSSIP_PATH: &str = "/kogge/v1/gossip";

/// Where an admin asks whether the hub waits for its state (GET), and says that it has it (POST).
pub const RECOVERY_PATH: &str = "/kogge/v1/recovery";

/// Where an admin asks which keys the fleet trusts (GET), and has its key rotated (POST).
pub const FLEET_KEY_PATH: &str = "/kogge/v1/fleet-key";

/// Where an agent is let into the gossip: an [`Asking`] for an [`crate::Admission`].
pub fn admission_path(cluster: &str) -> String {
    format!("/kogge/v1/clusters/{cluster}/gossip")
}

/// Asks to gossip under the cluster's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The member's public key, Ed25519.
    pub key: [u8; 32],
}

/// The type of a Secret that is a bootstrap token, as Kubernetes names it.
pub const TOKEN_TYPE: &str = "bootstrap.kubernetes.io/token";

/// How long after its end an agent's certificate is believed: for a hub that was away.
pub const GRACE: Duration = Duration::from_hours(7 * 24);

/// The annotation of a token that was used: the request that it was used for.
pub const USED_BY: &str = "kogge.dev/used-by";

/// What the hub needs to let agents in.
pub struct Agents {
    /// Signs their certificates; clients show certificates of the same.
    pub authority: Authority,
    /// How long a certificate lives.
    pub life: Duration,
}

/// What an agent says of its cluster when it asks for a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Introduction {
    pub name: String,
    /// The uid of namespace kube-system.
    pub id: String,
    pub region: Option<String>,
    pub zone: Option<String>,
    pub provider: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// What a server is to serve beside the hub's API.
pub(crate) fn added(hub: &Shared, reports: &Reports, gossip: &Listening, agents: &Agents) -> Added {
    let tokens = BootstrapTokens { cache: hub.cache.clone(), now: hub.now };
    let routes = Routes {
        hub: hub.clone(),
        reports: reports.clone(),
        gossip: gossip.clone(),
        authority_pem: agents.authority.certificate_pem().into(),
        foreign: Foreign::default(),
    };
    Added { tokens: vec![Arc::new(tokens)], beside: Some(Arc::new(routes)) }
}

/// The user that a cluster's agent is.
pub fn user_of(cluster: &str) -> String {
    format!("system:cluster:{cluster}")
}

/// The name of the Secret that holds a token.
pub fn token_secret(id: &str) -> String {
    format!("bootstrap-token-{id}")
}

/// Lets agents, and who wants to be one, ask for certificates. What is there is put right.
pub(crate) async fn grant(client: &Client) -> Result<(), Error> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const NAME: &str = "system:kogge:agents";
    let api_version = format!("{RBAC}/v1");
    let subject = |group: &str| json!({"apiGroup": RBAC, "kind": "Group", "name": group});
    let role = json!({
        "apiVersion": api_version, "kind": "ClusterRole", "metadata": {"name": NAME},
        "rules": [{"apiGroups": ["certificates.k8s.io"],
            "resources": ["certificatesigningrequests"], "verbs": ["create", "get"]}],
    });
    let binding = json!({
        "apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": {"name": NAME},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [subject(BOOTSTRAPPERS), subject(CLUSTERS)],
    });
    let how = Apply { manager: "kogge-hub", force: true, dry_run: false };
    let objects: [(&str, &str, Value); 2] = [
        ("ClusterRole", "clusterroles", role),
        ("ClusterRoleBinding", "clusterrolebindings", binding),
    ];
    for (kind, plural, object) in objects {
        client.apply(&Resource::new(RBAC, "v1", kind, plural, false), &object, how).await?;
    }
    Ok(())
}
