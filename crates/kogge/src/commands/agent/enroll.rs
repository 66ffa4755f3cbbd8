//! How an agent gets its certificate: with a token once, with the certificate itself ever after.
//!
//! The key is made here and goes nowhere. A request that was cut short is asked again with the same
//! key, so that the token, which serves once, is not lost with it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kogge_apiserver::pki;
use kogge_hub::pull::{AUTHORITY_PATH, CLUSTERS, INTRODUCTION, Introduction, SIGNER, user_of};
use kogge_member::{Client, Error, Fault, Resource, object};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    identity::{self, Identity},
    ways::Ways,
};
use crate::{clock, commands::token::hex};

/// How long the hub may take to answer a request.
const PATIENCE: Duration = Duration::from_mins(1);

/// A token that was made a moment ago may not have been read yet by a busy hub.
const READ: Duration = Duration::from_secs(5);

const LOOK_AGAIN: Duration = Duration::from_millis(250);

const ANOTHER: &str = "make another one on the hub with: kogge token create";

/// What `kogge token create` prints: `ID.SECRET.HASH`.
#[derive(Clone)]
pub struct Token {
    pub id: String,
    secret: String,
    /// Of the hub's authority: SHA-256 of its public key, in hex.
    pin: String,
}

impl std::str::FromStr for Token {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split('.').collect::<Vec<_>>()[..] {
            [id, secret, pin] if !id.is_empty() && pin.len() == 64 => {
                Ok(Self { id: id.into(), secret: secret.into(), pin: pin.into() })
            }
            _ => bail!("--token must be as kogge token create prints it: ID.SECRET.HASH"),
        }
    }
}

/// A request that was made and not answered yet.
#[derive(Serialize, Deserialize)]
struct Pending {
    token_id: String,
    name: String,
    key: String,
    request: String,
}

impl Pending {
    fn new(token_id: &str, cluster: &str) -> anyhow::Result<Self> {
        let made = pki::request(&user_of(cluster), CLUSTERS)?;
        Ok(Self {
            token_id: token_id.to_owned(),
            name: format!("kogge-agent-{}", Uuid::new_v4().simple()),
            key: made.key_pem,
            request: made.request_pem,
        })
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("pending.json")
    }
}

/// Joins with a token; the identity is on disk when this returns.
pub async fn enroll(
    dir: &Path,
    hub: &str,
    token: &Token,
    introduction: &Introduction,
) -> anyhow::Result<Identity> {
    let authority = authority(hub, &token.pin).await?;
    let bearer = json!({"token": format!("{}.{}", token.id, token.secret)});
    let client = identity::client(hub, Some(&authority), &bearer).await?;
    let known: Option<Pending> = identity::read(&Pending::path(dir))?;
    let pending = match known.filter(|it| it.token_id == token.id) {
        Some(known) => known,
        None => Pending::new(&token.id, &introduction.name)?,
    };
    identity::write(&Pending::path(dir), &pending)?;
    let certificate = ask(&client, &pending, introduction).await?;
    let facts = pki::facts(&certificate)?;
    let hub_id = facts.uri.as_deref().and_then(|it| it.strip_prefix("kogge://"));
    let hub_id =
        hub_id.and_then(|it| it.split('/').next()).context("the hub does not say who it is")?;
    let identity = Identity {
        name: introduction.name.clone(),
        cluster_id: introduction.id.clone(),
        hub: hub.to_owned(),
        hub_id: hub_id.to_owned(),
        token_id: token.id.clone(),
        authority,
        certificate,
        key: pending.key,
        issued: clock::now(),
        expires: facts.expires,
    };
    identity.write(dir)?;
    let removed = fs::remove_file(Pending::path(dir));
    removed.context("could not remove the request that was answered")?;
    Ok(identity)
}

/// Another certificate with the present one, for a new key.
pub async fn renew(identity: &Identity, ways: &Ways) -> anyhow::Result<Identity> {
    let client = identity.client(ways).await?;
    let pending = Pending::new("", &identity.name)?;
    let introduction = Introduction {
        name: identity.name.clone(),
        id: identity.cluster_id.clone(),
        ..Introduction::default()
    };
    let certificate = ask(&client, &pending, &introduction).await?;
    identity.renewed(certificate, pending.key, clock::now())
}

