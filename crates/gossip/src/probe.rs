//! Probing: whether those that this member watches answer.
//!
//! Each subject has one flight at a time: a datagram, the stream, others' help, a word. See the
//! table in docs/algorithms/gossip.md; the answering half is in `answer`.

use crate::event::Channel;
use crate::frame::Frame;
use crate::health::PROBE_WAIT;
use crate::id::{MS, Micros, SECOND};
use crate::links::Word;
use crate::node::Node;
use crate::table::State;
use crate::words::tally;

/// Over the stream alone, before others are asked.
const STREAM_WAIT: Micros = 300 * MS;
/// For others to find out: a round trip more than [`FAVOUR_WAIT`].
const ASKED_WAIT: Micros = 650 * MS;
/// For a look that somebody asked for, both ways at once.
const FAVOUR_WAIT: Micros = 550 * MS;
/// For one more datagram.
const DOUBT_WAIT: Micros = 300 * MS;
/// Until the next look at one that does not answer, and at one that is dead.
const FAILED_AGAIN: Micros = 2 * SECOND;
const DEAD_AGAIN: Micros = 4 * SECOND;
/// Flights in a row that others have to help, until that is worth a word.
const CUT: u8 = 3;
/// Before others' words are taken for a broken link: long enough for most deaths to be decided; a
/// later look corrects it.
const SETTLED: Micros = 6 * SECOND;
/// Between turns, if nobody hands them out.
const TURN: Micros = 8 * SECOND;
/// Turns as they may be handed out.
const TURNS: std::ops::Range<Micros> = 200 * MS..12 * SECOND;

/// Where a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Idle,
    Direct,
    Stream,
    Asked,
    /// A quick look both ways, for somebody or because there is a sign of life.
    Favour,
    /// Once more, before a word is given without having asked.
    Doubt,
}

/// One that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub at: usize,
    pub due: Micros,
    pub stage: Stage,
    pub seq: u64,
    pub began: Micros,
    pub asked: u8,
    /// Flights in a row that others were asked about and could help, up to [`CUT`]: one that they
    /// could not help, or that needs no help, begins anew.
    pub cut: u8,
    pub helped: Vec<usize>,
    /// Who wants to know, and its number for that.
    pub waiting: Vec<(usize, u64)>,
    /// Watched by nobody's order but a request's.
    pub guest: bool,
}

impl Subject {
    pub fn new(at: usize, due: Micros, guest: bool) -> Self {
        let (stage, waiting, helped) = (Stage::Idle, Vec::new(), Vec::new());
        Self { at, due, stage, seq: 0, began: 0, asked: 0, cut: 0, helped, waiting, guest }
    }
}

impl Node {
    /// Brings the subjects in line with the ring.
    pub(crate) fn choose_subjects(&mut self) {
        let wanted = self.table.subjects(self.me);
        let mut kept = Vec::with_capacity(wanted.len());
        for it in std::mem::take(&mut self.subjects) {
            if wanted.contains(&it.at) {
                kept.push(Subject { guest: false, ..it });
            } else if !it.waiting.is_empty() {
                kept.push(Subject { guest: true, ..it });
            }
        }
        self.subjects = kept;
        for at in wanted {
            if !self.subjects.iter().any(|it| it.at == at) {
                let due = self.now + self.rng.within(100 * MS..SECOND);
                self.subjects.push(Subject::new(at, due, false));
            }
        }
        let observers: Vec<u64> =
            self.table.observers(self.me).map(|it| self.table.members[it].hash).collect();
        self.turns.keep(&observers);
        let spoken: Vec<u64> = self.own.links.0.iter().map(|it| it.subject).collect();
        for subject in spoken {
            let at = self.table.find(subject);
            let watched = |at| self.subjects.iter().any(|it| it.at == at && !it.guest);
            if !at.is_some_and(watched) {
                match at {
                    Some(at) => self.say(at, None),
                    None => self.own.links.set(subject, None),
                }
            }
        }
    }

