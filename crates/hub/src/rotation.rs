//! Rotation of the fleet's key, at the hub: what it has signed is kept in line with the key that
//! signs now.
//!
//! When which key counts is `kogge_net`'s to say. The hub takes its own certificate anew and signs
//! its floors again. Of members that stayed away until no key that is trusted vouches for them,
//! what they said is void: who joins would refuse it, and the others would know it for ever.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kogge_gossip::State as Seen;
use kogge_net::{AuthorityError, Identity, KeyReport};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, MissedTickBehavior},
};

use crate::{
    floors::Floors,
    gossip::{LIFE, OWN_LIFE},
};

/// Between two looks: nothing here is urgent.
const LOOK: Duration = Duration::from_mins(1);

/// For so long the clock has to have gone as time does before what members said is void by it; a
/// hub that has just begun has heard of all by then.
const STEADY: Duration = Duration::from_hours(1);

/// By more than that no clock is set but by a jump.
const JUMP: Duration = Duration::from_mins(5);

pub(crate) struct Rotation {
    floors: Floors,
    state: Mutex<State>,
    begun: Notify,
}

struct State {
    /// The hub's own.
    identity: Identity,
    steady: Steady,
    /// The key that signed at the last look.
    signing: Option<String>,
}

impl Rotation {
    pub fn new(floors: Floors, identity: Identity) -> Self {
        let steady = Steady::new(Instant::now(), (floors.now)());
        let state = Mutex::new(State { identity, steady, signing: None });
        Self { floors, state, begun: Notify::new() }
    }

    /// The keys that are trusted.
    pub fn report(&self) -> Vec<KeyReport> {
        self.floors.authority.report((self.floors.now)())
    }

    /// Begins to rotate the key.
    ///
    /// # Errors
    /// If it is being rotated already, or the keys cannot be written.
    pub async fn begin(&self) -> Result<Vec<KeyReport>, AuthorityError> {
        let (authority, now) = (self.floors.authority.clone(), (self.floors.now)());
        let beginning = tokio::task::spawn_blocking(move || authority.rotate(LIFE, now));
        beginning.await.expect("writing a file does not panic")?;
        let keys = self.report();
        for next in keys.iter().filter(|it| !it.signs) {
            tracing::info!(key = next.id, from = %next.signs_from, "the fleet's next key will sign");
        }
        self.begun.notify_one();
        Ok(keys)
    }

    /// For ever.
    pub async fn run(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = self.begun.notified() => {}
            }
            self.tend().await;
        }
    }

    async fn tend(&self) {
        let Floors { gossip, authority, now, .. } = &self.floors;
        let mut state = self.state.lock().await;
        let now = now();
        let trust = authority.own_trust(now);
        let keys = trust.keys.len();
        match authority.renewal(&state.identity, trust, OWN_LIFE, now) {
            Ok(Some(anew)) => {
                gossip.renew(anew.clone()).await;
                state.identity.issued = anew;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the hub's certificate is not renewed"),
        }
        let signing = self.report().into_iter().find(|it| it.signs).map(|it| it.id);
        if state.signing != signing {
            if let (Some(_), Some(key)) = (&state.signing, &signing) {
                tracing::info!(key, "another of the fleet's keys signs from now on");
            }
            state.signing = signing;
        }
        if 1 < keys {
            self.floors.sign_again().await;
        }
        let steady = state.steady.since(Instant::now(), now);
        if authority.trust(now).keys.len() < keys && STEADY <= steady {
            self.void_strangers(now).await;
        }
    }

    async fn void_strangers(&self, now: Timestamp) {
        let Floors { gossip, authority, .. } = &self.floors;
        let Some(view) = gossip.view().await else { return };
        // Who is there has shown a certificate that counts.
        for member in view.members.iter().filter(|it| it.state == Seen::Dead) {
            let Some(head) = gossip.head(&member.name).await else { continue };
            if !authority.has_admitted(&member.name, &head, now) {
                tracing::info!(member = %member.name, "no key of the fleet vouches for it any more");
                self.floors.forget(&member.name).await;
            }
        }
    }
}

/// Since when the clock has gone as time does.
struct Steady {
    since: Instant,
    last: (Instant, Timestamp),
}

impl Steady {
    fn new(time: Instant, clock: Timestamp) -> Self {
        Self { since: time, last: (time, clock) }
    }