/// The hub's authority, if it is the one whose hash is known.
async fn authority(hub: &str, pin: &str) -> anyhow::Result<String> {
    // Nothing secret is sent, and what comes back is looked at: who is in between gains nothing.
    let anybody = identity::client(hub, None, &json!({})).await?;
    let pem = anybody.raw(AUTHORITY_PATH).await;
    let pem = pem.with_context(|| format!("could not ask the hub at {hub} for its authority"))?;
    let is_it = pem.matches("-----BEGIN").count() == 1
        && pki::spki_sha256(&pem).is_ok_and(|it| hex(&it) == pin);
    if !is_it {
        bail!(
            "the server at {hub} is not the hub that the token is of: its authority is another; \
             check --hub, or {ANOTHER}"
        );
    }
    Ok(pem)
}

async fn ask(
    hub: &Client,
    pending: &Pending,
    introduction: &Introduction,
) -> anyhow::Result<String> {
    let kind = "CertificateSigningRequest";
    let requests =
        Resource::new("certificates.k8s.io", "v1", kind, "certificatesigningrequests", false);
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": kind,
        "metadata": {"name": pending.name, "annotations": {
            INTRODUCTION: serde_json::to_string(introduction)?}},
        "spec": {
            "request": STANDARD.encode(&pending.request), "signerName": SIGNER,
            "usages": ["digital signature", "client auth", "server auth"],
        },
    });
    let read_by = Instant::now() + READ;
    loop {
        match hub.create(&requests, &object).await {
            // Asked before, and cut short.
            Err(error) if error.is_conflict() => break,
            Err(error) if error.is_unauthorized() && Instant::now() < read_by => {
                sleep(LOOK_AGAIN).await;
            }
            other => break drop(other.map_err(|it| explain(&it))?),
        }
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let found = hub.get(&requests, "", &pending.name).await.map_err(|it| explain(&it))?;
        if let Some(certificate) = answer(&found)? {
            return Ok(certificate);
        }
        sleep(LOOK_AGAIN).await;
    }
    bail!("the hub has not answered request {} for a certificate in time", pending.name)
}

fn explain(error: &Error) -> anyhow::Error {
    match &error.fault {
        Fault::Unauthorized(_) => anyhow!(
            "the hub does not know this token: it has expired, was deleted, or is mistyped; {ANOTHER}"
        ),
        _ => anyhow!("{}", error.chain()),
    }
}

/// The certificate, once there is one.
fn answer(request: &Value) -> anyhow::Result<Option<String>> {
    let conditions = request.pointer("/status/conditions").and_then(Value::as_array);
    let refused = |it: &&Value| it["type"] == "Denied" || it["type"] == "Failed";
    if let Some(condition) = conditions.into_iter().flatten().find(refused) {
        bail!("the hub refuses: {}", object::text(condition, "/message"));
    }
    let encoded = object::text(request, "/status/certificate");
    if encoded.is_empty() {
        return Ok(None);
    }
    let pem = STANDARD.decode(encoded).context("the certificate is not base64")?;
    Ok(Some(String::from_utf8(pem).context("the certificate is not PEM")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts() {
        let pin = "0".repeat(64);
        let token: Token = format!("abcdef.0123.{pin}").parse().expect("well formed");
        assert_eq!((token.id.as_str(), token.pin), ("abcdef", pin));
        assert!("abcdef.0123".parse::<Token>().is_err());
    }

    #[test]
    fn a_refusal_is_told_in_the_hubs_words() {
        let denied = json!({"status": {"conditions": [
            {"type": "Denied", "status": "True", "message": "token abcdef was used already"}]}});
        let error = answer(&denied).expect_err("refused");
        assert_eq!(error.to_string(), "the hub refuses: token abcdef was used already");
        assert!(answer(&json!({})).is_ok_and(|it| it.is_none()));
    }
}
