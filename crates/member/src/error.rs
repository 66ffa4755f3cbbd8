//! What went wrong with a request, sorted by what one would do about it.

/// A failed request: what was asked, and the fault.
#[derive(Debug, thiserror::Error)]
#[error("could not {verb} {what}")]
pub struct Error {
    pub verb: &'static str,
    pub what: String,
    #[source]
    pub fault: Fault,
}

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    NotFound(String),
    /// The object changed meanwhile, exists already, or other field managers own the fields.
    #[error("{0}")]
    Conflict(String),
    /// Credentials were refused.
    #[error("the credentials were refused: {0}")]
    Unauthorized(String),
    #[error("{0}")]
    Forbidden(String),
    /// The object itself is at fault; asking again will not help.
    #[error("{0}")]
    Invalid(String),
    /// The requested history is gone; list again.
    #[error("{0}")]
    Gone(String),
    /// Too many requests, or a disruption budget that forbids an eviction.
    #[error("{0}")]
    TooManyRequests(String),
    /// The kind is not served by this cluster.
    #[error("this cluster serves no kind {kind} of {api_version}")]
    NoSuchKind { api_version: String, kind: String },
    #[error("the API server failed: {0}")]
    Server(String),
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
}

impl Error {
    pub(crate) fn new(verb: &'static str, what: impl Into<String>, fault: Fault) -> Self {
        Self { verb, what: what.into(), fault }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self.fault, Fault::NotFound(_))
    }

    pub fn is_unauthorized(&self) -> bool {
        matches!(self.fault, Fault::Unauthorized(_))
    }

    pub fn is_forbidden(&self) -> bool {
        matches!(self.fault, Fault::Forbidden(_))
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self.fault, Fault::Conflict(_))
    }

    pub fn is_unreachable(&self) -> bool {
        matches!(self.fault, Fault::Unreachable(_))
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        format!("{self}: {}", self.fault)
    }
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unreachable(innermost(&error));
        };
        let message = status.message.clone();
        match status.code {
            401 => Self::Unauthorized(message),
            403 => Self::Forbidden(message),
            404 => Self::NotFound(message),
            409 => Self::Conflict(message),
            410 => Self::Gone(message),
            429 => Self::TooManyRequests(message),
            400 | 405..=409 | 411..=428 => Self::Invalid(message),
            // A watch reports "too old" without an HTTP status of its own.
            _ if status.reason == "Expired" || status.reason == "Gone" => Self::Gone(message),
            _ => Self::Server(message),
        }
    }
}

/// The cause at the bottom says most: `connection refused` rather than `client error`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
