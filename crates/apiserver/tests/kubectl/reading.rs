//! What kubectl shows.

use super::{Kubectl, SOON, WEB, each};

const EVENT: &str = "
apiVersion: v1
kind: Event
metadata: {name: web.1, namespace: default}
involvedObject: {apiVersion: apps/v1, kind: Deployment, name: web, namespace: default, uid: UID}
type: Warning
reason: Odd
message: something is odd
count: 3
firstTimestamp: '2026-01-02T03:04:05Z'
lastTimestamp: '2026-01-02T03:04:05Z'
source: {component: test}
";

const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: node1, labels: {node-role.kubernetes.io/worker: ''}}
status:
  conditions: [{type: Ready, status: 'True', reason: KubeletReady, message: fine}]
  capacity: {cpu: '4', memory: 16Gi, pods: '110'}
  allocatable: {cpu: '4', memory: 16Gi, pods: '110'}
  nodeInfo: {kubeletVersion: v1.37.0, osImage: Linux, kernelVersion: '6.1',
    containerRuntimeVersion: 'containerd://2.0'}
";

#[test]
fn namespaces_are_there_and_are_made() {
    each(|it| {
        it.shows(&["get", "ns"], &["NAME STATUS AGE", "default Active", "kube-system Active"]);
        it.says(&["create", "ns", "shop"], "namespace/shop created");
        it.says(&["get", "ns", "shop", "-o", "jsonpath={.status.phase}"], "Active");
        it.shows(&["describe", "ns", "shop"], &["Name: shop", "Status: Active"]);
    });
}

#[test]
fn an_object_is_printed_in_every_form() {
    each(|it| {
        it.ok(&["create", "configmap", "a", "--from-literal=k=v", "--from-literal=l=w"]);
        it.ok(&["label", "configmap", "a", "tier=1"]);
        let get = |form: &str, text: &str| it.shows(&["get", "cm", "a", "-o", form], &[text]);
        get("wide", "a 2");
        get("yaml", "k: v");
        get("json", "\"k\": \"v\"");
        get("name", "configmap/a");
        get("jsonpath={.data.k}-{.data.l}", "v-w");
        get("go-template={{.data.k}}", "v");
        get("custom-columns=N:.metadata.name,K:.data.k", "N K\na v");
        it.shows(&["get", "cm", "a", "--show-labels"], &["NAME DATA AGE LABELS", "tier=1"]);
        it.shows(&["get", "cm", "-A", "-l", "tier in (1)"], &["NAMESPACE NAME", "default a 2"]);
        it.says(&["get", "cm", "-l", "tier=2", "-o", "name"], "");
        it.says(&["get", "cm", "--field-selector=metadata.name=a", "-o", "name"], "configmap/a");
        it.shows(&["get", "configmaps", "--sort-by=.metadata.name"], &["a 2"]);
        it.shows(&["get", "cm", "a", "-o", "yaml", "--show-managed-fields"], &["manager: kubectl"]);
        it.says(&["get", "--raw", "/readyz"], "ok");
        it.refuses(&["get", "cm", "b"], "", &["NotFound", "configmaps \"b\" not found"]);
        it.refuses(&["get", "nothings"], "", &["doesn't have a resource type \"nothings\""]);
    });
}

#[test]
fn lists_come_in_pages() {
    each(|it| {
        for name in ["a", "b", "c", "d", "e"] {
            it.ok(&["create", "configmap", name]);
        }
        let all = it.ok(&["get", "cm", "--chunk-size=2", "-o", "name"]);
        let names = "configmap/a configmap/b configmap/c configmap/d configmap/e";
        assert_eq!(all.split_whitespace().collect::<Vec<_>>().join(" "), names);
    });
}

#[test]
fn workloads_have_their_columns_and_are_described() {
    each(|it| {
        it.apply(WEB, &[]);
        let columns = "NAME READY UP-TO-DATE AVAILABLE AGE";
        it.shows(&["get", "deploy"], &[columns, "web 0/2 0 0"]);
        it.shows(&["get", "deploy", "-o", "wide"], &["CONTAINERS IMAGES SELECTOR", "app=web"]);
        it.shows(&["get", "all"], &["deployment.apps/web"]);
        let texts =
            ["Name: web", "Replicas: 2 desired", "Image: nginx:1.29", "StrategyType: Rolling"];
        it.shows(&["describe", "deploy", "web"], &texts);
        it.ok(&["expose", "deploy", "web", "--port=80"]);
        it.shows(&["get", "svc", "web"], &["NAME TYPE CLUSTER-IP", "web ClusterIP"]);
        it.shows(&["describe", "svc", "web"], &["Selector: app=web", "Port: <unset> 80/TCP"]);
        it.ok(&["create", "secret", "generic", "s", "--from-literal=password=hidden"]);
        it.shows(&["describe", "secret", "s"], &["password: 6 bytes"]);
        it.apply(NODE, &["--server-side"]);
        it.feed(&["replace", "--subresource=status", "-f", "-"], NODE);
        it.shows(&["get", "nodes"], &["NAME STATUS ROLES AGE VERSION", "node1 Ready worker"]);
        it.shows(&["describe", "node", "node1"], &["Roles: worker", "Ready True"]);
        it.ok(&["cordon", "node1"]);
        it.shows(&["get", "nodes"], &["Ready,SchedulingDisabled"]);
        it.ok(&["taint", "node", "node1", "dedicated=x:NoSchedule"]);
        it.shows(&["describe", "node", "node1"], &["dedicated=x:NoSchedule"]);
    });
}

