//! Version ranges as Flux takes them: `>=1.0.0 <2.0.0`, `1.x`, `~1.2`, `^1.2.3`, `1.2 - 1.4`, `||` between them.
//!
//! The semver crate's own ranges are Cargo's, where a bare `1.2.3` is `^1.2.3` and a blank means nothing.

use semver::{Prerelease, Version};

/// Versions that lie in any of the intervals.
#[derive(Debug)]
pub(crate) struct Range {
    any_of: Vec<Interval>,
}

/// Versions that meet every bound. Pre-releases only where a bound names one.
#[derive(Debug, Default)]
struct Interval {
    bounds: Vec<(Bound, Version)>,
    prereleases: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtLeast,
    Above,
    Below,
    AtMost,
    Not,
}

impl Range {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let any_of = text.split("||").map(interval).collect::<Result<_, _>>();
        Ok(Self { any_of: any_of.map_err(|reason| format!("semver {text:?}: {reason}"))? })
    }

    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.any_of.iter().any(|it| it.matches(version))
    }
}

impl Interval {
    fn matches(&self, version: &Version) -> bool {
        let meets = |(bound, limit): &(Bound, Version)| {
            let order = version.cmp_precedence(limit);
            match bound {
                Bound::AtLeast => order.is_ge(),
                Bound::Above => order.is_gt(),
                Bound::Below => order.is_lt(),
                Bound::AtMost => order.is_le(),
                Bound::Not => order.is_ne(),
            }
        };
        (self.prereleases || version.pre.is_empty()) && self.bounds.iter().all(meets)
    }

    fn add(&mut self, operator: &str, partial: &Partial) -> Result<(), String> {
        self.prereleases |= !partial.version.pre.is_empty();
        let low = partial.version.clone();
        let mut between = |bound: Option<Version>| {
            self.bounds.push((Bound::AtLeast, low.clone()));
            self.bounds.extend(bound.map(|it| (Bound::Below, it)));
        };
        match operator {
            "" | "=" if partial.is_whole() => {
                self.bounds.extend([(Bound::AtLeast, low.clone()), (Bound::AtMost, low)]);
            }
            "" | "=" => between(partial.next()),
            "~" | "~>" => between(partial.capped(2).next()),
            "^" => between(partial.capped(partial.first_that_counts()).next()),
            ">=" => self.bounds.push((Bound::AtLeast, low)),
            "<" => self.bounds.push((Bound::Below, low)),
            ">" if partial.is_whole() => self.bounds.push((Bound::Above, low)),
            ">" => self.bounds.extend(partial.next().map(|it| (Bound::AtLeast, it))),
            "<=" if partial.is_whole() => self.bounds.push((Bound::AtMost, low)),
            "<=" => self.bounds.extend(partial.next().map(|it| (Bound::Below, it))),
            "!=" if partial.is_whole() => self.bounds.push((Bound::Not, low)),
            other => return Err(format!("{other:?} is no operator here")),
        }
        Ok(())
    }
}

fn interval(text: &str) -> Result<Interval, String> {
    let mut interval = Interval::default();
    if let Some((low, high)) = text.split_once(" - ") {
        interval.add(">=", &Partial::parse(low.trim())?)?;
        interval.add("<=", &Partial::parse(high.trim())?)?;
        return Ok(interval);
    }
    let mut operator = String::new();
    for word in text.split([' ', ',']).filter(|it| !it.is_empty()) {
        let start = word.find(|c: char| !"=<>!~^".contains(c)).unwrap_or(word.len());
        operator.push_str(&word[..start]);
        if start < word.len() {
            interval.add(&operator, &Partial::parse(&word[start..])?)?;
            operator.clear();
        }
    }
    if interval.bounds.is_empty() || !operator.is_empty() {
        return Err("a version is missing".to_owned());
    }
    Ok(interval)
}

/// A version of which only the first `parts` numbers are given.
#[derive(Clone)]
struct Partial {
    version: Version,
    parts: usize,
}

