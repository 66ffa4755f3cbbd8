//! Go durations, which Flux and Kubernetes use in fields: `1h30m`, `10s`, `500ms`.

use std::time::Duration;

/// Reads a Go duration that is not negative. `None` for what Go would refuse too.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = unit_seconds(&rest[..end])?;
        rest = &rest[end..];
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    (!text.is_empty()).then_some(total)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// Writes as Go does, down to milliseconds: `1m30s`, `0s`, `1h0m0s`.
pub fn format_duration(it: Duration) -> String {
    let (hours, minutes) = (it.as_secs() / 3600, it.as_secs() / 60 % 60);
    let (seconds, millis) = (it.as_secs() % 60, it.subsec_millis());
    if it.as_secs() == 0 && 0 < millis {
        return format!("{millis}ms");
    }
    let mut said = String::new();
    if 0 < hours {
        said += &hours.to_string();
        said.push('h');
    }
    if 0 < hours || 0 < minutes {
        said += &minutes.to_string();
        said.push('m');
    }
    said += &seconds.to_string();
    if 0 < millis {
        said += format!(".{millis:03}").trim_end_matches('0');
    }
    said + "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        assert_eq!(parse_duration(text).map(format_duration).as_deref(), want, "{text}");
    }

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        check("10s", Some("10s"));
        check("1m", Some("1m0s"));
        check("1h30m", Some("1h30m0s"));
        check("90s", Some("1m30s"));
        check("500ms", Some("500ms"));
        check("1.5s", Some("1.5s"));
        check("0", Some("0s"));
        check("0s", Some("0s"));
        check("10", None);
        check("", None);
        check("s", None);
        check("-5s", None);
        check("1d", None);
        check("1..5s", None);
    }
}
