//! `kogge join`: a cluster becomes a member of the fleet.
//!
//! The given kubeconfig is used once, to make a ServiceAccount for the hub on the
//! cluster. The hub keeps only that account's token. Nothing is made before all that can be
//! asked was asked, and what a join that fails has made is taken away again.

mod made;

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use anyhow::{Context as _, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kogge_agent::SYSTEM_NAMESPACE;
use kogge_hub::ACCOUNT;
use kogge_member::{Apply, Client, Resource};
use kube::config::{Cluster, Kubeconfig};
use serde_json::{Value, json};

use self::made::Made;
use crate::kubeconfig::{self, Target};

const HOW: Apply<'_> = Apply { manager: "kogge-join", force: true, dry_run: false };

const RBAC: &str = "rbac.authorization.k8s.io";

/// What the hub asks for; the cluster may give less.
const TOKEN_SECONDS: u32 = 365 * 24 * 3600;

/// The oldest minor version whose API kogge was tried with.
const OLDEST_MINOR: u32 = 29;

/// What policies choose a cluster by.
#[derive(Debug, clap::Args)]
pub struct Facts {
    /// Region, for policies that choose or spread by it
    #[arg(long)]
    pub region: Option<String>,
    /// Zone
    #[arg(long)]
    pub zone: Option<String>,
    /// Cloud provider
    #[arg(long)]
    pub provider: Option<String>,
    /// Labels of the Cluster, as a=b,c=d
    #[arg(long, value_delimiter = ',', value_parser = label)]
    pub labels: Vec<(String, String)>,
}

/// Make a cluster a member of the fleet
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the cluster in the fleet
    #[arg(value_parser = name)]
    name: String,
    /// Kubeconfig of the cluster; used once
    #[arg(long, value_name = "FILE")]
    cluster_kubeconfig: PathBuf,
    /// Context in it [default: the current one]
    #[arg(long, value_name = "CONTEXT")]
    cluster_context: Option<String>,
    #[command(flatten)]
    facts: Facts,
    /// Take the cluster from another hub that is gone; what that one put there is kept or
    /// deleted as this hub's policies say
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = args.target.client().await?;
    let address = address(&args.cluster_kubeconfig, args.cluster_context.as_deref())?;
    let cluster =
        kubeconfig::from_file(&args.cluster_kubeconfig, args.cluster_context.as_deref()).await?;
    let uid = check(&cluster).await?;
    refuse_twice(&hub, &args.name, &uid).await?;
    let kinds = Kinds::of(&hub).await?;
    let object = cluster_object(args, &address, &uid);
    let dry = Apply { dry_run: true, ..HOW };
    hub.apply(&kinds.clusters, &object, dry).await.context("the fleet refuses the cluster")?;

    let mut made = Made::default();
    let joined = async {
        let token = make_account(&cluster, &kinds, &mut made).await?;
        let secret = secret_object(&args.name, &address, &token);
        write_cluster(&hub, &kinds, &secret, &object, &mut made).await?;
        if args.take_over { release(&cluster).await } else { Ok(()) }
    };
    if let Err(error) = joined.await {
        return Err(match made.undo().await {
            Ok(()) => error,
            Err(left) => {
                anyhow!("{error:#}; what this join has made is left there: {}", left.chain())
            }
        });
    }
    writeln!(out, "{} joined the fleet", args.name)?;
    Ok(())
}

/// Takes the other hub's name off the inventory: the next agent that comes has the cluster.
async fn release(cluster: &Client) -> anyhow::Result<()> {
    let config_maps = Resource::new("", "v1", "ConfigMap", "configmaps", true);
    let patch = json!({"data": {"hub": null}});
    let name = kogge_agent::INVENTORY;
    match cluster.merge(&config_maps, SYSTEM_NAMESPACE, name, None, &patch).await {
        Err(error) if !error.is_not_found() => {
            Err(error).context("could not take the cluster from the other hub")
        }
        _ => Ok(()),
    }
}

