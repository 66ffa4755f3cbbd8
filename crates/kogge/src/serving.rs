//! An API server on a socket: its port, its certificates, and a kubeconfig entry for its admin.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use kogge_apiserver::{
    ApiServer,
    pki::Authority,
    serve::{self, Added, Serving, TlsConfig},
    user::MASTERS,
};
use kogge_hub::pull::{CLUSTERS, GRACE};
use tokio::net::TcpListener;

use crate::kubeconfig::Entry;

/// Which port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one, or the command fails.
    Exactly(u16),
    /// This one, or any other that is free.
    Rather(u16),
}

/// Where and as whom a server listens.
#[derive(Debug)]
pub struct Place<'a> {
    /// The kubeconfig context, and the name of its authority.
    pub name: &'a str,
    /// Where its authority is kept.
    pub pki: &'a Path,
    pub address: IpAddr,
    pub port: Port,
    /// Names and addresses for its certificate, beside localhost.
    pub names: &'a [String],
}

/// A server that listens, and how its admin reaches it.
pub struct Endpoint {
    pub serving: Serving,
    pub admin: Entry,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Serves on a socket; `added` is what is served beside the API, and who else is let in.
pub async fn serve(
    server: &ApiServer,
    place: &Place<'_>,
    added: Added,
    now: Timestamp,
) -> anyhow::Result<Endpoint> {
    let listener = bind(place.address, place.port).await?;
    let address = listener.local_addr().context("could not read the address of a listener")?;
    let authority = authority(place.pki, place.name, now)?;
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default"].map(String::from).into();
    if !place.address.is_unspecified() {
        names.push(place.address.to_string());
    }
    names.extend(place.names.iter().cloned());
    names.sort();
    names.dedup();
    let tls = TlsConfig {
        identity: authority.server(&names, now)?,
        client_authority_pem: Some(authority.certificate_pem().to_owned()),
        late: added.beside.as_ref().map(|_| (CLUSTERS.to_owned(), GRACE)),
    };
    let admin = authority.client("kogge-admin", MASTERS, now)?;
    let serving = serve::listen_with(server.clone(), listener, &tls, added)?;
    let host = place.names.first().cloned().unwrap_or_else(|| reachable(address).to_string());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(Endpoint {
        address,
        serving,
        admin: Entry {
            context: place.name.to_owned(),
            server: format!("https://{host}:{}", address.port()),
            ca: authority.certificate_pem().to_owned(),
            certificate: admin.certificate_pem,
            key: admin.key_pem,
        },
    })
}

/// The authority of a server of that name; made where there is none.
pub fn authority(pki: &Path, name: &str, now: Timestamp) -> anyhow::Result<Authority> {
    Ok(Authority::load_or_create(pki, &format!("kogge {name}"), now)?)
}

/// An address that says "everywhere" is reached on this machine.
pub fn reachable(address: SocketAddr) -> IpAddr {
    if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() }
}

async fn bind(address: IpAddr, port: Port) -> anyhow::Result<TcpListener> {
    let (wanted, may_differ) = match port {
        Port::Exactly(port) => (port, false),
        Port::Rather(port) => (port, true),
    };
    match TcpListener::bind((address, wanted)).await {
        Ok(listener) => Ok(listener),
        Err(_) if may_differ => {
            TcpListener::bind((address, 0)).await.context("could not find a free port")
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {wanted} on {address} is taken; choose another with --port")
        }
        Err(error) => {
            Err(error).with_context(|| format!("could not listen on {address}, port {wanted}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_taken_port_is_avoided_or_said() {
        let taken = bind(HERE, Port::Exactly(0)).await.expect("any port");
        let port = taken.local_addr().expect("bound").port();
        let error = bind(HERE, Port::Exactly(port)).await.expect_err("taken");
        assert!(error.to_string().contains("choose another with --port"), "{error}");
        let other = bind(HERE, Port::Rather(port)).await.expect("another");
        assert_ne!(other.local_addr().expect("bound").port(), port);
    }
}
