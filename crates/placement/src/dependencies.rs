//! What a template names and needs beside it: the ConfigMaps, Secrets, claims and the
//! `ServiceAccount` of its pods, and the TLS secrets of an Ingress.

use std::collections::BTreeSet;

use serde_json::Value;

/// An object that comes along.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

/// Where pods are described, by kind.
const POD_SPECS: &[(&str, &str)] = &[
    ("CronJob", "/spec/jobTemplate/spec/template/spec"),
    ("DaemonSet", "/spec/template/spec"),
    ("Deployment", "/spec/template/spec"),
    ("Job", "/spec/template/spec"),
    ("Pod", "/spec"),
    ("ReplicaSet", "/spec/template/spec"),
    ("ReplicationController", "/spec/template/spec"),
    ("StatefulSet", "/spec/template/spec"),
];

/// Fields of a volume that name an object: where the name is, and the object's kind.
const VOLUMES: &[(&str, &str)] = &[
    ("/configMap/name", "ConfigMap"),
    ("/secret/secretName", "Secret"),
    ("/persistentVolumeClaim/claimName", "PersistentVolumeClaim"),
    ("/azureFile/secretName", "Secret"),
    ("/cephfs/secretRef/name", "Secret"),
    ("/csi/nodePublishSecretRef/name", "Secret"),
    ("/flexVolume/secretRef/name", "Secret"),
    ("/iscsi/secretRef/name", "Secret"),
    ("/rbd/secretRef/name", "Secret"),
    ("/scaleIO/secretRef/name", "Secret"),
    ("/storageos/secretRef/name", "Secret"),
];

/// Each once, in order. The default `ServiceAccount` and the CA bundle that every namespace has
/// are not listed: clusters have their own.
pub fn of(template: &Value) -> Vec<Reference> {
    let kind = template["kind"].as_str().unwrap_or("");
    let mut named = BTreeSet::new();
    if let Some((_, pointer)) = POD_SPECS.iter().find(|it| it.0 == kind) {
        pods(template.pointer(pointer).unwrap_or(&Value::Null), &mut named);
    }
    if kind == "StatefulSet" {
        own_claims(template, &mut named);
    }
    if kind == "Ingress" {
        for tls in list(template, "/spec/tls") {
            name(tls, "/secretName", "Secret", &mut named);
        }
    }
    let namespace = template.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("");
    let reference = |(kind, name): (&str, &str)| Reference {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    named.into_iter().map(reference).collect()
}

type Named<'a> = BTreeSet<(&'static str, &'a str)>;

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name<'a>(value: &'a Value, pointer: &str, kind: &'static str, named: &mut Named<'a>) {
    let found = value.pointer(pointer).and_then(Value::as_str);
    let own = |it: &&str| match kind {
        "ConfigMap" => *it == "kube-root-ca.crt",
        "ServiceAccount" => *it == "default",
        _ => false,
    };
    if let Some(found) = found.filter(|it| !it.is_empty() && !own(it)) {
        named.insert((kind, found));
    }
}

fn pods<'a>(spec: &'a Value, named: &mut Named<'a>) {
    name(spec, "/serviceAccountName", "ServiceAccount", named);
    for secret in list(spec, "/imagePullSecrets") {
        name(secret, "/name", "Secret", named);
    }
    for containers in ["/initContainers", "/containers", "/ephemeralContainers"] {
        for container in list(spec, containers) {
            environment(container, named);
        }
    }
    for volume in list(spec, "/volumes") {
        for (pointer, kind) in VOLUMES {
            name(volume, pointer, kind, named);
        }
        for source in list(volume, "/projected/sources") {
            name(source, "/configMap/name", "ConfigMap", named);
            name(source, "/secret/name", "Secret", named);
        }
    }
}

fn environment<'a>(container: &'a Value, named: &mut Named<'a>) {
    for variable in list(container, "/env") {
        name(variable, "/valueFrom/configMapKeyRef/name", "ConfigMap", named);
        name(variable, "/valueFrom/secretKeyRef/name", "Secret", named);
    }
    for source in list(container, "/envFrom") {
        name(source, "/configMapRef/name", "ConfigMap", named);
        name(source, "/secretRef/name", "Secret", named);
    }
}

/// Claims that a `StatefulSet` makes by itself are not looked for.
fn own_claims<'a>(template: &'a Value, named: &mut Named<'a>) {
    for claim in list(template, "/spec/volumeClaimTemplates") {
        let made = claim.pointer("/metadata/name").and_then(Value::as_str);
        named.retain(|(kind, name)| *kind != "PersistentVolumeClaim" || Some(*name) != made);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: &Value, want: &str) {
        let said: Vec<String> =
            of(template).iter().map(|it| format!("{}/{}", it.kind, it.name)).collect();
        assert_eq!(said.join(" "), want);
    }

    fn pod() -> Value {
        json!({
            "serviceAccountName": "runner",
            "imagePullSecrets": [{"name": "registry"}],
            "initContainers": [{"envFrom": [{"configMapRef": {"name": "cm-from"}}, {"secretRef": {"name": "s-from"}}]}],
            "containers": [{"env": [
                {"name": "A", "value": "plain"},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm-key", "key": "k"}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s-key", "key": "k"}}}]}],
            "volumes": [
                {"configMap": {"name": "cm-vol"}}, {"configMap": {"name": "kube-root-ca.crt"}},
                {"secret": {"secretName": "s-vol"}}, {"emptyDir": {}},
                {"persistentVolumeClaim": {"claimName": "data"}},
                {"projected": {"sources": [{"configMap": {"name": "cm-proj"}}, {"secret": {"name": "s-proj"}}]}}]})
    }

    #[test]
    fn pods_name_what_they_need() {
        let want = "ConfigMap/cm-from ConfigMap/cm-key ConfigMap/cm-proj ConfigMap/cm-vol \
            PersistentVolumeClaim/data Secret/registry Secret/s-from Secret/s-key Secret/s-proj \
            Secret/s-vol ServiceAccount/runner";
        check(&json!({"kind": "Pod", "spec": pod()}), want);
        check(&json!({"kind": "Deployment", "spec": {"template": {"spec": pod()}}}), want);
        check(
            &json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod()}}}}}),
            want,
        );
        check(&json!({"kind": "ConfigMap", "spec": pod()}), "");
        check(&json!({"kind": "Pod", "spec": {"serviceAccountName": "default"}}), "");
    }

    #[test]
    fn the_rest() {
        check(
            &json!({"kind": "Ingress", "spec": {"tls": [{"secretName": "cert"}, {}]}}),
            "Secret/cert",
        );
        check(
            &json!({"kind": "StatefulSet", "spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            "template": {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}}}}),
            "",
        );
        let got = of(
            &json!({"kind": "Ingress", "metadata": {"namespace": "shop"}, "spec": {"tls": [{"secretName": "c"}]}}),
        );
        assert_eq!(got[0].namespace, "shop");
    }
}
