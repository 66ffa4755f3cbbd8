//! The layout: a verdict, then one fact a line, each behind the word that says what it is about.

use jiff::Timestamp;
use kogge_member::{
    ObjectKey,
    object::{self, text},
};
use serde_json::Value;

/// So many events are shown, the newest.
const EVENTS: usize = 5;

/// What is known of an object, read at one time.
#[derive(Debug)]
pub(super) struct Known {
    pub key: ObjectKey,
    /// False for what steers the hub.
    pub may_run: bool,
    pub object: Value,
    /// The Kustomization it came from; null if it came from none.
    pub source: Value,
    /// Null if no policy selects it.
    pub binding: Value,
    /// The Clusters where it runs; itself, if it is one.
    pub clusters: Vec<Value>,
    /// The claims that its pods mount.
    pub claims: Vec<Claim>,
    /// Newest last.
    pub events: Vec<Value>,
}

#[derive(Debug)]
pub(super) struct Claim {
    pub name: String,
    /// Null if the claim runs nowhere.
    pub binding: Value,
}

/// The names of the claims that a workload's pods mount.
pub(super) fn claims(workload: &Value) -> Vec<String> {
    let volumes = list(workload, "/spec/template/spec/volumes").iter();
    let name = |it: &Value| Some(it.pointer("/persistentVolumeClaim/claimName")?.as_str()?.into());
    volumes.filter_map(name).collect()
}

pub(super) fn explain(known: &Known, now: Timestamp) -> String {
    let mut lines = Vec::new();
    if let Some(name) = known.source.pointer("/metadata/name").and_then(Value::as_str) {
        let namespace = object::namespace(&known.source);
        lines.push(("from".to_owned(), format!("Kustomization {namespace}/{name}")));
    }
    lines.extend(placement(known));
    let moves = condition(&known.binding, "Failover").map(|it| text(it, "/message"));
    lines.extend(moves.map(|it| ("failover".to_owned(), it.to_owned())));
    lines.extend(clusters(&known.binding));
    lines.extend(routes(&known.clusters));
    lines.extend(waits(&known.claims));
    lines.extend(wrong(known).into_iter().map(|it| ("wrong".to_owned(), it)));
    lines.extend(events(known, now));
    format!("{}{}\n{}", known.key, verdict(known), aligned(&lines))
}

/// A word is not repeated on the line below.
fn aligned(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let (mut said, mut before) = (String::new(), "");
    for (word, fact) in lines {
        for (index, line) in fact.lines().enumerate() {
            let shown = if index == 0 && before != word { word.as_str() } else { "" };
            said.push_str(&format!("  {shown:width$}  {line}\n"));
            before = word;
        }
    }
    said
}

fn verdict(known: &Known) -> String {
    if !known.may_run {
        return " is the hub's own".to_owned();
    }
    let items = list(&known.binding, "/status/aggregatedStatus");
    if items.is_empty() {
        return " runs nowhere".to_owned();
    }
    let healthy = items.iter().filter(|it| it["health"] == "Healthy").count();
    let all = items.len();
    let s = if all == 1 { "" } else { "s" };
    format!(" is healthy on {healthy} of {all} cluster{s}")
}

/// The decision, in the words of the binding's condition.
fn placement(known: &Known) -> Vec<(String, String)> {
    let line = |fact: String| vec![("placed".to_owned(), fact)];
    if !known.may_run {
        return line("on no cluster, whatever a policy says".to_owned());
    }
    if known.binding.is_null() {
        let hint = "no PropagationPolicy or ClusterPropagationPolicy selects it";
        return line(format!("nowhere: {hint}"));
    }
    match condition(&known.binding, "Scheduled") {
        Some(it) if it["status"] == "True" => line(text(it, "/message").to_owned()),
        Some(it) => line(format!("nowhere ({}): {}", text(it, "/reason"), text(it, "/message"))),
        None => line("not decided yet".to_owned()),
    }
}

/// What each cluster reports of it.
fn clusters(binding: &Value) -> Vec<(String, String)> {
    let items = list(binding, "/status/aggregatedStatus").iter();
    items.map(|it| (text(it, "/clusterName").to_owned(), on_cluster(it))).collect()
}

/// Which way news of a cluster travels, where that is through another.
fn routes(clusters: &[Value]) -> Vec<(String, String)> {
    let connected = clusters.iter().filter_map(|it| condition(it, "Connected"));
    let carried = connected.filter(|it| it["reason"] == "ThroughMember");
    carried.map(|it| ("news".to_owned(), text(it, "/message").to_owned())).collect()
}

fn on_cluster(item: &Value) -> String {
    let mut said = match (text(item, "/status/phase"), text(item, "/health")) {
        ("Pending", _) => "pending".to_owned(),
        (_, health) => health.to_lowercase(),
    };
    if let Some(all) = object::number(item, "/status/replicas") {
        let ready = object::number(item, "/status/readyReplicas").unwrap_or(0);
        said.push_str(&format!(", {ready} of {all} ready"));
    }
    if item["applied"] != true {
        said.push_str(", not applied");
    }
    let message = text(item, "/appliedMessage");
    if !message.is_empty() {
        said.push_str(&format!(": {message}"));
    }
    said
}

