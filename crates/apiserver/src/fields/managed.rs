//! `metadata.managedFields`: field managers, what each owns and since when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::Set;

/// Who writes, as what, when and through which endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The `fieldManager` of the request, or the start of its user agent.
    pub manager: &'a str,
    /// The version the object was sent in, such as `apps/v1`.
    pub api_version: &'a str,
    pub now: Timestamp,
    /// `""` for the main resource.
    pub subresource: &'a str,
    /// The kind has a status subresource.
    pub has_status: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

/// What tells one entry of `managedFields` from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub operation: Operation,
    pub name: String,
    pub subresource: String,
    /// Empty for `Apply`: an applier keeps its entry when it moves to another version.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub api_version: String,
    /// RFC 3339 in seconds, as on the wire.
    pub time: Option<String>,
    pub set: Set,
}

/// All owners of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(pub BTreeMap<Owner, Owned>);

impl Write<'_> {
    pub fn owner(&self, operation: Operation) -> Owner {
        let version = match operation {
            Operation::Apply => "",
            Operation::Update => self.api_version,
        };
        Owner {
            operation,
            name: self.manager.into(),
            subresource: self.subresource.into(),
            version: version.into(),
        }
    }

    pub fn time(&self) -> String {
        self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// What this endpoint puts back to what it was, whatever the request says.
    pub(crate) fn resets(&self) -> &'static Set {
        const OWNERS: &[&str] = &["metadata", "managedFields"];
        static ALWAYS: LazyLock<Set> = LazyLock::new(|| Set::of_fields(&[OWNERS]));
        static STATUS: LazyLock<Set> = LazyLock::new(|| Set::of_fields(&[OWNERS, &["status"]]));
        static BUT_STATUS: LazyLock<Set> = LazyLock::new(|| {
            Set::of_fields(&[
                OWNERS,
                &["spec"],
                &["metadata", "labels"],
                &["metadata", "finalizers"],
                &["metadata", "ownerReferences"],
            ])
        });
        match self.subresource {
            "" if self.has_status => &STATUS,
            "status" => &BUT_STATUS,
            _ => &ALWAYS,
        }
    }
}

/// What nobody owns: identity, and the metadata that the server keeps.
pub(crate) fn never_owned() -> &'static Set {
    static NEVER: LazyLock<Set> = LazyLock::new(|| {
        Set::of_fields(&[
            &["apiVersion"],
            &["kind"],
            &["metadata"],
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "creationTimestamp"],
            &["metadata", "selfLink"],
            &["metadata", "uid"],
            &["metadata", "clusterName"],
            &["metadata", "generation"],
            &["metadata", "managedFields"],
            &["metadata", "resourceVersion"],
        ])
    });
    &NEVER
}

/// As conflicts name a manager: `"kubectl" using apps/v1`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.version),
        }
    }
}

impl Owners {
    /// Of an object; none when it has no `managedFields` or they cannot be read.
    pub fn of(object: &Value) -> Self {
        Self::read(&object["metadata"]["managedFields"]).unwrap_or_default()
    }

    /// `None` when something in there is no entry of `managedFields`.
    pub fn read(entries: &Value) -> Option<Self> {
        let mut owners = BTreeMap::new();
        for entry in entries.as_array()? {
            let (owner, owned) = read_entry(entry)?;
            owners.insert(owner, owned);
        }
        Some(Self(owners))
    }

    /// Puts `metadata.managedFields` into `object`, or takes it out when nobody owns anything.
    pub fn write_to(&self, object: &mut Value) {
        let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        if self.0.is_empty() {
            meta.remove("managedFields");
            return;
        }
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by(|(a, x), (b, y)| {
            let key = |owner: &Owner| (owner.name.clone(), owner.subresource.clone());
            (a.operation.cmp(&b.operation))
                .then_with(|| x.time.cmp(&y.time))
                .then_with(|| a.name.cmp(&b.name))
                .then_with(|| x.api_version.cmp(&y.api_version))
                .then_with(|| key(a).cmp(&key(b)))
        });
        let entries = entries.into_iter().map(|(owner, owned)| entry(owner, owned)).collect();
        meta.insert("managedFields".into(), entries);
    }

    /// All that anyone owns.
    pub fn union(&self) -> Set {
        self.0.values().fold(Set::default(), |all, it| all.union(&it.set))
    }

    pub fn drop_empty(&mut self) {
        self.0.retain(|_, it| !it.set.is_empty());
    }

    /// Merges the oldest `Update` entries of a version until at most `max` are left.
    pub fn cap_updates(&mut self, max: usize) {
        let mut updates: Vec<(Option<String>, Owner)> = self
            .0
            .iter()
            .filter(|(owner, _)| owner.operation == Operation::Update)
            .map(|(owner, owned)| (owned.time.clone(), owner.clone()))
            .collect();
        updates.sort();
        let mut left = updates.len();
        let mut oldest: BTreeMap<String, Owner> = BTreeMap::new();
        let mut merged = BTreeSet::new();
        for (_, owner) in updates {
            if left <= max {
                break;
            }
            let bucket = Owner {
                name: "ancient-changes".into(),
                subresource: String::new(),
                ..owner.clone()
            };
            let Some(first) = oldest.get(&owner.version) else {
                oldest.insert(owner.version.clone(), owner);
                continue;
            };
            if merged.insert(bucket.clone())
                && !self.0.contains_key(&bucket)
                && let Some(owned) = self.0.remove(first)
            {
                self.0.insert(bucket.clone(), owned);
            }
            if owner == bucket {
                continue;
            }
            if let Some(newer) = self.0.remove(&owner)
                && let Some(owned) = self.0.get_mut(&bucket)
            {
                owned.set = owned.set.union(&newer.set);
                owned.time = newer.time;
                left -= 1;
            }
        }
    }
}

fn entry(owner: &Owner, owned: &Owned) -> Value {
    let operation = match owner.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    let mut entry = json!({
        "manager": owner.name,
        "operation": operation,
        "apiVersion": owned.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.set.to_fields_v1(),
    });
    if let Some(time) = &owned.time {
        entry["time"] = time.as_str().into();
    }
    if !owner.subresource.is_empty() {
        entry["subresource"] = owner.subresource.as_str().into();
    }
    entry
}

fn read_entry(entry: &Value) -> Option<(Owner, Owned)> {
    let entry: &Map<String, Value> = entry.as_object()?;
    let text = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(it)) => Some(it.clone()),
        Some(_) => None,
    };
    let api_version = text("apiVersion")?;
    let (operation, version) = match text("operation")?.as_str() {
        "Apply" => (Operation::Apply, String::new()),
        "Update" => (Operation::Update, api_version.clone()),
        _ => return None,
    };
    if text("fieldsType")? != "FieldsV1" {
        return None;
    }
    let time = match text("time")? {
        none if none.is_empty() => None,
        some => {
            let time: Timestamp = some.parse().ok()?;
            Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        }
    };
    let set = match entry.get("fieldsV1") {
        None | Some(Value::Null) => Set::default(),
        Some(fields) => Set::from_fields_v1(fields)?,
    };
    let owner =
        Owner { operation, name: text("manager")?, subresource: text("subresource")?, version };
    Some((owner, Owned { api_version, time, set }))
}
