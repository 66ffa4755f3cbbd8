//! Faults on request: a handle that tests and people turn, and the simulator looks at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Nodes whose kubelet has stopped.
    pub dead: BTreeSet<String>,
    /// Groups that give no more nodes.
    pub out_of_stock: BTreeSet<String>,
    /// How long nodes of a group take to come.
    pub slow: BTreeMap<String, Duration>,
}

/// Which faults are on. Clones turn the same ones.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<watch::Sender<State>>);

impl Faults {
    /// The node's kubelet stops: no lease, no pods started or ended. `false` brings it back.
    pub fn node_dead(&self, node: &str, is_dead: bool) {
        self.0.send_modify(|it| turn(&mut it.dead, node, is_dead));
    }

    /// The group gives no more nodes; those that are there stay.
    pub fn out_of_stock(&self, group: &str, is_out: bool) {
        self.0.send_modify(|it| turn(&mut it.out_of_stock, group, is_out));
    }

    /// Nodes of the group come this long after they were asked for.
    pub fn slow_to_come(&self, group: &str, delay: Duration) {
        self.0.send_modify(|it| {
            it.slow.insert(group.to_owned(), delay);
        });
    }

    pub(crate) fn state(&self) -> State {
        self.0.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }
}

fn turn(set: &mut BTreeSet<String>, name: &str, on: bool) {
    if on {
        set.insert(name.to_owned());
    } else {
        set.remove(name);
    }
}
