use serde_json::{Value, json};

use super::{Authorizer, NoEscalation, Rbac, bootstrap, escalation::RoleWrite, refusal, reviews};
use crate::{request::RequestInfo, user::User};

/// `verb group/resource[/sub][:name]`, with `@namespace` after it, or `verb /path`.
fn asks(text: &str) -> RequestInfo {
    let (verb, rest) = text.split_once(' ').unwrap();
    if rest.starts_with('/') {
        return RequestInfo { verb: verb.into(), path: rest.into(), ..RequestInfo::default() };
    }
    let (rest, namespace) = rest.split_once('@').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (rest, name) = rest.split_once(':').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (group, rest) = rest.split_once('/').unwrap();
    let (resource, sub) = rest.split_once('/').unwrap_or((rest, ""));
    RequestInfo {
        is_resource: true,
        verb: verb.into(),
        group: if group == "core" { String::new() } else { group.into() },
        resource: resource.into(),
        subresource: sub.into(),
        namespace: namespace.map(Into::into),
        name: name.map(Into::into),
        ..RequestInfo::default()
    }
}

fn role(name: &str, rules: &Value) -> Value {
    json!({"kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
}

fn bind(namespace: &str, name: &str, role: &str, subjects: &Value) -> Value {
    let kind = if namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
    let mut object = json!({
        "kind": kind, "metadata": {"name": name}, "subjects": subjects,
        "roleRef": {"kind": "ClusterRole", "name": role},
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn user(name: &str) -> User {
    User::new(name, [])
}

fn is_user(name: &str) -> Value {
    json!([{"kind": "User", "name": name}])
}

#[track_caller]
fn check_rule(rule: &Value, allowed: &[&str], denied: &[&str]) {
    let rbac = Rbac::default();
    rbac.put(&role("r", &json!([rule])));
    rbac.put(&bind("", "b", "r", &is_user("ann")));
    for text in allowed {
        assert!(rbac.authorize(&user("ann"), &asks(text)).allowed, "{rule} does not allow {text}");
        assert!(!rbac.authorize(&user("bob"), &asks(text)).allowed, "{text} is allowed to bob");
    }
    for text in denied {
        assert!(!rbac.authorize(&user("ann"), &asks(text)).allowed, "{rule} allows {text}");
    }
}

#[test]
fn rules_match_verbs_groups_resources_and_names() {
    check_rule(
        &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
        &["get core/pods", "get core/pods:a@ns"],
        &["list core/pods", "get apps/pods", "get core/pods/log", "get core/podsx", "get /api"],
    );
    check_rule(
        &json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
        &["fly core/pods", "get apps/deployments/scale"],
        &["get /metrics"],
    );
    check_rule(
        &json!({"verbs": ["get"], "apiGroups": ["*"], "resources": ["*/scale", "pods/log"]}),
        &["get apps/deployments/scale", "get core/pods/log"],
        &["get apps/deployments", "get apps/deployments/status", "get core/pods"],
    );
    check_rule(
        &json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}),
        &["get core/pods:a"],
        &["get core/pods:b", "list core/pods"],
    );
    check_rule(
        &json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/logs/*"]}),
        &["get /healthz", "get /logs/a/b"],
        &["post /healthz", "get /healthz/x", "get /logs", "get core/pods"],
    );
    check_rule(
        &json!({"verbs": ["get"], "nonResourceURLs": ["*"]}),
        &["get /", "get /anything/at/all"],
        &["get core/pods"],
    );
}

#[test]
fn bindings_reach_users_groups_and_service_accounts_in_their_namespace() {
    let rbac = Rbac::default();
    rbac.put(&role("r", &json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])));
    rbac.put(&bind(
        "ns",
        "b",
        "r",
        &json!([
            {"kind": "Group", "name": "dev"},
            {"kind": "ServiceAccount", "name": "sa", "namespace": "other"},
        ]),
    ));
    let may = |who: &User, what: &str| rbac.authorize(who, &asks(what)).allowed;
    let dev = User::new("ann", ["dev".to_owned()]);
    assert!(may(&dev, "get core/pods@ns"));
    assert!(!may(&dev, "get core/pods@elsewhere"));
    assert!(!may(&dev, "get core/pods"));
    assert!(may(&user("system:serviceaccount:other:sa"), "get core/pods@ns"));
    assert!(!may(&user("system:serviceaccount:ns:sa"), "get core/pods@ns"));
    assert!(may(&User::system("root"), "get core/pods@elsewhere"));
    let decision = rbac.authorize(&dev, &asks("get core/pods@ns"));
    let want = r#"RBAC: allowed by RoleBinding "b/ns" of ClusterRole "r" to Group "dev""#;
    assert_eq!(decision.reason, want);

    rbac.remove("RoleBinding", "ns", "b");
    assert!(!may(&dev, "get core/pods@ns"));
}

#[test]
fn a_namespaced_role_is_looked_up_in_the_bindings_namespace() {
    let rbac = Rbac::default();
    let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    rbac.put(&json!({"kind": "Role", "metadata": {"name": "r", "namespace": "a"}, "rules": rules}));
    for namespace in ["a", "b"] {
        let mut binding = bind(namespace, "x", "r", &is_user("ann"));
        binding["roleRef"]["kind"] = "Role".into();
        rbac.put(&binding);
    }
    assert!(rbac.authorize(&user("ann"), &asks("get core/pods@a")).allowed);
    let denied = rbac.authorize(&user("ann"), &asks("get core/pods@b"));
    assert_eq!(denied.reason, r#"RBAC: role.rbac.authorization.k8s.io "r" not found"#);
}

#[test]
fn a_changed_binding_forgets_whom_it_was_for() {
    let rbac = Rbac::default();
    rbac.put(&role("r", &json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])));
    rbac.put(&bind("", "b", "r", &is_user("ann")));
    rbac.put(&bind("", "b", "r", &is_user("bob")));
    assert!(!rbac.authorize(&user("ann"), &asks("get core/pods")).allowed);
    assert!(rbac.authorize(&user("bob"), &asks("get core/pods")).allowed);
    rbac.remove("ClusterRole", "", "r");
    assert!(!rbac.authorize(&user("bob"), &asks("get core/pods")).allowed);
}

fn bootstrapped() -> Rbac {
    let rbac = Rbac::default();
    for it in bootstrap::objects() {
        rbac.put(&it);
    }
    rbac
}

#[test]
fn admin_edit_and_view_are_made_of_their_parts() {
    let rbac = bootstrapped();
    for (name, role) in [("ada", "admin"), ("eve", "edit"), ("vic", "view")] {
        rbac.put(&bind("ns", name, role, &is_user(name)));
    }
    let may = |who: &str, what: &str| rbac.authorize(&user(who), &asks(what)).allowed;
    for (what, who) in [
        ("get core/pods@ns", "ada eve vic"),
        ("get core/pods/log@ns", "ada eve vic"),
        ("get core/secrets@ns", "ada eve"),
        ("patch apps/deployments/scale@ns", "ada eve"),
        ("create rbac.authorization.k8s.io/roles@ns", "ada"),
        ("delete core/nodes", ""),
        ("create core/pods@elsewhere", ""),
    ] {
        for name in ["ada", "eve", "vic"] {
            assert_eq!(may(name, what), who.contains(name), "{name} {what}");
        }
    }
    let extra = json!({
        "kind": "ClusterRole",
        "metadata": {"name": "mine", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"verbs": ["get"], "apiGroups": ["kogge.dev"], "resources": ["widgets"]}],
    });
    rbac.put(&extra);
    assert!(may("ada", "get kogge.dev/widgets@ns"));
    rbac.remove("ClusterRole", "", "mine");
    assert!(!may("vic", "get kogge.dev/widgets@ns"));
}

#[test]
fn everyone_may_discover_and_ask_about_themselves() {
    let rbac = bootstrapped();
    for what in
        ["get /apis", "get /openapi/v3", "create authorization.k8s.io/selfsubjectaccessreviews"]
    {
        assert!(rbac.authorize(&user("ann"), &asks(what)).allowed, "{what}");
        assert!(!rbac.authorize(&User::anonymous(), &asks(what)).allowed, "{what}");
    }
    assert!(rbac.authorize(&User::anonymous(), &asks("get /version")).allowed);
    assert!(!rbac.authorize(&user("ann"), &asks("get /metrics")).allowed);
}

fn written<'a>(
    user: &'a User,
    resource: &'a str,
    object: &'a Value,
    old: &'a Value,
) -> RoleWrite<'a> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    RoleWrite { user, resource, namespace, name, object, old }
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let rbac = bootstrapped();
    rbac.put(&bind("ns", "ada", "admin", &is_user("ada")));
    let check = NoEscalation { rbac: rbac.clone() };
    let ada = user("ada");
    let role = |rules: Value| json!({"metadata": {"name": "r", "namespace": "ns"}, "rules": rules});
    let pods = role(
        json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]}]),
    );
    assert_eq!(check.check(&written(&ada, "roles", &pods, &Value::Null)), Ok(()));
    let nodes =
        role(json!([{"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["nodes"]}]));
    let refused = check.check(&written(&ada, "roles", &nodes, &pods)).unwrap_err();
    insta::assert_snapshot!(refused.message, @r#"
    roles.rbac.authorization.k8s.io "r" is forbidden: user "ada" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
    {APIGroups:[""], Resources:["nodes"], Verbs:["get"]}
    {APIGroups:["apps"], Resources:["nodes"], Verbs:["get"]}
    "#);
    assert_eq!(check.check(&written(&ada, "roles", &nodes, &nodes)), Ok(()));
    assert_eq!(check.check(&written(&User::system("root"), "roles", &nodes, &pods)), Ok(()));

    let edit = bind("ns", "b", "edit", &is_user("bob"));
    assert_eq!(check.check(&written(&ada, "rolebindings", &edit, &Value::Null)), Ok(()));
    let root = bind("ns", "b", "cluster-admin", &is_user("bob"));
    let refused = check.check(&written(&ada, "rolebindings", &root, &edit));
    assert_eq!(refused.unwrap_err().code, 403);
    let missing = bind("ns", "b", "none", &is_user("bob"));
    let refused = check.check(&written(&ada, "rolebindings", &missing, &Value::Null));
    assert_eq!(refused.unwrap_err().code, 404);

    let words = json!([{"verbs": ["bind", "escalate"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles", "roles"]}]);
    rbac.put(&json!({"kind": "ClusterRole", "metadata": {"name": "words"}, "rules": words}));
    rbac.put(&bind("ns", "words", "words", &is_user("ada")));
    assert_eq!(check.check(&written(&ada, "rolebindings", &root, &edit)), Ok(()));
    assert_eq!(check.check(&written(&ada, "roles", &nodes, &pods)), Ok(()));
}

#[test]
fn an_aggregating_role_counts_as_everything() {
    let rbac = bootstrapped();
    rbac.put(&bind("", "ada", "admin", &is_user("ada")));
    let check = NoEscalation { rbac: rbac.clone() };
    let ada = user("ada");
    let role =
        json!({"metadata": {"name": "r"}, "aggregationRule": {"clusterRoleSelectors": [{}]}});
    assert_eq!(
        check.check(&written(&ada, "clusterroles", &role, &Value::Null)).unwrap_err().code,
        403
    );
    rbac.put(&bind("", "root", "cluster-admin", &is_user("ada")));
    assert_eq!(check.check(&written(&ada, "clusterroles", &role, &Value::Null)), Ok(()));
}

#[test]
fn refusals_are_worded_as_kubernetes_words_them() {
    let words = |text: &str| refusal(&user("ann"), &asks(text), "").message;
    insta::assert_snapshot!(words("list apps/deployments@ns"), @r#"deployments.apps is forbidden: User "ann" cannot list resource "deployments" in API group "apps" in the namespace "ns""#);
    insta::assert_snapshot!(words("get core/pods/log:a"), @r#"pods "a" is forbidden: User "ann" cannot get resource "pods/log" in API group "" at the cluster scope"#);
    insta::assert_snapshot!(words("get /metrics"), @r#"forbidden: User "ann" cannot get path "/metrics""#);
}

fn ask(who: &User, kind: &str, spec: &Value) -> Result<Value, u16> {
    let rbac = bootstrapped();
    rbac.put(&bind("ns", "vic", "view", &is_user("vic")));
    let review = json!({"kind": kind, "spec": spec});
    let answer = reviews::answer(&rbac, who, kind, Some("ns"), review);
    answer.map(|it| it["status"].clone()).map_err(|it| it.code)
}

#[test]
fn reviews_answer_about_oneself_and_about_others() {
    let vic = user("vic");
    let pods = |verb: &str| json!({"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "ns"}});
    let yes = ask(&vic, "SelfSubjectAccessReview", &pods("list")).unwrap();
    assert_eq!(yes["allowed"], true);
    assert_eq!(
        ask(&vic, "SelfSubjectAccessReview", &pods("delete")),
        Ok(json!({"allowed": false}))
    );
    let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/version"}});
    assert_eq!(ask(&vic, "SelfSubjectAccessReview", &path).unwrap()["allowed"], true);
    assert_eq!(ask(&vic, "SelfSubjectAccessReview", &json!({})), Err(400));

    let mut about_vic = pods("list");
    about_vic["user"] = "vic".into();
    assert_eq!(ask(&user("ann"), "SubjectAccessReview", &about_vic).unwrap()["allowed"], true);
    assert_eq!(ask(&user("ann"), "LocalSubjectAccessReview", &about_vic).unwrap()["allowed"], true);
    about_vic["resourceAttributes"]["namespace"] = "other".into();
    assert_eq!(ask(&user("ann"), "LocalSubjectAccessReview", &about_vic), Err(400));
    assert_eq!(ask(&user("ann"), "SubjectAccessReview", &pods("list")), Err(400));
    assert_eq!(ask(&vic, "Pod", &json!({})), Err(404));
}

#[test]
fn rules_and_identity_can_be_asked_for() {
    let rules = ask(&user("ann"), "SelfSubjectRulesReview", &json!({"namespace": "ns"})).unwrap();
    assert_eq!(rules["incomplete"], false);
    let about_self = json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]});
    assert!(rules["resourceRules"].as_array().unwrap().contains(&about_self));
    assert!(
        rules["nonResourceRules"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["verbs"] == json!(["get"]))
    );
    assert_eq!(
        ask(&user("ann"), "SelfSubjectReview", &Value::Null),
        Ok(json!({"userInfo": {"username": "ann", "groups": ["system:authenticated"]}}))
    );
}
