//! The roles and bindings that every cluster has from the start, as data.

use serde_json::{Value, json};

const API: &str = "rbac.authorization.k8s.io/v1";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const GET: &[&str] = &["get"];
const CREATE: &[&str] = &["create"];
const ALL: &[&str] = &["*"];
const READ_WRITE: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Verbs, API group, resources separated by spaces.
type Grant = (&'static [&'static str], &'static str, &'static str);

const VIEW: &[Grant] = &[
    (
        READ,
        "",
        "bindings configmaps endpoints events limitranges namespaces namespaces/status \
         persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status \
         replicationcontrollers replicationcontrollers/scale replicationcontrollers/status \
         resourcequotas resourcequotas/status serviceaccounts services services/status",
    ),
    (
        READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale \
         deployments/status replicasets replicasets/scale replicasets/status statefulsets \
         statefulsets/scale statefulsets/status",
    ),
    (READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    (READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    (READ, "discovery.k8s.io", "endpointslices"),
    (READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    (READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
];

const EDIT: &[Grant] = &[
    (READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    (&["impersonate"], "", "serviceaccounts"),
    (CREATE, "", "pods/eviction serviceaccounts/token"),
    (
        WRITE,
        "",
        "configmaps events persistentvolumeclaims pods pods/attach pods/exec pods/portforward \
         pods/proxy replicationcontrollers replicationcontrollers/scale secrets serviceaccounts \
         services services/proxy",
    ),
    (
        WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets \
         replicasets/scale statefulsets statefulsets/scale",
    ),
    (WRITE, "autoscaling", "horizontalpodautoscalers"),
    (WRITE, "batch", "cronjobs jobs"),
    (WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    (WRITE, "policy", "poddisruptionbudgets"),
    (READ_WRITE, "coordination.k8s.io", "leases"),
];

const ADMIN: &[Grant] = &[
    (CREATE, "authorization.k8s.io", "localsubjectaccessreviews"),
    (READ_WRITE, "rbac.authorization.k8s.io", "rolebindings roles"),
];

const BASIC_USER: &[Grant] = &[
    (CREATE, "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    (CREATE, "authentication.k8s.io", "selfsubjectreviews"),
];

const PUBLIC: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];
const DISCOVERY: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];
const MONITORING: &[&str] = &[
    "/healthz",
    "/healthz/*",
    "/livez",
    "/livez/*",
    "/metrics",
    "/metrics/slis",
    "/readyz",
    "/readyz/*",
];

/// ClusterRoles and ClusterRoleBindings, roles first. Make what is missing; leave what is there.
pub fn objects() -> Vec<Value> {
    let resources = |grants: &[Grant]| grants.iter().map(rule).collect::<Vec<Value>>();
    let urls = |urls: &[&str]| vec![json!({"verbs": GET, "nonResourceURLs": urls})];
    let all = vec![
        json!({"verbs": ALL, "apiGroups": ALL, "resources": ALL}),
        json!({"verbs": ALL, "nonResourceURLs": ALL}),
    ];
    vec![
        role("cluster-admin", &[], &all),
        role("system:discovery", &[], &urls(DISCOVERY)),
        role("system:public-info-viewer", &[], &urls(PUBLIC)),
        role("system:monitoring", &[], &urls(MONITORING)),
        role("system:basic-user", &[], &resources(BASIC_USER)),
        role("system:aggregate-to-view", &["view"], &resources(VIEW)),
        role("system:aggregate-to-edit", &["edit"], &resources(EDIT)),
        role("system:aggregate-to-admin", &["admin"], &resources(ADMIN)),
        aggregate("view", &["edit"]),
        aggregate("edit", &["admin"]),
        aggregate("admin", &[]),
        binding("cluster-admin", &["system:masters"]),
        binding("system:discovery", &["system:authenticated"]),
        binding("system:basic-user", &["system:authenticated"]),
        binding("system:monitoring", &["system:monitoring"]),
        binding("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ]
}

fn rule((verbs, group, resources): &Grant) -> Value {
    let resources: Vec<&str> = resources.split_ascii_whitespace().collect();
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

fn label_of(role: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{role}")
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}

/// A ClusterRole whose rules become part of the roles it is `part_of`.
fn role(name: &str, part_of: &[&str], rules: &[Value]) -> Value {
    let mut metadata = metadata(name);
    for role in part_of {
        metadata["labels"][label_of(role)] = "true".into();
    }
    json!({"apiVersion": API, "kind": "ClusterRole", "metadata": metadata, "rules": rules})
}

fn aggregate(name: &str, part_of: &[&str]) -> Value {
    let mut role = role(name, part_of, &[]);
    role["aggregationRule"] =
        json!({"clusterRoleSelectors": [{"matchLabels": {label_of(name): "true"}}]});
    role
}

fn binding(name: &str, groups: &[&str]) -> Value {
    let subject = |name: &&str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name});
    json!({
        "apiVersion": API,
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": groups.iter().map(subject).collect::<Vec<Value>>(),
    })
}
