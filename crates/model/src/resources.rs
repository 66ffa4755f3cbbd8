//! Amounts by resource name, small and quick to add and compare: what pods ask and nodes have.
//!
//! CPU is in milli, everything else in whole units; both rounded up when read.

use crate::{Error, Quantity};
use serde_json::Value;
use std::sync::Arc;

/// The name of a resource; the usual four need no memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceName {
    /// `cpu`, in milli.
    Cpu,
    /// `memory`, in bytes.
    Memory,
    /// `ephemeral-storage`, in bytes.
    EphemeralStorage,
    /// `pods`: how many a node takes; one for each pod.
    Pods,
    /// Any other, such as `nvidia.com/gpu` or `hugepages-2Mi`.
    Other(Arc<str>),
}

impl ResourceName {
    const FIXED: [(&'static str, Self); 4] = [
        ("cpu", Self::Cpu),
        ("memory", Self::Memory),
        ("ephemeral-storage", Self::EphemeralStorage),
        ("pods", Self::Pods),
    ];

    /// The name for a key of a resource list.
    pub fn of(name: &str) -> Self {
        let fixed = Self::FIXED.into_iter().find(|(n, _)| *n == name);
        fixed.map_or_else(|| Self::Other(Arc::from(name)), |(_, r)| r)
    }

    /// As Kubernetes writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::EphemeralStorage => "ephemeral-storage",
            Self::Pods => "pods",
            Self::Other(name) => name,
        }
    }

    fn slot(&self) -> Option<usize> {
        match self {
            Self::Cpu => Some(0),
            Self::Memory => Some(1),
            Self::EphemeralStorage => Some(2),
            Self::Pods => Some(3),
            Self::Other(_) => None,
        }
    }
}

/// Amounts of resources. What is not named is 0. Arithmetic saturates.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources {
    fixed: [i64; 4],
    // Sorted by name, no zeros.
    other: Vec<(Arc<str>, i64)>,
}

impl Resources {
    /// CPU in milli and memory in bytes.
    pub fn new(milli_cpu: i64, memory: i64) -> Self {
        Self { fixed: [milli_cpu, memory, 0, 0], other: Vec::new() }
    }

    /// Reads a resource list such as `{cpu: 100m, memory: 1Gi}`.
    pub fn from_value(list: &Value) -> Result<Self, Error> {
        let mut read = Self::default();
        for (name, value) in list.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(s) => s.clone(),
                Value::Number(n) => n.to_string(),
                _ => return Err(Error::new(name, "must be a quantity")),
            };
            let quantity: Quantity =
                text.parse().map_err(|e| Error::new(name, format!("{text:?}: {e}")))?;
            let name = ResourceName::of(name);
            let amount =
                if name == ResourceName::Cpu { quantity.milli() } else { quantity.units() };
            read.set(&name, amount);
        }
        Ok(read)
    }

    /// How much of `name`.
    pub fn get(&self, name: &ResourceName) -> i64 {
        match name {
            ResourceName::Other(key) => {
                self.other.binary_search_by(|(n, _)| n.cmp(key)).map_or(0, |at| self.other[at].1)
            }
            fixed => fixed.slot().map_or(0, |at| self.fixed[at]),
        }
    }

    /// Sets how much of `name`.
    pub fn set(&mut self, name: &ResourceName, amount: i64) {
        if let Some(at) = name.slot() {
            self.fixed[at] = amount;
            return;
        }
        let ResourceName::Other(key) = name else { return };
        match self.other.binary_search_by(|(n, _)| n.cmp(key)) {
            Ok(at) if amount == 0 => drop(self.other.remove(at)),
            Ok(at) => self.other[at].1 = amount,
            Err(at) if amount != 0 => self.other.insert(at, (key.clone(), amount)),
            Err(_) => {}
        }
    }

    /// CPU in milli.
    pub fn milli_cpu(&self) -> i64 {
        self.fixed[0]
    }

    /// Memory in bytes.
    pub fn memory(&self) -> i64 {
        self.fixed[1]
    }

    /// Each resource that is not 0.
    pub fn iter(&self) -> impl Iterator<Item = (ResourceName, i64)> + '_ {
        let fixed = ResourceName::FIXED.into_iter().map(|(_, name)| name).zip(self.fixed);
        let other = self.other.iter().map(|(n, a)| (ResourceName::Other(n.clone()), *a));
        fixed.filter(|(_, a)| *a != 0).chain(other)
    }

    /// Adds `more`.
    pub fn add(&mut self, more: &Self) {
        self.combine(more, i64::saturating_add);
    }

    /// Takes `less` away; may go below 0.
    pub fn subtract(&mut self, less: &Self) {
        self.combine(less, i64::saturating_sub);
    }

    /// The larger of the two, resource by resource.
    pub fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, with: &Self, f: fn(i64, i64) -> i64) {
        for (mine, theirs) in self.fixed.iter_mut().zip(with.fixed) {
            *mine = f(*mine, theirs);
        }
        for (name, theirs) in &with.other {
            let name = ResourceName::Other(name.clone());
            self.set(&name, f(self.get(&name), *theirs));
        }
    }

    /// `self` `n` times.
    #[must_use]
    pub fn times(&self, n: i64) -> Self {
        let mut all = self.clone();
        all.fixed.iter_mut().for_each(|a| *a = a.saturating_mul(n));
        all.other.iter_mut().for_each(|(_, a)| *a = a.saturating_mul(n));
        all
    }

    /// How many of `unit` fit in `self`; what `unit` does not ask for does not matter.
    pub fn fits(&self, unit: &Self) -> i64 {
        let fixed = self.fixed.iter().zip(unit.fixed).map(|(have, ask)| (*have, ask));
        let other =
            unit.other.iter().map(|(n, ask)| (self.get(&ResourceName::Other(n.clone())), *ask));
        let times = fixed.chain(other).filter(|(_, ask)| *ask > 0);
        times.map(|(have, ask)| have.max(0) / ask).min().unwrap_or(i64::MAX)
    }

    /// The names in `ask` that `self` has too little of, in order.
    pub fn lacking(&self, ask: &Self) -> Vec<ResourceName> {
        ask.iter().filter(|(n, a)| *a > 0 && self.get(n) < *a).map(|(n, _)| n).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_are_read_added_and_counted() {
        let node =
            Resources::from_value(&json!({"cpu": 2, "memory": "1Gi", "nvidia.com/gpu": "4"}))
                .unwrap();
        let pod = Resources::from_value(&json!({"cpu": "300m", "nvidia.com/gpu": 1})).unwrap();
        assert_eq!(node.fits(&pod), 4);
        let mut left = node.clone();
        left.subtract(&pod.times(4));
        assert_eq!(left.lacking(&pod), [ResourceName::of("nvidia.com/gpu")]);
        left.add(&pod.times(4));
        assert_eq!(left, node);
        assert_eq!(
            Resources::from_value(&json!({"cpu": "x"})).unwrap_err().to_string(),
            "cpu: \"x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        );
    }
}
