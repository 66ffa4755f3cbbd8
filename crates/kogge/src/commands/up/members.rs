//! One simulated member of `up`: its state on disk, its API on a socket.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use kogge_apiserver::{Authorization, User, authn::StaticTokens, serve::Added};
use kogge_sim::{Faults, SimMember, SimOptions};

use super::ADDRESS;
use crate::{
    clock,
    commands::hub,
    serving::{self, Endpoint, Place, Port},
};

pub struct Member {
    pub name: String,
    pub region: &'static str,
    /// What the hub shows to be let in.
    pub token: String,
    pub endpoint: Endpoint,
    _sim: SimMember,
}

impl Member {
    /// Starts member `number`, counted from one, with what it knew before.
    pub async fn start(dir: &Path, number: u16) -> anyhow::Result<Self> {
        let name = format!("member{number}");
        let place = dir.join("members").join(&name);
        let store = hub::open_store(&place.join("store")).await?;
        let sim = SimMember::start(SimOptions {
            name: name.clone(),
            store: Arc::new(store),
            groups: vec![kogge_sim::default_group()],
            faults: Faults::default(),
            start_delay: Duration::ZERO,
            now: clock::now,
            authorization: Authorization::Rbac,
        })
        .await
        .with_context(|| format!("could not start {name}"))?;
        let token = token(&place.join("token"))?;
        let known = StaticTokens([(token.clone(), User::system("kogge-hub"))].into());
        let served = Place {
            name: &name,
            pki: &place.join("pki"),
            address: ADDRESS,
            port: Port::Rather(hub::PORT + number),
            names: &[],
        };
        let added = Added { tokens: vec![Arc::new(known)], ..Added::default() };
        let endpoint = serving::serve(sim.server(), &served, added, clock::now()).await?;
        Ok(Self { region: region(number), name, token, endpoint, _sim: sim })
    }

    pub fn url(&self) -> &str {
        &self.endpoint.admin.server
    }
}

/// Two in Europe, one in America, and so on: one region is wide enough to spread in.
fn region(number: u16) -> &'static str {
    if number.is_multiple_of(3) { "us" } else { "eu" }
}

/// A random token, kept from start to start.
fn token(path: &Path) -> anyhow::Result<String> {
    if let Ok(known) = fs::read_to_string(path)
        && !known.is_empty()
    {
        return Ok(known);
    }
    let made = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    fs::write(path, &made).with_context(|| format!("could not write {}", path.display()))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_members_are_in_europe_and_the_third_in_america() {
        assert_eq!([1, 2, 3, 4, 5, 6].map(region), ["eu", "eu", "us", "eu", "eu", "us"]);
    }
}
