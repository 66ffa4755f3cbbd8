//! Has somebody changed on a member what kogge put there? Judged from metadata alone: whoever
//! changes a field takes it over in managedFields, and whoever removes it makes kogge lose it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::fields::{Entry, entries, owns, paths, show};

/// A field that kogge owned and owns no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// For people, as `spec.replicas`.
    pub path: String,
    /// Who has it now. Of a removed field: who wrote last, if that was after kogge.
    pub manager: Option<String>,
    pub time: Option<Timestamp>,
    pub removed: bool,
}

/// What kogge knows of its last apply.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    pub hash: &'a str,
    /// The `FieldsV1` that kogge owned right after.
    pub fields: &'a Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    Missing,
    /// What is wanted is not what was applied last.
    Stale,
    Drifted(Vec<Taken>),
}

/// `live` is an object or its metadata alone; `None` where it is not there.
pub fn verdict(
    desired_hash: &str,
    applied: Option<Applied<'_>>,
    live: Option<&Value>,
    ours: &str,
) -> Verdict {
    let Some(live) = live else { return Verdict::Missing };
    let Some(applied) = applied.filter(|it| it.hash == desired_hash) else { return Verdict::Stale };
    let taken = fields_taken(applied.fields, live, ours);
    if taken.is_empty() { Verdict::Clean } else { Verdict::Drifted(taken) }
}

/// The fields of `before` that manager `ours` has lost on `live`, in the order of their paths.
/// A place that only holds lost fields is not listed beside them.
pub fn fields_taken(before: &Value, live: &Value, ours: &str) -> Vec<Taken> {
    let (mine, others): (Vec<Entry<'_>>, Vec<Entry<'_>>) = entries(live)
        .partition(|it| it.manager == ours && it.operation == "Apply" && it.subresource.is_empty());
    let lost: Vec<_> = paths(before)
        .into_iter()
        .filter(|path| !mine.iter().any(|it| owns(it.fields, path)))
        .collect();
    let since = mine.iter().filter_map(|it| it.time).max();
    lost.iter()
        .filter(|path| !lost.iter().any(|it| path.len() < it.len() && it.starts_with(path)))
        .map(|path| taken(path, &others, since))
        .collect()
}

fn taken(path: &[&str], others: &[Entry<'_>], since: Option<Timestamp>) -> Taken {
    let owner = others.iter().filter(|it| owns(it.fields, path)).max_by_key(|it| it.time);
    let last_writer = || {
        let later = |it: &&Entry<'_>| since.is_none() || since <= it.time;
        let writers = others.iter().filter(|it| it.subresource.is_empty());
        writers.filter(later).max_by_key(|it| it.time)
    };
    let by = owner.or_else(last_writer);
    Taken {
        path: show(path),
        manager: by.map(|it| it.manager.to_owned()),
        time: by.and_then(|it| it.time),
        removed: owner.is_none(),
    }
}

/// Removed or changed, by whom, when.
type Deed<'a> = (bool, Option<&'a str>, Option<Timestamp>);

/// Most paths that a sentence names.
const NAMED: usize = 3;

/// A sentence for an event: who changed what, and when.
pub fn describe(before: &Value, live: &Value, ours: &str) -> String {
    let taken = fields_taken(before, live, ours);
    if taken.is_empty() {
        return "changed, no field was lost".to_owned();
    }
    let mut by_deed: BTreeMap<Deed<'_>, Vec<&str>> = BTreeMap::new();
    for it in &taken {
        by_deed.entry((it.removed, it.manager.as_deref(), it.time)).or_default().push(&it.path);
    }
    let said = by_deed.iter().map(|((removed, manager, time), paths)| {
        let mut said = paths[..paths.len().min(NAMED)].join(", ");
        if NAMED < paths.len() {
            said += &[" and ", &(paths.len() - NAMED).to_string(), " more"].concat();
        }
        said += if *removed { " removed by " } else { " changed by " };
        said += manager.unwrap_or("somebody unknown");
        said += &time.map(|it| format!(" at {it:.0}")).unwrap_or_default();
        said
    });
    said.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(entries: &[(&str, &str, Value)]) -> Value {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(manager, time, fields)| {
                let operation = if *manager == "kogge" { "Apply" } else { "Update" };
                json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields})
            })
            .collect();
        json!({"metadata": {"managedFields": entries}})
    }

    const THEN: &str = "2024-01-01T00:00:00Z";
    const LATER: &str = "2024-01-01T00:00:09Z";

    fn before() -> Value {
        json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:replicas": {}, "f:paused": {}}})
    }

    #[test]
    fn nothing_lost_is_clean_whatever_others_add() {
        let object = live(&[
            ("kogge", THEN, before()),
            ("hpa", LATER, json!({"f:spec": {"f:minReadySeconds": {}, "f:replicas": {}}})),
        ]);
        let fields = before();
        let applied = Applied { hash: "h", fields: &fields };
        assert_eq!(verdict("h", Some(applied), Some(&object), "kogge"), Verdict::Clean);
        assert_eq!(verdict("i", Some(applied), Some(&object), "kogge"), Verdict::Stale);
        assert_eq!(verdict("h", None, Some(&object), "kogge"), Verdict::Stale);
        assert_eq!(verdict("h", Some(applied), None, "kogge"), Verdict::Missing);
    }

    #[test]
    fn who_took_a_field_and_who_removed_one_is_said() {
        let mine = json!({"f:metadata": {"f:labels": {"f:app": {}}}});
        let object = live(&[
            ("kogge", THEN, mine),
            ("kubectl-edit", LATER, json!({"f:spec": {"f:replicas": {}}})),
        ]);
        insta::assert_snapshot!(describe(&before(), &object, "kogge"), @"spec.replicas changed by kubectl-edit at 2024-01-01T00:00:09Z; spec.paused removed by kubectl-edit at 2024-01-01T00:00:09Z");
    }

    #[test]
    fn an_older_writer_is_not_blamed_for_a_removal() {
        let object = live(&[
            ("kogge", LATER, json!({"f:spec": {"f:replicas": {}, "f:paused": {}}})),
            ("old", THEN, json!({})),
        ]);
        insta::assert_snapshot!(describe(&before(), &object, "kogge"), @"metadata.labels.app removed by somebody unknown");
    }

    #[test]
    fn losing_everything_names_a_few_fields() {
        let fields = json!({"f:data": {"f:a": {}, "f:b": {}, "f:c": {}, "f:d": {}, "f:e": {}}});
        let object = live(&[("kubectl", LATER, fields.clone())]);
        insta::assert_snapshot!(describe(&fields, &object, "kogge"), @"data.a, data.b, data.c and 2 more changed by kubectl at 2024-01-01T00:00:09Z");
    }
}
