//! Trees turned into objects: plain directories in process, kustomizations through kustomize or kubectl.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod repo;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use insta::assert_snapshot;
use kogge_git::{BuildError, Options, RenderedObject, Renderer, render};
use repo::Followed;
use serde_json::json;

/// Whether kustomizations can be built here; said aloud where not, since the test then shows nothing.
fn has_kustomize() -> bool {
    let runs = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|it| it.status.success())
    };
    let found = runs("kustomize", &["version"]) || runs("kubectl", &["version", "--client"]);
    if !found {
        eprintln!("SKIPPED: neither kustomize nor kubectl is installed");
    }
    found
}

fn object(kind: &str, name: &str) -> String {
    let version = if kind == "Deployment" { "apps/v1" } else { "v1" };
    format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n")
}

fn places(objects: &[RenderedObject]) -> String {
    let place = |it: &RenderedObject| {
        let namespace = it.value["metadata"]["namespace"]
            .as_str()
            .map(|it| format!("{it}/"))
            .unwrap_or_default();
        let [kind, name] =
            [&it.value["kind"], &it.value["metadata"]["name"]].map(|it| it.as_str().unwrap_or("?"));
        format!("{kind} {namespace}{name} {}:{}", it.file, it.line)
    };
    objects.iter().map(place).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn rendered(followed: &Followed, path: &str, options: &Options) -> Vec<RenderedObject> {
    followed.commit();
    render(&followed.tree(path), options).unwrap()
}

#[track_caller]
fn refused(followed: &Followed, path: &str, options: &Options) -> String {
    followed.commit();
    render(&followed.tree(path), options).unwrap_err().to_string()
}

/// A directory that holds one file.
fn single(file: &str, content: &str) -> Followed {
    Followed::with(&[(file, content)])
}

#[test]
fn a_directory_is_read_recursively_but_for_what_is_ignored() {
    let two = format!("{}---\n{}", object("Secret", "b"), object("Secret", "c"));
    let followed = Followed::with(&[
        ("deploy/a.yaml", &object("ConfigMap", "a")),
        ("deploy/sub/b.yml", &two),
        (
            "deploy/d.json",
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}}"#,
        ),
        ("deploy/package.json", "{}"),
        ("deploy/README.md", "a: [\n"),
        ("deploy/.hidden.yaml", "a: [\n"),
        ("deploy/.github/ci.yaml", "a: [\n"),
        ("deploy/cloudbuild.yaml", "steps: []\n"),
        ("deploy/values.yaml", "a: 1\n"),
        ("deploy/sub/notes.yaml", "a: 1\n"),
        ("deploy/empty.yaml", "---\n# nothing yet\n"),
        ("deploy/sub/.sourceignore", "/notes.yaml\n"),
        (".sourceignore", "values.yaml\n"),
        ("other.yaml", "a: [\n"),
    ]);
    assert_snapshot!(places(&rendered(&followed, "./deploy", &Options::default())), @"
    ConfigMap a deploy/a.yaml:1
    ConfigMap d deploy/d.json:1
    Secret b deploy/sub/b.yml:1
    Secret c deploy/sub/b.yml:6
");
    let options = Options {
        ignore: Some("/*\n!/deploy/\n/deploy/*\n!/deploy/a.yaml\n".to_owned()),
        ..Options::default()
    };
    assert_snapshot!(places(&rendered(&followed, "deploy", &options)), @"ConfigMap a deploy/a.yaml:1");
}

