//! One rule of a role, against one request or another rule.

use std::fmt;

use serde_json::{Value, json};

use crate::request::RequestInfo;

const ALL: &str = "*";

/// A `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub verbs: Vec<String>,
    pub groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale` or `*`.
    pub resources: Vec<String>,
    /// Empty: whatever the name is.
    pub names: Vec<String>,
    /// Paths that are no resources; a `*` at the end stands for the rest.
    pub urls: Vec<String>,
}

impl Rule {
    pub fn read(value: &Value) -> Self {
        let list = |key: &str| {
            let items = value[key].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
        }
    }

    pub fn to_json(&self) -> Value {
        let mut out = json!({ "verbs": self.verbs });
        let rest = [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ];
        for (key, list) in rest.into_iter().filter(|(_, list)| !list.is_empty()) {
            out[key] = json!(list);
        }
        out
    }

    pub fn allows(&self, info: &RequestInfo) -> bool {
        if !has(&self.verbs, &info.verb) {
            return false;
        }
        if !info.is_resource {
            return self.urls.iter().any(|it| url_covers(it, &info.path));
        }
        let name = info.name.as_deref().unwrap_or_default();
        has(&self.groups, &info.group)
            && self.resources.iter().any(|it| is_resource(it, &info.resource, &info.subresource))
            && (self.names.is_empty() || self.names.iter().any(|it| it == name))
    }

    /// The rule cut into rules of one verb, group, resource and name (or verb and URL) each.
    pub fn pieces(&self) -> Vec<Self> {
        let mut pieces = Vec::new();
        let anyone = [String::new()];
        let names: &[String] = if self.names.is_empty() { &anyone } else { &self.names };
        let one = |it: &String| vec![it.clone()];
        for verb in &self.verbs {
            for group in &self.groups {
                for resource in &self.resources {
                    pieces.extend(names.iter().map(|name| Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        names: if name.is_empty() { Vec::new() } else { one(name) },
                        urls: Vec::new(),
                    }));
                }
            }
            let urls = self.urls.iter();
            pieces.extend(urls.map(|url| Self {
                verbs: one(verb),
                urls: one(url),
                ..Self::default()
            }));
        }
        pieces
    }

    /// Whether this rule alone grants all that `piece` grants.
    pub fn covers(&self, piece: &Self) -> bool {
        let all = |ours: &[String], theirs: &[String]| theirs.iter().all(|it| has(ours, it));
        all(&self.verbs, &piece.verbs)
            && all(&self.groups, &piece.groups)
            && piece.resources.iter().all(|it| {
                let (resource, sub) = it.split_once('/').unwrap_or((it, ""));
                self.resources.iter().any(|ours| ours == it || is_resource(ours, resource, sub))
            })
            && (self.names.is_empty()
                || (!piece.names.is_empty() && all_in(&piece.names, &self.names)))
            && piece.urls.iter().all(|it| self.urls.iter().any(|ours| url_covers(ours, it)))
    }
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|it| it == ALL || it == wanted)
}

fn all_in(some: &[String], all: &[String]) -> bool {
    some.iter().all(|it| all.contains(it))
}

fn is_resource(pattern: &str, resource: &str, sub: &str) -> bool {
    match pattern.split_once('/') {
        None => pattern == ALL || (pattern == resource && sub.is_empty()),
        Some((ALL, pattern_sub)) => !sub.is_empty() && pattern_sub == sub,
        Some((pattern, pattern_sub)) => pattern == resource && pattern_sub == sub,
    }
}

fn url_covers(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
}

/// As Kubernetes says rules in refusals: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("NonResourceURLs", &self.urls),
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let parts = parts.iter().filter(|(_, list)| !list.is_empty());
        let said: Vec<String> = parts
            .map(|(name, list)| {
                let list: Vec<String> = list.iter().map(|it| format!("{it:?}")).collect();
                format!("{name}:[{}]", list.join(" "))
            })
            .collect();
        write!(f, "{{{}}}", said.join(", "))
    }
}
