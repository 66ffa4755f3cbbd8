//! Path and method to what is asked for. Query and body come later.

use http::Method;

/// What a request is about, in the words that RBAC and audit use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// False: `path` is all there is (`/version`, `/healthz`, discovery).
    pub is_resource: bool,
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`;
    /// the lower-case method of a path that is no resource.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// What kubectl says that it runs (`kubectl top node`), for advice only; empty from others.
    pub command: String,
}

impl RequestInfo {
    /// `watch` says whether the query asks for a watch.
    pub fn parse(method: &Method, path: &str, watch: bool) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Self::other(method, path),
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (watch, rest),
        };
        let mut info = Self {
            is_resource: true,
            path: path.to_owned(),
            group: group.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        };
        match rest {
            [] => return Self::other(method, path),
            // A namespace itself, and its own subresources.
            ["namespaces", name] => info.set("namespaces", Some(name), &[], Some(name)),
            ["namespaces", name, sub @ ("status" | "finalize")] => {
                info.set("namespaces", Some(name), &[sub], Some(name));
            }
            ["namespaces", namespace, resource, rest @ ..] => {
                info.set(resource, rest.first(), rest.get(1..).unwrap_or(&[]), Some(namespace));
            }
            [resource, rest @ ..] => {
                info.set(resource, rest.first(), rest.get(1..).unwrap_or(&[]), None);
            }
        }
        verb(method, info.name.is_some(), watch).clone_into(&mut info.verb);
        info
    }

    fn set(&mut self, resource: &str, name: Option<&&str>, sub: &[&str], namespace: Option<&&str>) {
        resource.clone_into(&mut self.resource);
        self.name = name.map(|it| (*it).to_owned());
        self.namespace = namespace.map(|it| (*it).to_owned());
        self.subresource = sub.join("/");
    }

    fn other(method: &Method, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            verb: method.as_str().to_ascii_lowercase(),
            ..Self::default()
        }
    }

    /// `deployments.apps`, as messages name a resource.
    pub fn qualified_resource(&self) -> String {
        qualified(&self.resource, &self.group)
    }
}

pub(crate) fn qualified(resource: &str, group: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn verb(method: &Method, named: bool, watch: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET" | "HEAD", false) if watch => "watch",
        ("GET" | "HEAD", false) => "list",
        ("GET" | "HEAD", true) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, path: &str, expected: &str) {
        let it = RequestInfo::parse(method, path, false);
        let said = format!(
            "{} {}/{} {}/{} ns={} name={}",
            it.verb,
            it.group,
            it.version,
            it.resource,
            it.subresource,
            it.namespace.unwrap_or_default(),
            it.name.unwrap_or_default()
        );
        assert_eq!(said, expected, "{path}");
    }

    #[test]
    fn a_path_says_group_version_resource_namespace_and_name() {
        check(&Method::GET, "/api/v1/pods", "list /v1 pods/ ns= name=");
        check(&Method::GET, "/api/v1/namespaces/a/pods/b", "get /v1 pods/ ns=a name=b");
        check(
            &Method::PUT,
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            "update apps/v1 deployments/scale ns=a name=b",
        );
        check(&Method::DELETE, "/api/v1/namespaces/a", "delete /v1 namespaces/ ns=a name=a");
        check(
            &Method::PUT,
            "/api/v1/namespaces/a/finalize",
            "update /v1 namespaces/finalize ns=a name=a",
        );
        check(
            &Method::DELETE,
            "/api/v1/namespaces/a/pods",
            "deletecollection /v1 pods/ ns=a name=",
        );
        check(&Method::GET, "/api/v1/watch/pods", "watch /v1 pods/ ns= name=");
        check(&Method::POST, "/api/v1/namespaces", "create /v1 namespaces/ ns= name=");
    }

    #[test]
    fn what_is_no_resource_keeps_its_path() {
        for path in ["/", "/version", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1"] {
            let info = RequestInfo::parse(&Method::GET, path, false);
            assert!(!info.is_resource, "{path}");
            assert_eq!((info.verb.as_str(), info.path.as_str()), ("get", path));
        }
    }
}
