//! One request to a resource, with all that its verb needs to answer it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};

use crate::{
    encode::Accept,
    options::Options,
    registry::{Resource, Verbs},
    request::RequestInfo,
    serve::Draining,
    server::State,
    status::Failure,
    user::User,
};

pub(crate) struct Call {
    pub state: Arc<State>,
    pub user: Arc<User>,
    pub info: RequestInfo,
    pub resource: Arc<Resource>,
    pub options: Options,
    pub accept: Accept,
    pub content_type: String,
    pub user_agent: String,
    pub body: Bytes,
    /// Fields that came twice in it: `duplicate field "spec.replicas"`.
    pub duplicates: Vec<String>,
    pub draining: Option<Draining>,
    /// Become `Warning` headers.
    pub warnings: Vec<String>,
}

impl Call {
    pub fn new(
        state: Arc<State>,
        user: Arc<User>,
        info: RequestInfo,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Self, Failure> {
        let registry = state.registry();
        let resource = registry
            .find(&info.group, &info.version, &info.resource)
            .cloned()
            .ok_or_else(Failure::no_such_resource)?;
        check_scope(&resource, &info)?;
        let options = Options::parse(parts.uri.query().unwrap_or_default())?;
        let accept = Accept::parse(text(&parts.headers, header::ACCEPT))?;
        let content_type = text(&parts.headers, header::CONTENT_TYPE).to_owned();
        let user_agent = text(&parts.headers, header::USER_AGENT).to_owned();
        let warnings = state.advice(&info);
        Ok(Self {
            state,
            user,
            info,
            resource,
            options,
            accept,
            content_type,
            user_agent,
            body,
            duplicates: Vec::new(),
            draining: parts.extensions.get().cloned(),
            warnings,
        })
    }

    pub fn namespace(&self) -> Option<&str> {
        self.info.namespace.as_deref().filter(|_| self.resource.is_namespaced())
    }

    pub fn name(&self) -> &str {
        self.info.name.as_deref().unwrap_or_default()
    }

    pub fn key(&self) -> String {
        self.resource.key(self.namespace(), self.name())
    }

    /// Who is written into managedFields: as asked for, else the client's program name.
    pub fn field_manager(&self) -> String {
        if !self.options.field_manager.is_empty() {
            return self.options.field_manager.clone();
        }
        let program = self.user_agent.split('/').next().unwrap_or_default();
        if program.is_empty() { "unknown".into() } else { program.chars().take(128).collect() }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
}

/// Which paths exist depends on the kind's scope.
fn check_scope(resource: &Resource, info: &RequestInfo) -> Result<(), Failure> {
    let own_namespace = resource.is("", "namespaces");
    match (resource.is_namespaced(), &info.namespace) {
        (false, Some(_)) if !own_namespace => return Err(Failure::no_such_resource()),
        (true, None) if info.name.is_some() => return Err(Failure::no_such_resource()),
        (true, None)
            if resource.verbs != Verbs::CreateOnly
                && !matches!(info.verb.as_str(), "list" | "watch") =>
        {
            return Err(Failure::method_not_allowed());
        }
        _ => {}
    }
    let creates = info.verb == "create" && info.name.is_none();
    let known = match resource.verbs {
        Verbs::All => true,
        Verbs::NoCollection => info.verb != "deletecollection",
        Verbs::CreateOnly => creates,
    };
    if info.verb.is_empty() || !known { Err(Failure::method_not_allowed()) } else { Ok(()) }
}
