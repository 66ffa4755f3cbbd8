//! Who is asking.

use std::collections::BTreeMap;

/// The group that may do everything, whatever the authorizer says.
pub const MASTERS: &str = "system:masters";
pub const AUTHENTICATED: &str = "system:authenticated";
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
pub const ANONYMOUS: &str = "system:anonymous";
/// The key of [`User::extra`] for the URIs among the names of a client certificate.
pub const CERTIFICATE_URIS: &str = "authentication.kogge.dev/certificate-uris";
/// The server, when it asks itself.
pub(crate) const APISERVER: &str = "system:apiserver";

/// A caller, as authentication found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A caller with a name and groups; `system:authenticated` is added.
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|it| it == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        Self { name: name.into(), groups, ..Self::default() }
    }

    /// A part of the system itself: in `system:masters`.
    pub fn system(name: impl Into<String>) -> Self {
        Self::new(name, [MASTERS.to_owned()])
    }

    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|it| it == group)
    }

    pub fn is_master(&self) -> bool {
        self.is_in(MASTERS)
    }
}
