//! Webhooks, admission policies, API services and definitions.

use serde_json::{Value, json};

use super::{empty, inner, items, set, set_text, text};

pub fn apply(kind: &str, object: &mut Value) {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            for hook in items(object, "webhooks") {
                webhook(hook);
                if kind == "MutatingWebhookConfiguration" {
                    set(hook, "reinvocationPolicy", "Never");
                }
            }
        }
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            let Some(spec) = inner(object, &["spec"]) else { return };
            set(spec, "failurePolicy", "Fail");
            if let Some(matching) = inner(spec, &["matchConstraints"]) {
                resources(matching);
            }
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            if let Some(matching) = inner(object, &["spec", "matchResources"]) {
                resources(matching);
            }
        }
        "APIService" => {
            if let Some(service) = inner(object, &["spec", "service"]) {
                set(service, "port", 443);
            }
        }
        "CustomResourceDefinition" => definition(object),
        _ => {}
    }
}

fn webhook(hook: &mut Value) {
    set(hook, "failurePolicy", "Fail");
    set(hook, "matchPolicy", "Equivalent");
    set(hook, "namespaceSelector", empty());
    set(hook, "objectSelector", empty());
    set(hook, "timeoutSeconds", 10);
    items(hook, "rules").for_each(|it| set(it, "scope", "*"));
    if let Some(service) = inner(hook, &["clientConfig", "service"]) {
        set(service, "port", 443);
    }
}

fn resources(matching: &mut Value) {
    set(matching, "matchPolicy", "Equivalent");
    set(matching, "namespaceSelector", empty());
    set(matching, "objectSelector", empty());
    for list in ["resourceRules", "excludeResourceRules"] {
        items(matching, list).for_each(|it| set(it, "scope", "*"));
    }
}

fn definition(object: &mut Value) {
    let Some(spec) = inner(object, &["spec"]) else { return };
    set(spec, "conversion", json!({"strategy": "None"}));
    let kind = text(&spec["names"], "kind").to_owned();
    if let Some(names) = inner(spec, &["names"])
        && !kind.is_empty()
    {
        set_text(names, "singular", &kind.to_lowercase());
        set_text(names, "listKind", &format!("{kind}List"));
    }
    if let Some(service) = inner(spec, &["conversion", "webhook", "clientConfig", "service"]) {
        set(service, "port", 443);
    }
}
