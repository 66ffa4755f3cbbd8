//! What people get wrong, and what they are told.

use super::{WEB, each};

#[test]
fn wrong_input_is_refused_by_field() {
    each(|it| {
        let web = |from: &str, to: &str| WEB.replace(from, to);
        for (object, texts) in [
            (web("replicas: 2", "replicas: two"), &["replicas"][..]),
            (
                web("replicas: 2", "replicas: -1"),
                &["is invalid", "spec.replicas: Invalid value: -1"],
            ),
            (
                web("name: web}", "name: Web_1}"),
                &["metadata.name: Invalid value: \"Web_1\"", "RFC 1123"],
            ),
            (
                web("labels: {app: web}", "labels: {app: other}"),
                &["spec.template.metadata.labels", "`selector` does not match"],
            ),
            (
                web("image: 'nginx:1.29', ", ""),
                &["spec.template.spec.containers[0].image: Required value"],
            ),
            (
                web("containerPort: 80", "containerPort: 80000"),
                &["containerPort: Invalid value: 80000"],
            ),
            (
                web("apps/v1", "apps/v9"),
                &["no matches for kind \"Deployment\" in version \"apps/v9\""],
            ),
            (web("spec:\n", "spec: [\n"), &["error"]),
        ] {
            it.refuses(&["create", "--validate=false", "-f", "-"], &object, texts);
        }
        it.says(&["get", "deploy", "-o", "name"], "");
        it.refuses(&["create", "cm", "a", "-n", "none"], "", &["namespaces \"none\" not found"]);
        it.refuses(&["create", "ns", "No"], "", &["Invalid value: \"No\""]);
    });
}

#[test]
fn unknown_fields_are_refused_warned_of_or_dropped() {
    each(|it| {
        let object = WEB.replace("replicas: 2", "replicas: 2\n  replicaz: 3");
        it.refuses(
            &["create", "-f", "-"],
            &object,
            &["strict decoding error", "unknown field \"spec.replicaz\""],
        );
        let said = it.run(&["create", "--validate=warn", "-f", "-"], &object);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains("Warning: unknown field \"spec.replicaz\""), "{}", said.err);
        it.says(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}{.spec.replicaz}"], "2");
        let said = it.run(&["apply", "--server-side", "--validate=ignore", "-f", "-"], &object);
        assert!(said.err.contains("field not declared in schema"), "{}", said.err);
    });
}

#[test]
fn a_stale_writer_is_told_to_read_again() {
    each(|it| {
        it.ok(&["create", "configmap", "a"]);
        let stale = it.ok(&["get", "cm", "a", "-o", "yaml"]);
        it.ok(&["label", "cm", "a", "x=y"]);
        let texts = [
            "Conflict",
            "the object has been modified; please apply your changes to the latest version",
        ];
        it.refuses(&["replace", "-f", "-"], &stale, &texts);
        let label = ["label", "cm", "a", "x=z", "--overwrite", "--resource-version=1"];
        it.refuses(&label, "", &["the object has been modified"]);
        it.says(&["get", "cm", "a", "-o", "jsonpath={.metadata.labels.x}"], "y");
    });
}

#[test]
fn what_never_changes_is_kept() {
    each(|it| {
        it.apply(WEB, &[]);
        let moved = WEB.replace("app: web", "app: other");
        it.refuses(&["apply", "-f", "-"], &moved, &["spec.selector", "field is immutable"]);
        it.ok(&["expose", "deploy", "web", "--port=80", "--cluster-ip=None"]);
        let frozen =
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: f}, immutable: true, data: {a: b}}";
        it.apply(frozen, &[]);
        it.refuses(
            &["apply", "-f", "-"],
            &frozen.replace("a: b", "a: c"),
            &["field is immutable when `immutable` is set"],
        );
    });
}

#[test]
fn a_watch_from_forgotten_history_is_expired() {
    each(|it| {
        it.ok(&["create", "configmap", "a"]);
        if it.is_judge() {
            return; // It forgets after minutes.
        }
        it.compact();
        let path =
            "/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=1&timeoutSeconds=5";
        let said = it.run(&["get", "--raw", path], "");
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains("Expired") || all.contains("too old resource version"), "{all}");
        it.refuses(
            &["get", "--raw", "/api/v1/configmaps?limit=1&continue=nonsense"],
            "",
            &["continue"],
        );
    });
}

#[test]
fn paths_that_lead_nowhere_say_so() {
    each(|it| {
        it.refuses(&["get", "--raw", "/apis/none.example.com/v1"], "", &["NotFound"]);
        it.refuses(
            &["get", "--raw", "/api/v1/nothings"],
            "",
            &["the server could not find the requested resource"],
        );
        it.refuses(&["delete", "--raw", "/api/v1/namespaces"], "", &["not allow"]);
        it.refuses(&["logs", "nobody"], "", &["pods \"nobody\" not found"]);
        if !it.is_judge() {
            it.ok(&["run", "p", "--image=busybox"]);
            it.refuses(&["logs", "p"], "", &["rror"]);
            it.refuses(&["exec", "p", "--", "ls"], "", &["rror"]);
            it.refuses(&["top", "pods"], "", &["etrics"]);
        }
    });
}
