//! Which ports of a pod a Service means. Pure.

use serde_json::{Value, json};

/// The service's ports as this pod has them: numbers stay, names are looked up in its containers,
/// and what the pod lacks is left out.
pub(super) fn of_pod(service: &Value, pod: &Value) -> Vec<Value> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports
        .filter_map(|it| {
            let protocol = it["protocol"].as_str().unwrap_or("TCP");
            let number = match &it["targetPort"] {
                Value::String(name) => named(pod, name, protocol)?,
                target => target.as_i64().filter(|it| *it != 0).or_else(|| it["port"].as_i64())?,
            };
            let mut port = json!({"port": number, "protocol": protocol,
                "name": it["name"].as_str().unwrap_or_default()});
            if it["appProtocol"].is_string() {
                port["appProtocol"] = it["appProtocol"].clone();
            }
            Some(port)
        })
        .collect()
}

fn named(pod: &Value, name: &str, protocol: &str) -> Option<i64> {
    let of = |list: &str| pod["spec"][list].as_array().into_iter().flatten();
    // Init containers that go on running have ports too.
    let sidecars = of("initContainers").filter(|it| it["restartPolicy"] == "Always");
    let ports = of("containers")
        .chain(sidecars)
        .flat_map(|it| it["ports"].as_array().into_iter().flatten());
    let mut found = ports
        .filter(|it| it["name"] == name && it["protocol"].as_str().unwrap_or("TCP") == protocol);
    found.next()?["containerPort"].as_i64()
}
