//! Groups and nodes as last seen, and the writes that bring them together.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use kogge_api::{Condition, nodes::NodeGroupStatus, set_condition};
use kogge_member::{DeleteOptions, Error, object};
use serde_json::{Value, json};

use super::{
    Known, NodesConfig, PROVIDER,
    beats::Due,
    decide::{NodeSeen, Observed, decide},
    exists, objects,
    trouble::{self, Trouble, Troubles},
};
use crate::{
    kinds::{self, DELETE_ANNOTATION, GROUP_LABEL, LEASE_NAMESPACE},
    kubelet::OwnNodes,
    time::micros,
};

/// Requests side by side: each has a connection of its own to a real cluster, which stays.
const AT_ONCE: usize = 8;

pub(super) struct State {
    pub config: NodesConfig,
    pub groups: Known,
    pub nodes: Known,
    own: OwnNodes,
    short_since: BTreeMap<String, Timestamp>,
    troubles: Troubles,
}

impl State {
    pub fn new(config: NodesConfig, own: OwnNodes) -> Self {
        Self {
            config,
            groups: None,
            nodes: None,
            own,
            short_since: BTreeMap::new(),
            troubles: Troubles::default(),
        }
    }

    pub fn is_synced(&self) -> bool {
        self.groups.is_some() && self.nodes.is_some()
    }

    /// One round for every group; says when to look again without an event.
    pub async fn reconcile(&mut self) -> Option<Duration> {
        let groups: Vec<Value> = self.groups.iter().flat_map(BTreeMap::values).cloned().collect();
        let mut recheck: Option<Duration> = None;
        for group in groups.iter().filter(|it| it["spec"]["provider"] == PROVIDER) {
            let again = match self.reconcile_group(group).await {
                Ok(again) => {
                    self.troubles.over(group);
                    again
                }
                Err(trouble) => {
                    if self.troubles.is_news(group, &trouble) {
                        let group = object::name(group);
                        tracing::warn!(group, error = %trouble, "could not keep nodes");
                    }
                    trouble.retry_after()
                }
            };
            recheck = [recheck, again].into_iter().flatten().min();
        }
        self.tell_own();
        recheck
    }

    async fn reconcile_group(&mut self, group: &Value) -> Result<Option<Duration>, Trouble> {
        let name = object::name(group).to_owned();
        let nodes = self.of_group(&name);
        let faults = self.config.faults.state();
        let plan = decide(&Observed {
            now: (self.config.now)(),
            group: &name,
            desired: desired(group),
            nodes: &nodes,
            out_of_stock: faults.out_of_stock.contains(&name),
            delay: faults.slow.get(&name).copied().unwrap_or_default(),
            short_since: self.short_since.get(&name).copied(),
        });
        match plan.short_since {
            Some(since) => drop(self.short_since.insert(name.clone(), since)),
            None => drop(self.short_since.remove(&name)),
        }
        for gone in &plan.delete {
            self.delete(gone).await?;
        }
        let filled = self.fill(&plan.create, group).await;
        let out_of_stock = faults.out_of_stock.contains(&name);
        self.report_group(group, out_of_stock).await?;
        filled.map(|()| plan.recheck_after)
    }

    /// New nodes, and those that never told their status, of a template that can be one.
    async fn fill(&mut self, names: &[String], group: &Value) -> Result<(), Trouble> {
        trouble::template(group)?;
        self.create(names, group).await?;
        Ok(self.complete(group).await?)
    }

    fn of_group(&self, group: &str) -> Vec<NodeSeen> {
        let nodes = self.nodes.iter().flat_map(BTreeMap::values);
        nodes
            .filter(|it| object::label(it, GROUP_LABEL) == Some(group))
            .map(|it| NodeSeen {
                name: object::name(it).to_owned(),
                ready: is_ready(it),
                given_up: object::annotation(it, DELETE_ANNOTATION) == Some("true"),
            })
            .collect()
    }

