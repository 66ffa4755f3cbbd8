use kogge_member::object;
use serde_json::{Value, json};

use super::decide;
use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    world::World,
};

fn key() -> Key {
    Key::new(Kind::Service, "shop", "web")
}

fn service(spec: &Value) -> Value {
    let mut it = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "web", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.96.0.1", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]}});
    for (field, value) in spec.as_object().unwrap() {
        it["spec"][field] = value.clone();
    }
    it
}

fn pod(number: usize, port: u16, ready: &str) -> Value {
    json!({"metadata": {"name": format!("web-{number:03}"), "namespace": "shop",
            "uid": format!("p{number}"), "labels": {"app": "web"}},
        "spec": {"nodeName": "n", "containers": [
            {"ports": [{"name": "web", "containerPort": port}]}]},
        "status": {"phase": "Running", "podIP": format!("10.128.0.{number}"),
            "conditions": [{"type": "Ready", "status": ready}]}})
}

struct Played {
    world: World,
    version: u64,
}

impl Played {
    fn new(spec: &Value, pods: impl IntoIterator<Item = Value>) -> Self {
        let mut it = Self { world: World::default(), version: 0 };
        it.put(Kind::Service, service(spec));
        for pod in pods {
            it.put(Kind::Pod, pod);
        }
        it.settle();
        it
    }

    fn put(&mut self, kind: Kind, mut it: Value) {
        self.version += 1;
        it["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.world.set(kind, it);
    }

    fn settle(&mut self) {
        for _ in 0..5 {
            let effects = decide(&self.world, &key());
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out(effect);
            }
        }
        panic!("it does not settle: {:?}", decide(&self.world, &key()));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Create { kind, object: mut it } => {
                if it["metadata"]["name"].is_null() {
                    it["metadata"]["name"] = format!("web-{}", self.version).into();
                }
                it["metadata"]["uid"] = it["metadata"]["name"].clone();
                self.put(kind, it);
            }
            Effect::Patch { key, patch, .. } => {
                let mut it = self.world.get(&key).unwrap().clone();
                for (field, value) in patch.as_object().unwrap() {
                    match value.as_object() {
                        Some(inner) if field == "spec" || field == "metadata" => {
                            for (name, value) in inner {
                                it[field][name] = value.clone();
                            }
                        }
                        _ => it[field] = value.clone(),
                    }
                }
                self.put(key.kind, it);
            }
            Effect::Warn { message, .. } => panic!("{message}"),
            Effect::Delete(key) | Effect::Remove(key) => {
                let it = self.world.get(&key).unwrap().clone();
                self.world.remove(key.kind, &it);
            }
        }
    }

    fn slices(&self) -> Vec<&Value> {
        self.world.all(Kind::EndpointSlice).collect()
    }

    fn endpoints(&self) -> &Value {
        self.world.all(Kind::Endpoints).next().unwrap()
    }
}

#[test]
fn a_named_port_is_that_of_each_pod() {
    let played = Played::new(&json!({}), [pod(1, 8080, "True"), pod(2, 9090, "False")]);
    let slices = played.slices();
    let said: Vec<_> = slices
        .iter()
        .map(|it| (&it["ports"][0]["port"], &it["endpoints"][0]["conditions"]["ready"]))
        .collect();
    assert_eq!(said.len(), 2);
    assert!(said.contains(&(&json!(8080), &json!(true))), "{said:?}");
    assert!(said.contains(&(&json!(9090), &json!(false))), "{said:?}");
    let label = |key: &str| object::label(slices[0], key);
    assert_eq!(label("kubernetes.io/service-name"), Some("web"));
    assert_eq!(label("team"), Some("a"));
    let manager = Some("endpointslice-controller.k8s.io");
    assert_eq!(label("endpointslice.kubernetes.io/managed-by"), manager);
    let subsets = played.endpoints()["subsets"].as_array().unwrap();
    assert_eq!(subsets.len(), 2);
    assert_eq!(subsets[0]["addresses"][0]["ip"], "10.128.0.1");
    assert_eq!(subsets[1]["notReadyAddresses"][0]["ip"], "10.128.0.2");
}

#[test]
fn a_slice_holds_a_hundred_and_spare_ones_go() {
    let mut played = Played::new(&json!({}), (0..250).map(|it| pod(it, 80, "True")));
    let sizes = |played: &Played| {
        let mut sizes: Vec<usize> =
            played.slices().iter().map(|it| it["endpoints"].as_array().unwrap().len()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&played), [50, 100, 100]);
    for number in 0..200 {
        played.world.remove(Kind::Pod, &pod(number, 80, "True"));
    }
    played.settle();
    assert_eq!(sizes(&played), [50]);
}

#[test]
fn a_pod_on_its_way_out_still_serves_but_is_not_ready() {
    let mut going = pod(1, 80, "True");
    going["metadata"]["deletionTimestamp"] = "now".into();
    let played = Played::new(&json!({}), [going]);
    let conditions = &played.slices()[0]["endpoints"][0]["conditions"];
    assert_eq!(*conditions, json!({"ready": false, "serving": true, "terminating": true}));
    assert_eq!(played.endpoints()["subsets"], json!([]));
}

#[test]
fn a_headless_service_says_so() {
    let played = Played::new(&json!({"clusterIP": "None"}), [pod(1, 80, "True")]);
    for it in [played.slices()[0], played.endpoints()] {
        assert_eq!(object::label(it, "service.kubernetes.io/headless"), Some(""), "{it}");
    }
}

#[test]
fn addresses_and_node_ports_are_given_once_each() {
    let mut played = Played::new(&json!({"clusterIP": null, "type": "NodePort"}), []);
    let mut twin = service(&json!({"clusterIP": null, "type": "NodePort"}));
    twin["metadata"]["name"] = "twin".into();
    played.put(Kind::Service, twin);
    let twin = Key::new(Kind::Service, "shop", "twin");
    let effects = decide(&played.world, &twin);
    let Some(Effect::Patch { patch, .. }) = effects.first() else { panic!("{effects:?}") };
    let first = played.world.get(&key()).unwrap();
    for path in ["/spec/clusterIP", "/spec/ports/0/nodePort"] {
        let (one, two) = (first.pointer(path).unwrap(), patch.pointer(path).unwrap());
        assert!(!one.is_null() && one != two, "{path}: {one} {two}");
    }
}

#[test]
fn endpoints_go_with_their_service_but_not_those_of_others() {
    let mut played = Played::new(&json!({}), []);
    let it = played.world.get(&key()).unwrap().clone();
    played.world.remove(Kind::Service, &it);
    let own = Key { kind: Kind::Endpoints, ..key() };
    assert_eq!(decide(&played.world, &key()), [Effect::Delete(own)]);
    let mut foreign = played.endpoints().clone();
    foreign["metadata"]["labels"] = json!({});
    played.put(Kind::Endpoints, foreign);
    assert_eq!(decide(&played.world, &key()), []);
}
