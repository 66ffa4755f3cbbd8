//! The words of one member about those that it probes.

use crate::codec::{Malformed, Read, Reader, put_number};

/// The most words of one member.
pub const MAX_WORDS: usize = 32;

/// What a member says about another that is in question. Of whom nothing is said is reached, or
/// is not for this member to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Word {
    /// It answers me, whatever others say.
    Reached = 0,
    /// It does not answer me, but others.
    Cut = 1,
    /// I hear it, but it does not answer me.
    OneWay = 2,
    /// It answers neither me nor those that I asked.
    Down = 3,
}

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The hash of the subject's name.
    pub subject: u64,
    /// The life of the subject that is meant; for any other the word is void.
    pub incarnation: u64,
    /// What is said.
    pub word: Word,
}

/// All words of one member, by subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links(pub Vec<Link>);

impl Links {
    /// The body of a record of links.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.0.len() * 11);
        put_number(&mut out, self.0.len() as u64);
        for link in &self.0 {
            out.extend_from_slice(&link.subject.to_le_bytes());
            put_number(&mut out, link.incarnation);
            out.push(link.word as u8);
        }
        out
    }

    /// Reads [`Links::body`]: subjects ascend, so that equal words have equal bytes.
    pub fn read(body: &[u8]) -> Read<Self> {
        let mut reader = Reader::new(body);
        let count = reader.count(MAX_WORDS)?;
        let mut links: Vec<Link> = Vec::with_capacity(count);
        for _ in 0..count {
            let subject = u64::from_le_bytes(reader.array()?);
            let incarnation = reader.number()?;
            let word = match reader.byte()? {
                0 => Word::Reached,
                1 => Word::Cut,
                2 => Word::OneWay,
                3 => Word::Down,
                _ => return Err(Malformed::Unknown),
            };
            if links.last().is_some_and(|it| subject <= it.subject) {
                return Err(Malformed::Unknown);
            }
            links.push(Link { subject, incarnation, word });
        }
        reader.end()?;
        Ok(Self(links))
    }

    /// The word about `subject`.
    pub fn about(&self, subject: u64) -> Option<Link> {
        let at = self.0.binary_search_by_key(&subject, |it| it.subject).ok()?;
        Some(self.0[at])
    }

    /// Says `word` about `subject`, or nothing any more.
    pub fn set(&mut self, subject: u64, said: Option<(u64, Word)>) {
        let found = self.0.binary_search_by_key(&subject, |it| it.subject);
        let link = said.map(|(incarnation, word)| Link { subject, incarnation, word });
        match (found, link) {
            (Ok(at), Some(link)) => self.0[at] = link,
            (Ok(at), None) => drop(self.0.remove(at)),
            (Err(at), Some(link)) if self.0.len() < MAX_WORDS => self.0.insert(at, link),
            (Err(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_in_the_order_of_subjects() {
        let mut links = Links::default();
        for subject in [9, 3, 7, u64::MAX] {
            links.set(subject, Some((subject, Word::Down)));
        }
        links.set(7, None);
        links.set(3, Some((5, Word::Cut)));
        assert_eq!(links.about(3).map(|it| it.word), Some(Word::Cut));
        assert_eq!(Links::read(&links.body()), Ok(links));
    }

    #[test]
    fn words_are_bounded_and_said_once() {
        let mut links = Links::default();
        for subject in 0..100 {
            links.set(subject, Some((1, Word::Down)));
        }
        assert_eq!(links.0.len(), MAX_WORDS);
        let link = links.0[0];
        let twice = Links(vec![link, link]).body();
        assert_eq!(Links::read(&twice), Err(Malformed::Unknown));
    }
}
