//! A GET over TLS as the cluster's admin: enough to ask whether it is ready.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

use super::certs::Admin;

const PATIENCE: Duration = Duration::from_secs(10);

/// One cluster's API, asked one request per connection.
#[derive(Clone, Debug)]
pub struct Probe {
    port: u16,
    config: Arc<ClientConfig>,
}

impl Probe {
    pub fn new(port: u16, admin: &Admin) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(admin.ca.as_bytes())?)?;
        let cert = CertificateDer::from_pem_slice(admin.identity.cert.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(admin.identity.key.as_bytes())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![cert], key)?;
        Ok(Self { port, config: Arc::new(config) })
    }

    /// The status code and the body.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost")?;
        let session = ClientConnection::new(Arc::clone(&self.config), name)?;
        let mut stream = StreamOwned::new(session, tcp);
        // HTTP/1.0, so that the answer is neither chunked nor kept alive: its end is the end.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&String::from_utf8_lossy(&answer))
    }
}

fn parse(answer: &str) -> anyhow::Result<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of header")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?;
    Ok((status.parse().context("the status is no number")?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_and_the_body_are_read() {
        let answer = "HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nno\r\n\r\nsuch";
        assert_eq!(parse(answer).unwrap(), (404, "no\r\n\r\nsuch".to_owned()));
    }

    #[test]
    fn half_an_answer_is_an_error() {
        for half in ["", "HTTP/1.0 200 OK\r\n", "HTTP/1.0\r\n\r\n", "HTTP/1.0 OK\r\n\r\n"] {
            assert!(parse(half).is_err(), "{half:?}");
        }
    }
}
