//! Conditions as metav1 has them, and the one rule about their time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: ConditionStatus,
    /// One word in CamelCase.
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    /// Whole seconds, as Kubernetes writes times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl Condition {
    pub fn new(
        kind: &str,
        status: impl Into<ConditionStatus>,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind: kind.to_owned(),
            status: status.into(),
            reason: reason.to_owned(),
            message: message.into(),
            last_transition_time: None,
            observed_generation: None,
        }
    }

    #[must_use]
    pub fn observed(mut self, generation: i64) -> Self {
        self.observed_generation = Some(generation);
        self
    }

    pub fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

pub fn find_condition<'a>(all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|it| it.kind == kind)
}

/// Puts `it` in place of the condition of its type, or at the end. The time of the last
/// transition is `now` only where the status is another one than before. Says whether anything
/// changed, so that a write which changes nothing is not made.
pub fn set_condition(all: &mut Vec<Condition>, mut it: Condition, now: Timestamp) -> bool {
    let old = all.iter_mut().find(|old| old.kind == it.kind);
    let kept = old.as_ref().filter(|old| old.status == it.status);
    it.last_transition_time =
        kept.and_then(|old| old.last_transition_time).or_else(|| Some(whole_seconds(now)));
    match old {
        Some(old) if *old == it => false,
        Some(old) => {
            *old = it;
            true
        }
        None => {
            all.push(it);
            true
        }
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millisecond(second * 1000 + 250).unwrap()
    }

    #[test]
    fn the_time_moves_only_when_the_status_does() {
        let mut all = Vec::new();
        assert!(set_condition(&mut all, Condition::new("Ready", false, "Pending", "a"), at(10)));
        assert!(set_condition(&mut all, Condition::new("Ready", false, "Waiting", "b"), at(20)));
        let ready = find_condition(&all, "Ready").unwrap();
        assert_eq!(ready.last_transition_time.unwrap().to_string(), "1970-01-01T00:00:10Z");
        assert_eq!(ready.reason, "Waiting");
        assert!(set_condition(&mut all, Condition::new("Ready", true, "Done", ""), at(30)));
        let ready = find_condition(&all, "Ready").unwrap();
        assert_eq!(ready.last_transition_time.unwrap().as_second(), 30);
    }

    #[test]
    fn setting_the_same_again_is_no_change() {
        let mut all = Vec::new();
        let it = Condition::new("Ready", true, "Done", "all there").observed(3);
        assert!(set_condition(&mut all, it.clone(), at(10)));
        assert!(!set_condition(&mut all, it, at(99)));
        assert_eq!(all.len(), 1);
    }
}
