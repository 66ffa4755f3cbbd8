//! Keeps what the fleet's key has signed in line with the key that signs now.
//!
//! When which key counts is `kogge_net`'s to say. While one follows the other, the hub takes its
//! own certificate anew and signs the floors again; of members that stayed away until nothing
//! they have counts any more, what they said is void.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_gossip::{Floor, Name, RecordRef};
use kogge_net::{Authority, AuthorityError, Gossip, Identity, KeyReport};
use tokio::{sync::Mutex, time::MissedTickBehavior};

use crate::gossip::{LIFE, OWN_LIFE, floor, void_so_far};

/// Between two looks: nothing here is urgent.
const LOOK: Duration = Duration::from_mins(1);

pub(crate) struct FleetKeys {
    gossip: Arc<Gossip>,
    authority: Arc<Authority>,
    /// The hub's own.
    identity: Mutex<Identity>,
    now: fn() -> Timestamp,
}

impl FleetKeys {
    pub fn new(
        gossip: Arc<Gossip>,
        authority: Arc<Authority>,
        identity: Identity,
        now: fn() -> Timestamp,
    ) -> Self {
        Self { gossip, authority, identity: Mutex::new(identity), now }
    }

    /// The keys that are trusted.
    pub fn report(&self) -> Result<Vec<KeyReport>, AuthorityError> {
        self.authority.report((self.now)())
    }

    /// Begins to change the key.
    pub async fn change(&self) -> Result<Vec<KeyReport>, AuthorityError> {
        let (authority, now) = (self.authority.clone(), (self.now)());
        let changing = tokio::task::spawn_blocking(move || authority.change(LIFE, now));
        changing.await.expect("writing a file does not panic")?;
        // Before any member shows what the next one has signed.
        self.tend().await?;
        self.report()
    }

    /// For ever.
    pub async fn run(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if let Err(error) = self.tend().await {
                tracing::error!(%error, "the fleet's key cannot be looked after");
            }
        }
    }

    async fn tend(&self) -> Result<(), AuthorityError> {
        let now = (self.now)();
        let authority = self.authority.clone();
        let forgetting = tokio::task::spawn_blocking(move || authority.forget(now));
        forgetting.await.expect("writing a file does not panic")?;
        let mut identity = self.identity.lock().await;
        if let Some(anew) = self.authority.renewal(&identity, OWN_LIFE, now)? {
            identity.issued = anew.clone();
            self.gossip.renew(anew).await;
        }
        self.sign_floors(now).await?;
        self.void_strangers(now).await
    }

    /// The same floors, by the key that signs now.
    async fn sign_floors(&self, now: Timestamp) -> Result<(), AuthorityError> {
        for record in self.gossip.floors().await {
            if self.authority.has_signed(&record, now) {
                continue;
            }
            let Ok(read) = RecordRef::read(&record) else { continue };
            let known = Floor::read(read.stamp, read.body);
            let (Ok(known), Some(name)) = (known, Name::new(read.name)) else { continue };
            // The newest counts, whatever the clock did.
            let serial = floor(known.incarnation, now).serial.max(known.serial + 1);
            let anew = self.authority.floor(&name, &Floor { serial, ..known }, now)?;
            self.gossip.floor(anew).await;
        }
        Ok(())
    }

    /// What a member said whose key nobody trusts any more would be refused by all who join, and
    /// be known to the others for ever.
    async fn void_strangers(&self, now: Timestamp) -> Result<(), AuthorityError> {
        let Some(view) = self.gossip.view().await else { return Ok(()) };
        for member in view.members.iter().filter(|it| !it.removed) {
            let Some(head) = self.gossip.head(&member.name).await else { continue };
            if !self.authority.has_admitted(&member.name, &head, now) {
                let floor = self.authority.floor(&member.name, &void_so_far(now), now)?;
                self.gossip.floor(floor).await;
            }
        }
        Ok(())
    }
}
