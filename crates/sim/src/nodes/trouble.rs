//! Groups whose nodes could not be kept. Each is said once, until the group changes.

use std::{
    collections::BTreeMap,
    mem::{Discriminant, discriminant},
    time::Duration,
};

use kogge_member::{Error, Fault, object};
use kogge_model::Quantity;
use serde_json::Value;

use super::RETRY;

/// Why a group has not the nodes that it should have.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("spec.template.capacity.{resource}: {said} is no quantity")]
    Template { resource: String, said: String },
    #[error("{}", .0.chain())]
    Request(#[from] Error),
}

impl Trouble {
    /// What only a change of the group mends is not tried again before.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Template { .. } | Self::Request(Error { fault: Fault::Invalid(_), .. }) => None,
            Self::Request(_) => Some(RETRY),
        }
    }

    /// What differs only in its words is the same.
    fn sort(&self) -> Option<Discriminant<Fault>> {
        match self {
            Self::Template { .. } => None,
            Self::Request(error) => Some(discriminant(&error.fault)),
        }
    }
}

/// Whether nodes can be made of a group's template.
pub(super) fn template(group: &Value) -> Result<(), Trouble> {
    let capacity = group.pointer("/spec/template/capacity").and_then(Value::as_object);
    let mut each = capacity.into_iter().flatten();
    let wrong = each.find(|(_, it)| match it.as_str() {
        Some(text) => text.parse::<Quantity>().map_or(true, Quantity::is_negative),
        None => !it.is_u64(),
    });
    wrong.map_or(Ok(()), |(resource, said)| {
        Err(Trouble::Template { resource: resource.clone(), said: said.to_string() })
    })
}

/// What was said, by the name of the group: its spec then, and the sort of trouble.
#[derive(Default)]
pub(super) struct Troubles(BTreeMap<String, (Value, Option<Discriminant<Fault>>)>);

impl Troubles {
    pub fn is_news(&mut self, group: &Value, trouble: &Trouble) -> bool {
        let said = (group["spec"].clone(), trouble.sort());
        self.0.insert(object::name(group).to_owned(), said.clone()) != Some(said)
    }

    pub fn over(&mut self, group: &Value) {
        self.0.remove(object::name(group));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(cpu: &Value) -> Value {
        json!({"metadata": {"name": "sim"}, "spec": {"template": {"capacity": {"cpu": cpu}}}})
    }

    #[test]
    fn capacities_are_quantities() {
        for good in [json!("4"), json!("500m"), json!(4)] {
            assert!(template(&group(&good)).is_ok(), "{good}");
        }
        for bad in [json!("lots"), json!("-1"), json!(-1), json!(true)] {
            assert!(template(&group(&bad)).is_err(), "{bad}");
        }
        let said = template(&group(&json!("lots"))).unwrap_err().to_string();
        assert_eq!(said, r#"spec.template.capacity.cpu: "lots" is no quantity"#);
    }

    #[test]
    fn trouble_is_news_once_until_the_group_changes() {
        let (lots, heaps) = (group(&json!("lots")), group(&json!("heaps")));
        let mut troubles = Troubles::default();
        let mut news = |group: &Value| {
            let trouble = template(group).unwrap_err();
            assert_eq!(trouble.retry_after(), None);
            troubles.is_news(group, &trouble)
        };
        assert_eq!([&lots, &lots, &heaps, &heaps].map(&mut news), [true, false, true, false]);
        troubles.over(&heaps);
        assert!(troubles.is_news(&heaps, &template(&heaps).unwrap_err()));
    }
}