#[test]
fn nothing_is_a_success() {
    let followed = single("deploy/README.md", "x");
    assert_eq!(rendered(&followed, "deploy", &Options::default()), []);
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_line() {
    let good = object("ConfigMap", "a");
    let fail =
        |file: &str, content: &str| refused(&single(file, content), "deploy", &Options::default());
    assert_snapshot!(fail("deploy/a.yaml", &format!("{good}data: {{a: 1\n")), @"deploy/a.yaml:5: unclosed bracket '{'");
    assert_snapshot!(fail("deploy/a.yaml", &format!("{good}---\nkind: ConfigMap\n")), @"deploy/a.yaml:6: document 2: apiVersion is missing; if this is no Kubernetes object, name the file in .sourceignore");
    assert_snapshot!(fail("deploy/a.yaml", &format!("{good}data: {{}}\ndata: {{}}\n")), @"deploy/a.yaml:6: duplicate mapping key `data` is not allowed here");
    assert_snapshot!(fail("deploy/values.yaml", "replicas: 3\n"), @"deploy/values.yaml:1: document 1: apiVersion is missing; if this is no Kubernetes object, name the file in .sourceignore");
    assert_snapshot!(fail("deploy/web/Chart.yaml", "apiVersion: v2\nname: web\n"), @"deploy/web/Chart.yaml:1: it belongs to a Helm chart, and charts are not rendered; name its directory in .sourceignore, and commit what helm template prints");
    assert_snapshot!(fail("deploy/a.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), @"deploy/a.yaml: its content is kept by Git LFS, which is not supported");
    assert_snapshot!(fail("deploy/a.yaml", &format!("{good}sops: {{mac: x}}\n")), @"deploy/a.yaml:1: it is encrypted with SOPS, which is not supported yet");
    assert_snapshot!(fail("deploy/a.json", "{\"apiVersion\": \"v1\",\n \"kind\": }"), @"deploy/a.json:1: document 1: kind is missing; if this is no Kubernetes object, name the file in .sourceignore");
    let followed = single("deploy/a.yaml", &good);
    fs::write(followed.origin().join("deploy/a.yaml"), b"a: 1\nb: \xff\n").unwrap();
    assert_snapshot!(refused(&followed, "deploy", &Options::default()), @"deploy/a.yaml:2: it is not UTF-8");
}

#[test]
fn the_same_object_twice_names_both_files() {
    let followed = Followed::with(&[
        ("a.yaml", &object("ConfigMap", "a")),
        ("b.yaml", &format!("{}---\n{}", object("Secret", "a"), object("ConfigMap", "a"))),
    ]);
    assert_snapshot!(refused(&followed, "", &Options::default()), @"b.yaml:6: ConfigMap a is also in a.yaml:1");
    let followed = Followed::with(&[
        ("a.yaml", &format!("{}  namespace: x\n", object("Deployment", "a"))),
        ("b.yaml", &format!("{}  namespace: y\n", object("Deployment", "a"))),
    ]);
    assert_eq!(rendered(&followed, "", &Options::default()).len(), 2);
    let options = Options { target_namespace: Some("z".to_owned()), ..Options::default() };
    assert_snapshot!(refused(&followed, "", &options), @"b.yaml:1: Deployment.apps z/a is also in a.yaml:1");
}

#[test]
fn words_are_strings_as_kustomize_reads_them() {
    let text = format!("{}data: {{on: yes, mode: 0644}}\n", object("ConfigMap", "a"));
    let objects = rendered(&single("a.yaml", &text.replace('\n', "\r\n")), "", &Options::default());
    assert_eq!(objects[0].value["data"], json!({"on": "yes", "mode": 420}));
}

#[test]
fn a_symlink_out_of_the_repository_is_an_error_where_it_would_be_read() {
    let followed = Followed::with(&[("a.yaml", &object("ConfigMap", "a"))]);
    followed.link("README.md", "../elsewhere.md");
    assert_eq!(rendered(&followed, "", &Options::default()).len(), 1);
    followed.link("sub/secret.yaml", "../../secret.yaml");
    assert_snapshot!(refused(&followed, "", &Options::default()), @"sub/secret.yaml is a symlink to ../../secret.yaml, which leads out of the repository");
    followed.write(".sourceignore", "/sub/secret.yaml\n");
    assert_eq!(rendered(&followed, "", &Options::default()).len(), 1);
    followed.link("etc", "/etc");
    assert_snapshot!(refused(&followed, "", &Options::default()), @"etc is a symlink to /etc, which leads out of the repository");
}

#[test]
fn fields_that_are_not_built_yet_are_named() {
    let followed = single("a.yaml", &object("ConfigMap", "a"));
    let options =
        Options { post_build: Some(json!({"substitute": {"a": "b"}})), ..Options::default() };
    assert_snapshot!(refused(&followed, "", &options), @"spec.postBuild is not supported yet");
    let options = Options { decryption: Some(json!({"provider": "sops"})), ..Options::default() };
    assert_snapshot!(refused(&followed, "", &options), @"spec.decryption is not supported yet");
    let options = Options { post_build: Some(json!({})), ..Options::default() };
    assert_eq!(rendered(&followed, "", &options).len(), 1);
}

#[test]
fn common_metadata_is_added_to_every_object_and_only_there() {
    let followed = single(
        "a.yaml",
        &format!(
            "{}spec: {{template: {{metadata: {{labels: {{a: b}}}}}}}}\n",
            object("Deployment", "a")
        ),
    );
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let options =
        Options { labels: one("team", "x"), annotations: one("note", "y"), ..Options::default() };
    let objects = rendered(&followed, "", &options);
    assert_eq!(
        objects[0].value["metadata"],
        json!({"name": "a", "labels": {"team": "x"}, "annotations": {"note": "y"}})
    );
    assert_eq!(objects[0].value["spec"]["template"]["metadata"], json!({"labels": {"a": "b"}}));
}

/// Objects of every sort that a namespace concerns.
const NAMESPACED: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: old}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa, namespace: old}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: binding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: x}
subjects:
- {kind: ServiceAccount, name: sa, namespace: old}
- {kind: ServiceAccount, name: default, namespace: other}
- {kind: ServiceAccount, name: stranger, namespace: other}
- {kind: User, name: someone}
---
{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: w}
webhooks:
- {name: a, clientConfig: {service: {name: svc, namespace: old}}}
- {name: b, clientConfig: {service: {name: stranger, namespace: other}}}
- {name: c, clientConfig: {url: 'https://example.com'}}
---
{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: w}, spec: {service: {name: svc, namespace: old}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: w}
spec: {conversion: {webhook: {clientConfig: {service: {name: svc, namespace: old}}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: svc, namespace: old}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}}
";

