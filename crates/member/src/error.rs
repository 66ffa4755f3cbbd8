//! What went wrong with a request, sorted by what one would do about it.

use std::{error::Error as StdError, io};

use rustls::CertificateError;

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
    /// It answers, with a certificate that no trusted authority has signed.
    #[error("the API server cannot be trusted: {0}")]
    Untrusted(String),
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

    /// No request arrives.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.fault, Fault::Unreachable(_) | Fault::Untrusted(_))
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        format!("{self}: {}", self.fault)
    }
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            let cause = innermost(&error);
            let untrusted = is_by_another_authority(&error);
            return if untrusted { Self::Untrusted(cause) } else { Self::Unreachable(cause) };
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

/// Whether TLS ended because the server's certificate is not of an authority that is trusted.
fn is_by_another_authority(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(it) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = it.downcast_ref() {
            return matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature);
        }
        // An I/O error is made of another, and does not say so: its source is that one's source.
        let inner = it.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inner.map(|it| it as &(dyn StdError + 'static)).or_else(|| it.source());
    }
    false
}

/// The cause at the bottom says most: `connection refused` rather than `client error`.
fn innermost(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(why: CertificateError, untrusted: bool) {
        // One around the other, as they come from the connector.
        let tls = io::Error::other(rustls::Error::InvalidCertificate(why));
        let tls = io::Error::other(tls);
        let fault = Fault::from(kube::Error::Service(tls.into()));
        assert_eq!(matches!(fault, Fault::Untrusted(_)), untrusted, "{fault}");
        assert_eq!(matches!(fault, Fault::Unreachable(_)), !untrusted, "{fault}");
    }

    #[test]
    fn another_authority_is_told_from_a_server_that_is_away() {
        check(CertificateError::UnknownIssuer, true);
        check(CertificateError::BadSignature, true);
        // Its own authority's, and of no use for another reason.
        check(CertificateError::NotValidForName, false);
        check(CertificateError::Expired, false);
    }
}
