//! What the server shows, and whom it believes.

mod late;

use std::{io, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use self::late::Late;
use crate::pki::Identity;

/// TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct TlsConfig {
    pub identity: Identity,
    /// Clients may show a certificate of this authority, PEM.
    pub client_authority_pem: Option<String>,
    /// Whose certificates are believed for some time after they expired: a group, and how long.
    pub late: Option<(String, Duration)>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("could not read the server's certificate or key")]
    Identity(#[source] rustls::pki_types::pem::Error),
    #[error("could not read the authority of client certificates")]
    Authority(#[source] rustls::pki_types::pem::Error),
    #[error("could not set up TLS")]
    Tls(#[from] rustls::Error),
    #[error("could not set up client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("the listener has no address")]
    Listener(#[source] io::Error),
}

impl TlsConfig {
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = match &self.client_authority_pem {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(certificate.map_err(TlsError::Authority)?)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .allow_unauthenticated()
                    .build()?;
                match &self.late {
                    Some((group, grace)) => {
                        builder.with_client_cert_verifier(Late::new(verifier, group, *grace))
                    }
                    None => builder.with_client_cert_verifier(verifier),
                }
            }
            None => builder.with_no_client_auth(),
        };
        let chain = CertificateDer::pem_slice_iter(self.identity.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Identity)?;
        let key = PrivateKeyDer::from_pem_slice(self.identity.key_pem.as_bytes())
            .map_err(TlsError::Identity)?;
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
