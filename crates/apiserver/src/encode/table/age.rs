//! How long ago, as Kubernetes says it.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// `5s`, `3m4s`, `2h`, `4d7h`, `2y`: two units where the first is small.
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds < -1 {
        return "<invalid>".into();
    }
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |first: i64, unit: char, second: i64, small: char| match second {
        0 => format!("{first}{unit}"),
        second => format!("{first}{unit}{second}{small}"),
    };
    let days = hours / 24;
    match (seconds, minutes, hours, days) {
        (i64::MIN..0, ..) => "0s".into(),
        (..120, ..) => format!("{seconds}s"),
        (_, ..10, ..) => two(minutes, 'm', seconds % 60, 's'),
        (_, ..180, ..) => format!("{minutes}m"),
        (_, _, ..8, _) => two(hours, 'h', minutes % 60, 'm'),
        (_, _, ..48, _) => format!("{hours}h"),
        (_, _, _, ..8) => two(days, 'd', hours % 24, 'h'),
        (_, _, _, ..730) => format!("{days}d"),
        (_, _, _, ..2920) => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// How long ago a time was; `None` where there is no time.
pub fn since(at: &Value, now: Timestamp) -> Option<String> {
    let at: Timestamp = at.as_str()?.parse().ok()?;
    Some(human_duration(now.duration_since(at)))
}

/// The age of an object.
pub fn age(object: &Value, now: Timestamp) -> Value {
    let created = &object["metadata"]["creationTimestamp"];
    since(created, now).unwrap_or_else(|| "<unknown>".into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, expected: &str) {
        assert_eq!(human_duration(SignedDuration::from_secs(seconds)), expected);
    }

    #[test]
    fn durations_are_told_as_kubectl_does() {
        check(-2, "<invalid>");
        check(-1, "0s");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(599, "9m59s");
        check(600, "10m");
        check(3 * 3600 - 1, "179m");
        check(3 * 3600, "3h");
        check(3 * 3600 + 60, "3h1m");
        check(8 * 3600, "8h");
        check(48 * 3600 - 1, "47h");
        check(48 * 3600, "2d");
        check(51 * 3600, "2d3h");
        check(8 * 86_400, "8d");
        check(729 * 86_400, "729d");
        check(730 * 86_400, "2y");
        check(735 * 86_400, "2y5d");
        check(2920 * 86_400, "8y");
    }
}
