//! String formats of OpenAPI that Kubernetes checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::Date};

/// Whether `text` is of `format`; an unknown format asks for nothing.
pub fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.contains(['T', 't']) && text.parse::<Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<Date>().is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "byte" => STANDARD.decode(text).is_ok(),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid::Uuid::try_parse(text).is_ok(),
        "email" => text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace)
        }),
        "hostname" => {
            text.len() <= 255
                && text.trim_end_matches('.').split('.').all(|it| {
                    !it.is_empty()
                        && it.len() <= 63
                        && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
                        && !it.starts_with('-')
                        && !it.ends_with('-')
                })
        }
        "uri" | "url" => text.parse::<http::Uri>().is_ok_and(|it| it.scheme().is_some()),
        "duration" => is_duration(text),
        _ => true,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|it| it <= most)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|it| it.len() == 2 && u8::from_str_radix(it, 16).is_ok())
}

/// Go's durations: `1h30m`, `-1.5s`, `0`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
        if number == 0 || rest[..number].parse::<f64>().is_err() {
            return false;
        }
        rest = &rest[number..];
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let unit =
            units.into_iter().filter_map(|it| rest.strip_prefix(it)).min_by_key(|it| it.len());
        let Some(left) = unit else { return false };
        rest = left;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(fits(format, text), "{format}: {text}");
        }
        for text in bad {
            assert!(!fits(format, text), "{format}: {text}");
        }
    }

    #[test]
    fn formats_are_those_that_kubernetes_checks() {
        check(
            "date-time",
            &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05+01:00"],
            &["x", "2026-01-02"],
        );
        check("date", &["2026-01-02"], &["2026-13-02", "x"]);
        check("cidr", &["10.0.0.0/8", "fd00::/64"], &["10.0.0.0", "10.0.0.0/33"]);
        check("duration", &["1h30m", "1.5s", "0", "-3ms"], &["", "1", "1x", "h"]);
        check("uuid", &["9195914e-7353-4768-81a1-b7051b7e9a36"], &["x"]);
        check("uri", &["https://example.com/x"], &["x y"]);
        check("byte", &["aGk="], &["*"]);
        check("mac", &["00:11:22:33:44:55"], &["00:11"]);
        check("hostname", &["a.b-c"], &["a..b", "-a"]);
        check("made-up", &["anything"], &[]);
    }
}
