//! `kogge agent`: runs beside a cluster, dials the hub, and does without it while it is away.
//!
//! Reading order: this file starts things and ends them, `enroll` gets certificates, `identity` is
//! what is kept of them, `ways` leads to the hub.

mod enroll;
mod gossip;
mod identity;
mod status;
mod ways;

use std::{
    env, fmt, fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use kogge_agent::{
    Config, Kept, Telling,
    wire::{Farewell, Hearing, Wire},
};
use kogge_apiserver::pki;
use kogge_hub::pull::{AUTHORITY_PATH, Introduction};
use kogge_member::{Client, Resource, object};
use kube::config::Kubeconfig;
use tokio::{sync::watch, time::sleep};

use self::{enroll::Token, identity::Identity, ways::Ways};
use super::{join, unjoin};
use crate::{clock, data_dir, kubeconfig, stop::Stop};

/// Between attempts to ask a cluster that does not answer which one it is.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Run the agent of one cluster, which dials the hub
///
/// The first start needs --hub and --token, as `kogge token create` prints them. Later ones need
/// neither.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the hub
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// One-time token, from `kogge token create`
    #[arg(long, env = "KOGGE_TOKEN", hide_env_values = true)]
    token: Option<Secret>,
    /// File with the token in it: unlike --token, not seen in the list of processes
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Kubeconfig of the cluster [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context in it [default: the current one]
    #[arg(long)]
    context: Option<String>,
    /// Name of the cluster in the fleet [default: the name of the context]
    #[arg(long, value_parser = join::name)]
    name: Option<String>,
    /// Directory for what the agent keeps [default: $XDG_DATA_HOME/kogge/agent]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    facts: join::Facts,
    #[command(flatten)]
    gossip: gossip::GossipArgs,
}

/// `Debug` does not show it.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => data_dir::default()?.join("agent"),
    };
    data_dir::create(&dir)?;
    let _lock = data_dir::lock(&dir)?;
    let path = args.kubeconfig_path()?;
    let member = kubeconfig::from_file(&path, args.context.as_deref()).await?;
    tokio::select! {
        () = stop.asked() => Ok(()),
        ready = args.identity(&dir, &path, &member) => {
            let identity = ready?;
            Box::pin(serve(&dir, identity, member, &args.gossip, &mut stop, out)).await
        }
    }
}

/// Until it is asked to stop, or the cluster leaves the fleet.
async fn serve(
    dir: &Path,
    identity: Identity,
    member: Client,
    gossip: &gossip::GossipArgs,
    stop: &mut Stop,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (name, hub) = (identity.name.clone(), identity.hub.clone());
    let ways = Ways::open(&hub).await?;
    let wire = Arc::new(Wire::new(&name, &identity.hub_id, identity.client(&ways).await?));
    let kept = Arc::new(Kept::open(wire.clone(), dir, &identity.hub_id)?);
    let (telling, heads) = Telling::new(kept.clone());
    let telling = Arc::new(telling);
    let (_running, stopped) = watch::channel(());
    let config = Config {
        cluster: name.clone(),
        client: member.clone(),
        link: telling.clone(),
        now: clock::now,
    };
    let agent = identity.clone();
    writeln!(out, "{name} is a member of the fleet at {hub}")?;
    out.flush()?;
    tokio::select! {
        () = stop.asked() => {}
        () = kogge_agent::run(config, stopped) => {}
        () = renew_for_ever(dir, identity, &wire, &ways) => {}
        () = gossip::run(gossip, dir, &agent, &ways, heads) => {}
        () = tell_ways(&ways, &wire, &telling) => {}
        farewell = wire.gone() => {
            kept.forget()?;
            return leave(&name, &farewell, &member, out).await;
        }
    }
    Ok(())
}

/// The workloads go on running; the fleet's marks go, unless another agent has the cluster.
async fn leave(
    name: &str,
    Farewell { why, has_left }: &Farewell,
    member: &Client,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if !has_left {
        writeln!(out, "this agent is not needed any more: {why}")?;
        return Ok(());
    }
    let released = unjoin::release(member).await;
    released.with_context(|| format!("{name} has left the fleet ({why}), its marks stay"))?;
    writeln!(
        out,
        "{name} has left the fleet ({why}); its workloads go on running; to join again, make a \
         token on the hub with: kogge token create"
    )?;
    Ok(())
}

/// Tells the hub and the fleet by which way the hub is reached, and takes another when it falls
/// silent.
async fn tell_ways(ways: &Ways, wire: &Wire, telling: &Telling) {
    let (mut carrier, mut hearing) = (ways.carrier(), wire.hearing());
    let mut who = None;
    loop {
        let carried_by = carrier.borrow_and_update().clone();
        telling.hub_link(who == Some(Hearing::Hub) && carried_by.is_none());
        wire.carried_by(carried_by.map(|it| it.to_string()));
        tokio::select! {
            Ok(()) = carrier.changed() => {}
            Ok(()) = hearing.changed() => {
                who = *hearing.borrow_and_update();
                let leads_nowhere = match who {
                    None | Some(Hearing::Hub) => false,
                    Some(Hearing::Silence) => true,
                    // What another member carries may not go to the hub.
                    Some(Hearing::Nobody | Hearing::Another) => carrier.borrow().is_some(),
                };
                if leads_nowhere {
                    ways.doubt();
                }
            }
            else => return,
        }
    }
}

