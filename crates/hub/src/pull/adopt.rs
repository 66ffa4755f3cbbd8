//! Clusters that the hub does not know and that show its own certificate: they are taken back.

use jiff::Timestamp;
use kogge_agent::wire::Farewell;
use kogge_api::fleet::{Cluster, SyncMode};
use kogge_member::{Error, ObjectKey, object};
use serde_json::{Value, json};

use crate::{
    context::{Context, Shared},
    controllers::cluster,
    events::Event,
    roll::Standing,
};

/// On a Cluster: when it was made again from its agent's certificate.
pub(crate) const ADOPTED: &str = "kogge.dev/adopted";

/// What an agent with a valid certificate is to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    Member,
    /// It is not needed, or no longer.
    Parts(Farewell),
    /// It is to be made a member again.
    Stray,
    /// What it is cannot be said yet.
    Waits(String),
}

/// What the agent of cluster `name` is, whose certificate is for the uid `id`.
pub(super) fn agent(hub: &Context, name: &str, id: &str) -> Agent {
    let found = cluster_of(hub, name);
    let standing = hub.roll.standing(name, (hub.now)());
    judge(name, id, found.as_ref(), standing, hub.recovery.is_on())
}

fn judge(
    name: &str,
    id: &str,
    cluster: Option<&Cluster>,
    standing: Standing,
    recovering: bool,
) -> Agent {
    let has_left = |why: String| Agent::Parts(Farewell { why, has_left: true });
    let Some(it) = cluster else {
        return match standing {
            Standing::Left => has_left(format!("{name} is no cluster of this fleet, or no longer")),
            Standing::Stays => Agent::Stray,
            Standing::NotKnownYet => {
                Agent::Waits(format!("the hub does not know yet whether {name} has left the fleet"))
            }
        };
    };
    // It was taken back before the fleet said that it had been removed.
    let was_removed = is_guess(it) && standing == Standing::Left;
    if it.metadata.deletion_timestamp.is_some() || was_removed {
        return has_left(format!("{name} is leaving the fleet"));
    }
    if it.spec.id != id {
        let is_guess = recovering || is_guess(it);
        let why = format!("{name} is another cluster now");
        // Of two with the name the hub took back the one that it heard first.
        return if is_guess {
            Agent::Waits(format!(
                "{why}; to let this one in under another name: kogge token create"
            ))
        } else {
            has_left(why)
        };
    }
    if it.spec.sync_mode != SyncMode::Pull {
        let why = format!("the hub dials {name} itself: its spec.syncMode is Push");
        return Agent::Parts(Farewell { why, has_left: false });
    }
    Agent::Member
}

fn cluster_of(hub: &Context, name: &str) -> Option<Cluster> {
    let key = ObjectKey::new(cluster::GROUP, "Cluster", "", name);
    serde_json::from_value(hub.cache.value(&key)?).ok()
}

fn is_guess(cluster: &Cluster) -> bool {
    cluster.metadata.annotations.contains_key(ADOPTED)
}

/// Whether a person applied a Cluster as a whole, from a backup for one: it is no guess then.
pub(crate) fn is_given_back(cluster: &Value) -> bool {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let entries = cluster.pointer("/metadata/managedFields").and_then(Value::as_array);
    let applied =
        |it: &Value| it["operation"] == "Apply" && it.pointer("/fieldsV1/f:spec").is_some();
    object::annotation(cluster, LAST_APPLIED).is_some()
        || entries.into_iter().flatten().any(applied)
}

/// Why an adopted cluster hears nothing yet: what it is to hold was never decided for it, and
/// would be nothing.
pub(super) fn waits(hub: &Context, name: &str) -> Option<String> {
    cluster_of(hub, name).is_some_and(|it| is_guess(&it)).then(|| message(name))
}

/// A person says that the hub has its state again: what was adopted hears what it is to hold.
pub(super) async fn accept_all(hub: &Context) -> Result<(), Error> {
    let resource = hub.resource(cluster::API_VERSION, "Cluster").await?;
    let none = json!({"metadata": {"annotations": {ADOPTED: null}}});
    for (key, _) in hub.cache.all(cluster::GROUP, "Cluster") {
        if waits(hub, &key.name).is_some() {
            hub.client.merge(&resource, "", &key.name, None, &none).await?;
        }
    }
    Ok(())
}

