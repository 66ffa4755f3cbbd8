//! Events, as `kubectl describe` shows them.

use jiff::Timestamp;
use kogge_member::object;
use serde_json::{Value, json};

use crate::time::seconds;

/// Something that happened to an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// Needs apiVersion, kind, name, namespace and uid.
    pub about: &'a Value,
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
    /// The component that says so.
    pub by: &'a str,
}

impl Event<'_> {
    pub fn at(&self, now: Timestamp) -> Value {
        let (about, time) = (self.about, seconds(now));
        let (name, namespace) = (object::name(about), object::namespace(about));
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{name}.{:x}", now.as_nanosecond()),
                "namespace": namespace},
            "involvedObject": {"apiVersion": about["apiVersion"], "kind": about["kind"],
                "name": name, "namespace": namespace, "uid": object::uid(about)},
            "type": self.kind, "reason": self.reason, "message": self.message, "count": 1,
            "source": {"component": self.by}, "reportingComponent": self.by,
            "reportingInstance": "", "firstTimestamp": time, "lastTimestamp": time,
        })
    }
}