    pub(crate) fn probe_due(&mut self) {
        let mut which = 0;
        while which < self.subjects.len() {
            if self.subjects[which].due <= self.now {
                self.step(which);
            }
            // A guest that has its answer is gone.
            if self.subjects[which].guest && self.subjects[which].waiting.is_empty() {
                self.subjects.swap_remove(which);
            } else {
                which += 1;
            }
        }
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn step(&mut self, which: usize) {
        let at = self.subjects[which].at;
        match self.subjects[which].stage {
            Stage::Idle => self.begin(which),
            Stage::Direct if self.word_on(at) == Some(Word::Down) => self.fail(which),
            Stage::Direct => {
                self.over_stream(which);
                let wait = self.local.stretch(STREAM_WAIT);
                self.subjects[which].due = self.now + wait;
                self.subjects[which].stage = Stage::Stream;
            }
            Stage::Stream => self.ask_others(which),
            Stage::Favour => self.doubt(which),
            Stage::Doubt => self.unasked(which),
            Stage::Asked => self.fail(which),
        }
    }

    fn begin(&mut self, which: usize) {
        let seq = self.next_seq();
        let wait = self.local.stretch(self.trip.wait(PROBE_WAIT));
        let subject = &mut self.subjects[which];
        subject.seq = seq;
        subject.began = self.now;
        subject.asked = 0;
        subject.helped.clear();
        subject.stage = Stage::Direct;
        subject.due = self.now + wait;
        self.counters.probes += 1;
        let frame = Frame::Ping { seq, root: self.table.short_root(), suspected: false };
        self.send_at(self.subjects[which].at, Channel::Datagram, &frame);
    }

    fn over_stream(&mut self, which: usize) {
        let (at, seq) = (self.subjects[which].at, self.subjects[which].seq);
        let frame = Frame::Ping { seq, root: self.table.short_root(), suspected: true };
        self.send_at(at, Channel::Stream, &frame);
    }

    fn ask_others(&mut self, which: usize) {
        let (at, seq) = (self.subjects[which].at, self.subjects[which].seq);
        let others: Vec<usize> = self.table.observers(at).filter(|it| *it != self.me).collect();
        let frame = Frame::Check { seq, subject: self.table.members[at].hash };
        for other in &others {
            self.send_at(*other, Channel::Stream, &frame);
        }
        self.counters.asked += 1;
        let wait = self.local.stretch(ASKED_WAIT);
        let subject = &mut self.subjects[which];
        subject.asked = u8::try_from(others.len()).unwrap_or(u8::MAX);
        subject.stage = Stage::Asked;
        subject.due = self.now + wait;
    }

    /// Looks at once and both ways.
    pub(crate) fn look_now(&mut self, which: usize) {
        if matches!(self.subjects[which].stage, Stage::Idle | Stage::Direct) {
            self.begin(which);
            self.over_stream(which);
            let wait = self.local.stretch(FAVOUR_WAIT);
            self.subjects[which].stage = Stage::Favour;
            self.subjects[which].due = self.now + wait;
        }
    }

    fn doubt(&mut self, which: usize) {
        self.answer_waiting(which, false);
        let (at, seq) = (self.subjects[which].at, self.subjects[which].seq);
        let frame = Frame::Ping { seq, root: self.table.short_root(), suspected: true };
        self.send_at(at, Channel::Datagram, &frame);
        let wait = self.local.stretch(DOUBT_WAIT);
        let subject = &mut self.subjects[which];
        (subject.stage, subject.due) = (Stage::Doubt, self.now + wait);
    }

    pub(crate) fn word_on(&self, at: usize) -> Option<Word> {
        let link = self.own.links.about(self.table.members[at].hash)?;
        let current = self.table.members[at].incarnation() == link.incarnation;
        current.then_some(link.word)
    }

    /// A look for somebody found nothing, and nobody was asked. Whose own link is cut, as it said or
    /// as others' help has shown, has them look too before it joins those that call the member
    /// down; where nobody does, there is nothing new, and two that ask would go on in circles.
    fn unasked(&mut self, which: usize) {
        let Subject { at, cut, .. } = self.subjects[which];
        let known = match self.word_on(at) {
            Some(Word::Cut | Word::OneWay) => true,
            Some(Word::Down) => false,
            Some(Word::Reached) | None => 0 < cut,
        };
        if !known {
            self.fail(which);
        } else if 0 < tally(&self.table, at).down {
            self.ask_others(which);
        } else {
            self.rest(which, FAILED_AGAIN);
        }
    }

    /// Nothing came back in time.
    fn fail(&mut self, which: usize) {
        let Subject { at, began, asked, cut, guest, .. } = self.subjects[which];
        let said = self.word_on(at);
        let helped = self.others_reach(which, said);
        if helped && cut < CUT {
            self.local.bad();
            self.subjects[which].cut += 1;
        } else if !helped && 0 < asked {
            self.subjects[which].cut = 0;
        }
        // A link that fails once is noise; a member that fails is asked about at once.
        let noise = helped && self.subjects[which].cut < CUT && said != Some(Word::Down);
        if self.deaf(at, began) {
            self.local.bad();
        } else if !noise && !guest {
            let heard = self.table.members[at].heard.is_some_and(|it| began <= it);
            let word = match (heard, helped) {
                // Who is heard lives, even if nobody reaches it.
                (true, _) => Word::OneWay,
                (false, true) => Word::Cut,
                (false, false) => Word::Down,
            };
            self.say(at, Some(word));
        }
        let dead = self.table.members[at].state == State::Dead;
        self.rest(which, if dead { DEAD_AGAIN } else { FAILED_AGAIN });
    }

    /// A flight is over without an answer: the next is due after about that long.
    fn rest(&mut self, which: usize, again: Micros) {
        let jitter = self.rng.below(again / 8);
        let subject = &mut self.subjects[which];
        (subject.stage, subject.due) = (Stage::Idle, self.now + again + jitter);
        self.answer_waiting(which, false);
    }

    /// Whether others can do what this member cannot: by the answers of those that were asked;
    /// about one that it calls down, and so asks nobody, by their words. Those may be of before
    /// the member failed, so they count only after a time that is long enough for most deaths to
    /// be decided; where it was not, a later look corrects it.
    fn others_reach(&self, which: usize, said: Option<Word>) -> bool {
        let subject = &self.subjects[which];
        let (can, of) = if said == Some(Word::Down) {
            let member = &self.table.members[subject.at];
            let mine = member.said.iter().find(|it| it.by == self.me);
            let stands = mine.is_some_and(|it| it.at + SETTLED <= self.now);
            if member.state == State::Dead || !stands {
                return false;
            }
            let tally = tally(&self.table, subject.at);
            (tally.vouched, tally.observers.saturating_sub(1))
        } else {
            (subject.helped.len(), usize::from(subject.asked))
        };
        // One may lie, where there are others to ask.
        2 <= can || (of <= 2 && 1 <= can)
    }

    /// Whether nobody else was heard since then, although there is somebody: the fault is here.
    fn deaf(&self, subject: usize, since: Micros) -> bool {
        let others = self.table.living().filter(|it| *it != self.me && *it != subject).take(1);
        let heard = self.heard.iter().any(|it| it.0 != subject && since <= it.1);
        0 < others.count() && !heard
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, peer: Option<usize>, seq: u64, root: u64, next_ms: u64) {
        let Some(at) = peer else { return };
        self.compare(at, root);
        let found = self.subjects.iter().position(|it| it.at == at && it.seq == seq);
        let Some(which) = found.filter(|_| seq != 0) else { return };
        let subject = &mut self.subjects[which];
        if subject.stage == Stage::Direct {
            let took = self.now - subject.began;
            self.trip.measured(took);
            let known = self.table.members[at].rtt.unwrap_or(took);
            self.table.members[at].rtt = Some((known * 7 + took) / 8);
            self.local.good();
        } else if matches!(subject.stage, Stage::Stream | Stage::Asked | Stage::Doubt)
            && self.word_on(at).is_none()
        {
            // It took more than a datagram: much is lost, or this member is slow.
            self.local.bad();
        }
        let subject = &mut self.subjects[which];
        let turn = if next_ms == 0 { TURN } else { next_ms * MS };
        subject.stage = Stage::Idle;
        subject.cut = 0;
        subject.due = self.now + turn.clamp(TURNS.start, TURNS.end);
        self.answer_waiting(which, true);
        if self.subjects[which].guest {
            return;
        }
        self.reached(at);
        if self.word_on(at).is_some() {
            // Until nothing is to be said any more.
            let soon = self.now + SECOND;
            let subject = &mut self.subjects[which];
            subject.due = subject.due.min(soon);
        }
    }

    /// It answers. That is worth a word only while somebody says otherwise.
    fn reached(&mut self, at: usize) {
        let others = tally(&self.table, at).down;
        let mine = usize::from(self.word_on(at) == Some(Word::Down));
        self.say(at, (mine < others).then_some(Word::Reached));
    }

    fn answer_waiting(&mut self, which: usize, reached: bool) {
        let subject = self.table.members[self.subjects[which].at].hash;
        for (to, seq) in std::mem::take(&mut self.subjects[which].waiting) {
            self.send_at(to, Channel::Stream, &Frame::Checked { seq, subject, reached });
        }
    }

    /// This member stood still: what it waited for says nothing. It shows itself, then looks anew.
    pub(crate) fn slept(&mut self) {
        self.counters.slept += 1;
        self.local.bad();
        for subject in &mut self.subjects {
            subject.stage = Stage::Idle;
            subject.due = self.now + self.rng.within(50 * MS..500 * MS);
        }
        let observers: Vec<usize> = self.table.observers(self.me).collect();
        self.prove(&observers);
    }
}
