//! `kogge token`: one-time tokens by which agents join.
//!
//! A token is a Secret on the hub in the shape of Kubernetes' bootstrap tokens. What is printed has
//! a hash of the hub's authority beside it, so that an agent trusts that authority and no other.

use std::{io::Write, time::Duration};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_agent::SYSTEM_NAMESPACE;
use kogge_apiserver::pki;
use kogge_hub::pull::{AUTHORITY_PATH, TOKEN_TYPE, USED_BY, token_secret};
use kogge_member::{Apply, Client, DeleteOptions, Resource, object};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{hub::life, join};
use crate::{clock, kubeconfig::Target};

/// Tokens by which agents join the fleet
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token and print the command that joins a cluster with it
    Create(Create),
    /// List the tokens that have not expired
    List,
    /// Delete a token
    Delete {
        /// Its id: the part before the first dot
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Name of the cluster that it lets in [default: whichever name the agent gives]
    #[arg(value_name = "CLUSTER", value_parser = join::name)]
    cluster: Option<String>,
    /// How long it is good for
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = life)]
    ttl: Duration,
    /// Address by which the agent reaches the hub [default: the one in the kubeconfig]
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = args.target.client().await?;
    match &args.what {
        What::Create(create) => {
            let url = create.hub.clone().map_or_else(|| args.target.server(), Ok)?;
            make(&hub, create, &url, out).await
        }
        What::List => list(&hub, out).await,
        What::Delete { id } => delete(&hub, id, out).await,
    }
}

async fn make(hub: &Client, args: &Create, url: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let authority = hub.raw(AUTHORITY_PATH).await.context("this server lets no agents in")?;
    let pin = hex(&pki::spki_sha256(&authority)?);
    let (id, secret) = random();
    let expires = clock::now().checked_add(args.ttl).context("--ttl is too long")?;
    let how = Apply { manager: "kogge-token", force: true, dry_run: false };
    let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
    let failed = "could not write the token to the hub";
    hub.apply(&namespaces, &join::namespace_object(), how).await.context(failed)?;
    let object = token_object(&id, &secret, expires, args.cluster.as_deref());
    hub.create(&secrets(), &object).await.context(failed)?;
    let name = args.cluster.as_ref().map(|it| format!(" --name {it}")).unwrap_or_default();
    writeln!(out, "kogge agent --hub {url} --token {id}.{secret}.{pin}{name}")?;
    Ok(())
}

fn token_object(id: &str, secret: &str, expires: Timestamp, cluster: Option<&str>) -> Value {
    let b64 = |text: &str| STANDARD.encode(text);
    let mut object = json!({
        "apiVersion": "v1", "kind": "Secret", "type": TOKEN_TYPE,
        "metadata": {"name": token_secret(id), "namespace": SYSTEM_NAMESPACE},
        "data": {
            "token-id": b64(id), "token-secret": b64(secret),
            "expiration": b64(&format!("{expires:.0}")),
            "usage-bootstrap-authentication": b64("true"),
        },
    });
    if let Some(cluster) = cluster {
        object["data"]["cluster"] = b64(cluster).into();
    }
    object
}

/// An id of 6 and a secret of 16 characters, of those that Kubernetes allows.
fn random() -> (String, String) {
    // The last twelve digits of a random UUID are all random.
    let digits = || Uuid::new_v4().simple().to_string().split_off(20);
    let secret: String = [digits(), digits()].concat();
    (digits()[..6].to_owned(), secret[..16].to_owned())
}

/// Two lower case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, it| hex + &format!("{it:02x}"))
}

async fn list(hub: &Client, out: &mut dyn Write) -> anyhow::Result<()> {
    let found = hub.list(&secrets(), SYSTEM_NAMESPACE, "").await;
    let found = found.context("could not list the hub's tokens")?;
    writeln!(out, "{:8} {:16} {:22} USED", "ID", "CLUSTER", "EXPIRES")?;
    for secret in found.iter().filter(|it| object::text(it, "/type") == TOKEN_TYPE) {
        let text = |key: &str| {
            let bytes = STANDARD.decode(object::text(secret, &format!("/data/{key}")));
            String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
        };
        let cluster = Some(text("cluster")).filter(|it| !it.is_empty());
        let cluster = cluster.unwrap_or_else(|| "any".to_owned());
        let annotations = secret.pointer("/metadata/annotations");
        let used = annotations.is_some_and(|it| it.get(USED_BY).is_some());
        let used = if used { "yes" } else { "no" };
        writeln!(out, "{:8} {cluster:16} {:22} {used}", text("token-id"), text("expiration"))?;
    }
    Ok(())
}

async fn delete(hub: &Client, id: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let id = id.split('.').next().unwrap_or(id);
    let options = DeleteOptions::default();
    match hub.delete(&secrets(), SYSTEM_NAMESPACE, &token_secret(id), &options).await {
        Err(error) if error.is_not_found() => {
            bail!("there is no token {id}; see: kogge token list")
        }
        other => other.with_context(|| format!("could not delete token {id}"))?,
    }
    writeln!(out, "token {id} is deleted")?;
    Ok(())
}

fn secrets() -> Resource {
    Resource::new("", "v1", "Secret", "secrets", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_of_the_characters_and_lengths_that_kubernetes_allows() {
        let (id, secret) = random();
        assert_eq!((id.len(), secret.len()), (6, 16));
        let allowed = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
        assert!(id.chars().chain(secret.chars()).all(allowed), "{id} {secret}");
        assert_ne!(random(), random());
    }
}
