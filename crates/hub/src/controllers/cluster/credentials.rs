//! How a member is reached: from the Secret that its Cluster names.
//!
//! A Secret holds `token` and `caBundle`, as `kogge join` writes them, or a `kubeconfig`. A
//! kubeconfig is read for its words only: it may neither name files nor run programs here.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kogge_api::{LocalReference, fleet::Cluster};
use kogge_member::{Client, ConnectError, Credentials, ObjectKey, Resource};
use kogge_model::yaml::{Reading, documents};
use serde_json::{Value, json};

/// Fields of a kubeconfig's user that lead out of the Secret.
const OUTSIDE: [&str; 5] =
    ["exec", "auth-provider", "tokenFile", "client-certificate", "client-key"];

/// `Debug` shows where it leads, and no key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Access {
    Token(Credentials),
    /// A kubeconfig of one context.
    Kubeconfig {
        server: String,
        text: String,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Access").field(&self.server()).finish()
    }
}

impl Access {
    pub fn server(&self) -> &str {
        match self {
            Self::Token(it) => &it.server,
            Self::Kubeconfig { server, .. } => server,
        }
    }

    pub async fn connect(&self) -> Result<Client, ConnectError> {
        match self {
            Self::Token(it) => kogge_member::from_token(it).await,
            Self::Kubeconfig { text, .. } => kogge_member::from_kubeconfig(text, None).await,
        }
    }
}

/// Why there are no credentials, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub reason: &'static str,
    pub message: String,
}

/// The command that gives a cluster credentials.
pub(super) fn join_command(cluster: &str) -> String {
    format!("kogge join {cluster} --cluster-kubeconfig FILE")
}

/// A client of a cluster, with what a hub keeps of it: for those who are not the hub.
pub async fn member_client(hub: &Client, cluster: &Value) -> Result<Client, String> {
    let cluster: Cluster =
        serde_json::from_value(cluster.clone()).map_err(|it| format!("it is no Cluster: {it}"))?;
    let mut secret = None;
    if let Some(key) = cluster.spec.secret_ref.as_ref().map(secret_key) {
        let secrets = Resource::new("", "v1", "Secret", "secrets", true);
        secret = match hub.get(&secrets, &key.namespace, &key.name).await {
            Ok(it) => Some(it),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.chain()),
        };
    }
    let access = access(&cluster, |_| secret).map_err(|it| it.message)?;
    access.connect().await.map_err(|it| it.to_string())
}

/// From the Secret that the Cluster names, which is looked for by `find`.
pub(crate) fn access(
    cluster: &Cluster,
    find: impl FnOnce(&ObjectKey) -> Option<Value>,
) -> Result<Access, Missing> {
    let command = join_command(&cluster.metadata.name);
    let missing = |reason: &'static str, what: String| Missing {
        reason,
        message: format!("{what}; run: {command}"),
    };
    let Some(reference) = &cluster.spec.secret_ref else {
        return Err(missing("NoCredentials", "the cluster has no spec.secretRef".into()));
    };
    let key = secret_key(reference);
    let place = format!("Secret {}/{}", key.namespace, key.name);
    let Some(secret) = find(&key) else {
        return Err(missing("NoCredentials", format!("{place} is not there")));
    };
    if let Some(token) = data(&secret, "token") {
        return Ok(Access::Token(Credentials {
            server: cluster.spec.api_endpoint.clone(),
            ca: data(&secret, "caBundle"),
            token: String::from_utf8_lossy(&token).trim().to_owned(),
            insecure_skip_tls_verification: cluster.spec.insecure_skip_tls_verification,
        }));
    }
    let Some(kubeconfig) = data(&secret, "kubeconfig") else {
        let what = format!("{place} holds neither token nor kubeconfig");
        return Err(missing("NoCredentials", what));
    };
    let text = String::from_utf8_lossy(&kubeconfig);
    from_kubeconfig(&text, &cluster.spec.api_endpoint)
        .map_err(|why| missing("BadCredentials", format!("kubeconfig in {place}: {why}")))
}

