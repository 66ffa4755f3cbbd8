//! The numbers of an indexed Job that are done, as `status.completedIndexes` writes them.

use std::{collections::BTreeSet, fmt};

use kogge_member::object;
use serde_json::Value;

/// On pods: their number.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(BTreeSet<i64>);

impl Indexes {
    /// Reads `0-2,5`; what is no number is left out.
    pub fn parse(text: &str) -> Self {
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.parse().ok()?..=to.parse().ok()?)
        };
        Self(text.split(',').filter_map(range).flatten().collect())
    }

    pub fn count(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    pub fn has(&self, index: i64) -> bool {
        self.0.contains(&index)
    }

    pub fn extend(&mut self, more: impl IntoIterator<Item = i64>) {
        self.0.extend(more);
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for index in &self.0 {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == *index => *to = *index,
                _ => ranges.push((*index, *index)),
            }
        }
        let said = ranges.iter().map(|(from, to)| match to - from {
            0 => from.to_string(),
            1 => format!("{from},{to}"),
            _ => format!("{from}-{to}"),
        });
        f.write_str(&said.collect::<Vec<_>>().join(","))
    }
}

/// The number of a pod.
pub(super) fn of(pod: &Value) -> Option<i64> {
    object::annotation(pod, INDEX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for text in ["", "0", "0,1", "0-2,5", "1,3-7,9,10"] {
            assert_eq!(Indexes::parse(text).to_string(), text);
        }
        assert_eq!(Indexes::parse("0-2,5").count(), 4);
        assert!(Indexes::parse("0-2,5").has(1));
        assert_eq!(Indexes::parse("x,2").to_string(), "2");
    }
}