/// As the hub names clusters.
pub fn name(text: &str) -> Result<String, String> {
    kogge_model::names::cluster_name(text).map(|()| text.to_owned())
}

/// `KEY=VALUE`
pub fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text} is no label; say KEY=VALUE"))
}

/// The server and its authority, as the kubeconfig's context has them.
struct Address {
    server: String,
    ca: Option<Vec<u8>>,
    insecure: bool,
}

fn address(path: &std::path::Path, context: Option<&str>) -> anyhow::Result<Address> {
    let read = || format!("could not read kubeconfig {}", path.display());
    let config = Kubeconfig::read_from(path).with_context(read)?;
    let wanted = context.map(str::to_owned).or_else(|| config.current_context.clone());
    let Some(wanted) = wanted else {
        bail!("{} has no current context; name one with --cluster-context", path.display());
    };
    let found = config.contexts.iter().find(|it| it.name == wanted);
    let cluster_name = found.and_then(|it| it.context.as_ref()).map(|it| &it.cluster);
    let named = config.clusters.iter().find(|it| Some(&it.name) == cluster_name);
    let Some(cluster) = named.and_then(|it| it.cluster.as_ref()) else {
        bail!("{} has no context {wanted}", path.display());
    };
    let Some(server) = cluster.server.clone() else {
        bail!("context {wanted} of {} names no server", path.display());
    };
    Ok(Address {
        server,
        ca: authority(cluster)?,
        insecure: cluster.insecure_skip_tls_verify == Some(true),
    })
}

fn authority(cluster: &Cluster) -> anyhow::Result<Option<Vec<u8>>> {
    if let Some(data) = &cluster.certificate_authority_data {
        let pem = STANDARD.decode(data).context("certificate-authority-data is not base64")?;
        return Ok(Some(pem));
    }
    let read = |path: &String| {
        std::fs::read(path).with_context(|| format!("could not read authority {path}"))
    };
    cluster.certificate_authority.as_ref().map(read).transpose()
}

/// Version and rights; returns the uid that tells clusters apart.
pub async fn check(cluster: &Client) -> anyhow::Result<String> {
    let version = cluster.raw("/version").await.context("the cluster does not answer")?;
    let version: Value = serde_json::from_str(&version).context("/version is not JSON")?;
    let minor: String =
        version["minor"].as_str().unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
    if minor.parse::<u32>().is_ok_and(|it| it < OLDEST_MINOR) {
        bail!("the cluster runs Kubernetes 1.{minor}; 1.{OLDEST_MINOR} or newer is needed");
    }
    let reviews = Resource::new(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        false,
    );
    let asked = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}},
    });
    let review = cluster.create(&reviews, &asked).await.context("could not ask for rights")?;
    if review.pointer("/status/allowed") != Some(&Value::Bool(true)) {
        bail!(
            "the kubeconfig's user may not do everything on the cluster; cluster-admin is needed"
        );
    }
    let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
    let system = cluster
        .get(&namespaces, "", "kube-system")
        .await
        .context("could not read namespace kube-system, whose uid tells clusters apart")?;
    Ok(kogge_member::object::uid(&system).to_owned())
}

async fn refuse_twice(hub: &Client, name: &str, uid: &str) -> anyhow::Result<()> {
    let clusters = hub.resource("cluster.karmada.io/v1alpha1", "Cluster").await?;
    for known in hub.list(&clusters, "", "").await.context("could not list the fleet's clusters")? {
        let other = kogge_member::object::name(&known);
        let id = known.pointer("/spec/id").and_then(Value::as_str).unwrap_or("");
        if other != name && id == uid {
            bail!(
                "this cluster is a member already, as {other}; to rename it: kogge unjoin {other}"
            );
        }
        if other == name && !id.is_empty() && id != uid {
            bail!(
                "another cluster is a member as {name}; choose another name, or: kogge unjoin {name}"
            );
        }
    }
    Ok(())
}

