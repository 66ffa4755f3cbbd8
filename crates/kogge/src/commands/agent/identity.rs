//! What an agent is: its name in the fleet, its certificate and key, the hub that it obeys. A file.

use std::{fmt, fs, io, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_apiserver::pki;
use kogge_member::Client;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::ways::{Address, Ways};

const FILE: &str = "identity.json";

/// `Debug` shows no key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's name in the fleet.
    pub name: String,
    /// The uid of the cluster's namespace kube-system.
    pub cluster_id: String,
    /// Where the hub is.
    pub hub: String,
    /// The identity of the hub's store.
    pub hub_id: String,
    /// The token that let it in.
    pub token_id: String,
    /// The hub's authority, PEM; no other is trusted.
    pub authority: String,
    /// PEM
    pub certificate: String,
    /// PEM
    pub key: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Identity");
        shown.field("name", &self.name).field("hub_id", &self.hub_id).finish_non_exhaustive()
    }
}

impl Identity {
    pub fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        read(&dir.join(FILE))
    }

    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        write(&dir.join(FILE), self)
    }

    /// Takes over a new certificate and its key.
    pub fn renewed(
        &self,
        certificate: String,
        key: String,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let facts = pki::facts(&certificate)?;
        Ok(Self { certificate, key, issued: now, expires: facts.expires, ..self.clone() })
    }

    pub fn renewal_is_due(&self) -> Timestamp {
        renewal_is_due(self.issued, self.expires)
    }

    /// A client of the hub that shows the certificate, and goes by whatever way is open.
    pub async fn client(&self, ways: &Ways) -> anyhow::Result<Client> {
        let user = json!({
            "client-certificate-data": STANDARD.encode(&self.certificate),
            "client-key-data": STANDARD.encode(&self.key),
        });
        let cluster = json!({
            "server": format!("https://{}", ways.door()),
            "tls-server-name": self.hub.parse::<Address>()?.host,
            "certificate-authority-data": STANDARD.encode(&self.authority),
        });
        client_of(&self.hub, &cluster, &user).await
    }
}

/// At two thirds of a certificate's life.
pub fn renewal_is_due(issued: Timestamp, expires: Timestamp) -> Timestamp {
    let life = expires.duration_since(issued);
    issued.saturating_add(life * 2 / 3).unwrap_or(expires)
}

/// A client of a hub. Without an authority any is believed: then no secret may be sent.
pub async fn client(hub: &str, authority: Option<&str>, user: &Value) -> anyhow::Result<Client> {
    let cluster = match authority {
        Some(pem) => json!({"server": hub, "certificate-authority-data": STANDARD.encode(pem)}),
        None => json!({"server": hub, "insecure-skip-tls-verify": true}),
    };
    client_of(hub, &cluster, user).await
}

async fn client_of(hub: &str, cluster: &Value, user: &Value) -> anyhow::Result<Client> {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "hub",
        "clusters": [{"name": "hub", "cluster": cluster}],
        "users": [{"name": "hub", "user": user}],
        "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "hub"}}],
    });
    let client = kogge_member::from_kubeconfig(&kubeconfig.to_string(), None).await;
    client.with_context(|| format!("could not use the hub's address {hub}"))
}

/// A file of the agent's; `None` if it is not there.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let failed = || format!("could not read {}", path.display());
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(failed)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(failed),
    }
}

/// Whole or not at all, readable by its owner only.
pub fn write<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let failed = || format!("could not write {}", path.display());
    let text = serde_json::to_vec_pretty(value).with_context(failed)?;
    kogge_files::replace(path, &text).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        serde_json::from_value(json!({
            "name": "eu", "cluster_id": "1", "hub": "https://hub", "hub_id": "one",
            "token_id": "abcdef", "authority": "", "certificate": "", "key": "s3cret",
            "issued": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z",
        }))
        .expect("an identity")
    }

    #[test]
    fn no_key_is_shown() {
        assert_eq!(format!("{:?}", identity()), r#"Identity { name: "eu", hub_id: "one", .. }"#);
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life_and_not_before() {
        let left = |now: &str| {
            let now: Timestamp = now.parse().expect("a time");
            identity().renewal_is_due().duration_since(now)
        };
        assert!(left("2026-01-01T15:59:59.999Z").is_positive());
        assert!(left("2026-01-01T16:00:00Z").is_zero());
    }
}
