//! Kubeconfig files: written for `kogge up` and `kogge hub`, and found as kubectl finds them.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

/// One context: a cluster and an admin with a client certificate. `Debug` shows no key.
#[derive(Clone)]
pub struct Entry {
    pub context: String,
    pub server: String,
    /// PEM
    pub ca: String,
    /// PEM
    pub certificate: String,
    /// PEM
    pub key: String,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Entry");
        shown.field("context", &self.context).field("server", &self.server).finish_non_exhaustive()
    }
}

/// A kubeconfig with these contexts, the first one current.
pub fn build(entries: &[Entry]) -> Value {
    let b64 = |pem: &str| STANDARD.encode(pem);
    let clusters = entries.iter().map(|it| {
        json!({"name": it.context, "cluster": {
            "server": it.server, "certificate-authority-data": b64(&it.ca)}})
    });
    let users = entries.iter().map(|it| {
        json!({"name": it.context, "user": {
            "client-certificate-data": b64(&it.certificate), "client-key-data": b64(&it.key)}})
    });
    let contexts = entries.iter().map(
        |it| json!({"name": it.context, "context": {"cluster": it.context, "user": it.context}}),
    );
    json!({
        "apiVersion": "v1", "kind": "Config",
        "current-context": entries.first().map(|it| it.context.clone()).unwrap_or_default(),
        "clusters": clusters.collect::<Vec<_>>(),
        "users": users.collect::<Vec<_>>(),
        "contexts": contexts.collect::<Vec<_>>(),
    })
}

/// Writes it whole or not at all, readable by its owner only.
pub fn write(path: &Path, kubeconfig: &Value) -> anyhow::Result<()> {
    let text = kogge_model::yaml::to_string(kubeconfig);
    let written = kogge_files::replace(path, text.as_bytes());
    written.with_context(|| format!("could not write {}", path.display()))
}

/// Which server a command talks to.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Target {
    /// Kubeconfig file [default: $KUBECONFIG, the one of `kogge up`, ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context to use [default: the current one]
    #[arg(long, global = true)]
    pub context: Option<String>,
}

impl Target {
    /// The hub, found as kubectl finds its server; without any other, the one of `kogge up`.
    pub async fn client(&self) -> anyhow::Result<kogge_member::Client> {
        let path = self.path()?;
        from_file(&path, self.context.as_deref()).await
    }

    /// The address of the hub.
    pub fn server(&self) -> anyhow::Result<String> {
        server(&self.path()?, self.context.as_deref())
    }

    fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return Ok(path.clone());
        }
        let from_env = env::var_os("KUBECONFIG").filter(|it| !it.is_empty());
        let first = from_env.and_then(|it| env::split_paths(&it).find(|path| path.exists()));
        let home = env::home_dir().map(|it| it.join(".kube/config"));
        let up = crate::data_dir::default().map(|it| it.join("kubeconfig")).ok();
        let found = [first, up, home].into_iter().flatten().find(|it| it.exists());
        match found {
            Some(path) => Ok(path),
            None => bail!(
                "no kubeconfig was found; start a fleet with: kogge up, or name one with --kubeconfig"
            ),
        }
    }
}

/// The server of a context in a kubeconfig file.
fn server(path: &Path, context: Option<&str>) -> anyhow::Result<String> {
    let read = || format!("could not read kubeconfig {}", path.display());
    let config = Kubeconfig::read_from(path).with_context(read)?;
    let wanted = context.map(str::to_owned).or_else(|| config.current_context.clone());
    let wanted = wanted.unwrap_or_default();
    let found = config.contexts.iter().find(|it| it.name == wanted);
    let cluster = found.and_then(|it| it.context.as_ref()).map(|it| &it.cluster);
    let named = config.clusters.iter().find(|it| Some(&it.name) == cluster);
    let server = named.and_then(|it| it.cluster.as_ref()?.server.clone());
    server.with_context(|| format!("context {wanted:?} of {} names no server", path.display()))
}

/// A client of a context in a kubeconfig file.
pub async fn from_file(path: &Path, context: Option<&str>) -> anyhow::Result<kogge_member::Client> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("could not read kubeconfig {}", path.display()))?;
    kogge_member::from_kubeconfig(&text, context)
        .await
        .with_context(|| format!("could not use kubeconfig {}", path.display()))
}