/// What is written, on the cluster and on the hub.
struct Kinds {
    namespaces: Resource,
    accounts: Resource,
    bindings: Resource,
    secrets: Resource,
    clusters: Resource,
}

impl Kinds {
    async fn of(hub: &Client) -> anyhow::Result<Self> {
        let binding = "ClusterRoleBinding";
        Ok(Self {
            namespaces: Resource::new("", "v1", "Namespace", "namespaces", false),
            accounts: Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true),
            bindings: Resource::new(RBAC, "v1", binding, "clusterrolebindings", false),
            secrets: Resource::new("", "v1", "Secret", "secrets", true),
            clusters: hub.resource("cluster.karmada.io/v1alpha1", "Cluster").await?,
        })
    }
}

/// The namespace of kogge's own objects.
pub fn namespace_object() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
}

/// The hub's account on the cluster, with every right; returns a token for it.
async fn make_account<'a>(
    cluster: &'a Client,
    kinds: &'a Kinds,
    made: &mut Made<'a>,
) -> anyhow::Result<String> {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": SYSTEM_NAMESPACE}});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM_NAMESPACE}],
    });
    let failed = "could not make the hub's account on the cluster";
    made.apply(cluster, &kinds.namespaces, &namespace_object()).await.context(failed)?;
    made.apply(cluster, &kinds.accounts, &account).await.context(failed)?;
    made.apply(cluster, &kinds.bindings, &binding).await.context(failed)?;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS}});
    let answer = cluster
        .post(&kinds.accounts, SYSTEM_NAMESPACE, ACCOUNT, "token", &request)
        .await
        .context("could not get a token for the hub's account")?;
    let token = answer.pointer("/status/token").and_then(Value::as_str);
    Ok(token.context("the cluster answered without a token")?.to_owned())
}

async fn write_cluster<'a>(
    hub: &'a Client,
    kinds: &'a Kinds,
    secret: &Value,
    cluster: &Value,
    made: &mut Made<'a>,
) -> anyhow::Result<()> {
    let failed = "could not write the cluster to the hub";
    // Not one join's own: others put their secrets there.
    hub.apply(&kinds.namespaces, &namespace_object(), HOW).await.context(failed)?;
    made.apply(hub, &kinds.secrets, secret).await.context(failed)?;
    made.apply(hub, &kinds.clusters, cluster).await.context(failed)
}

fn secret_object(cluster: &str, address: &Address, token: &str) -> Value {
    let mut data = json!({"token": STANDARD.encode(token)});
    if let Some(ca) = &address.ca {
        data["caBundle"] = STANDARD.encode(ca).into();
    }
    json!({"apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": secret_name(cluster), "namespace": SYSTEM_NAMESPACE}})
}

fn cluster_object(args: &Args, address: &Address, uid: &str) -> Value {
    let labels: BTreeMap<&String, &String> =
        args.facts.labels.iter().map(|(k, v)| (k, v)).collect();
    let mut cluster = json!({
        "apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
        "metadata": {"name": args.name, "labels": labels},
        "spec": {
            "id": uid, "syncMode": "Push", "apiEndpoint": address.server,
            "secretRef": {"namespace": SYSTEM_NAMESPACE, "name": secret_name(&args.name)},
        },
    });
    if address.insecure {
        cluster["spec"]["insecureSkipTLSVerification"] = true.into();
    }
    for (field, value) in [("region", &args.facts.region), ("provider", &args.facts.provider)] {
        if let Some(value) = value {
            cluster["spec"][field] = value.clone().into();
        }
    }
    if let Some(zone) = &args.facts.zone {
        cluster["spec"]["zones"] = json!([zone]);
    }
    cluster
}

/// The Secret on the hub that holds a cluster's token.
pub fn secret_name(cluster: &str) -> String {
    format!("cluster-{cluster}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        assert_eq!(label("tier=gold"), Ok(("tier".into(), "gold".into())));
        assert!(label("tier").is_err());
        assert!(label("=x").is_err());
    }
}
