//! Which clusters may have a template at all, and why the others may not.

use std::fmt;

use crate::cluster::{Cluster, Taint};
use crate::policy::{ClusterAffinity, Toleration};
use crate::select::Template;

/// Why a cluster is not chosen. `Display` is a sentence about it; [`LeftOut::in_short`] is for
/// summaries that count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    Excluded,
    NotNamed,
    LabelsDiffer,
    FieldsDiffer,
    Tainted(String),
    NotServed(String),
    NotReady,
    Leaving,
    /// It failed, and the template was moved off; why.
    MovedOff(String),
    /// The policy's rules give weight to other clusters only.
    NoWeight,
    /// Full, for replicas of this template.
    NoRoom,
    /// Others took all replicas.
    NoShare,
    /// `maxGroups` is reached by better ones.
    SpreadEnough,
}

impl LeftOut {
    pub fn in_short(&self) -> &'static str {
        match self {
            Self::Excluded | Self::NotNamed | Self::LabelsDiffer | Self::FieldsDiffer => {
                "did not match the cluster affinity"
            }
            Self::Tainted(_) => "had a taint that is not tolerated",
            Self::NotServed(_) => "did not serve the API",
            Self::NotReady => "not ready",
            Self::Leaving => "being removed",
            Self::MovedOff(_) => "left after a failure",
            Self::NoWeight => "had no weight",
            Self::NoRoom => "had no room",
            Self::NoShare => "got no share",
            Self::SpreadEnough => "beyond the spread constraint",
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excluded => f.write_str("the policy excludes it"),
            Self::NotNamed => f.write_str("it is not one of the policy's clusterNames"),
            Self::LabelsDiffer => f.write_str("its labels do not match the policy's labelSelector"),
            Self::FieldsDiffer => f.write_str(
                "its provider, region or zone does not match the policy's fieldSelector",
            ),
            Self::Tainted(taint) => write!(f, "it has the taint {taint}, which is not tolerated"),
            Self::NotServed(api) => write!(f, "it does not serve {api}"),
            Self::NotReady => f.write_str("it is not ready"),
            Self::Leaving => f.write_str("it is being removed from the fleet"),
            Self::MovedOff(why) => write!(f, "it was moved off there {why}"),
            Self::NoWeight => f.write_str("the policy's weights give it nothing"),
            Self::NoRoom => f.write_str("it has no room for a replica"),
            Self::NoShare => f.write_str("the other clusters took all replicas"),
            Self::SpreadEnough => f.write_str("the policy spreads over fewer clusters"),
        }
    }
}

/// Why `cluster` may not have the template, if so. One that has it already keeps it through
/// taints, missing APIs and silence: taking it away from there is failover's word.
pub fn filter(
    template: &Template<'_>,
    affinity: Option<&ClusterAffinity>,
    tolerations: &[Toleration],
    cluster: &Cluster,
    has_it: bool,
) -> Option<LeftOut> {
    if cluster.deleting {
        return Some(LeftOut::Leaving);
    }
    if let Some(why) = affinity.and_then(|it| mismatch(it, cluster)) {
        return Some(why);
    }
    if has_it {
        return None;
    }
    if let Some(taint) = untolerated(&cluster.taints, tolerations) {
        return Some(LeftOut::Tainted(show(taint)));
    }
    if !cluster.serves(template.api_version, template.kind) {
        return Some(LeftOut::NotServed(format!("{} {}", template.api_version, template.kind)));
    }
    (!cluster.ready).then_some(LeftOut::NotReady)
}

/// Exclusion first, then every part that is given must hold.
fn mismatch(affinity: &ClusterAffinity, cluster: &Cluster) -> Option<LeftOut> {
    if affinity.exclude.contains(&cluster.name) {
        return Some(LeftOut::Excluded);
    }
    if affinity.label_selector.as_ref().is_some_and(|it| !it.matches(&cluster.labels)) {
        return Some(LeftOut::LabelsDiffer);
    }
    let fields = affinity.field_selector.iter().flat_map(|it| &it.match_expressions);
    if fields.into_iter().any(|it| !it.holds(&cluster.field(&it.key))) {
        return Some(LeftOut::FieldsDiffer);
    }
    let names = &affinity.cluster_names;
    (!names.is_empty() && !names.contains(&cluster.name)).then_some(LeftOut::NotNamed)
}

/// Whether all that an affinity asks for holds of a cluster.
pub fn matches(affinity: &ClusterAffinity, cluster: &Cluster) -> bool {
    mismatch(affinity, cluster).is_none()
}

fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|it| it.effect != "PreferNoSchedule")
        .find(|taint| !tolerations.iter().any(|it| tolerates(it, taint)))
}

pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let exists = toleration.operator == "Exists";
    let key = toleration.key == taint.key || (toleration.key.is_empty() && exists);
    effect && key && (exists || toleration.value == taint.value)
}

pub(crate) fn show(taint: &Taint) -> String {
    match &taint.value[..] {
        "" => format!("{}:{}", taint.key, taint.effect),
        value => format!("{}={value}:{}", taint.key, taint.effect),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cluster() -> Cluster {
        Cluster {
            name: "member1".into(),
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            region: "eu".into(),
            zones: vec!["eu-a".into(), "eu-b".into()],
            ready: true,
            apis: Some([("apps/v1".to_owned(), ["Deployment".to_owned()].into())].into()),
            ..Cluster::default()
        }
    }

    fn template() -> Template<'static> {
        Template { api_version: "apps/v1", kind: "Deployment", name: "web", ..Template::default() }
    }

    #[track_caller]
    fn check(affinity: &Value, want: impl Into<Option<LeftOut>>) {
        let affinity: ClusterAffinity = serde_json::from_value(affinity.clone()).unwrap();
        assert_eq!(filter(&template(), Some(&affinity), &[], &cluster(), false), want.into());
    }

    #[test]
    fn affinity() {
        check(&json!({}), None);
        check(&json!({"clusterNames": ["member1"]}), None);
        check(&json!({"clusterNames": ["member2"]}), Some(LeftOut::NotNamed));
        check(
            &json!({"clusterNames": ["member1"], "exclude": ["member1"]}),
            Some(LeftOut::Excluded),
        );
        check(&json!({"labelSelector": {"matchLabels": {"env": "prod"}}}), None);
        check(
            &json!({"labelSelector": {"matchLabels": {"env": "dev"}}}),
            Some(LeftOut::LabelsDiffer),
        );
        let field = |key, operator, values: &[&str]| json!({"fieldSelector": {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}});
        check(&field("region", "In", &["eu", "us"]), None);
        check(&field("region", "NotIn", &["eu"]), Some(LeftOut::FieldsDiffer));
        check(&field("zone", "In", &["eu-b"]), None);
        check(&field("zone", "NotIn", &["eu-b"]), Some(LeftOut::FieldsDiffer));
        check(&field("provider", "Exists", &[]), Some(LeftOut::FieldsDiffer));
        check(&field("provider", "DoesNotExist", &[]), None);
        check(&field("provider", "NotIn", &["x"]), None);
    }

    #[track_caller]
    fn check_taint(toleration: &Value, tolerated: bool) {
        let tolerations: Vec<Toleration> = serde_json::from_value(json!([toleration])).unwrap();
        let taint = Taint { key: "k".into(), value: "v".into(), effect: "NoSchedule".into() };
        let tainted = Cluster { taints: vec![taint], ..cluster() };
        let got = filter(&template(), None, &tolerations, &tainted, false);
        assert_eq!(got, (!tolerated).then(|| LeftOut::Tainted("k=v:NoSchedule".into())));
        assert_eq!(filter(&template(), None, &tolerations, &tainted, true), None);
    }

    #[test]
    fn taints() {
        check_taint(&json!({"operator": "Exists"}), true);
        check_taint(&json!({"key": "k", "operator": "Exists"}), true);
        check_taint(&json!({"key": "k", "value": "v"}), true);
        check_taint(&json!({"key": "k", "value": "v", "effect": "NoExecute"}), false);
        check_taint(&json!({"key": "k", "value": "w"}), false);
        check_taint(&json!({"key": "k"}), false);
    }

    #[test]
    fn a_cluster_that_has_it_keeps_it_while_silent_but_not_while_leaving() {
        let silent = Cluster { ready: false, ..cluster() };
        assert_eq!(filter(&template(), None, &[], &silent, false), Some(LeftOut::NotReady));
        assert_eq!(filter(&template(), None, &[], &silent, true), None);
        let leaving = Cluster { deleting: true, ..cluster() };
        assert_eq!(filter(&template(), None, &[], &leaving, true), Some(LeftOut::Leaving));
        let other = Template { kind: "Widget", ..template() };
        let why = filter(&other, None, &[], &cluster(), false).unwrap();
        assert_eq!(why.to_string(), "it does not serve apps/v1 Widget");
    }
}
