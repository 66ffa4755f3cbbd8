//! Roles, bindings, webhooks and admission policies.

use serde_json::Value;

use super::{
    Printer,
    age::age,
    cells::{NONE, UNSET, list, name, or, text},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "RoleBinding" | "ClusterRoleBinding" => &BINDING,
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => &WEBHOOKS,
        "ValidatingAdmissionPolicy" => &VALIDATING,
        "MutatingAdmissionPolicy" => &MUTATING,
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => &POLICY_BINDING,
        _ => return None,
    })
}

static BINDING: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Role", "string", 0),
        ("Age", "string", 0),
        ("Users", "string", 1),
        ("Groups", "string", 1),
        ("ServiceAccounts", "string", 1),
    ],
    cells: |object, now| {
        let role = &object["roleRef"];
        let of = |kind: &str, show: fn(&Value) -> String| -> Value {
            let subjects = list(object, "subjects").iter().filter(|it| it["kind"] == kind);
            subjects.map(show).collect::<Vec<_>>().join(", ").into()
        };
        let plain = |it: &Value| text(it, "name").to_owned();
        vec![
            name(object),
            format!("{}/{}", text(role, "kind"), text(role, "name")).into(),
            age(object, now),
            of("User", plain),
            of("Group", plain),
            of("ServiceAccount", |it| format!("{}/{}", text(it, "namespace"), text(it, "name"))),
        ]
    },
};

static WEBHOOKS: Printer = Printer {
    columns: &[("Name", "string", 0), ("Webhooks", "integer", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), list(object, "webhooks").len().into(), age(object, now)]
    },
};

fn parameters(spec: &Value) -> Value {
    let kind = &spec["paramKind"];
    if !kind.is_object() {
        return UNSET.into();
    }
    format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")).into()
}

static VALIDATING: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Validations", "integer", 0),
        ("ParamKind", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let count = list(spec, "validations").len();
        vec![name(object), count.into(), parameters(spec), age(object, now)]
    },
};

static MUTATING: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Mutations", "integer", 0),
        ("ParamKind", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let count = list(spec, "mutations").len();
        vec![name(object), count.into(), parameters(spec), age(object, now)]
    },
};

static POLICY_BINDING: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("PolicyName", "string", 0),
        ("ParamRef", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let parameter = &spec["paramRef"];
        let shown = match (text(parameter, "namespace"), text(parameter, "name")) {
            _ if !parameter.is_object() => UNSET.to_owned(),
            ("", name) => or(name, NONE).to_owned(),
            (namespace, name) => format!("{namespace}/{name}"),
        };
        vec![name(object), text(spec, "policyName").into(), shown.into(), age(object, now)]
    },
};
