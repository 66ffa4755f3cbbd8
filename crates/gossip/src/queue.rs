//! News that waits to be sent, and news that waits to be acknowledged. Both are bounded, the
//! newest of one (peer, owner, slot) wins, and when full the least urgent goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::id::{MS, Micros};
use crate::record::{Record, Slot};
use crate::ring::Part;

/// The most entries of either queue. When a split of 1,000 members heals, each says something new,
/// and those that serve an eighth of a tree have some 5,000 frames to send at once.
pub const MAX_QUEUE: usize = 16_384;

/// Frames of news that may go out at once, and the time in which as many more may.
const BURST: u32 = 512;
const PACE: Micros = 20 * MS;

/// One record on its way to one peer.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub to: usize,
    pub owner: usize,
    pub record: Arc<Record>,
    /// What the peer is to serve.
    pub part: Part,
}

/// 0 goes first.
fn urgency(slot: Slot) -> u8 {
    match slot {
        Slot::Floor | Slot::Links => 0,
        Slot::Head => 1,
        Slot::Services | Slot::Intent => 2,
    }
}

/// News that goes out as fast as the pace allows.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(u8, u64), News>,
    places: BTreeMap<(usize, usize, Slot), (u8, u64)>,
    count: u64,
    sent: u32,
    since: Micros,
}

impl Outbox {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn push(&mut self, news: News) {
        let key = (news.to, news.owner, news.record.slot);
        if let Some(place) = self.places.get(&key) {
            let waiting = self.waiting.get_mut(place).expect("places name what waits");
            if waiting.record.stamp <= news.record.stamp {
                *waiting = news;
            }
            return;
        }
        self.count += 1;
        let place = (urgency(news.record.slot), self.count);
        self.waiting.insert(place, news);
        self.places.insert(key, place);
        if MAX_QUEUE < self.waiting.len()
            && let Some((_, lost)) = self.waiting.pop_last()
        {
            self.places.remove(&(lost.to, lost.owner, lost.record.slot));
        }
    }

    /// Whether one may go at once, past a queue that is empty.
    pub fn passes(&mut self, now: Micros) -> bool {
        let passes = self.waiting.is_empty() && self.paced(now);
        self.sent += u32::from(passes);
        passes
    }

    fn paced(&mut self, now: Micros) -> bool {
        if self.since + PACE <= now {
            (self.since, self.sent) = (now, 0);
        }
        self.sent < BURST
    }

    /// What may go now.
    pub fn pop(&mut self, now: Micros) -> Option<News> {
        if !self.paced(now) {
            return None;
        }
        let (_, news) = self.waiting.pop_first()?;
        self.sent += 1;
        self.places.remove(&(news.to, news.owner, news.record.slot));
        Some(news)
    }

    pub fn due(&self) -> Option<Micros> {
        (!self.waiting.is_empty()).then_some(self.since + PACE)
    }
}

/// News that was sent and is not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub news: News,
    pub tries: u8,
    pub at: Micros,
    pub due: Micros,
}

/// By peer and record, and in the order in which they are due.
#[derive(Debug, Default)]
pub(crate) struct Unacknowledged {
    sent: BTreeMap<(usize, u64), Sent>,
    dues: BTreeSet<(Micros, (usize, u64))>,
}

impl Unacknowledged {
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    pub fn due(&self) -> Option<Micros> {
        self.dues.first().map(|it| it.0)
    }

    pub fn take(&mut self, to: usize, record: u64) -> Option<Sent> {
        let key = (to, record);
        let sent = self.sent.remove(&key)?;
        self.dues.remove(&(sent.due, key));
        Some(sent)
    }

    /// What is on its way to one peer is due at `due`, as if it had been tried that often.
    pub fn hasten(&mut self, to: usize, tries: u8, due: Micros) {
        for (key, sent) in self.sent.range_mut((to, 0)..=(to, u64::MAX)) {
            self.dues.remove(&(sent.due, *key));
            (sent.tries, sent.due) = (sent.tries.max(tries), due.min(sent.due));
            self.dues.insert((sent.due, *key));
        }
    }