#[test]
fn a_watch_shows_each_change() {
    each(|it| {
        it.ok(&["create", "configmap", "a"]);
        let mut plain = it.begin("plain", &["get", "cm", "-w", "--output-watch-events"]);
        let mut names = it.begin("names", &["get", "cm", "-w", "-o", "name"]);
        for watch in [&mut plain, &mut names] {
            watch.wait_log("a", SOON);
        }
        it.ok(&["create", "configmap", "b", "--from-literal=k=v"]);
        it.ok(&["label", "cm", "b", "x=y"]);
        it.ok(&["delete", "cm", "b"]);
        for event in ["ADDED      b", "MODIFIED   b", "DELETED    b"] {
            plain.wait_log(event, SOON);
        }
        names.wait_log("configmap/b", SOON);
    });
}

#[test]
fn events_are_listed_and_described() {
    each(|it| {
        it.apply(WEB, &[]);
        let uid = it.ok(&["get", "deploy", "web", "-o", "jsonpath={.metadata.uid}"]);
        it.feed(&["create", "-f", "-"], &EVENT.replace("UID", &uid));
        let texts =
            ["LAST SEEN TYPE REASON OBJECT MESSAGE", "Warning Odd deployment/web something"];
        it.shows(&["get", "events"], &texts);
        it.shows(&["events", "--for=deployment/web"], &["Odd", "x3"]);
        it.shows(&["describe", "deploy", "web"], &["Warning Odd", "something is odd"]);
        let selected =
            ["get", "events", "--field-selector=involvedObject.name=other", "-o", "name"];
        it.says(&selected, "");
    });
}

#[test]
fn kinds_are_explained_and_listed() {
    each(|it| {
        let texts = ["GROUP: apps", "KIND: Deployment", "replicas", "strategy"];
        it.shows(&["explain", "deploy.spec"], &texts);
        it.shows(&["explain", "deploy.spec.replicas"], &["FIELD: replicas", "integer"]);
        it.shows(&["explain", "pod.spec.containers", "--recursive"], &["livenessProbe"]);
        it.shows(&["explain", "ingress", "--api-version=networking.k8s.io/v1"], &["spec"]);
        it.refuses(&["explain", "deploy.nothing"], "", &["field \"nothing\" does not exist"]);
        let texts = ["deployments deploy apps/v1 true Deployment", "nodes no v1 false Node"];
        it.shows(&["api-resources"], &texts);
        it.shows(&["api-resources", "--namespaced=false", "-o", "name"], &["namespaces"]);
        it.shows(&["api-resources", "--verbs=list,watch", "-o", "wide"], &["create,delete"]);
        it.shows(&["api-versions"], &["apps/v1", "rbac.authorization.k8s.io/v1", "v1"]);
        it.shows(&["version"], &["Server Version: v1.37."]);
        it.shows(&["cluster-info"], &["control plane is running at"]);
    });
}

#[test]
fn rights_are_asked_about_and_given() {
    each(|it| {
        it.says(&["auth", "can-i", "create", "deploy"], "yes");
        it.shows(&["auth", "whoami"], &["Username admin", "system:masters"]);
        let asked = ["auth", "can-i", "get", "cm", "--as=ada"];
        assert_eq!(it.run(&asked, "").out.trim(), "no");
        let get = ["get", "cm", "--as=ada"];
        let said =
            "cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
        it.refuses(&get, "", &["Forbidden", "User \"ada\"", said]);
        it.ok(&["create", "role", "reader", "--verb=get,list", "--resource=configmaps"]);
        it.ok(&["create", "rolebinding", "ada", "--role=reader", "--user=ada"]);
        it.says(&asked, "yes");
        it.ok(&get);
        it.shows(&["auth", "can-i", "--list", "--as=ada"], &["configmaps [] [] [get list]"]);
        let delete = ["auth", "can-i", "delete", "cm", "--as=ada"];
        assert_eq!(it.run(&delete, "").code, Some(1));
        it.shows(&["describe", "role", "reader"], &["configmaps [] [] [get list]"]);
        rights_are_not_raised(it);
    });
}

/// Who may make roles still gives nothing that is not theirs.
fn rights_are_not_raised(it: &Kubectl) {
    let role = ["create", "clusterrole", "roles", "--verb=create,get", "--resource=roles"];
    it.ok(&role);
    it.ok(&["create", "clusterrolebinding", "eve", "--clusterrole=roles", "--user=eve"]);
    let raise = ["create", "role", "more", "--verb=get", "--resource=secrets", "--as=eve"];
    it.refuses(&raise, "", &["attempting to grant RBAC permissions not currently held"]);
}
