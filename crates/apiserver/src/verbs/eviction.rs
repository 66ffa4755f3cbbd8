//! A pod is asked to go: POST to `pods/NAME/eviction`, refused where a disruption budget says so.
//!
//! What a budget allows is counted here and now from the pods themselves, not from a status that
//! lags. Count and deletion are not one transaction: two evictions at the same moment may both pass.

use http::Response;
use kogge_model::{IntOrPercent, Labels, Selector, labels_of};
use kogge_store::RangeQuery;
use serde_json::Value;

use super::{binding::success, delete, input, write};
use crate::{
    body::Body,
    call::Call,
    encode,
    object::{is_terminating, meta},
    options::{DeleteOptions, dry_run},
    status::{Cause, Failure},
};

pub(super) async fn evict(call: &mut Call) -> Result<Response<Body>, Failure> {
    let eviction = input::plain(call)?;
    let options: DeleteOptions = match &eviction["deleteOptions"] {
        Value::Null => DeleteOptions::default(),
        given => serde_json::from_value(given.clone())
            .map_err(|error| Failure::bad_request(format!("deleteOptions: {error}")))?,
    };
    for value in &options.dry_run {
        call.options.dry_run |= dry_run(value)?;
    }
    let pod = write::live(call)?.object;
    if runs(&pod) && !is_terminating(&pod) {
        check_budgets(call, &pod)?;
    }
    delete::delete_with(call, &options).await?;
    Ok(encode::value(201, &success(), call.options.pretty))
}

/// Pods that do not run yet, or no more, disrupt nothing by going.
fn runs(pod: &Value) -> bool {
    !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"))
}

fn check_budgets(call: &Call, pod: &Value) -> Result<(), Failure> {
    let namespace = call.namespace().unwrap_or_default();
    let labels = labels_of(&pod["metadata"]["labels"]);
    let budgets = all(call, &format!("/policy/poddisruptionbudgets/{namespace}/"))?;
    let covering: Vec<Value> = budgets.into_iter().filter(|it| covers(it, &labels)).collect();
    if covering.len() > 1 {
        let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource \
                   does not support.";
        return Err(Failure::internal(why));
    }
    let Some(budget) = covering.first() else { return Ok(()) };
    let pods = all(call, &call.resource.range(Some(namespace)))?;
    let (healthy, wanted) = count(budget, &pods);
    let willing = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
    let unhealthy = !ready(pod);
    if wanted < healthy || (unhealthy && (willing || wanted <= healthy)) {
        return Ok(());
    }
    Err(refused(meta(budget, "name"), healthy, wanted))
}

fn refused(budget: &str, healthy: i64, wanted: i64) -> Failure {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let cause = Cause {
        reason: "DisruptionBudget",
        message: format!(
            "The disruption budget {budget} needs {wanted} healthy pods and has {healthy} currently"
        ),
        field: String::new(),
    };
    Failure::new(429, "TooManyRequests", message).causes(vec![cause])
}

/// Healthy pods that a budget covers, and how many of them must stay.
fn count(budget: &Value, pods: &[Value]) -> (i64, i64) {
    let covered: Vec<&Value> = pods
        .iter()
        .filter(|it| covers(budget, &labels_of(&it["metadata"]["labels"])))
        .filter(|it| !matches!(it["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
        .collect();
    let number = |many: usize| i64::try_from(many).unwrap_or(i64::MAX);
    let total = number(covered.len());
    let healthy = number(covered.iter().filter(|it| ready(it) && !is_terminating(it)).count());
    let spec = &budget["spec"];
    let amount =
        |field: &str| IntOrPercent::from_value(&spec[field]).map_or(0, |it| it.of(total, true));
    let wanted = if spec["minAvailable"].is_null() && spec["maxUnavailable"].is_null() {
        // Without either, as Kubernetes: one must stay.
        1
    } else if spec["minAvailable"].is_null() {
        total - amount("maxUnavailable")
    } else {
        amount("minAvailable")
    };
    (healthy, wanted.max(0))
}

fn covers(budget: &Value, labels: &Labels) -> bool {
    let selector = &budget["spec"]["selector"];
    selector.is_object() && Selector::from_value(selector).is_ok_and(|it| it.matches(labels))
}

fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

fn all(call: &Call, prefix: &str) -> Result<Vec<Value>, Failure> {
    let query = RangeQuery { prefix: prefix.to_owned(), ..RangeQuery::default() };
    let page = call.state.store.range(&query).map_err(|it| Failure::internal(it.to_string()))?;
    Ok(page.entries.iter().filter_map(|it| serde_json::from_slice(&it.value).ok()).collect())
}