/// The context whose server is `endpoint`; without an endpoint the current one.
fn from_kubeconfig(text: &str, endpoint: &str) -> Result<Access, String> {
    let documents = documents(text, Reading::Kubectl).map_err(|it| it.to_string())?;
    let config = documents.into_iter().next().map(|it| it.value).unwrap_or_default();
    let named = |list: &str, name: &str| {
        let all = config[list].as_array();
        all.into_iter().flatten().find(|it| it["name"] == name).cloned()
    };
    let cluster_of = |context: &Value| {
        let name = context.pointer("/context/cluster").and_then(Value::as_str)?;
        Some(named("clusters", name)?["cluster"].clone())
    };
    let server_of = |cluster: &Value| cluster["server"].as_str().unwrap_or_default().to_owned();
    let context = if endpoint.is_empty() {
        let current = config["current-context"].as_str().unwrap_or_default();
        named("contexts", current).ok_or_else(|| "it has no current context".to_owned())?
    } else {
        let is_it = |it: &&Value| {
            cluster_of(it).is_some_and(|it| plain(&server_of(&it)) == plain(endpoint))
        };
        let found = config["contexts"].as_array().into_iter().flatten().find(is_it);
        found.cloned().ok_or_else(|| format!("no context of it has the server {endpoint}"))?
    };
    let name = context["name"].as_str().unwrap_or_default();
    let cluster = cluster_of(&context).ok_or_else(|| format!("context {name} names no cluster"))?;
    let user = context.pointer("/context/user").and_then(Value::as_str).unwrap_or_default();
    let user = named("users", user).ok_or_else(|| format!("context {name} names no user"))?;
    let user = user["user"].clone();
    if let Some(field) = OUTSIDE.into_iter().find(|it| user.get(it).is_some()) {
        return Err(format!("users[].user.{field} is not allowed; give the data itself"));
    }
    if cluster.get("certificate-authority").is_some() {
        let field = "clusters[].cluster.certificate-authority";
        return Err(format!("{field} is not allowed; give certificate-authority-data"));
    }
    let one = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    Ok(Access::Kubeconfig {
        server: server_of(&one["clusters"][0]["cluster"]),
        text: one.to_string(),
    })
}

/// A URL without what may be left out of it.
fn plain(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    if url.starts_with("https://") { url.trim_end_matches(":443") } else { url }
}

/// The Secret that is referred to, in the hub's own namespace unless it says otherwise.
pub(crate) fn secret_key(reference: &LocalReference) -> ObjectKey {
    let namespace = reference.namespace.as_deref().unwrap_or(kogge_agent::SYSTEM_NAMESPACE);
    ObjectKey::new("", "Secret", namespace, &reference.name)
}

/// A value of a Secret, decoded.
pub(crate) fn data(secret: &Value, key: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.get("data")?.get(key)?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
current-context: b
clusters:
- {name: a, cluster: {server: 'https://a.example.com:443/'}}
- {name: b, cluster: {server: 'https://b.example.com', certificate-authority: /ca.pem}}
- {name: c, cluster: {server: 'https://c.example.com'}}
users:
- {name: token, user: {token: abc}}
- {name: program, user: {exec: {command: aws}}}
contexts:
- {name: a, context: {cluster: a, user: token}}
- {name: b, context: {cluster: b, user: token}}
- {name: c, context: {cluster: c, user: program}}
";

    #[track_caller]
    fn check(endpoint: &str, want: Result<&str, &str>) {
        let got = from_kubeconfig(TWO, endpoint);
        let said = got.as_ref().map(Access::server).map_err(String::as_str);
        assert_eq!(said, want);
    }

    #[test]
    fn the_context_is_the_one_of_the_url() {
        check("https://a.example.com", Ok("https://a.example.com:443/"));
        check(
            "https://d.example.com",
            Err("no context of it has the server https://d.example.com"),
        );
    }

    #[test]
    fn no_key_is_shown() {
        let credentials = Credentials {
            server: "https://a".into(),
            ca: None,
            token: "s3cret".into(),
            insecure_skip_tls_verification: false,
        };
        assert!(!format!("{credentials:?}").contains("s3cret"));
        let kubeconfig = Access::Kubeconfig { server: "https://a".into(), text: "s3cret".into() };
        for access in [Access::Token(credentials), kubeconfig] {
            assert_eq!(format!("{access:?}"), r#"Access("https://a")"#);
        }
    }

    #[test]
    fn a_kubeconfig_neither_names_files_nor_runs_programs() {
        let file = "clusters[].cluster.certificate-authority is not allowed; \
                    give certificate-authority-data";
        check("", Err(file));
        let program = "users[].user.exec is not allowed; give the data itself";
        check("https://c.example.com", Err(program));
    }

    #[test]
    fn only_the_chosen_context_is_kept() {
        let Ok(Access::Kubeconfig { text, .. }) = from_kubeconfig(TWO, "https://a.example.com")
        else {
            panic!("context a can be used")
        };
        assert!(text.contains("abc") && !text.contains("aws"), "{text}");
    }

    #[test]
    fn what_is_no_kubeconfig_says_so() {
        assert_eq!(from_kubeconfig("a: b", ""), Err("it has no current context".into()));
        assert!(from_kubeconfig("a: [1", "").is_err_and(|it| it.starts_with("line 1: ")));
    }
}
