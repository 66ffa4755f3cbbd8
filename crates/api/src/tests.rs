use serde_json::{Value, json};

use super::*;

#[test]
fn the_kinds_are_these() {
    let said: Vec<String> = rows()
        .iter()
        .map(|row| {
            let scope = if row.namespaced { "namespaced" } else { "cluster" };
            format!("{} {} {} {scope}", row.api_version(), row.kind, row.plural)
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    federation.k8s.io/v1beta1 Federation federations cluster
    cluster.karmada.io/v1alpha1 Cluster clusters cluster
    policy.karmada.io/v1alpha1 PropagationPolicy propagationpolicies namespaced
    policy.karmada.io/v1alpha1 ClusterPropagationPolicy clusterpropagationpolicies cluster
    policy.karmada.io/v1alpha1 OverridePolicy overridepolicies namespaced
    policy.karmada.io/v1alpha1 ClusterOverridePolicy clusteroverridepolicies cluster
    policy.karmada.io/v1alpha1 ClusterTaintPolicy clustertaintpolicies cluster
    work.karmada.io/v1alpha2 ResourceBinding resourcebindings namespaced
    work.karmada.io/v1alpha2 ClusterResourceBinding clusterresourcebindings cluster
    work.karmada.io/v1alpha1 Work works namespaced
    source.toolkit.fluxcd.io/v1 GitRepository gitrepositories namespaced
    kustomize.toolkit.fluxcd.io/v1 Kustomization kustomizations namespaced
    autoscaling/v1beta2 ClusterAutoscaler clusterautoscalers cluster
    kogge.dev/v1alpha1 NodeGroup nodegroups cluster
    ");
}

/// The rules for structural schemas that a hand can break.
#[track_caller]
fn check_structural(at: &str, schema: &Value) {
    let free = schema.get("x-kubernetes-preserve-unknown-fields").is_some()
        || schema.get("x-kubernetes-int-or-string").is_some();
    assert!(free || schema["type"].is_string(), "{at} has no type");
    let about = schema["description"].as_str().unwrap_or("");
    assert!(at.ends_with(".metadata") || about.ends_with('.'), "{at} has no description");
    let fields = schema["properties"].as_object();
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        assert!(fields.is_some_and(|it| it.contains_key(name)), "{at} requires unknown {name}");
    }
    for (name, field) in fields.into_iter().flatten() {
        check_structural(&format!("{at}.{name}"), field);
    }
    if schema["type"] == "array" {
        check_structural(&format!("{at}[]"), &schema["items"]);
    }
    if let Some(values) = schema.get("additionalProperties") {
        assert!(fields.is_none(), "{at} has both properties and additionalProperties");
        check_structural(&format!("{at}.*"), values);
    }
    if let (Some(default), Some(words)) = (schema.get("default"), schema["enum"].as_array()) {
        assert!(words.contains(default), "{at} defaults to {default}");
    }
}

#[test]
fn every_schema_is_structural_and_explains_itself() {
    for row in rows() {
        check_structural(row.kind, &row.schema);
    }
}

/// Every key of a typed object is known to the schema: else it would be pruned when written.
#[track_caller]
fn check_known(at: &str, value: &Value, schema: &Value) {
    if schema.get("x-kubernetes-preserve-unknown-fields").is_some() || at.ends_with(".metadata") {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
                let known = known.unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
                check_known(&format!("{at}.{name}"), field, known);
            }
        }
        Value::Array(items) => {
            for item in items {
                check_known(&format!("{at}[]"), item, &schema["items"]);
            }
        }
        _ => {}
    }
}

/// Reads an object as its type, writes it, and finds all that was in it again.
#[track_caller]
fn check_round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(given: &Value) {
    let typed: T = serde_json::from_value(given.clone()).unwrap();
    let written = serde_json::to_value(&typed).unwrap();
    assert_contains("", &written, given);
    let kind = given["kind"].as_str().unwrap();
    let row = rows().into_iter().find(|it| it.kind == kind).unwrap();
    check_known(kind, &written, &row.schema);
}

#[track_caller]
fn assert_contains(at: &str, all: &Value, part: &Value) {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => {
            for (name, it) in part {
                assert_contains(&format!("{at}.{name}"), all.get(name).unwrap_or(&Value::Null), it);
            }
        }
        (Value::Array(all), Value::Array(part)) if all.len() == part.len() => {
            for (all, part) in all.iter().zip(part) {
                assert_contains(&format!("{at}[]"), all, part);
            }
        }
        _ => assert_eq!(all, part, "{at}"),
    }
}

#[test]
fn a_federation_has_its_members_at_the_top() {
    check_round_trip::<fleet::Federation>(&json!({
        "apiVersion": "federation.k8s.io/v1beta1", "kind": "Federation",
        "metadata": {"name": "my-federation"},
        "members": [
            {"name": "cluster1", "url": "https://cluster1.example.com"},
            {"name": "cluster2", "url": "https://cluster2.example.com", "region": "eu"}],
        "status": {"ready": "1/2", "members": [
            {"name": "cluster2", "state": "Pending", "reason": "NoCredentials"}]},
    }));
}

