//! Schema of `PropagationPolicy` and `ClusterPropagationPolicy`.

use super::resource_selectors;
use crate::fleet::{affinity_schema, toleration_schema};
use crate::schema::{
    Schema, any_value, anything, boolean, count, integer, list, object, one_of, text,
};

pub(super) fn spec() -> (&'static str, Schema) {
    let spec = object(
        "Which templates, and where they run.",
        [
            ("resourceSelectors", resource_selectors("Templates to place.").at_least_one()),
            ("association", boolean("Deprecated: use propagateDeps.")),
            (
                "propagateDeps",
                boolean("ConfigMaps, Secrets and the like that a template names come along."),
            ),
            ("placement", placement()),
            ("priority", integer("Of two policies that match alike, the larger wins.").default(0)),
            (
                "preemption",
                one_of("Whether it takes templates from other policies.", &["Always", "Never"])
                    .default("Never"),
            ),
            ("dependentOverrides", list("Override policies to wait for.", text("Name."))),
            ("schedulerName", text("Scheduler to use.").default("default-scheduler")),
            ("failover", failover()),
            (
                "conflictResolution",
                one_of(
                    "When the object exists on a member and is not ours.",
                    &["Abort", "Overwrite"],
                )
                .default("Abort"),
            ),
            (
                "activationPreference",
                one_of("When a change of this policy takes effect.", &["Lazy"]),
            ),
            ("suspension", suspension()),
            (
                "preserveResourcesOnDeletion",
                boolean(
                    "Not supported yet: while true, the policy places nothing. \
                     Deleting the template leaves the members' objects.",
                ),
            ),
            ("schedulePriority", anything("Priority in the scheduling queue.")),
        ],
    )
    .required(&["resourceSelectors"]);
    ("Selects templates and says which clusters they run on.", spec)
}

/// `placement`: which clusters, and how replicas are divided.
pub(crate) fn placement() -> Schema {
    let named = |about: &str| {
        affinity_schema(about).fields([("affinityName", text("Name of the group.").not_empty())])
    };
    let group = named("A group of clusters.").fields([(
        "overflowAffinities",
        list("Where to go when the group is full.", named("A group of clusters.")),
    )]);
    object(
        "Which clusters, and how replicas are divided.",
        [
            ("clusterAffinity", affinity_schema("Which clusters.")),
            (
                "clusterAffinities",
                list(
                    "Groups tried in order; the first that fits is used.",
                    group.required(&["affinityName"]),
                ),
            ),
            ("clusterTolerations", toleration_schema()),
            ("spreadConstraints", spread_constraints()),
            ("replicaScheduling", replica_scheduling()),
            ("workloadAffinity", anything("Keep together with, or apart from, other workloads.")),
        ],
    )
}

fn spread_constraints() -> Schema {
    list(
        "Over how many clusters or regions to spread.",
        object(
            "A constraint.",
            [
                (
                    "spreadByField",
                    one_of("What to spread over.", &["cluster", "region", "zone", "provider"]),
                ),
                ("spreadByLabel", text("Label whose values to spread over.")),
                ("minGroups", count("Fewest groups.")),
                ("maxGroups", count("Most groups.")),
            ],
        ),
    )
}

fn replica_scheduling() -> Schema {
    let target = [
        ("targetCluster", affinity_schema("Clusters with this weight.")),
        ("weight", integer("Weight.").range(1, i64::from(i32::MAX))),
    ];
    object(
        "How replicas are divided.",
        [
            (
                "replicaSchedulingType",
                one_of(
                    "Duplicated: all replicas on each cluster. Divided: all replicas together.",
                    &["Duplicated", "Divided"],
                )
                .default("Divided"),
            ),
            (
                "replicaDivisionPreference",
                one_of(
                    "Aggregated: on few clusters. Weighted: by weight.",
                    &["Aggregated", "Weighted"],
                ),
            ),
            (
                "weightPreference",
                object(
                    "Weights of Weighted. Without: all alike.",
                    [
                        (
                            "staticWeightList",
                            list(
                                "Fixed weights.",
                                object("A weight.", target).required(&["targetCluster", "weight"]),
                            ),
                        ),
                        (
                            "dynamicWeight",
                            one_of("Weights that are measured.", &["AvailableReplicas"]),
                        ),
                    ],
                ),
            ),
        ],
    )
}

fn failover() -> Schema {
    let purge = || {
        one_of(
            "How the old copy goes.",
            &["Directly", "Gracefully", "Never", "Immediately", "Graciously"],
        )
    };
    let rules = [
        ("aliasLabelName", text("Label that carries the value.")),
        ("jsonPath", text("Where in status the value is.")),
    ];
    let state = object(
        "State handed to the new copy.",
        [("rules", list("What to hand over.", object("A rule.", rules)))],
    );
    let decision = [("tolerationSeconds", count("How long it may be unhealthy.").default(300))];
    object(
        "What happens when the workload or its cluster fails.",
        [
            (
                "application",
                object(
                    "Not acted on yet. When the workload is unhealthy.",
                    [
                        ("decisionConditions", object("When to move.", decision)),
                        ("purgeMode", purge()),
                        (
                            "gracePeriodSeconds",
                            count("How long the old copy may wait for the new."),
                        ),
                        ("statePreservation", state.clone()),
                    ],
                ),
            ),
            (
                "cluster",
                object(
                    "When the cluster fails.",
                    [
                        ("purgeMode", purge()),
                        (
                            "gracePeriodSeconds",
                            count("How long the old copy may wait for the new."),
                        ),
                        ("statePreservation", state),
                    ],
                ),
            ),
        ],
    )
}

fn suspension() -> Schema {
    let clusters = [("clusterNames", list("Clusters.", text("Name of a cluster.")))];
    object(
        "Not supported yet: while anything of it is on, the policy places nothing. \
         Hold back changes.",
        [
            ("dispatching", boolean("Nothing goes to any cluster.")),
            ("dispatchingOnClusters", object("Nothing goes to these.", clusters)),
            ("scheduling", any_value("Nothing is scheduled.")),
        ],
    )
}
