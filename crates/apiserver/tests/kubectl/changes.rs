//! What kubectl changes: apply in both manners, patches, and its many smaller verbs.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{Kubectl, SOON, WEB, each};

const MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: {app: a}}
data: {k: v, l: w}
";

fn data(it: &Kubectl) -> String {
    it.ok(&["get", "cm", "a", "-o", "jsonpath={.data}"])
}

#[test]
fn applying_makes_changes_and_takes_away() {
    each(|it| {
        assert_eq!(it.apply(MAP, &[]), "configmap/a created\n");
        assert_eq!(it.apply(MAP, &[]), "configmap/a unchanged\n");
        it.ok(&["patch", "cm", "a", "--type=merge", "-p", r#"{"data":{"other":"x"}}"#]);
        let less = MAP.replace(", l: w", ", m: o");
        assert_eq!(
            it.apply(&less, &["--dry-run=server"]),
            "configmap/a configured (server dry run)\n"
        );
        assert_eq!(data(it), r#"{"k":"v","l":"w","other":"x"}"#);
        assert_eq!(it.apply(&less, &[]), "configmap/a configured\n");
        assert_eq!(data(it), r#"{"k":"v","m":"o","other":"x"}"#);
        let pruned = format!("{}\n", MAP.replace("name: a,", "name: b,"));
        let said =
            it.apply(&pruned, &["--prune", "-l", "app=a", "--prune-allowlist=core/v1/ConfigMap"]);
        assert!(said.contains("configmap/a pruned"), "{said}");
    });
}

#[test]
fn what_is_in_a_list_is_applied_and_checked() {
    each(|it| {
        let item = |name: &str, field: &str| {
            format!("- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, {field}}}\n")
        };
        let list = |items: &str| format!("apiVersion: v1\nkind: List\nitems:\n{items}");
        let both = list(&(item("one", "data: {a: b}") + &item("two", "data: {a: b}")));
        assert_eq!(it.apply(&both, &[]), "configmap/one created\nconfigmap/two created\n");
        assert_eq!(it.apply(&both, &[]), "configmap/one unchanged\nconfigmap/two unchanged\n");
        let wrong = list(&item("three", "dato: {a: b}"));
        it.refuses(&["apply", "-f", "-"], &wrong, &["unknown field", "dato"]);
    });
}

#[test]
fn applying_merges_lists_by_their_keys() {
    each(|it| {
        it.apply(WEB, &[]);
        let beside =
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"log","image":"log:1"}]}}}}"#;
        it.ok(&["patch", "deploy", "web", "-p", beside]);
        let images = ["get", "deploy", "web", "-o", "jsonpath={..image}"];
        it.says(&images, "log:1 nginx:1.29");
        assert_eq!(it.apply(&WEB.replace("1.29", "1.30"), &[]), "deployment.apps/web configured\n");
        it.says(&images, "log:1 nginx:1.30");
        let gone =
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"log","$patch":"delete"}]}}}}"#;
        it.ok(&["patch", "deploy", "web", "-p", gone]);
        it.says(&images, "nginx:1.30");
    });
}

#[test]
fn a_diff_shows_what_would_change() {
    each(|it| {
        it.apply(MAP, &[]);
        assert_eq!(it.run(&["diff", "-f", "-"], MAP).code, Some(0));
        for words in
            [&["diff", "-f", "-"][..], &["diff", "--server-side", "--force-conflicts", "-f", "-"]]
        {
            let said = it.run(words, &MAP.replace("k: v", "k: new"));
            assert_eq!(said.code, Some(1), "{}", said.err);
            assert!(said.out.contains("-  k: v") && said.out.contains("+  k: new"), "{}", said.out);
        }
        assert_eq!(data(it), r#"{"k":"v","l":"w"}"#);
    });
}

#[test]
fn appliers_conflict_over_fields_and_are_named() {
    each(|it| {
        let ssa = |manager: &'static str| {
            ["apply", "--server-side", "-f", "-", "--field-manager", manager]
        };
        assert_eq!(it.feed(&ssa("one"), MAP), "configmap/a serverside-applied\n");
        let other = MAP.replace("k: v", "k: new");
        let texts = ["conflict", "\"one\"", ".data.k"];
        it.refuses(&ssa("two"), &other, &texts);
        it.feed(&[&ssa("two")[..], &["--force-conflicts"]].concat(), &other);
        assert_eq!(data(it), r#"{"k":"new","l":"w"}"#);
        // What only the first still names goes when it names it no more; what both name stays.
        it.feed(
            &ssa("two"),
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: new}}",
        );
        it.feed(&ssa("one"), "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}");
        assert_eq!(data(it), r#"{"k":"new"}"#);
        it.shows(
            &["get", "cm", "a", "-o", "yaml", "--show-managed-fields"],
            &["manager: two", "operation: Apply"],
        );
    });
}

