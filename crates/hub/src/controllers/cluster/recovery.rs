//! What is to be said of a cluster while the hub's state is in doubt, and after. Pure.

use kogge_api::{Condition, fleet::Cluster, set_condition};

use super::decide::Observed;
use crate::pull::adopt::{self, ADOPTED};

/// The hub waits for its state: of what it holds nothing follows for the cluster.
const RECOVERING: &str = "HubRecovering";

/// The Cluster was made again from its agent's certificate.
const WAS_ADOPTED: &str = "Adopted";

/// Sets the conditions that there is something to say for.
pub(super) fn tell(conditions: &mut Vec<Condition>, seen: &Observed, cluster: &Cluster) {
    if let Some(why) = &seen.recovering {
        let condition = Condition::new(RECOVERING, true, "WaitsForState", why);
        set_condition(conditions, condition, seen.now);
    } else {
        conditions.retain(|it| it.kind != RECOVERING);
    }
    if cluster.metadata.annotations.contains_key(ADOPTED) {
        let message = adopt::message(&cluster.metadata.name);
        let condition = Condition::new(WAS_ADOPTED, true, "GoodCertificate", message);
        set_condition(conditions, condition, seen.now);
    } else {
        conditions.retain(|it| it.kind != WAS_ADOPTED);
    }
}
