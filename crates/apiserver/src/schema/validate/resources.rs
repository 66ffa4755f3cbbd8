//! Amounts: what is asked for, and limits.

use kogge_model::Quantity;
use serde_json::Value;

use super::causes::{Causes, entries, text};
use crate::schema::path::Path;

fn quantity(value: &Value) -> Quantity {
    value.as_str().and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Limits and requests of a container or a claim.
pub fn validate(resources: &Value, path: &Path, causes: &mut Causes) {
    for kind in ["limits", "requests"] {
        amounts(resources, kind, path, causes);
    }
    let requests = path.field("requests");
    for (name, request) in entries(resources, "requests") {
        let limit = text(&resources["limits"], name);
        let Ok(most) = limit.parse::<Quantity>() else { continue };
        let extended = name.contains('/') || name.starts_with("hugepages-");
        if quantity(request) > most {
            let why = format!("must be less than or equal to {name} limit of {limit}");
            causes.invalid(&requests, request, why);
        } else if extended && quantity(request) != most {
            causes.invalid(&requests, request, format!("must be equal to {name} limit of {limit}"));
        }
    }
}

pub fn amounts(holder: &Value, field: &str, path: &Path, causes: &mut Causes) {
    let path = path.field(field);
    for (name, value) in entries(holder, field) {
        if quantity(value).is_negative() {
            causes.invalid(&path.key(name), value, "must be greater than or equal to 0");
        }
    }
}