/// Claims that are not bound everywhere keep pods from starting.
fn waits(claims: &[Claim]) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for claim in claims {
        let items = list(&claim.binding, "/status/aggregatedStatus").iter();
        let unbound: Vec<&Value> = items.filter(|it| it["health"] != "Healthy").collect();
        let Some(first) = unbound.first() else { continue };
        let clusters: Vec<&str> = unbound.iter().map(|it| text(it, "/clusterName")).collect();
        lines.push((
            "waits for".to_owned(),
            format!(
                "persistentvolumeclaim/{}: {} on {}",
                claim.name,
                text(first, "/appliedMessage"),
                clusters.join(", ")
            ),
        ));
    }
    lines
}

fn wrong(known: &Known) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(it) = condition(&known.source, "Ready").filter(|it| it["status"] == "False") {
        let (name, namespace) = (object::name(&known.source), object::namespace(&known.source));
        wrong.push(format!("Kustomization {namespace}/{name}: {}", said(it)));
    }
    if let Some(it) = condition(&known.binding, "FullyApplied").filter(|it| it["status"] == "False")
    {
        wrong.push(said(it));
    }
    if object::is_deleting(&known.object) {
        let held = list(&known.object, "/metadata/finalizers").iter();
        let held: Vec<&str> = held.filter_map(Value::as_str).collect();
        wrong.push(format!("it is being deleted, and held by finalizers: {}", held.join(", ")));
    }
    let unhappy = |it: &&Value| {
        let failure = text(it, "/type").ends_with("Failure") || it["type"] == "Failed";
        it["status"] == if failure { "True" } else { "False" }
    };
    wrong.extend(list(&known.object, "/status/conditions").iter().filter(unhappy).map(said));
    wrong
}

/// `Available is False: available on 1 of 2 clusters (MinimumReplicasUnavailable)`.
fn said(condition: &Value) -> String {
    let text = |pointer| text(condition, pointer);
    format!("{} is {}: {} ({})", text("/type"), text("/status"), text("/message"), text("/reason"))
}

/// The newest, but for the decision that is said above.
fn events(known: &Known, now: Timestamp) -> Vec<(String, String)> {
    let decided = condition(&known.binding, "Scheduled").map_or("", |it| text(it, "/message"));
    let news: Vec<&Value> =
        known.events.iter().filter(|it| text(it, "/message") != decided).collect();
    let recent = news.len().saturating_sub(EVENTS);
    let line = |it: &&Value| {
        let message = text(it, "/message").replace('\n', "; ");
        let age = age(text(it, "/lastTimestamp"), now);
        ("events".to_owned(), format!("{age:>3} ago  {}: {message}", text(it, "/reason")))
    };
    news[recent..].iter().map(line).collect()
}

