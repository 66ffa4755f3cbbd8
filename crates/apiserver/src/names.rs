//! What a name may look like.

/// How the names of a kind are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// Lower-case letters, digits, `-` and `.`; 253 at most. Most kinds.
    Subdomain,
    /// Lower-case letters, digits and `-`; 63 at most. Namespaces.
    Label,
    /// A label that starts with a letter. Services.
    ServiceLabel,
    /// Anything that can be a path segment. RBAC.
    PathSegment,
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  \
    or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
    '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
    'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

impl NameRule {
    pub fn of(group: &str, plural: &str) -> Self {
        match (group, plural) {
            ("", "namespaces") => Self::Label,
            ("", "services") => Self::ServiceLabel,
            ("rbac.authorization.k8s.io", _) => Self::PathSegment,
            _ => Self::Subdomain,
        }
    }

    /// Why `name` is not allowed, in Kubernetes' words.
    pub fn check(self, name: &str) -> Option<&'static str> {
        match self {
            Self::Subdomain if name.len() > 253 => Some("must be no more than 253 bytes"),
            Self::Subdomain => (!name.split('.').all(is_label)).then_some(SUBDOMAIN),
            Self::Label | Self::ServiceLabel if name.len() > 63 => {
                Some("must be no more than 63 bytes")
            }
            Self::Label => (!is_label(name)).then_some(LABEL),
            Self::ServiceLabel => {
                let good = is_label(name) && name.starts_with(|it: char| it.is_ascii_lowercase());
                (!good).then_some(SERVICE)
            }
            Self::PathSegment if matches!(name, "." | "..") => Some("may not be '.' or '..'"),
            Self::PathSegment => name.contains(['/', '%']).then_some("may not contain '/' or '%'"),
        }
    }
}

/// Why a label or annotation key is not allowed.
pub(crate) fn label_key(key: &str) -> Option<&'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|it| NameRule::Subdomain.check(it).is_some()) {
        return Some("prefix part must be a lowercase RFC 1123 subdomain");
    }
    if name.is_empty() {
        return Some("name part must be non-empty");
    }
    (!is_qualified(name)).then_some(QUALIFIED)
}

/// Why a label value is not allowed.
pub(crate) fn label_value(value: &str) -> Option<&'static str> {
    (!value.is_empty() && !is_qualified(value)).then_some(
        "a valid label must be an empty string or consist of at most 63 alphanumeric characters, \
         '-', '_' or '.', and must start and end with an alphanumeric character",
    )
}

const QUALIFIED: &str = "name part must consist of at most 63 alphanumeric characters, '-', '_' \
    or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name', \
    or '123-abc')";

fn is_qualified(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(it))
}

fn is_label(text: &str) -> bool {
    let alphanumeric = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last))
        if alphanumeric(*first) && alphanumeric(*last))
        && bytes.iter().all(|it| alphanumeric(*it) || *it == b'-')
}

/// A suffix of five characters for `generateName`, from 128 random bits.
pub(crate) fn suffix(random: uuid::Uuid) -> String {
    // No vowels and no look-alikes, so that no words come out.
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut bits = random.as_u128();
    let base = ALPHABET.len() as u128;
    (0..5)
        .map(|_| {
            let index = usize::try_from(bits % base).unwrap_or(0);
            bits /= base;
            char::from(ALPHABET[index])
        })
        .collect()
}

/// The prefix of a generated name, cut so that the suffix fits.
pub(crate) fn generated(prefix: &str, random: uuid::Uuid) -> String {
    const LONGEST: usize = 63 - 5;
    let mut end = prefix.len().min(LONGEST);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &prefix[..end], suffix(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: NameRule, name: &str, good: bool) {
        assert_eq!(rule.check(name).is_none(), good, "{name}");
    }

    #[test]
    fn names_are_checked_by_kind() {
        check(NameRule::Subdomain, "a.b-c.0", true);
        check(NameRule::Subdomain, "a..b", false);
        check(NameRule::Subdomain, "Web", false);
        check(NameRule::Subdomain, "", false);
        check(NameRule::Subdomain, &"a".repeat(254), false);
        check(NameRule::Label, "a.b", false);
        check(NameRule::Label, "0a", true);
        check(NameRule::Label, "-a", false);
        check(NameRule::ServiceLabel, "0a", false);
        check(NameRule::PathSegment, "system:node", true);
        check(NameRule::PathSegment, "a/b", false);
    }

    #[test]
    fn a_generated_name_fits_a_label() {
        let name = generated(&"x".repeat(100), uuid::Uuid::from_u128(7));
        assert_eq!(name.len(), 63);
        assert!(NameRule::Label.check(&name).is_none());
    }
}
