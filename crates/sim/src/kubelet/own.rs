//! The nodes whose kubelet is played here, with their addresses.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

/// Clones share the same nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnNodes(Arc<watch::Sender<BTreeMap<String, String>>>);

impl OwnNodes {
    /// All there are. Whoever watches hears of it if one is among them that was not known.
    pub fn set(&self, nodes: BTreeMap<String, String>) {
        self.0.send_if_modified(|known| {
            let more = nodes.keys().any(|it| !known.contains_key(it));
            *known = nodes;
            more
        });
    }

    /// One that is about to be made: no pod can be on it yet, so nobody need hear.
    pub fn add(&self, name: &str, address: &str) {
        self.0.send_if_modified(|known| {
            known.insert(name.to_owned(), address.to_owned());
            false
        });
    }

    pub fn address(&self, name: &str) -> Option<String> {
        self.0.borrow().get(name).cloned()
    }

    pub fn watch(&self) -> watch::Receiver<BTreeMap<String, String>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_were_not_known_are_news() {
        let own = OwnNodes::default();
        let seen = own.watch();
        let nodes = |names: &[&str]| {
            names.iter().map(|it| ((*it).to_owned(), "172.16.0.1".to_owned())).collect()
        };
        own.add("a", "172.16.0.1");
        own.set(nodes(&["a"]));
        assert!(!seen.has_changed().unwrap());
        own.set(nodes(&[]));
        assert!(!seen.has_changed().unwrap());
        own.set(nodes(&["b"]));
        assert!(seen.has_changed().unwrap());
        assert_eq!(own.address("b").as_deref(), Some("172.16.0.1"));
    }
}
