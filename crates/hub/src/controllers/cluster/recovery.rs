//! What is to be said of a cluster while the hub's state is in doubt, and after. Pure.

use kogge_api::{Condition, fleet::Cluster, set_condition};

use super::decide::{Effect, Observed};
use crate::pull::adopt::{self, ADOPTED};

/// The hub waits for its state: of what it holds nothing follows for the cluster.
const RECOVERING: &str = "HubRecovering";

/// The Cluster was made again from its agent's certificate.
const WAS_ADOPTED: &str = "Adopted";

/// What becomes of an adoption. It is undone where the fleet says that the cluster had been removed,
/// and over where a person gave the Cluster back while the hub waited for it: their word counts.
pub(super) fn adoption(seen: &Observed) -> Option<Effect> {
    let adopted = |it: &&Cluster| it.metadata.annotations.contains_key(ADOPTED);
    let stays = |it: &&Cluster| it.metadata.deletion_timestamp.is_none();
    let cluster = seen.cluster.as_ref().filter(adopted).filter(stays)?;
    if seen.given_back && seen.recovering.is_some() {
        return Some(Effect::EndAdoption);
    }
    seen.was_removed.then(|| Effect::LetGo(cluster.metadata.uid.clone()))
}

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
