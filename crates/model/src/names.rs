//! What may be a name, a label's key or its value, in Kubernetes' words.

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn shaped(text: &str, edge: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|b| edge(*b)) && bytes.last().is_some_and(|b| edge(*b));
    ends && bytes.iter().all(|b| edge(*b) || inner.contains(b))
}

/// A lowercase RFC 1123 label, as of namespaces.
pub fn dns_label(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err("must be no more than 63 characters".to_owned());
    }
    if shaped(text, alphanumeric, b"-") {
        return Ok(());
    }
    Err("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')".to_owned())
}

/// What the names of hubs among the members begin with.
pub const HUB_PREFIX: &str = "hub-";

/// The longest name of a cluster, as in Karmada.
const LONGEST_CLUSTER: usize = 48;

/// A cluster's name: a label, since it is a member's name in gossip too, and no hub's.
pub fn cluster_name(text: &str) -> Result<(), String> {
    if text.len() > LONGEST_CLUSTER {
        return Err(format!("must be no more than {LONGEST_CLUSTER} characters"));
    }
    dns_label(text)?;
    if text.starts_with(HUB_PREFIX) {
        return Err(format!("must not start with '{HUB_PREFIX}': hubs are called so"));
    }
    Ok(())
}

/// A lowercase RFC 1123 subdomain, as of most objects.
pub fn dns_subdomain(text: &str) -> Result<(), String> {
    if text.len() > 253 {
        return Err("must be no more than 253 characters".to_owned());
    }
    if text.split('.').all(|part| shaped(part, alphanumeric, b"-")) {
        return Ok(());
    }
    Err("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".to_owned())
}

/// A label's key: `[prefix/]name`.
pub fn qualified_name(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        None => text,
        Some(("", _)) => return Err("prefix part must be non-empty".to_owned()),
        Some((prefix, name)) => {
            dns_subdomain(prefix).map_err(|e| format!("prefix part {e}"))?;
            name
        }
    };
    if name.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Err("name part must be no more than 63 characters".to_owned());
    }
    if shaped(name, |b| b.is_ascii_alphanumeric(), b"-_.") {
        return Ok(());
    }
    Err("name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')".to_owned())
}

/// A label's value: may be empty.
pub fn label_value(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err("must be no more than 63 characters".to_owned());
    }
    if text.is_empty() || shaped(text, |b| b.is_ascii_alphanumeric(), b"-_.") {
        return Ok(());
    }
    Err("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kubernetes_judges_them() {
        let long = "a".repeat(64);
        for (f, good, bad) in [
            (dns_label as fn(&str) -> _, vec!["a", "a-1"], vec!["", "A", "-a", "a.b", &long]),
            (
                cluster_name,
                vec!["eu-1", "hubert", &long[..48]],
                vec!["", "eu.1", "Eu", "hub-1", &long[..49]],
            ),
            (dns_subdomain, vec!["a.b", &long], vec!["a..b", "a_b", ".a"]),
            (qualified_name, vec!["A_b.c", "x.io/Y"], vec!["/a", "a/", "X/a", "a/b/c", "é"]),
            (label_value, vec!["", "A.b"], vec!["a ", "-", &long]),
        ] {
            for t in good {
                assert_eq!(f(t), Ok(()), "{t:?}");
            }
            for t in bad {
                assert!(f(t).is_err(), "{t:?}");
            }
        }
    }
}