#[test]
fn a_cluster_is_karmadas() {
    check_round_trip::<fleet::Cluster>(&json!({
        "apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
        "metadata": {"name": "member1", "labels": {"env": "prod"}},
        "spec": {"syncMode": "Pull", "apiEndpoint": "https://10.0.0.1:6443",
            "secretRef": {"namespace": "karmada-cluster", "name": "member1"},
            "insecureSkipTLSVerification": true, "proxyURL": "http://proxy",
            "provider": "p", "region": "eu", "zones": ["a", "b"],
            "taints": [{"key": "k", "effect": "NoExecute", "timeAdded": "2024-01-02T03:04:05Z"}]},
        "status": {"kubernetesVersion": "v1.37.0",
            "apiEnablements": [{"groupVersion": "apps/v1",
                "resources": [{"name": "deployments", "kind": "Deployment"}]}],
            "nodeSummary": {"totalNum": 3, "readyNum": 2},
            "resourceSummary": {"allocatable": {"cpu": "12"}},
            "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterReady",
                "message": "ok", "lastTransitionTime": "2024-01-02T03:04:05Z"}]},
    }));
}

#[test]
fn the_autoscaler_manifest_of_the_readme_is_read() {
    let given = json!({
        "apiVersion": "autoscaling/v1beta2", "kind": "ClusterAutoscaler",
        "metadata": {"name": "kubernetes-autoscaler"},
        "spec": {"scaleDownUnneededWorkloads": true,
            "nodeSelector": {"beta.kubernetes.io/os": "linux"},
            "minAvailable": 1, "maxAvailable": 10, "minPods": 5, "maxPods": 50},
    });
    check_round_trip::<nodes::ClusterAutoscaler>(&given);
    let typed: nodes::ClusterAutoscaler = serde_json::from_value(given).unwrap();
    assert_eq!(typed.spec.scale_down_unneeded_time, "10m");
}

#[test]
fn node_counts_always_add_up() {
    for (current, up, down) in [(3, 2, 0), (3, 0, 1), (0, 0, 5), (u32::MAX, 9, 1)] {
        let it = nodes::ClusterNodeCounts::new("a", current, up, down);
        let sum = i64::from(it.current_node_count) + i64::from(it.desired_scale_up_count)
            - i64::from(it.desired_scale_down_count);
        assert_eq!(i64::from(it.new_node_count), sum);
    }
}

#[test]
fn flux_objects_are_read_as_they_are() {
    check_round_trip::<flux::GitRepository>(&json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "podinfo", "namespace": "default"},
        "spec": {"interval": "5m", "url": "https://example.com/podinfo",
            "ref": {"branch": "master"}, "secretRef": {"name": "creds"}},
        "status": {"artifact": {"revision": "master@sha1:abc", "lastUpdateTime": "2024-01-02T03:04:05Z"},
            "observedGeneration": 2},
    }));
    check_round_trip::<flux::Kustomization>(&json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "podinfo", "namespace": "default"},
        "spec": {"interval": "10m", "path": "./kustomize", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "podinfo"},
            "dependsOn": [{"name": "base", "namespace": "infra"}],
            "postBuild": {"substitute": {"a": "b"}}, "wait": true, "timeout": "1m"},
        "status": {"inventory": {"entries": [{"id": "default_podinfo_apps_Deployment", "v": "v1"}]},
            "lastAppliedRevision": "master@sha1:abc", "observedGeneration": 1},
    }));
}

#[test]
fn bindings_works_and_node_groups_round_trip() {
    check_round_trip::<work::ResourceBinding>(&json!({
        "apiVersion": "work.karmada.io/v1alpha2", "kind": "ResourceBinding",
        "metadata": {"name": "web-deployment", "namespace": "shop"},
        "spec": {"resource": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"},
            "replicas": 5, "clusters": [{"name": "member1", "replicas": 5}],
            "replicaRequirements": {"resourceRequest": {"cpu": "500m"}}},
        "status": {"aggregatedStatus": [{"clusterName": "member1", "applied": true, "health": "Healthy"}]},
    }));
    check_round_trip::<work::Work>(&json!({
        "apiVersion": "work.karmada.io/v1alpha1", "kind": "Work",
        "metadata": {"name": "web", "namespace": "karmada-es-member1"},
        "spec": {"workload": {"manifests": [{"kind": "ConfigMap", "data": {"a": "b"}}]}},
    }));
    check_round_trip::<nodes::NodeGroup>(&json!({
        "apiVersion": "kogge.dev/v1alpha1", "kind": "NodeGroup", "metadata": {"name": "pool"},
        "spec": {"provider": "simulator", "minSize": 1, "maxSize": 10, "desiredSize": 2, "price": "0.2",
            "template": {"capacity": {"cpu": "4", "memory": "16Gi"}, "labels": {"a": "b"}}},
        "status": {"readyNodes": 1, "comingNodes": 1},
    }));
    check_round_trip::<policy::ClusterTaintPolicy>(&json!({
        "apiVersion": "policy.karmada.io/v1alpha1", "kind": "ClusterTaintPolicy",
        "metadata": {"name": "dead"},
        "spec": {"addOnConditions": [{"conditionType": "Ready", "operator": "In", "statusValues": ["False"]}],
            "taints": [{"key": "not-ready", "effect": "NoExecute"}]},
    }));
}