impl Partial {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('v');
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let given: Vec<&str> =
            numbers.split('.').take_while(|it| !matches!(*it, "x" | "X" | "*")).collect();
        let parts = given.len();
        if parts == 3 {
            let version = Version::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
            return Ok(Self { version, parts });
        }
        if parts > 3 {
            return Err(format!("{text:?} is no version"));
        }
        let mut fields = [0; 3];
        for (field, word) in fields.iter_mut().zip(&given) {
            *field = word.parse().map_err(|_| format!("{text:?} is no version"))?;
        }
        let mut version = Version::new(fields[0], fields[1], fields[2]);
        if let Some((_, pre)) = text.split_once('-') {
            version.pre = Prerelease::new(pre).map_err(|error| format!("{text:?}: {error}"))?;
        }
        Ok(Self { version, parts })
    }

    fn is_whole(&self) -> bool {
        self.parts == 3
    }

    /// The same with at most `parts` numbers that must stay as they are.
    fn capped(&self, parts: usize) -> Self {
        Self { parts: self.parts.min(parts), ..self.clone() }
    }

    /// How many numbers `^` holds fast: up to the first that is not zero.
    fn first_that_counts(&self) -> usize {
        let Version { major, minor, .. } = self.version;
        if major > 0 {
            1
        } else if minor > 0 {
            2
        } else {
            3
        }
    }

    /// The first version past all that start with the given numbers; none past all.
    fn next(&self) -> Option<Version> {
        let Version { major, minor, patch, .. } = self.version;
        let mut next = match self.parts {
            0 => return None,
            1 => Version::new(major + 1, 0, 0),
            2 => Version::new(major, minor + 1, 0),
            _ => Version::new(major, minor, patch + 1),
        };
        // Below 2.0.0 means below its pre-releases as well.
        next.pre = Prerelease::new("0").ok()?;
        Some(next)
    }
}

/// The version that a tag names: `v1.2.3`, `1.2.3`, and short forms such as `v1.2`.
pub(crate) fn version_of(tag: &str) -> Option<Version> {
    Partial::parse(tag).ok().filter(|it| it.parts > 0).map(|it| it.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, yes: &[&str], no: &[&str]) {
        let parsed = Range::parse(range).expect(range);
        let matches = |tag: &&&str| parsed.matches(&version_of(tag).expect(tag));
        assert_eq!(
            yes.iter().filter(|it| !matches(it)).collect::<Vec<_>>(),
            [&""; 0],
            "not in {range}"
        );
        assert_eq!(no.iter().filter(matches).collect::<Vec<_>>(), [&""; 0], "in {range}");
    }

    #[test]
    fn ranges_are_those_of_flux() {
        check(">=1.0.0 <2.0.0", &["1.0.0", "v1.9.9"], &["0.9.0", "2.0.0", "1.5.0-rc.1"]);
        check(">= 1.0.0, < 2.0.0", &["1.0.0"], &["2.0.0"]);
        check("1.2.3", &["1.2.3", "v1.2.3+build"], &["1.2.4"]);
        check("1.x", &["1.0.0", "1.9.0"], &["2.0.0", "0.9.0"]);
        check("1.2", &["1.2.0", "1.2.9"], &["1.3.0"]);
        check("*", &["0.0.1", "9.9.9"], &["1.0.0-rc.1"]);
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]);
        check("~1", &["1.0.0", "1.9.0"], &["2.0.0"]);
        check("^1.2.3", &["1.2.3", "1.9.0"], &["1.2.2", "2.0.0"]);
        check("^0.2.3", &["0.2.9"], &["0.3.0"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4"]);
        check("^0", &["0.9.0"], &["1.0.0"]);
        check("1.2 - 1.4", &["1.2.0", "1.4.9"], &["1.5.0"]);
        check("1.2.0 - 1.4.0", &["1.4.0"], &["1.4.1"]);
        check("<1.0.0 || >=2.0.0", &["0.9.0", "2.1.0"], &["1.5.0"]);
        check(">=1.0.0-0", &["1.0.0-rc.1", "1.1.0-rc.1", "1.1.0"], &["0.9.0"]);
        check(">1.2", &["1.3.0"], &["1.2.9"]);
        check("<=1.2", &["1.2.9"], &["1.3.0"]);
        check(">=1.0.0 !=1.1.0", &["1.0.0", "1.2.0"], &["1.1.0"]);
        check("^1.2.0-0", &["1.2.0-a", "1.9.0"], &["2.0.0-rc.1"]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "latest", ">=", "1.2.3.4", ">=1.0.0 <", "=>1.0.0"] {
            assert!(Range::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn tags_that_are_no_versions_are_none() {
        assert_eq!(version_of("v1.2"), Some(Version::new(1, 2, 0)));
        assert_eq!(version_of("latest"), None);
        assert_eq!(version_of("release-1.2.3"), None);
        assert_eq!(version_of("*"), None);
    }
}
