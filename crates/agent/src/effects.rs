//! What is done to the member: apply one object, delete one object.

use std::{collections::BTreeSet, sync::Arc};

use kogge_member::{Apply, Client, DeleteOptions, Error, Fault, ObjectKey, Resource};
use serde_json::{Value, json};

use crate::{
    FIELD_MANAGER, MANAGED_LABEL,
    link::{Mode, Work},
    track::{Live, Meta},
};

/// Who overwrites what apply alone cannot put right, for a moment.
const OVERWRITE_MANAGER: &str = "kogge-overwrite";

/// How an effect ended.
#[derive(Debug)]
pub(crate) enum Done {
    Applied {
        hash: String,
        meta: Meta,
    },
    /// Somebody else's, and only used.
    Used {
        hash: String,
    },
    /// Somebody else's, and in the way.
    Conflict {
        hash: String,
        message: String,
    },
    Failed {
        hash: String,
        message: String,
        fault: Trouble,
    },
    /// The member lets go of the object with this uid, or has done so.
    Deleted {
        uid: String,
    },
    /// Something in the namespace is not kogge's, so it stays.
    Kept {
        message: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Its namespace or kind may be on the way.
    NotThere,
    /// The object itself is refused.
    Refused,
    Other,
}

pub(crate) async fn apply(client: &Client, work: &Arc<Work>, live: &Live) -> Done {
    let hash = work.hash.clone();
    match try_apply(client, work, live).await {
        Ok(done) => done,
        Err(error) => {
            let fault = match &error.fault {
                Fault::NotFound(_) | Fault::NoSuchKind { .. } => Trouble::NotThere,
                Fault::Invalid(_) => Trouble::Refused,
                _ => Trouble::Other,
            };
            Done::Failed { hash, message: error.chain(), fault }
        }
    }
}

async fn try_apply(client: &Client, work: &Arc<Work>, live: &Live) -> Result<Done, Error> {
    let key = &work.key;
    let hash = work.hash.clone();
    let resource = client.resource(&work.api_version, &key.kind).await?;
    let owned = matches!(live, Live::Present(meta) if meta.owned);
    if !owned && work.mode != Mode::Overwrite {
        // The watch sees only what carries the label, so somebody else's is looked for.
        if let Some(other) = somebody_elses(client, &resource, key).await? {
            return Ok(match work.mode {
                Mode::Ensure => Done::Used { hash },
                Mode::Abort | Mode::Overwrite => Done::Conflict { hash, message: other },
            });
        }
    }
    let mut object: Value =
        serde_json::from_slice(&work.manifest).expect("the hub sends manifests as JSON objects");
    object["metadata"]["labels"][MANAGED_LABEL] = "true".into();
    let how = Apply { manager: FIELD_MANAGER, force: true, dry_run: false };
    let applied = match client.apply(&resource, &object, how).await {
        Err(error) if owned && matches!(error.fault, Fault::Invalid(_)) => {
            // If this does not help either, what was wrong first is what there is to say.
            match overwrite(client, &resource, &object).await {
                Ok(()) => client.apply(&resource, &object, how).await?,
                Err(_) => return Err(error),
            }
        }
        applied => applied?,
    };
    Ok(Done::Applied { hash, meta: Meta::of(&applied) })
}

/// Puts lists back as a whole.
///
/// Who changes the key of a list item (a port's number) leaves an item of his own there, which
/// server-side apply keeps beside ours; two of one name are refused then. A merge patch takes it
/// away. What that patch owns is given up again, or nothing of it could ever be removed.
async fn overwrite(client: &Client, resource: &Resource, object: &Value) -> Result<(), Error> {
    let written = client.merge_as(resource, object, OVERWRITE_MANAGER).await?;
    let managers = written.pointer("/metadata/managedFields").and_then(Value::as_array);
    let place = managers.and_then(|it| it.iter().position(|it| it["manager"] == OVERWRITE_MANAGER));
    if let Some(place) = place {
        let path = format!("/metadata/managedFields/{place}");
        let operations = json!([
            {"op": "test", "path": format!("{path}/manager"), "value": OVERWRITE_MANAGER},
            {"op": "remove", "path": path},
        ]);
        let key = ObjectKey::of(object);
        client.json_patch(resource, &key.namespace, &key.name, &operations).await?;
    }
    Ok(())
}

/// Says whose the object is, if it is there and not kogge's.
async fn somebody_elses(
    client: &Client,
    resource: &Resource,
    key: &ObjectKey,
) -> Result<Option<String>, Error> {
    let found = match client.get_metadata(resource, &key.namespace, &key.name).await {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    if Meta::of(&found).owned {
        return Ok(None);
    }
    let manager = found
        .pointer("/metadata/managedFields/0/manager")
        .and_then(Value::as_str)
        .unwrap_or("somebody else");
    Ok(Some(format!(
        "{key} exists already and belongs to {manager}; to take it over set \
         spec.conflictResolution: Overwrite in the policy"
    )))
}

pub(crate) async fn delete(client: &Client, key: &ObjectKey, meta: &Meta) -> Done {
    match try_delete(client, key, meta).await {
        Ok(done) => done,
        Err(error) if error.is_not_found() => Done::Deleted { uid: meta.uid.clone() },
        Err(error) => {
            Done::Failed { hash: String::new(), message: error.chain(), fault: Trouble::Other }
        }
    }
}

async fn try_delete(client: &Client, key: &ObjectKey, meta: &Meta) -> Result<Done, Error> {
    let resource = client.resource_of_kind(&key.group, &key.kind).await?;
    if key.group.is_empty()
        && key.kind == "Namespace"
        && let Some(stranger) = stranger_in(client, &key.name).await?
    {
        let message = format!("namespace {} stays: it holds {stranger}", key.name);
        return Ok(Done::Kept { message });
    }
    let options = DeleteOptions { uid: Some(meta.uid.clone()), ..DeleteOptions::default() };
    client.delete(&resource, &key.namespace, &key.name, &options).await?;
    Ok(Done::Deleted { uid: meta.uid.clone() })
}

/// The first object in a namespace that neither kogge nor Kubernetes itself put there.
///
/// Looks at every kind that the cluster serves; what has an owner goes with it.
async fn stranger_in(client: &Client, namespace: &str) -> Result<Option<String>, Error> {
    let not_ours = format!("{MANAGED_LABEL}!=true");
    let mut seen = BTreeSet::new();
    for resource in client.discover().await? {
        let (group, kind) = (resource.group.clone(), resource.kind.clone());
        let passing = PASSING.contains(&(group.as_str(), kind.as_str()));
        // One version of each kind is enough.
        if !resource.namespaced || passing || !seen.insert((group, kind)) {
            continue;
        }
        for object in client.list(&resource, namespace, &not_ours).await? {
            if !is_made_by_kubernetes(&object) {
                return Ok(Some(ObjectKey::of(&object).to_string()));
            }
        }
    }
    Ok(None)
}

/// Kinds of which nobody misses an object.
const PASSING: [(&str, &str); 6] = [
    ("", "Event"),
    ("", "Endpoints"),
    ("events.k8s.io", "Event"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("coordination.k8s.io", "Lease"),
    ("metrics.k8s.io", "PodMetrics"),
];

fn is_made_by_kubernetes(object: &Value) -> bool {
    let key = ObjectKey::of(object);
    object.pointer("/metadata/ownerReferences").is_some()
        || (key.kind == "ConfigMap" && key.name == "kube-root-ca.crt")
        || (key.kind == "ServiceAccount" && key.name == "default")
        || kogge_member::object::text(object, "/type") == "kubernetes.io/service-account-token"
}