    fn since(&mut self, time: Instant, clock: Timestamp) -> Duration {
        let by_time = time.duration_since(self.last.0);
        let by_clock = clock.duration_since(self.last.1);
        let jump = by_clock - SignedDuration::try_from(by_time).unwrap_or(SignedDuration::MAX);
        if JUMP < jump.unsigned_abs() {
            self.since = time;
        }
        self.last = (time, clock);
        time.duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use kogge_gossip::{Floor, Head, Name};
    use kogge_net::{Authority, Gossip, Options};
    use kogge_testkit::wait_until_async;

    use super::*;

    #[test]
    fn a_clock_is_steady_since_it_jumped() {
        let begin = Instant::now();
        let look = |steady: &mut Steady, time: u64, clock: i64| {
            let clock = Timestamp::from_second(clock).unwrap();
            steady.since(begin + Duration::from_secs(time), clock).as_secs()
        };
        let mut steady = Steady::new(begin, Timestamp::UNIX_EPOCH);
        for (time, clock, want) in [
            (60, 60, 60),
            (120, 121, 120),
            (180, 900_000, 0),
            (240, 900_060, 60),
            (300, 300, 0),
            // The machine was suspended, and time with it.
            (360, 5_000, 0),
            (4_360, 9_000, 4_000),
        ] {
            assert_eq!(look(&mut steady, time, clock), want, "at {time}");
        }
    }

    const SOON: Duration = Duration::from_secs(20);

    /// Hours that the hub's clock is ahead.
    static AHEAD: AtomicI64 = AtomicI64::new(0);

    #[expect(clippy::disallowed_methods, reason = "a test is its own main")]
    fn real() -> Timestamp {
        Timestamp::now()
    }

    fn now() -> Timestamp {
        real() + SignedDuration::from_hours(AHEAD.load(Ordering::Relaxed))
    }

    async fn gossip(identity: Identity, seeds: Vec<String>) -> Arc<Gossip> {
        let options = Options {
            identity,
            listen: Some("127.0.0.1:0".parse().unwrap()),
            advertise: Vec::new(),
            seeds,
            carries_to: None,
            dir: None,
            head: Head::default(),
            now: real,
        };
        Arc::new(Gossip::start(options).await.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn floors_are_signed_again_and_who_stayed_away_is_void() {
        let authority = Arc::new(Authority::create("f", now()).unwrap());
        let name = |text: &str| Name::new(text).unwrap();
        let mut hub = authority.identity(&name("hub-1"), &[1; 16], OWN_LIFE, now()).unwrap();
        hub.issued.trust = authority.own_trust(now());
        let gossip_of_hub = gossip(hub.clone(), Vec::new()).await;
        let seeds = vec![gossip_of_hub.address().to_string()];
        let eu = authority.identity(&name("eu"), &[2; 16], LIFE, now()).unwrap();
        let eu = gossip(eu, seeds).await;
        let floors = Floors::new(gossip_of_hub.clone(), authority.clone(), now);
        let rotation = Rotation::new(floors.clone(), hub);
        floors.remove(&name("gone")).await;
        wait_until_async(SOON, "eu is known to the hub, and to eu that one is gone", async || {
            gossip_of_hub.head(&name("eu")).await?;
            (eu.floors().await.len() == 1).then_some(())
        })
        .await;

        assert_eq!(rotation.begin().await.unwrap().len(), 2);
        assert!(matches!(rotation.begin().await, Err(AuthorityError::Rotating(_))));
        // The next key signs.
        AHEAD.store(9 * 24, Ordering::Relaxed);
        rotation.tend().await;
        rotation.void_strangers(now()).await;
        let signed = gossip_of_hub.floors().await;
        assert!(signed.len() == 1 && authority.has_signed(&signed[0], now()), "{}", signed.len());
        let own = gossip_of_hub.head(&name("hub-1")).await.unwrap();
        assert!(authority.has_admitted(&name("hub-1"), &own, now() + 30 * LIFE));
        rotation.tend().await;
        assert_eq!(gossip_of_hub.floors().await, signed, "they are signed once");

        // The last key is trusted no more, and nobody has heard of eu since.
        drop(eu);
        wait_until_async(SOON, "eu is dead", async || {
            let members = gossip_of_hub.view().await?.members;
            let dead = |it: &kogge_gossip::MemberView| {
                it.name.as_str() == "eu" && it.state == kogge_gossip::State::Dead
            };
            members.iter().any(dead).then_some(())
        })
        .await;
        AHEAD.store(17 * 24, Ordering::Relaxed);
        rotation.tend().await;
        assert!(gossip_of_hub.head(&name("eu")).await.is_some(), "the clock is not steady yet");
        rotation.void_strangers(now()).await;
        assert!(gossip_of_hub.head(&name("eu")).await.is_none(), "what it said is void");
        let lifted = gossip_of_hub.floors().await;
        let removed = lifted.iter().filter(|it| {
            let record = kogge_gossip::RecordRef::read(it).unwrap();
            Floor::read(record.stamp, record.body).unwrap().incarnation == Floor::REMOVED
        });
        assert_eq!((lifted.len(), removed.count()), (2, 1), "it may come again, the other may not");
    }
}
