//! What a replica asks for, and how many of it fit in the room that clusters report.

use std::collections::BTreeMap;

use kogge_agent::link::Room;
use kogge_model::{PodSpec, ResourceName, Resources};
use serde_json::Value;

/// What one replica of a template asks for; nothing for what runs no pods.
pub(crate) fn requirements(template: &Value) -> Resources {
    let pod = match template["kind"].as_str() {
        Some("Pod") => template.get("spec"),
        Some("CronJob") => template.pointer("/spec/jobTemplate/spec/template/spec"),
        _ => template.pointer("/spec/template/spec"),
    };
    let spec = pod.and_then(|it| PodSpec::from_value(it).ok());
    spec.map(|it| it.requests).unwrap_or_default()
}

/// Replicas that fit; without any room reported that is not known, and `u32::MAX`.
pub(crate) fn replicas(rooms: Option<&[Room]>, one: &Resources) -> u32 {
    let Some(rooms) = rooms else { return u32::MAX };
    let mut one = one.clone();
    one.set(&ResourceName::Pods, 1);
    let fits = |it: &Room| it.free.fits(&one).max(0).saturating_mul(i64::from(it.nodes));
    let all = rooms.iter().map(fits).fold(0, i64::saturating_add);
    u32::try_from(all).unwrap_or(u32::MAX)
}

/// As a resource list of Kubernetes, without the count of pods.
pub(crate) fn as_quantities(resources: &Resources) -> BTreeMap<String, String> {
    let pods = ResourceName::Pods;
    let listed = resources.iter().filter(|(name, amount)| *name != pods && *amount != 0);
    listed.map(|(name, amount)| (name.as_str().to_owned(), quantity(&name, amount))).collect()
}

fn quantity(name: &ResourceName, amount: i64) -> String {
    use kogge_model::Quantity;
    match name {
        ResourceName::Cpu => Quantity::from_milli(amount).to_string(),
        ResourceName::Memory | ResourceName::EphemeralStorage => {
            Quantity::from_bytes(amount).to_string()
        }
        _ => amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_counts_whole_replicas_on_each_node() {
        let mut free = Resources::new(1_900, 4 << 30);
        free.set(&ResourceName::Pods, 110);
        let rooms = [Room { free, nodes: 3 }];
        let one = Resources::new(500, 128 << 20);
        assert_eq!(replicas(Some(&rooms), &one), 9);
        assert_eq!(replicas(Some(&rooms), &Resources::default()), 330);
        assert_eq!(replicas(Some(&[]), &one), 0);
        assert_eq!(replicas(None, &one), u32::MAX);
    }
}