/// As kubectl shows it: the largest unit alone.
fn age(at: &str, now: Timestamp) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return "?".to_owned() };
    match now.duration_since(at).as_secs().max(0) {
        it if it < 120 => format!("{it}s"),
        it if it < 2 * 3600 => format!("{}m", it / 60),
        it if it < 48 * 3600 => format!("{}h", it / 3600),
        it => format!("{}d", it / 86400),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|it| it["type"] == kind)
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(binding: Value) -> Known {
        Known {
            key: ObjectKey::new("apps", "Deployment", "shop", "web"),
            may_run: true,
            object: json!({}),
            source: Value::Null,
            binding,
            clusters: Vec::new(),
            claims: Vec::new(),
            events: Vec::new(),
        }
    }

    fn said_of(known: &Known) -> String {
        explain(known, "2026-01-01T00:01:30Z".parse().unwrap())
    }

    fn event(reason: &str, message: &str) -> Value {
        json!({"reason": reason, "message": message, "lastTimestamp": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn a_healthy_object_takes_few_lines() {
        let decided = "ClusterPropagationPolicy all: placed on 2 of 2 clusters: eu 2, us 1";
        let mut it = known(json!({"status": {
            "conditions": [
                {"type": "Scheduled", "status": "True", "message": decided},
                {"type": "FullyApplied", "status": "True"}],
            "aggregatedStatus": [
                {"clusterName": "eu", "applied": true, "health": "Healthy",
                 "status": {"replicas": 2, "readyReplicas": 2}},
                {"clusterName": "us", "applied": true, "health": "Healthy",
                 "status": {"replicas": 1, "readyReplicas": 1}}]}}));
        it.events = vec![event("ScheduleBindingSucceed", decided), event("DriftHealed", "on eu")];
        it.source = json!({"metadata": {"name": "shop", "namespace": "kogge-system"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        insta::assert_snapshot!(said_of(&it), @r"
        deployment.apps/web -n shop is healthy on 2 of 2 clusters
          from    Kustomization kogge-system/shop
          placed  ClusterPropagationPolicy all: placed on 2 of 2 clusters: eu 2, us 1
          eu      healthy, 2 of 2 ready
          us      healthy, 1 of 1 ready
          events  90s ago  DriftHealed: on eu
        ");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_waited_for() {
        let mut it = known(json!({"status": {
            "conditions": [
                {"type": "Scheduled", "status": "True",
                 "message": "policy shop/all chose eu, us\nnot on asia: excluded"},
                {"type": "FullyApplied", "status": "False", "reason": "FullyAppliedFailed",
                 "message": "applied on 1 of 2 clusters, not yet on us"}],
            "aggregatedStatus": [
                {"clusterName": "eu", "applied": true, "health": "Unhealthy",
                 "appliedMessage": "ready: 0/1", "status": {"replicas": 1}},
                {"clusterName": "us", "applied": false, "health": "Unknown",
                 "appliedMessage": "the cluster cannot be reached"}]}}));
        it.object = json!({"status": {"conditions": [
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
             "message": "available on 0 of 2 clusters"}]}});
        it.claims = vec![Claim {
            name: "data".into(),
            binding: json!({"status": {"aggregatedStatus": [
                {"clusterName": "eu", "health": "Unhealthy",
                 "appliedMessage": "no volume is bound yet"}]}}),
        }];
        it.source = json!({"metadata": {"name": "shop", "namespace": "kogge-system"},
            "status": {"conditions": [{"type": "Ready", "status": "False",
                "reason": "BuildFailed", "message": "web.yaml:3: unclosed bracket '{'"}]}});
        insta::assert_snapshot!(said_of(&it), @r"
        deployment.apps/web -n shop is healthy on 0 of 2 clusters
          from       Kustomization kogge-system/shop
          placed     policy shop/all chose eu, us
                     not on asia: excluded
          eu         unhealthy, 0 of 1 ready: ready: 0/1
          us         unknown, not applied: the cluster cannot be reached
          waits for  persistentvolumeclaim/data: no volume is bound yet on eu
          wrong      Kustomization kogge-system/shop: Ready is False: web.yaml:3: unclosed bracket '{' (BuildFailed)
                     FullyApplied is False: applied on 1 of 2 clusters, not yet on us (FullyAppliedFailed)
                     Available is False: available on 0 of 2 clusters (MinimumReplicasUnavailable)
        ");
    }

    #[test]
    fn what_moved_says_from_where_and_why() {
        let mut it = known(json!({"status": {
            "conditions": [
                {"type": "Scheduled", "status": "True", "message": "policy chose us"},
                {"type": "Failover", "status": "True", "reason": "Moved",
                 "message": "eu: it was moved away 10 s after eu was declared dead"}],
            "aggregatedStatus": [{"clusterName": "us", "applied": true, "health": "Healthy"}]}}));
        it.events = vec![event("FailedOver", "moved from eu to us (+2)")];
        insta::assert_snapshot!(said_of(&it), @r"
        deployment.apps/web -n shop is healthy on 1 of 1 cluster
          placed    policy chose us
          failover  eu: it was moved away 10 s after eu was declared dead
          us        healthy
          events    90s ago  FailedOver: moved from eu to us (+2)
        ");
    }

    #[test]
    fn what_runs_nowhere_says_why() {
        insta::assert_snapshot!(said_of(&known(Value::Null)), @r"
        deployment.apps/web -n shop runs nowhere
          placed  nowhere: no PropagationPolicy or ClusterPropagationPolicy selects it
        ");
        let nowhere = json!({"status": {"conditions": [
            {"type": "Scheduled", "status": "False", "reason": "NoClusterFit",
             "message": "PropagationPolicy shop/all: no cluster fits\nnot on eu: taint a=b"},
            {"type": "FullyApplied", "status": "Unknown", "reason": "NoCluster",
             "message": "no cluster is chosen"}]}});
        insta::assert_snapshot!(said_of(&known(nowhere)), @r"
        deployment.apps/web -n shop runs nowhere
          placed  nowhere (NoClusterFit): PropagationPolicy shop/all: no cluster fits
                  not on eu: taint a=b
        ");
        let own = Known { may_run: false, ..known(Value::Null) };
        insta::assert_snapshot!(said_of(&own), @r"
        deployment.apps/web -n shop is the hub's own
          placed  on no cluster, whatever a policy says
        ");
    }

    #[test]
    fn a_claim_says_that_it_is_pending() {
        let item = json!({"clusterName": "eu", "applied": true, "health": "Unhealthy",
            "appliedMessage": "no volume is bound yet", "status": {"phase": "Pending"}});
        assert_eq!(on_cluster(&item), "pending: no volume is bound yet");
    }

    #[test]
    fn claims_are_found_in_the_pods_volumes() {
        let workload = json!({"spec": {"template": {"spec": {"volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}}}});
        assert_eq!(claims(&workload), ["data"]);
        assert!(claims(&json!({})).is_empty());
    }

    #[test]
    fn ages_are_short() {
        let now = "2026-01-03T00:00:00Z".parse().unwrap();
        let ages = ["2026-01-02T23:59:01Z", "2026-01-02T23:00:00Z", "2026-01-01T12:00:00Z", "x"];
        assert_eq!(ages.map(|it| age(it, now)), ["59s", "60m", "36h", "?"]);
    }
}
