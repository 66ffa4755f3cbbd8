//! What hub and agent say to each other. In process a channel, over the wire a stream.

mod text;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use kogge_member::ObjectKey;
use kogge_model::Resources;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One object as it should be on one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub key: ObjectKey,
    /// `apps/v1`
    pub api_version: String,
    /// The object as canonical JSON: keys sorted, nothing that belongs to the hub.
    #[serde(with = "text::json")]
    pub manifest: Bytes,
    /// SHA-256 of `manifest`, in hex.
    pub hash: String,
    pub mode: Mode,
}

/// What to do about an object that is there already and is not kogge's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Report a conflict and leave it alone.
    #[default]
    Abort,
    /// Take it over.
    Overwrite,
    /// Use it as it is: it only has to exist (namespaces).
    Ensure,
}

/// One message of the stream of desired state.
///
/// The stream starts with [`Desired::Begin`] and every work there is; after
/// [`Desired::Complete`] come changes. Only a complete set may delete what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Desired {
    Begin {
        /// The store of the hub that speaks; another one is another hub.
        hub: String,
    },
    Put(Arc<Work>),
    Remove {
        key: ObjectKey,
        /// The template itself was deleted, by a person or by Git; otherwise
        /// only the decision where it runs has changed.
        asked: bool,
    },
    Complete,
    /// The autoscalers that cover this cluster, all of them: name and spec.
    Autoscalers(BTreeMap<String, Value>),
    /// Deletions that wait for a person's word have it.
    DeletionsApproved,
}

/// What the agent tells the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// What became of a work. `generation` is the member object's right after, if applied.
    Applied {
        key: ObjectKey,
        hash: String,
        generation: i64,
        outcome: Outcome,
    },
    /// The object's status as the member has it.
    Status {
        key: ObjectKey,
        generation: i64,
        status: Value,
    },
    /// It is gone from the member, as it should be.
    Removed {
        key: ObjectKey,
    },
    /// Somebody changed or deleted what kogge owns; it is being put back.
    Drift(Drift),
    /// So many objects would be deleted that a person has to agree first.
    DeletionsHeld {
        count: usize,
        of: usize,
    },
    Cluster(Box<ClusterState>),
    Autoscaler {
        name: String,
        status: Value,
        events: Vec<Note>,
    },
}

/// Something a person may want to know: becomes an Event on the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub warning: bool,
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Applied,
    /// Somebody else's object is in the way.
    Conflict(String),
    /// The member refused it, or could not be asked; it is tried again.
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub key: ObjectKey,
    pub at: Timestamp,
    /// `deleted`, or what was changed and by which field manager.
    pub what: String,
}

/// A cluster as its agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterState {
    /// `Err` says why it cannot be used.
    pub ready: Option<Result<(), Unready>>,
    pub kubernetes_version: String,
    /// The uid of namespace kube-system: tells clusters apart.
    pub uid: String,
    /// Group and version -> plural names and kinds.
    pub api_enablements: BTreeMap<String, Vec<(String, String)>>,
    pub nodes_total: u32,
    pub nodes_ready: u32,
    /// Canonical quantities by resource name.
    pub allocatable: BTreeMap<String, String>,
    pub allocated: BTreeMap<String, String>,
    /// What is free on each ready node, nodes with the same room counted together;
    /// `None` until nodes and pods have been seen.
    pub rooms: Option<Vec<Room>>,
    /// How many objects are the fleet's there; `None` until all of them are known.
    pub owned: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unready {
    /// `Unreachable`, `CredentialsRefused`, `NotReady`
    pub reason: Cow<'static, str>,
    pub message: String,
}

/// `nodes` nodes that each have this much free.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Room {
    #[serde(with = "text::amounts")]
    pub free: Resources,
    pub nodes: u32,
}

/// The hub, seen by one cluster's agent.
pub trait HubLink: Send + Sync + 'static {
    /// Opens the stream of desired state. When it ends, it is opened again.
    fn desired(&self) -> BoxStream<'static, Desired>;

    /// Queues a report; never blocks, and the newest of one key wins.
    fn report(&self, report: Report);
}
