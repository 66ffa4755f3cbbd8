//! What every controller of the hub shares.

use std::sync::Arc;

use jiff::Timestamp;
use kogge_member::{Client, Error, ObjectKey, Resource};
use serde_json::{Value, json};

use crate::{cache::Cache, events::Recorder, recovery::Recovery, roll::Roll, works::Works};

#[derive(Clone)]
pub(crate) struct Context {
    pub cache: Cache,
    /// The hub's own API, in process, with every right.
    pub client: Client,
    pub works: Works,
    pub events: Recorder,
    pub now: fn() -> Timestamp,
    pub recovery: Recovery,
    pub roll: Roll,
}

pub(crate) type Shared = Arc<Context>;

impl Context {
    /// The resource of a kind that the hub itself serves.
    pub async fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, Error> {
        self.client.resource(api_version, kind).await
    }

    /// Merges into an object's status, unless that changes nothing that is cached.
    pub async fn patch_status(
        &self,
        api_version: &str,
        key: &ObjectKey,
        status: &Value,
    ) -> Result<(), Error> {
        let same = self.cache.value(key).is_some_and(|it| contains(it.get("status"), status));
        if same {
            return Ok(());
        }
        let resource = self.resource(api_version, &key.kind).await?;
        let patch = json!({ "status": status });
        match self.client.merge(&resource, &key.namespace, &key.name, Some("status"), &patch).await
        {
            // It went away meanwhile, and its status with it.
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl Context {
    /// Replaces an object's status as a whole: fields that are no longer there go.
    pub async fn replace_status(
        &self,
        api_version: &str,
        key: &ObjectKey,
        status: &Value,
    ) -> Result<(), Error> {
        let Some(now) = self.cache.value(key) else { return Ok(()) };
        let mut patch = status.clone();
        if let (Some(fields), Some(old)) =
            (patch.as_object_mut(), now.get("status").and_then(Value::as_object))
        {
            for key in old.keys() {
                fields.entry(key).or_insert(Value::Null);
            }
        }
        self.patch_status(api_version, key, &patch).await
    }
}

/// Whether a merge patch of `part` would leave `whole` as it is.
fn contains(whole: Option<&Value>, part: &Value) -> bool {
    match (whole, part) {
        (None, Value::Null) => true,
        (Some(Value::Object(whole)), Value::Object(part)) => {
            part.iter().all(|(key, value)| contains(whole.get(key), value))
        }
        (Some(whole), part) => whole == part,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_that_changes_nothing_is_seen_as_such() {
        let whole = json!({"a": {"b": 1, "c": [1]}});
        assert!(contains(Some(&whole), &json!({"a": {"b": 1}, "d": null})));
        assert!(!contains(Some(&whole), &json!({"a": {"b": 2}})));
        assert!(!contains(Some(&whole), &json!({"a": {"c": [1, 2]}})));
        assert!(!contains(Some(&whole), &json!({"e": 1})));
    }
}
