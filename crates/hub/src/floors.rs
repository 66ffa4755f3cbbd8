//! The hub's word on which lives of a member are void: what takes it out, lets it begin anew, and
//! keeps that said by the key that signs now.

use std::sync::Arc;

use jiff::Timestamp;
use kogge_gossip::{Floor, Name, RecordRef};
use kogge_net::{Authority, Gossip};
use tokio::sync::Mutex;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Floors {
    pub gossip: Arc<Gossip>,
    pub authority: Arc<Authority>,
    pub now: fn() -> Timestamp,
    /// Held from reading what is known to saying what follows: nobody's word is lost.
    one: Arc<Mutex<()>>,
}

impl Floors {
    pub fn new(gossip: Arc<Gossip>, authority: Arc<Authority>, now: fn() -> Timestamp) -> Self {
        Self { gossip, authority, now, one: Arc::default() }
    }

    /// Takes a member out: nobody links to it, until it is let in again.
    pub async fn remove(&self, name: &Name) {
        let _one = self.one.lock().await;
        self.put(name, self.known(name).await, Floor::REMOVED).await;
    }

    /// Voids all that a member has said, and lets it begin above that, also one that was removed.
    pub async fn begin_anew(&self, name: &Name) {
        let _one = self.one.lock().await;
        self.void(name, self.known(name).await).await;
    }

    /// The same, but who was removed stays so.
    pub async fn forget(&self, name: &Name) {
        let _one = self.one.lock().await;
        let known = self.known(name).await;
        if known.is_none_or(|it| it.incarnation != Floor::REMOVED) {
            self.void(name, known).await;
        }
    }

    async fn void(&self, name: &Name, floor: Option<Floor>) {
        let view = self.gossip.view().await;
        let known = view.and_then(|it| it.members.into_iter().find(|it| it.name == *name));
        let said = known.map_or(0, |it| it.incarnation);
        // Above all lives of a member that has lost its disk, too.
        self.put(name, floor, milliseconds((self.now)()).max(said)).await;
    }

    async fn known(&self, name: &Name) -> Option<Floor> {
        let records = self.gossip.floors().await;
        records.iter().filter_map(|it| read(it)).find(|it| it.0 == *name).map(|it| it.1)
    }

    /// Says again, by the key that signs now, what another has signed.
    pub async fn sign_again(&self) {
        let _one = self.one.lock().await;
        for record in self.gossip.floors().await {
            if !self.authority.has_signed(&record, (self.now)())
                && let Some((name, known)) = read(&record)
            {
                self.put(&name, Some(known), known.incarnation).await;
            }
        }
    }

    async fn put(&self, name: &Name, known: Option<Floor>, incarnation: u64) {
        let now = (self.now)();
        let floor = next(known, incarnation, milliseconds(now));
        self.gossip.floor(self.authority.floor(name, &floor, now)).await;
    }
}

/// The floor that counts from now on. Its serial is the time, which counts up whatever becomes of
/// the disk, and more than that of the one that is known, whatever the clock did.
fn next(known: Option<Floor>, incarnation: u64, milliseconds: u64) -> Floor {
    let serial = known.map_or(0, |it| it.serial.saturating_add(1)).max(milliseconds);
    Floor { serial, incarnation, revoked: incarnation == Floor::REMOVED }
}

fn read(record: &[u8]) -> Option<(Name, Floor)> {
    let record = RecordRef::read(record).ok()?;
    Some((Name::new(record.name)?, Floor::read(record.stamp, record.body).ok()?))
}

fn milliseconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_floor_counts_whatever_the_clock_did() {
        let floor = |serial, incarnation| Floor { serial, incarnation, revoked: false };
        for (known, now, want) in [
            (None, 7, 7),
            (Some(floor(3, Floor::REMOVED)), 7, 7),
            (Some(floor(7, Floor::REMOVED)), 7, 8),
            // Set by a clock that was ahead.
            (Some(floor(900, 5)), 7, 901),
            (Some(floor(u64::MAX, 5)), 7, u64::MAX),
        ] {
            assert_eq!(next(known, 9, now), floor(want, 9));
        }
        let removed = next(None, Floor::REMOVED, 7);
        assert!(removed.revoked && next(Some(removed), Floor::REMOVED, 8).revoked);
        assert!(!next(Some(removed), 9, 9).revoked, "let in again, it is not");
    }
}
