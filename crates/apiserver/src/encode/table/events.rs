//! Events, in the form of either group.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Printer,
    age::since,
    cells::{name, number, or, text},
};

pub static EVENT: Printer = Printer {
    columns: &[
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "string", 1),
        ("Name", "string", 1),
    ],
    cells,
};

/// The first of two fields that is there: events.k8s.io kept the old ones under new names.
fn either<'a>(event: &'a Value, old: &str, new: &str) -> &'a Value {
    event.get(old).or_else(|| event.get(new)).unwrap_or(&Value::Null)
}

fn cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let unknown = || "<unknown>".to_owned();
    let at = |old: &str, new: &str| since(either(event, old, new), now);
    let first = at("firstTimestamp", "deprecatedFirstTimestamp");
    let first = first.or_else(|| since(&event["eventTime"], now)).unwrap_or_else(unknown);
    let last = at("lastTimestamp", "deprecatedLastTimestamp").unwrap_or_else(|| first.clone());
    let count = either(event, "count", "deprecatedCount").as_i64().unwrap_or(0).max(1);
    let series = &event["series"];
    let (last, count) = if series.is_object() {
        (since(&series["lastObservedTime"], now).unwrap_or_else(unknown), number(series, "count"))
    } else {
        (last, count)
    };
    let about = either(event, "involvedObject", "regarding");
    let kind = text(about, "kind").to_lowercase();
    let target = match text(about, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let message = either(event, "message", "note").as_str().unwrap_or_default();
    vec![
        last.into(),
        text(event, "type").into(),
        text(event, "reason").into(),
        target.into(),
        text(about, "fieldPath").into(),
        source(event).into(),
        message.trim().into(),
        first.into(),
        count.into(),
        name(event),
    ]
}

fn source(event: &Value) -> String {
    let known = either(event, "source", "deprecatedSource");
    let reporter = either(event, "reportingComponent", "reportingController");
    let component = or(text(known, "component"), reporter.as_str().unwrap_or_default());
    match or(text(known, "host"), text(event, "reportingInstance")) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