    async fn delete(&mut self, name: &str) -> Result<(), Error> {
        let gone =
            self.config.client.delete(&kinds::nodes(), "", name, &DeleteOptions::default()).await;
        match gone {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => drop(self.nodes.get_or_insert_default().remove(name)),
        }
        tracing::info!(node = name, "a node is gone");
        Ok(())
    }

    /// All of them side by side; those that came are known even where others failed.
    async fn create(&mut self, names: &[String], group: &Value) -> Result<(), Error> {
        let first = self.free_address();
        let addresses = (u32::from(first)..).map(Ipv4Addr::from);
        let new: Vec<(&String, String)> =
            names.iter().zip(addresses.map(|it| it.to_string())).collect();
        for (name, address) in &new {
            // Known before it exists, so that no pod is bound to it unseen.
            self.own.add(name, address);
        }
        let making: Vec<_> =
            new.iter().map(|(name, address)| self.make(name, address, group).boxed()).collect();
        let made: Vec<Result<Value, Error>> =
            stream::iter(making).buffer_unordered(AT_ONCE).collect().await;
        let known = self.nodes.get_or_insert_default();
        let mut failed = Ok(());
        for made in made {
            match made {
                Ok(node) => drop(known.insert(object::name(&node).to_owned(), node)),
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    async fn make(&self, name: &str, address: &str, group: &Value) -> Result<Value, Error> {
        let client = &self.config.client;
        let made = match client.create(&kinds::nodes(), &objects::node(name, group)).await {
            Err(error) if error.is_conflict() => client.get(&kinds::nodes(), "", name).await?,
            made => made?,
        };
        let lease = objects::lease(name, object::uid(&made), (self.config.now)());
        exists(client.create(&kinds::leases(), &lease).await)?;
        let made = self.report_node(name, address, group).await?;
        tracing::info!(node = name, "a node has come");
        Ok(made)
    }

    /// A creation that was cut short: a node that never told its status.
    async fn complete(&mut self, group: &Value) -> Result<(), Error> {
        let known = self.nodes.iter().flat_map(BTreeMap::values);
        let silent: Vec<String> = known
            .filter(|it| object::label(it, GROUP_LABEL) == Some(object::name(group)))
            .filter(|it| it["status"]["addresses"].is_null())
            .map(|it| object::name(it).to_owned())
            .collect();
        for name in silent {
            let address = self.free_address().to_string();
            let made = self.report_node(&name, &address, group).await?;
            self.nodes.get_or_insert_default().insert(name, made);
        }
        Ok(())
    }

    async fn report_node(&self, name: &str, address: &str, group: &Value) -> Result<Value, Error> {
        let status = objects::node_status(name, address, group, (self.config.now)());
        let patch = json!({"status": status});
        self.config.client.merge(&kinds::nodes(), "", name, Some("status"), &patch).await
    }

    async fn report_group(&mut self, group: &Value, out_of_stock: bool) -> Result<(), Error> {
        let name = object::name(group);
        let nodes = self.of_group(name);
        let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
        let ready = nodes.iter().filter(|it| it.ready).count();
        let before: NodeGroupStatus =
            serde_json::from_value(group["status"].clone()).unwrap_or_default();
        let mut status = NodeGroupStatus {
            ready_nodes: count(ready),
            coming_nodes: count(desired(group).saturating_sub(ready)),
            ..before.clone()
        };
        let short = out_of_stock && nodes.len() < desired(group);
        let condition = if short {
            let message = format!("the provider has no more nodes of group {name}");
            Condition::new("OutOfStock", true, "NoCapacity", message)
        } else {
            Condition::new("OutOfStock", false, "Available", "")
        };
        if short || status.conditions.iter().any(|it| it.kind == "OutOfStock") {
            set_condition(&mut status.conditions, condition, (self.config.now)());
        }
        if status == before && !group["status"].is_null() {
            return Ok(());
        }
        let patch = json!({"status": status});
        let written = self
            .config
            .client
            .merge(&kinds::node_groups(), "", name, Some("status"), &patch)
            .await?;
        self.groups.get_or_insert_default().insert(name.to_owned(), written);
        Ok(())
    }

    /// Renews leases, and tells the status of those whose turn it is.
    pub async fn beat(&self, due: Vec<Due>) {
        let known = |it: &Due| Some((self.nodes.as_ref()?.get(&it.node)?, it.tells_status));
        let telling =
            due.iter().filter_map(known).map(|(node, status)| self.tell(node, status).boxed());
        let telling: Vec<_> = telling.collect();
        stream::iter(telling).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn tell(&self, node: &Value, status: bool) {
        self.renew_lease(node).await;
        // A node that was given up as dead and is back says so at once.
        if status || !is_ready(node) {
            self.report_conditions(node).await;
        }
    }

    async fn renew_lease(&self, node: &Value) {
        let (name, now) = (object::name(node), (self.config.now)());
        let patch = json!({"spec": {"renewTime": micros(now)}});
        let client = &self.config.client;
        let renewed = client.merge(&kinds::leases(), LEASE_NAMESPACE, name, None, &patch).await;
        let renewed = match renewed {
            Err(error) if error.is_not_found() => {
                let lease = objects::lease(name, object::uid(node), now);
                client.create(&kinds::leases(), &lease).await
            }
            renewed => renewed,
        };
        if let Err(error) = renewed {
            tracing::debug!(error = %error.chain(), "could not renew a lease");
        }
    }

    async fn report_conditions(&self, node: &Value) {
        let now = (self.config.now)();
        let since = node["metadata"]["creationTimestamp"].as_str().and_then(|it| it.parse().ok());
        let since = since.filter(|_| is_ready(node)).unwrap_or(now);
        let patch = json!({"status": {"conditions": objects::conditions(now, since)}});
        let (nodes, name) = (kinds::nodes(), object::name(node));
        if let Err(error) = self.config.client.merge(&nodes, "", name, Some("status"), &patch).await
        {
            tracing::debug!(error = %error.chain(), "could not report a node's status");
        }
    }

    /// The names of our nodes whose kubelet runs.
    pub fn alive(&self) -> impl Iterator<Item = &str> {
        let dead = self.config.faults.state().dead;
        let names = self.nodes.iter().flat_map(BTreeMap::keys);
        names
            .filter(move |it| self.own.address(it).is_some() && !dead.contains(*it))
            .map(String::as_str)
    }

    /// Lets the kubelet know which nodes it plays.
    fn tell_own(&self) {
        let groups = self.groups.iter().flat_map(BTreeMap::values);
        let ours: Vec<&str> =
            groups.filter(|it| it["spec"]["provider"] == PROVIDER).map(object::name).collect();
        let nodes = self.nodes.iter().flat_map(BTreeMap::values);
        let own =
            nodes.filter(|it| object::label(it, GROUP_LABEL).is_some_and(|it| ours.contains(&it)));
        self.own.set(own.map(|it| (object::name(it).to_owned(), address(it).to_owned())).collect());
    }

    /// 172.16.0.0/12 by counting from the highest one taken.
    fn free_address(&self) -> Ipv4Addr {
        let taken = self.nodes.iter().flat_map(BTreeMap::values).map(address);
        let highest = taken.filter_map(|it| it.parse::<Ipv4Addr>().ok()).max();
        let base = u32::from(Ipv4Addr::new(172, 16, 0, 0));
        let next = highest.map_or(base, u32::from).max(base) + 1;
        Ipv4Addr::from(next)
    }
}

fn desired(group: &Value) -> usize {
    let number = |path: &str| object::number(group, path).and_then(|it| usize::try_from(it).ok());
    let least = number("/spec/minSize").unwrap_or(0);
    number("/spec/desiredSize").unwrap_or(least).min(number("/spec/maxSize").unwrap_or(usize::MAX))
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

fn address(node: &Value) -> &str {
    object::text(node, "/status/addresses/0/address")
}
