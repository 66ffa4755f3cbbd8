//! One authority per cluster, and what it signs: the server, the admin, the components.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

/// The files that the components read, all in one folder.
#[derive(Clone, Debug)]
pub struct Files {
    dir: PathBuf,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    pub cert: String,
    pub key: String,
}

/// What the holder of a cluster keeps in memory: enough to talk to it as its admin.
#[derive(Clone, Debug)]
pub struct Admin {
    pub ca: String,
    pub identity: Identity,
}

impl Files {
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

/// Writes all keys and certificates of a new cluster to `dir`.
pub fn write(dir: &Path) -> anyhow::Result<(Files, Admin)> {
    fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    let ca_key = KeyPair::generate()?;
    let ca_params = authority();
    let ca = ca_params.self_signed(&ca_key)?.pem();
    save(dir, "ca.crt", &ca)?;
    save(dir, "ca.key", &ca_key.serialize_pem())?;
    let issuer = Issuer::new(ca_params, ca_key);

    let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc"];
    let server = sign(&issuer, "kube-apiserver", None, &names, Usage::ServerAuth)?;
    save(dir, "server.crt", &server.cert)?;
    save(dir, "server.key", &server.key)?;

    let service_accounts = KeyPair::generate()?;
    save(dir, "sa.key", &service_accounts.serialize_pem())?;
    save(dir, "sa.pub", &service_accounts.public_key_pem())?;

    let identity = sign(&issuer, "admin", Some("system:masters"), &[], Usage::ClientAuth)?;
    Ok((Files { dir: dir.to_owned() }, Admin { ca, identity }))
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    params
}

fn sign(
    issuer: &Issuer<'_, KeyPair>,
    common_name: &str,
    organization: Option<&str>,
    names: &[&str],
    usage: Usage,
) -> anyhow::Result<Identity> {
    let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, issuer)?;
    Ok(Identity { cert: cert.pem(), key: key.serialize_pem() })
}

/// Writes a file that only its owner reads.
pub fn save(dir: &Path, name: &str, content: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    let opened =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    opened
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("could not write {}", path.display()))?;
    Ok(path)
}