#[test]
fn a_client_side_applier_becomes_a_server_side_one() {
    each(|it| {
        it.apply(MAP, &[]);
        it.apply(&MAP.replace(", l: w", ""), &["--server-side"]);
        assert_eq!(data(it), r#"{"k":"v"}"#);
        it.apply(WEB, &["--server-side"]);
        it.apply(&WEB.replace("1.29", "1.30"), &["--server-side"]);
        it.says(&["get", "deploy", "web", "-o", "jsonpath={..image}"], "nginx:1.30");
    });
}

#[test]
fn the_three_patches_do_what_each_should() {
    each(|it| {
        it.apply(WEB, &[]);
        let patch =
            |kind: &str, text: &str| it.ok(&["patch", "deploy", "web", "--type", kind, "-p", text]);
        patch(
            "json",
            r#"[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":3}]"#,
        );
        patch("merge", r#"{"metadata":{"labels":{"x":"y"}},"spec":{"paused":true}}"#);
        patch(
            "strategic",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}"#,
        );
        it.says(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas} {.spec.paused} {.metadata.labels.x} {..env[0].value} {..image}"], "3 true y b nginx:1.29");
        let failed = [
            "patch",
            "deploy",
            "web",
            "--type=json",
            "-p",
            r#"[{"op":"test","path":"/spec/replicas","value":9}]"#,
        ];
        it.refuses(&failed, "", &["The request is invalid"]);
        let said = it.ok(&["patch", "deploy", "web", "-p", r#"{"spec":{"replicas":3}}"#]);
        assert_eq!(said, "deployment.apps/web patched (no change)\n");
    });
}

#[test]
fn labels_and_annotations_come_and_go() {
    each(|it| {
        it.apply(MAP, &[]);
        it.says(&["label", "cm", "a", "x=y"], "configmap/a labeled");
        it.refuses(&["label", "cm", "a", "x=z"], "", &["--overwrite"]);
        it.ok(&["label", "cm", "a", "x=z", "--overwrite"]);
        it.refuses(
            &["label", "cm", "a", "x=not allowed", "--overwrite"],
            "",
            &["a valid label must be"],
        );
        it.says(&["annotate", "cm", "--all", "note=text of it"], "configmap/a annotated");
        it.says(
            &["get", "cm", "a", "-o", "jsonpath={.metadata.labels.x} {.metadata.annotations.note}"],
            "z text of it",
        );
        it.says(&["label", "cm", "a", "x-"], "configmap/a unlabeled");
        it.says(&["get", "cm", "a", "-o", "jsonpath={.metadata.labels}"], r#"{"app":"a"}"#);
    });
}

#[test]
fn workloads_are_scaled_set_and_edited() {
    each(|it| {
        it.apply(WEB, &[]);
        it.says(&["scale", "deploy", "web", "--replicas=5"], "deployment.apps/web scaled");
        it.refuses(
            &["scale", "deploy", "web", "--current-replicas=2", "--replicas=1"],
            "",
            &["Expected replicas to be 2, was 5"],
        );
        it.says(
            &[
                "get",
                "deploy",
                "web",
                "--subresource=scale",
                "-o",
                "jsonpath={.kind} {.spec.replicas} {.status.selector}",
            ],
            "Scale 5 app=web",
        );
        it.ok(&["set", "image", "deploy/web", "web=nginx:2"]);
        it.ok(&["set", "env", "deploy/web", "A=b"]);
        it.ok(&["set", "resources", "deploy/web", "--requests=cpu=100m"]);
        it.says(
            &["get", "deploy", "web", "-o", "jsonpath={..image} {..env[0].name} {..requests.cpu}"],
            "nginx:2 A 100m",
        );
        it.ok(&["autoscale", "deploy", "web", "--min=2", "--max=6", "--cpu-percent=50"]);
        it.shows(&["get", "hpa", "web"], &["Deployment/web", "2 6"]);
        // Another version than the stored one has another shape: not served, rather than wrong.
        let old = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
        if !it.is_judge() {
            it.refuses(&["get", "--raw", old], "", &["NotFound"]);
        }
        edit(it);
    });
}

/// With an editor that changes one word.
fn edit(it: &Kubectl) {
    let editor = it.path("editor");
    fs::write(&editor, "#!/bin/sh\nsed -i 's/nginx:2/nginx:3/' \"$1\"\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let output =
        it.command(&["edit", "deploy", "web"]).env("KUBE_EDITOR", &editor).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    it.says(&["get", "deploy", "web", "-o", "jsonpath={..image}"], "nginx:3");
}

#[test]
fn objects_are_replaced() {
    each(|it| {
        it.feed(&["create", "-f", "-"], MAP);
        it.refuses(&["create", "-f", "-"], MAP, &["AlreadyExists"]);
        let said = it.feed(&["replace", "-f", "-"], &MAP.replace("k: v", "k: new"));
        assert_eq!(said, "configmap/a replaced\n");
        let uid = ["get", "cm", "a", "-o", "jsonpath={.metadata.uid}"];
        let before = it.ok(&uid);
        it.feed(&["replace", "--force", "-f", "-"], MAP);
        assert_ne!(it.ok(&uid), before);
        assert_eq!(data(it), r#"{"k":"v","l":"w"}"#);
    });
}

const READY: &str = r#"{"status":{"observedGeneration":GEN,"replicas":2,"updatedReplicas":2,
  "readyReplicas":2,"availableReplicas":2,"conditions":[
  {"type":"Available","status":"True","reason":"R","message":"m"},
  {"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable","message":"m"}]}}"#;

#[test]
fn a_rollout_and_a_wait_end_when_the_status_says_so() {
    each(|it| {
        it.apply(WEB, &[]);
        let mut rollout =
            it.begin("rollout", &["rollout", "status", "deploy/web", "--timeout=60s"]);
        let mut condition = it.begin(
            "condition",
            &["wait", "--for=condition=Available", "deploy/web", "--timeout=60s"],
        );
        let mut path = it.begin(
            "path",
            &["wait", "--for=jsonpath={.status.readyReplicas}=2", "deploy/web", "--timeout=60s"],
        );
        rollout.wait_log("Waiting for deployment", SOON);
        let generation = it.ok(&["get", "deploy", "web", "-o", "jsonpath={.metadata.generation}"]);
        assert_eq!(generation, "1");
        let status = READY.replace("GEN", &generation);
        it.ok(&["patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", &status]);
        for (waiting, text) in [
            (&mut rollout, "deployment \"web\" successfully rolled out"),
            (&mut condition, "deployment.apps/web condition met"),
            (&mut path, "deployment.apps/web condition met"),
        ] {
            waiting.wait_log(text, SOON);
            assert!(waiting.wait_exit(SOON).unwrap().unwrap().success());
        }
        // The status is no part of the generation, and the rest no part of the status.
        it.says(&["get", "deploy", "web", "-o", "jsonpath={.metadata.generation}"], "1");
        it.ok(&[
            "patch",
            "deploy",
            "web",
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"spec":{"replicas":9}}"#,
        ]);
        it.shows(&["get", "deploy", "web"], &["web 2/2 2 2"]);
        it.ok(&["rollout", "restart", "deploy/web"]);
        it.shows(
            &["get", "deploy", "web", "-o", "yaml"],
            &["kubectl.kubernetes.io/restartedAt", "generation: 2"],
        );
        it.ok(&["rollout", "pause", "deploy/web"]);
        it.ok(&["rollout", "resume", "deploy/web"]);
        it.refuses(
            &["wait", "--for=condition=Missing", "deploy/web", "--timeout=1s"],
            "",
            &["timed out"],
        );
    });
}
