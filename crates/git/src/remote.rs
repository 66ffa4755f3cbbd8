//! Where to fetch from and as whom: a URL, and credentials as Flux's Secrets hold them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use gix::url::Scheme;

use crate::error::FetchError;

/// How long a fetch waits on its remote unless told otherwise, as in Flux.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A repository somewhere: `https://`, `http://`, `ssh://`, `git@host:path`, `file://` or a path.
#[derive(Debug, Clone)]
pub struct Remote {
    pub url: String,
    pub credentials: Credentials,
    /// For each exchange with it.
    pub timeout: Duration,
}

impl Remote {
    /// Without credentials, with the usual timeout.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: Credentials::default(), timeout: TIMEOUT }
    }

    /// The URL without what is secret in it, for messages.
    pub fn shown(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else { return self.url.clone() };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = match authority.rsplit_once('@') {
            Some((user, host)) if !user.contains(':') && scheme == "ssh" => {
                format!("{user}@{host}")
            }
            Some((_, host)) => host.to_owned(),
            None => authority.to_owned(),
        };
        format!("{scheme}://{host}{path}")
    }

    pub(crate) fn parsed(&self) -> Result<gix::Url, FetchError> {
        let bad = |reason: String| FetchError::BadUrl { url: self.shown(), reason };
        let url = gix::url::parse(self.url.as_str()).map_err(|error| bad(error.to_string()))?;
        match url.scheme {
            Scheme::File | Scheme::Https | Scheme::Http | Scheme::Ssh => Ok(url),
            _ => Err(bad("neither https, http, ssh nor file".to_owned())),
        }
    }
}

/// What a Secret of a GitRepository may hold. `Debug` shows none of it.
#[derive(Clone, Default)]
pub struct Credentials {
    pub username: Option<String>,
    pub password: Option<String>,
    pub bearer_token: Option<String>,
    /// PEM; trusted instead of the system's.
    pub ca: Option<String>,
    /// PEM certificate and key for mutual TLS.
    pub client: Option<(String, String)>,
    /// A private key as OpenSSH or PEM.
    pub identity: Option<String>,
    pub known_hosts: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Reads a Secret's data, already decoded, by Flux's keys: `username`, `password`, `bearerToken`, `ca.crt` or
    /// `caFile`, `tls.crt` and `tls.key`, `identity`, `known_hosts`.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, FetchError> {
        let bad = |reason: String| FetchError::BadCredentials { reason };
        if let Some(key) = data.keys().find(|it| it.starts_with("githubApp")) {
            return Err(bad(format!(
                "{key}: GitHub Apps are not supported yet; use a token or a deploy key"
            )));
        }
        let read = |key: &str| match data.get(key).filter(|it| !it.is_empty()) {
            None => Ok(None),
            Some(bytes) => String::from_utf8(bytes.clone())
                .map(Some)
                .map_err(|_| bad(format!("{key} is not text"))),
        };
        let trimmed =
            |key: &str| Ok(read(key)?.map(|it| it.trim_end_matches(['\r', '\n']).to_owned()));
        let client = match (read("tls.crt")?, read("tls.key")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(bad("tls.crt and tls.key belong together".to_owned())),
        };
        let ca = match read("ca.crt")? {
            Some(ca) => Some(ca),
            None => read("caFile")?,
        };
        let found = Self {
            username: trimmed("username")?,
            password: trimmed("password")?,
            bearer_token: trimmed("bearerToken")?,
            ca,
            client,
            identity: read("identity")?,
            known_hosts: read("known_hosts")?,
        };
        if found.identity.is_some() && found.known_hosts.is_none() {
            return Err(bad(
                "identity without known_hosts: the host could not be told from an impostor"
                    .to_owned(),
            ));
        }
        Ok(found)
    }

    /// The value of the Authorization header for `url`, if there is any.
    pub(crate) fn authorization(&self, url: &gix::Url) -> Result<Option<String>, FetchError> {
        let basic = |user: &str, password: &str| {
            let pair = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        };
        if let Some(token) = &self.bearer_token {
            if url.scheme == Scheme::Http {
                let reason = "bearerToken would go in clear text over http; use https".to_owned();
                return Err(FetchError::BadCredentials { reason });
            }
            return Ok(Some(format!("Bearer {token}")));
        }
        if self.username.is_some() || self.password.is_some() {
            let [user, password] =
                [&self.username, &self.password].map(|it| it.as_deref().unwrap_or_default());
            return Ok(Some(basic(user, password)));
        }
        Ok(url.user().map(|user| basic(user, url.password().unwrap_or_default())))
    }
}
