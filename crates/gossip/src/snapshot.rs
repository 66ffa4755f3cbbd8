//! What a member keeps on disk: all records, signed as they are, so that a fleet that lost power
//! finds itself again. Bytes: a mark, then each record with its length before it.

use crate::codec::{Reader, put_bytes};
use crate::node::Node;
use crate::record::{MAX_RECORD, RecordRef, Slot};

const MARK: &[u8; 8] = b"kogge-g1";

impl Node {
    /// The table as bytes for [`Node::new`]. The incarnation is kept apart, since it has to be on
    /// disk at once ([`crate::Action::Persist`]) and this may be old.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = MARK.to_vec();
        for slot in Slot::ALL {
            for record in self.table.members.iter().filter_map(|it| it.record(slot)) {
                put_bytes(&mut out, record.bytes());
            }
        }
        out
    }

    /// Takes in what can be read of a snapshot: each record is checked like one that arrives.
    pub(crate) fn restore(&mut self, snapshot: &[u8]) {
        let Some(rest) = snapshot.strip_prefix(MARK) else { return };
        let mut reader = Reader::new(rest);
        while let Ok(bytes) = reader.bytes(MAX_RECORD) {
            let Ok(record) = RecordRef::read(bytes) else { break };
            let _ = self.learn(&record, false);
        }
        self.repair_soon();
    }
}