/// Makes the Cluster of a stray again, and says so.
pub(super) async fn adopt(hub: &Shared, name: &str, id: &str) -> Result<(), Error> {
    let clusters = hub.resource(cluster::API_VERSION, "Cluster").await?;
    match hub.client.create(&clusters, &made(name, id, (hub.now)())).await {
        Ok(made) => {
            tracing::warn!(cluster = name, "adopted: its certificate is good, it had no Cluster");
            hub.events.say(Event::about(&made, true, "Adopted", message(name)));
            Ok(())
        }
        // It was there, and was not read yet.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// For the condition and the event.
pub(crate) fn message(name: &str) -> String {
    format!(
        "{name} showed a certificate of this fleet, and the hub had no Cluster of it: it is a \
         member again, and keeps what it has; labels, region and taints that it had are not known; \
         when it is as it was, let it hear what it is to hold: kubectl annotate cluster {name} \
         {ADOPTED}- (or take it out: kogge unjoin {name})"
    )
}

fn made(name: &str, id: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": cluster::API_VERSION, "kind": "Cluster",
        "metadata": {"name": name, "annotations": {ADOPTED: format!("{now:.0}")}},
        "spec": {"id": id, "syncMode": "Pull"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(id: &str) -> Cluster {
        serde_json::from_value(made("eu", id, Timestamp::UNIX_EPOCH)).unwrap()
    }

    #[track_caller]
    fn check(cluster: Option<&Cluster>, standing: Standing, recovering: bool, want: &str) {
        let got = match judge("eu", "1", cluster, standing, recovering) {
            Agent::Member => "member",
            Agent::Stray => "stray",
            Agent::Waits(_) => "waits",
            Agent::Parts(it) if it.has_left => "left",
            Agent::Parts(_) => "not needed",
        };
        assert_eq!(got, want);
    }

    #[test]
    fn who_has_no_cluster_has_left_only_where_the_hub_removed_it() {
        for recovering in [false, true] {
            check(None, Standing::Left, recovering, "left");
            check(None, Standing::Stays, recovering, "stray");
            check(None, Standing::NotKnownYet, recovering, "waits");
        }
    }

    #[test]
    fn of_two_clusters_with_a_name_none_leaves_by_a_guess() {
        let mut joined = cluster("2");
        joined.metadata.annotations.clear();
        check(Some(&joined), Standing::Stays, false, "left");
        check(Some(&joined), Standing::Stays, true, "waits");
        check(Some(&cluster("2")), Standing::Stays, false, "waits");
        joined.spec.id = "1".into();
        check(Some(&joined), Standing::Left, false, "member");
        check(Some(&cluster("1")), Standing::Left, false, "left");
    }

    fn managed(operation: &str, fields: &Value) -> Value {
        json!([{"manager": "kubectl", "operation": operation, "fieldsV1": fields}])
    }

    #[test]
    fn what_a_person_applied_was_given_back() {
        let mut it = made("eu", "1", Timestamp::UNIX_EPOCH);
        let spec = json!({"f:spec": {"f:region": {}}});
        it["metadata"]["managedFields"] = managed("Update", &spec);
        assert!(!is_given_back(&it));
        it["metadata"]["managedFields"] = managed("Apply", &json!({"f:metadata": {}}));
        assert!(!is_given_back(&it));
        it["metadata"]["managedFields"] = managed("Apply", &spec);
        assert!(is_given_back(&it));
        let mut it = made("eu", "1", Timestamp::UNIX_EPOCH);
        it["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
            "{}".into();
        assert!(is_given_back(&it));
    }

    #[test]
    fn what_the_hub_dials_itself_needs_no_agent() {
        let mut it = cluster("1");
        it.spec.sync_mode = SyncMode::Push;
        check(Some(&it), Standing::Stays, false, "not needed");
    }
}