    /// Notes that it was sent. An older record of the same owner and slot is not sent again.
    pub fn put(&mut self, sent: Sent) {
        let (to, owner, slot) = (sent.news.to, sent.news.owner, sent.news.record.slot);
        let older = |it: &Sent| {
            (it.news.owner, it.news.record.slot) == (owner, slot)
                && it.news.record.stamp < sent.news.record.stamp
        };
        let range = (to, 0)..=(to, u64::MAX);
        let outdated: Vec<_> =
            self.sent.range(range).filter(|it| older(it.1)).map(|it| *it.0).collect();
        for (to, record) in outdated {
            self.take(to, record);
        }
        if MAX_QUEUE <= self.sent.len() {
            let least = self
                .sent
                .iter()
                .max_by_key(|it| (urgency(it.1.news.record.slot), it.1.tries, it.1.at));
            let least = least.map(|it| *it.0);
            least.and_then(|(to, record)| self.take(to, record));
        }
        let record = sent.news.record.short();
        self.take(to, record);
        self.dues.insert((sent.due, (to, record)));
        self.sent.insert((to, record), sent);
    }

    /// Takes what is due out, the longest due first.
    pub fn take_due(&mut self, now: Micros) -> Vec<Sent> {
        let mut taken = Vec::new();
        while let Some((due, (to, record))) = self.dues.first().copied()
            && due <= now
        {
            taken.extend(self.take(to, record));
        }
        taken
    }
}

/// Which parts were served lately with which records.
#[derive(Debug, Default)]
pub(crate) struct Served(VecDeque<(u64, Part)>);

impl Served {
    const KEPT: usize = 256;

    /// Whether it was not yet, and from now on is.
    pub fn first(&mut self, record: u64, part: Part) -> bool {
        if self.0.contains(&(record, part)) {
            return false;
        }
        if Self::KEPT <= self.0.len() {
            self.0.pop_front();
        }
        self.0.push_back((record, part));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RecordRef, Stamp};

    fn news(to: usize, owner: usize, slot: Slot, version: u64) -> News {
        let stamp = Stamp { incarnation: 1, version };
        let bytes = Record::seal("a", slot, stamp, &[], |_| [0; 64]);
        let record = Record::keep(&RecordRef::read(&bytes).unwrap());
        News { to, owner, record, part: Part::WHOLE }
    }

    #[test]
    fn urgent_news_goes_first_and_the_newest_wins() {
        let mut outbox = Outbox::default();
        outbox.push(news(1, 1, Slot::Services, 1));
        outbox.push(news(1, 1, Slot::Head, 1));
        outbox.push(news(1, 1, Slot::Links, 1));
        outbox.push(news(1, 1, Slot::Head, 2));
        outbox.push(news(1, 1, Slot::Head, 1));
        let order: Vec<_> = std::iter::from_fn(|| outbox.pop(0))
            .map(|it| (it.record.slot, it.record.stamp.version))
            .collect();
        assert_eq!(order, [(Slot::Links, 1), (Slot::Head, 2), (Slot::Services, 1)]);
    }

    #[test]
    fn a_full_outbox_loses_the_least_urgent() {
        let mut outbox = Outbox::default();
        for owner in 0..MAX_QUEUE + 10 {
            outbox.push(news(1, owner, Slot::Services, 1));
        }
        outbox.push(news(1, 0, Slot::Floor, 1));
        assert_eq!((outbox.len(), outbox.places.len()), (MAX_QUEUE, MAX_QUEUE));
        assert_eq!(outbox.pop(0).map(|it| it.record.slot), Some(Slot::Floor));
    }

    #[test]
    fn the_pace_is_kept() {
        let mut outbox = Outbox::default();
        for owner in 0..1_000 {
            outbox.push(news(1, owner, Slot::Head, 1));
        }
        let at = |outbox: &mut Outbox, now| std::iter::from_fn(|| outbox.pop(now)).count();
        assert_eq!(at(&mut outbox, 5 * PACE), BURST as usize);
        assert_eq!(at(&mut outbox, 5 * PACE + 1), 0);
        assert_eq!(outbox.due(), Some(6 * PACE));
        assert_eq!(at(&mut outbox, 6 * PACE), 1_000 - BURST as usize);
    }

    #[test]
    fn what_is_outdated_is_not_sent_again() {
        let mut sent = Unacknowledged::default();
        let put = |it: News| Sent { news: it, tries: 1, at: 0, due: 5 };
        sent.put(put(news(1, 1, Slot::Head, 1)));
        sent.put(put(news(2, 1, Slot::Head, 1)));
        sent.put(put(news(1, 1, Slot::Head, 2)));
        assert_eq!(sent.len(), 2);
        for owner in 0..2 * MAX_QUEUE {
            sent.put(put(news(3, owner, Slot::Head, 1 + owner as u64)));
        }
        assert!(sent.len() <= MAX_QUEUE);
        assert_eq!((sent.take_due(4).len(), sent.due()), (0, Some(5)));
    }
}