#[test]
fn a_target_namespace_does_what_kustomize_does() {
    if !has_kustomize() {
        return;
    }
    let followed = Followed::with(&[
        ("plain/all.yaml", NAMESPACED),
        ("built/all.yaml", NAMESPACED),
        ("built/kustomization.yaml", "namespace: new\nresources: [all.yaml]\n"),
    ]);
    let options = Options { target_namespace: Some("new".to_owned()), ..Options::default() };
    let values = |objects: Vec<RenderedObject>| {
        let mut values: Vec<_> = objects.into_iter().map(|it| it.value).collect();
        values.sort_by_key(ToString::to_string);
        values
    };
    let ours = values(rendered(&followed, "plain", &options));
    let theirs = values(rendered(&followed, "built", &Options::default()));
    assert_eq!(ours, theirs);
}

#[test]
fn a_kustomization_is_built_with_all_it_refers_to() {
    if !has_kustomize() {
        return;
    }
    let followed = Followed::with(&[
        (
            "base/kustomization.yaml",
            "resources: [a.yaml]\nconfigMapGenerator:\n- {name: c, files: [x.txt], options: {disableNameSuffixHash: true}}\n",
        ),
        ("base/a.yaml", &object("Deployment", "a")),
        ("base/x.txt", "text"),
        (
            "overlay/kustomization.yml",
            "resources: [../base, ../shared/s.yaml]\npatches: [{path: ../shared/p.yaml}]\nnamespace: ns\n",
        ),
        ("shared/s.yaml", &object("Secret", "s")),
        ("shared/p.yaml", &format!("{}spec: {{replicas: 3}}\n", object("Deployment", "a"))),
        ("all/plain.yaml", &object("Secret", "plain")),
        ("all/one/Kustomization", "resources: [b.yaml]\n"),
        ("all/one/b.yaml", &object("Secret", "b")),
        ("all/one/deeper/kustomization.yaml", "a: [\n"),
    ]);
    let objects = rendered(&followed, "overlay", &Options::default());
    assert_snapshot!(places(&objects), @"
    ConfigMap ns/c base/kustomization.yaml:0
    Secret ns/s shared/s.yaml:0
    Deployment ns/a base/a.yaml:0
");
    assert_eq!(objects[2].value["spec"], json!({"replicas": 3}), "{objects:?}");
    followed.write("all/one/deeper/kustomization.yaml", "resources: []\n");
    assert_snapshot!(places(&rendered(&followed, "all", &Options::default())), @"
    Secret plain all/plain.yaml:1
    Secret b all/one/b.yaml:0
");
}

#[test]
fn what_is_wrong_in_a_kustomization_is_said_with_its_file() {
    if !has_kustomize() {
        return;
    }
    let fail = |kustomization: &str| {
        let files = [
            ("k/kustomization.yaml", kustomization),
            ("k/a.yaml", &object("Secret", "a")),
            ("k/bad.yaml", "a: 1\nb: [\nc: 2\n"),
        ];
        refused(&Followed::with(&files), "k", &Options::default())
    };
    assert_snapshot!(fail("resources: [\n"), @"k/kustomization.yaml:1: unclosed bracket '['");
    assert_snapshot!(fail("resources: [nothing.yaml]\n"), @"k/kustomization.yaml: nothing.yaml is not in the repository");
    assert_snapshot!(fail("resources: [bad.yaml]\n"), @"k/bad.yaml:2: unclosed bracket '['");
    assert_snapshot!(fail("resources: [../../secret.yaml]\n"), @"k/kustomization.yaml: ../../secret.yaml lies outside of the repository");
    assert_snapshot!(fail("configMapGenerator: [{name: x, files: [stolen=/etc/passwd]}]\n"), @"k/kustomization.yaml: /etc/passwd lies outside of the repository");
    assert_snapshot!(fail("resources: [a.yaml, a.yaml]\n"), @"k/kustomization.yaml: kustomize: accumulating resources: accumulation err='merging resources from 'a.yaml': may not add resource with an already registered id: Secret.v1.[noGrp]/a.[noNs]': must build at directory: 'k/a.yaml': file is not directory");
    assert_snapshot!(fail("resources: [a.yaml]\nnamePrefx: x\n"), @r#"k/kustomization.yaml: kustomize: invalid Kustomization: json: unknown field "namePrefx""#);
    assert_snapshot!(fail("resources: [a.yaml]\npatches: [{path: a.yaml, target: {kind: Secret}}, {patch: 'x'}]\n"), @r#"k/kustomization.yaml: kustomize: trouble configuring builtin PatchTransformer with config: `; patch: x; `: unable to parse SM or JSON patch from [patch: "x"]"#);
}

#[test]
fn a_plugin_cannot_read_files_of_this_machine() {
    if !has_kustomize() {
        return;
    }
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "this machine's secret").unwrap();
    let generator = format!(
        "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {{name: x}}\nfiles: [{}]\n",
        secret.path().display()
    );
    let followed =
        Followed::with(&[("kustomization.yaml", "generators: [g.yaml]\n"), ("g.yaml", &generator)]);
    followed.commit();
    let built = render(&followed.tree(""), &Options::default());
    assert!(matches!(built, Err(BuildError::Kustomize { .. })), "{built:?}");
}

#[test]
fn a_machine_without_kustomize_says_so() {
    let followed = single("k/kustomization.yaml", "resources: []\n");
    let options =
        Options { kustomize: Some("/nonexistent/kustomize".into()), ..Options::default() };
    assert_snapshot!(refused(&followed, "k", &options), @"k/kustomization.yaml: kustomize: could not start /nonexistent/kustomize: No such file or directory (os error 2)");
    let followed = single("k/a.yaml", &object("Secret", "a"));
    assert_eq!(
        rendered(&followed, "k", &options).len(),
        1,
        "and does without where none is needed"
    );
}

#[test]
fn a_program_that_hangs_is_ended() {
    let followed = single("k/kustomization.yaml", "resources: []\n");
    let program = followed.place.path().join("kustomize");
    // Written by another process: what we have open for writing, a fork of another test would hold open.
    let write = "printf '#!/bin/sh\\nexec sleep 600\\n' > \"$0\" && chmod 755 \"$0\"";
    assert!(Command::new("sh").args(["-c", write]).arg(&program).status().unwrap().success());
    let timeout = std::time::Duration::from_secs(1);
    let options = Options { kustomize: Some(program), timeout, ..Options::default() };
    assert_snapshot!(refused(&followed, "k", &options), @"k/kustomization.yaml: kustomize: it took longer than 1 s");
}

#[test]
fn prefixes_images_patches_and_components_go_on_top() {
    if !has_kustomize() {
        return;
    }
    let deployment = format!(
        "{}spec: {{template: {{spec: {{containers: [{{name: c, image: nginx:1}}]}}}}}}\n",
        object("Deployment", "a")
    );
    let followed = Followed::with(&[
        ("deploy/a.yaml", &deployment),
        (
            "components/c/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [s.yaml]\n",
        ),
        ("components/c/s.yaml", &object("Secret", "s")),
    ]);
    let options = Options {
        name_prefix: Some("x-".to_owned()),
        images: vec![json!({"name": "nginx", "newTag": "2"})],
        patches: vec![
            json!({"target": {"kind": "Deployment"}, "patch": "- {op: add, path: /spec/replicas, value: 3}"}),
        ],
        components: vec!["../components/c".to_owned()],
        target_namespace: Some("n".to_owned()),
        ..Options::default()
    };
    let objects = rendered(&followed, "deploy", &options);
    assert_snapshot!(places(&objects), @"
    Secret n/x-s components/c/s.yaml:0
    Deployment n/x-a deploy/a.yaml:1
");
    let deployment = objects.iter().find(|it| it.value["kind"] == "Deployment").unwrap();
    assert_eq!(deployment.value["spec"]["replicas"], 3);
    assert_eq!(deployment.value["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
}

#[test]
fn only_what_changed_is_rendered_anew() {
    let followed = Followed::with(&[
        ("a/a.yaml", &object("Secret", "a")),
        ("b/b.yaml", &object("Secret", "b")),
        (".sourceignore", "x\n"),
    ]);
    let renderer = Renderer::new(100);
    let options = Options::default();
    let get =
        |path: &str, options: &Options| renderer.render(&followed.tree(path), options).unwrap();
    let (a, b) = (get("a", &options), get("b", &options));
    followed.write("b/b.yaml", &object("Secret", "c"));
    followed.commit();
    assert!(Arc::ptr_eq(&a, &get("a", &options)));
    assert!(!Arc::ptr_eq(&b, &get("b", &options)));
    let other = Options { target_namespace: Some("n".to_owned()), ..Options::default() };
    assert!(!Arc::ptr_eq(&a, &get("a", &other)));
    followed.write(".sourceignore", "a.yaml\n");
    followed.commit();
    assert_eq!(get("a", &options).len(), 0);
}

#[test]
fn memory_is_bounded() {
    let followed = Followed::with(&[
        ("a/a.yaml", &object("Secret", "a")),
        ("b/b.yaml", &object("Secret", "b")),
    ]);
    let renderer = Renderer::new(1);
    let get = |path: &str| renderer.render(&followed.tree(path), &Options::default()).unwrap();
    let a = get("a");
    assert!(Arc::ptr_eq(&a, &get("a")), "the last one is always known");
    get("b");
    assert!(!Arc::ptr_eq(&a, &get("a")));
}

#[test]
fn a_kustomization_is_built_anew_when_its_base_changes_and_not_otherwise() {
    if !has_kustomize() {
        return;
    }
    let followed = Followed::with(&[
        ("base/kustomization.yaml", "resources: [a.yaml]\n"),
        ("base/a.yaml", &object("Secret", "a")),
        ("overlay/kustomization.yaml", "resources: [../base]\n"),
        ("README.md", "x"),
    ]);
    let renderer = Renderer::new(100);
    let get = || renderer.render(&followed.tree("overlay"), &Options::default()).unwrap();
    let before = get();
    followed.write("README.md", "y");
    followed.commit();
    assert!(Arc::ptr_eq(&before, &get()));
    followed.write("base/a.yaml", &object("Secret", "b"));
    followed.commit();
    assert_eq!(get()[0].value["metadata"]["name"], "b");
}

/// Copies a directory, the time that it was fetched in aside.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn public_applications_render_as_kubectl_renders_them() {
    let Some(data) = kogge_testkit::apps::or_skip() else { return };
    if !has_kustomize() {
        return;
    }
    let followed = Followed::with(&[("README.md", "x")]);
    copy(data.as_ref(), &followed.origin());
    for path in [
        "podinfo/deploy/overlays/dev",
        "podinfo/deploy/overlays/staging",
        "podinfo/deploy/overlays/production",
        "microservices-demo/kustomize",
        "microservices-demo/kustomize/tests/service-mesh-istio-with-all-components",
        "microservices-demo/kubernetes-manifests",
    ] {
        let built = Command::new("kubectl")
            .arg("kustomize")
            .arg(followed.origin().join(path))
            .output()
            .unwrap();
        let built = String::from_utf8(built.stdout).unwrap();
        let expected =
            kogge_model::yaml::objects(&built, kogge_model::yaml::Reading::Kustomize).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|it| it.value).collect();
        let ours: Vec<_> =
            rendered(&followed, path, &Options::default()).into_iter().map(|it| it.value).collect();
        assert_eq!(ours, expected, "{path}");
        assert!(ours.len() >= 10, "{path} has {} objects", ours.len());
    }
    assert!(rendered(&followed, "microservices-demo/release", &Options::default()).len() >= 30);
    for path in ["podinfo/deploy/secure", "podinfo/deploy/webapp"] {
        let objects = rendered(&followed, path, &Options::default());
        assert!(objects.len() >= 6, "{path} has {} objects", objects.len());
    }
}
