//! How things go away.

use super::{SOON, WEB, each};

const HELD: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [example.com/hold]}
";

#[test]
fn finalizers_hold_what_is_deleted() {
    each(|it| {
        it.feed(&["create", "-f", "-"], HELD);
        let mut delete = it.begin("delete", &["delete", "cm", "held"]);
        let mut wait = it.begin("wait", &["wait", "--for=delete", "cm/held", "--timeout=60s"]);
        delete.wait_log("configmap \"held\" deleted", SOON);
        it.shows(&["get", "cm", "held", "-o", "yaml"], &["deletionTimestamp:"]);
        assert!(delete.status().unwrap().is_none(), "kubectl waits for the end");
        let release = r#"{"metadata":{"finalizers":null}}"#;
        it.ok(&["patch", "cm", "held", "--type=merge", "-p", release]);
        for waiting in [&mut delete, &mut wait] {
            let ended = waiting.wait_exit(SOON).unwrap().unwrap();
            assert!(ended.success(), "{}", waiting.log());
        }
        it.refuses(&["get", "cm", "held"], "", &["NotFound"]);
        it.refuses(&["delete", "cm", "held"], "", &["NotFound"]);
        it.says(&["delete", "cm", "held", "--ignore-not-found"], "");
    });
}

#[test]
fn a_namespace_goes_with_what_is_in_it() {
    each(|it| {
        it.ok(&["create", "ns", "shop"]);
        it.apply(WEB, &["-n", "shop"]);
        it.feed(&["create", "-n", "shop", "-f", "-"], HELD);
        let mut delete = it.begin("delete", &["delete", "ns", "shop"]);
        delete.wait_log("\"shop\" deleted", SOON);
        it.wait_gone(&["get", "deploy", "web", "-n", "shop"]);
        it.shows(&["get", "ns", "shop"], &["Terminating"]);
        let late = ["create", "configmap", "late", "-n", "shop"];
        it.refuses(&late, "", &["because it is being terminated"]);
        let why =
            "jsonpath={.status.conditions[?(@.type=='NamespaceFinalizersRemaining')].message}";
        let wait =
            ["wait", "ns/shop", "--for=condition=NamespaceFinalizersRemaining", "--timeout=60s"];
        it.ok(&wait);
        it.shows(&["get", "ns", "shop", "-o", why], &["example.com/hold in 1 resource"]);
        let release = r#"{"metadata":{"finalizers":null}}"#;
        it.ok(&["patch", "cm", "held", "-n", "shop", "--type=merge", "-p", release]);
        let ended = delete.wait_exit(SOON).unwrap().unwrap();
        assert!(ended.success(), "{}", delete.log());
        it.refuses(&["get", "ns", "shop"], "", &["NotFound"]);
        it.refuses(&["delete", "ns", "default"], "", &["Forbidden"]);
    });
}

#[test]
fn dependents_go_wait_or_stay_as_asked() {
    each(|it| {
        let child = |owner: &str| {
            let uid = it.ok(&["get", "cm", owner, "-o", "jsonpath={.metadata.uid}"]);
            let object = format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {owner}-child, ownerReferences: \
                 [{{apiVersion: v1, kind: ConfigMap, name: {owner}, uid: {uid}, \
                 blockOwnerDeletion: true}}]}}}}"
            );
            it.feed(&["create", "-f", "-"], &object);
        };
        for owner in ["background", "foreground", "orphan"] {
            it.ok(&["create", "configmap", owner]);
            child(owner);
            it.ok(&["delete", "cm", owner, &format!("--cascade={owner}")]);
        }
        it.refuses(&["get", "cm", "foreground-child"], "", &["NotFound"]);
        it.wait_gone(&["get", "cm", "background-child"]);
        it.says(&["get", "cm", "orphan-child", "-o", "jsonpath={.metadata.ownerReferences}"], "");
    });
}

#[test]
fn many_are_deleted_at_once() {
    each(|it| {
        for name in ["a", "b", "c"] {
            it.ok(&["create", "configmap", name]);
        }
        it.ok(&["label", "cm", "a", "b", "go=1"]);
        it.ok(&["delete", "cm", "-l", "go=1"]);
        it.says(&["get", "cm", "-o", "name"], "configmap/c");
        it.shows(&["delete", "cm", "c", "--dry-run=server"], &["(server dry run)"]);
        it.ok(&["delete", "cm", "--all"]);
        it.says(&["get", "cm", "-o", "name"], "");
        it.apply(WEB, &[]);
        it.ok(&["delete", "deploy", "web", "--force", "--grace-period=0"]);
        it.refuses(&["get", "deploy", "web"], "", &["NotFound"]);
    });
}
