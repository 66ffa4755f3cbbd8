//! Does this pod fit that node, how many nodes do these pods need: pure, over a frozen [`Snapshot`].
//!
//! Reading order: `snapshot` (nodes with their pods), `fit` (the predicates), `pack` (bin packing).
//!
//! ```
//! use kogge_model::{Node, Pod, Resources};
//! use kogge_scheduling::{Snapshot, fits};
//! let node = Node { name: "a".into(), ..Node::default() };
//! let snapshot = Snapshot::new(vec![node], &[]);
//! assert!(fits(&Pod::default(), &snapshot, 0).is_ok());
//! ```

mod fit;
mod pack;
mod snapshot;

pub use fit::{Reason, choose, fits, room, summary};
pub use pack::{Group, Packing, group, pack};
pub use snapshot::{Place, Snapshot};
