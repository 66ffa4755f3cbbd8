//! What a client is told when something cannot be done: Kubernetes' `Status`.

use serde_json::{Value, json};

use crate::request::qualified;

/// A refusal: HTTP code, machine reason, and words that name field and cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u16,
    /// One of Kubernetes' `StatusReason`s, such as `NotFound`.
    pub reason: &'static str,
    pub message: String,
    /// Group, kind (for most reasons: the resource) and name of what it is about.
    pub about: Option<Box<About>>,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub group: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}

impl About {
    pub fn named(group: &str, kind: &str, name: &str) -> Self {
        Self { group: group.into(), kind: kind.into(), name: name.into(), uid: String::new() }
    }
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// One of Kubernetes' `CauseType`s, such as `FieldValueInvalid`.
    pub reason: &'static str,
    pub message: String,
    /// JSON path such as `spec.replicas`.
    pub field: String,
}

impl Failure {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, reason, message, about: None, causes: Vec::new(), retry_after_seconds: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 404 of an object.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} not found", qualified(resource, group));
        Self::new(404, "NotFound", message).about(About::named(group, resource, name))
    }

    /// 404 of a path that no kind serves.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", qualified(resource, group));
        Self::new(409, "AlreadyExists", message).about(About::named(group, resource, name))
    }

    /// 409 of an object that is not as the caller thinks.
    pub fn stale(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            qualified(resource, group)
        );
        Self::conflict(message).about(About::named(group, resource, name))
    }

    /// 422 with a cause for each field that is wrong.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let said: Vec<String> =
            causes.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
        let said = match said.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {said}", qualified(kind, group));
        Self::new(422, "Invalid", message).about(About::named(group, kind, name)).causes(causes)
    }

    /// 415 of a body.
    pub fn unsupported_media(media: &str, supported: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {supported}; not {media:?}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    /// 409 for a stale resourceVersion, and for field managers in conflict.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "Conflict", message)
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 501 with a clear word, for what is part of Kubernetes and not built here.
    pub fn not_built(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = Some(Box::new(about));
        self
    }

    #[must_use]
    pub fn causes(mut self, causes: Vec<Cause>) -> Self {
        self.causes = causes;
        self
    }

    /// The `Status` object as it goes over the wire.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        let mut details = serde_json::Map::new();
        if let Some(about) = &self.about {
            for (key, value) in [
                ("name", &about.name),
                ("group", &about.group),
                ("kind", &about.kind),
                ("uid", &about.uid),
            ] {
                if !value.is_empty() {
                    details.insert(key.into(), value.clone().into());
                }
            }
        }
        if !self.causes.is_empty() {
            let causes = self
                .causes
                .iter()
                .map(|it| json!({"reason": it.reason, "message": it.message, "field": it.field}));
            details.insert("causes".into(), causes.collect());
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        if !details.is_empty() {
            status["details"] = Value::Object(details);
        }
        status
    }
}