/// Renews the certificate at two thirds of its life, each time.
async fn renew_for_ever(dir: &Path, mut identity: Identity, wire: &Wire, ways: &Ways) {
    loop {
        let left = identity.renewal_is_due().duration_since(clock::now());
        sleep(left.try_into().unwrap_or_default()).await;
        let life = identity.expires.duration_since(identity.issued).unsigned_abs();
        let rest = (life / 20).clamp(Duration::from_secs(1), Duration::from_mins(1));
        match renew(dir, &identity, wire, ways).await {
            Ok(renewed) => {
                identity = renewed;
                tracing::info!(until = %identity.expires, "the certificate is renewed");
            }
            Err(error) => tracing::warn!("the certificate could not be renewed: {error:#}"),
        }
        // Also where it was: by a clock that is far ahead of the hub's the next is due at once.
        sleep(rest).await;
    }
}

async fn renew(
    dir: &Path,
    identity: &Identity,
    wire: &Wire,
    ways: &Ways,
) -> anyhow::Result<Identity> {
    let renewed = enroll::renew(identity, ways).await?;
    renewed.write(dir)?;
    wire.use_client(renewed.client(ways).await?);
    Ok(renewed)
}

impl Args {
    /// The one that is kept, if it is this cluster's; else one that the token buys.
    async fn identity(
        &self,
        dir: &Path,
        kubeconfig: &Path,
        member: &Client,
    ) -> anyhow::Result<Identity> {
        let token: Option<Token> = self.token()?.map(|it| it.parse()).transpose()?;
        let known = Identity::read(dir)?;
        // The line that joined it may be used again and again.
        let is_new = |it: &Token| known.as_ref().is_none_or(|known| known.token_id != it.id);
        if let Some(token) = token.filter(is_new) {
            return self.enroll(dir, kubeconfig, member, &token).await;
        }
        let Some(mut identity) = known else {
            bail!(
                "this cluster has not joined a fleet yet; run on the hub: kogge token create, and \
                 here what it prints"
            );
        };
        if let Some(name) = self.name.as_ref().filter(|it| **it != identity.name) {
            bail!(
                "{} keeps the identity of {}, not of {name}; name another directory with --data-dir",
                dir.display(),
                identity.name
            );
        }
        if cluster_id(member).await != identity.cluster_id {
            bail!(
                "{} leads to another cluster than the one that joined as {}",
                kubeconfig.display(),
                identity.name
            );
        }
        if let Some(hub) = self.hub.as_ref().filter(|it| **it != identity.hub) {
            identity.hub.clone_from(hub);
            identity.write(dir)?;
        }
        Ok(identity)
    }

    async fn enroll(
        &self,
        dir: &Path,
        kubeconfig: &Path,
        member: &Client,
        token: &Token,
    ) -> anyhow::Result<Identity> {
        let hub = self.hub.as_deref().context("--token needs --hub, the hub's address")?;
        if member.raw(AUTHORITY_PATH).await.is_ok_and(|it| pki::spki_sha256(&it).is_ok()) {
            bail!(
                "{} leads to a hub, and not to the cluster that is to join; name the cluster's with \
                 --kubeconfig",
                kubeconfig.display()
            );
        }
        let introduction = Introduction {
            name: self.name.clone().map_or_else(|| self.context_name(kubeconfig), Ok)?,
            id: join::check(member).await?,
            region: self.facts.region.clone(),
            zone: self.facts.zone.clone(),
            provider: self.facts.provider.clone(),
            labels: self.facts.labels.iter().cloned().collect(),
        };
        gossip::forget(dir)?;
        enroll::enroll(dir, hub.trim_end_matches('/'), token, &introduction).await
    }

    fn token(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.token_file else {
            return Ok(self.token.as_ref().map(|it| it.0.clone()));
        };
        let text = fs::read_to_string(file);
        let text =
            text.with_context(|| format!("could not read --token-file {}", file.display()))?;
        Ok(Some(text.trim().to_owned()))
    }

    fn kubeconfig_path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return Ok(path.clone());
        }
        let from_env = env::var_os("KUBECONFIG").filter(|it| !it.is_empty());
        let first = from_env.and_then(|it| env::split_paths(&it).find(|path| path.exists()));
        let home = env::home_dir().map(|it| it.join(".kube/config"));
        let found = [first, home].into_iter().flatten().find(|it| it.exists());
        found.context("no kubeconfig of the cluster was found; name one with --kubeconfig")
    }

    fn context_name(&self, kubeconfig: &Path) -> anyhow::Result<String> {
        if let Some(context) = &self.context {
            return named(context);
        }
        let config = Kubeconfig::read_from(kubeconfig);
        let config = config
            .with_context(|| format!("could not read kubeconfig {}", kubeconfig.display()))?;
        named(&config.current_context.unwrap_or_default())
    }
}

fn named(context: &str) -> anyhow::Result<String> {
    match join::name(context) {
        Ok(name) => Ok(name),
        Err(_) => bail!("context {context:?} is no name for a cluster; choose one with --name"),
    }
}

/// The uid of namespace kube-system, as soon as the cluster answers.
async fn cluster_id(member: &Client) -> String {
    let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
    loop {
        match member.get(&namespaces, "", "kube-system").await {
            Ok(found) => return object::uid(&found).to_owned(),
            Err(error) => {
                tracing::warn!(error = error.chain(), "waiting for the cluster");
                sleep(LOOK_AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: super::Args,
    }

    #[test]
    fn no_token_is_shown() {
        let line = Line::parse_from(["agent", "--hub", "https://hub", "--token", "s3cret"]);
        let token = line.args.token().expect("no file is read");
        assert_eq!(token.as_deref(), Some("s3cret"));
        let shown = format!("{line:?}");
        assert!(shown.contains("https://hub") && !shown.contains("s3cret"), "{shown}");
    }
}
