//! The one way of every write: admission, owners, defaults, validation, store.

use bytes::Bytes;
use kogge_store::{Change, Entry, Expect, Op, Revision, TxnError};
use serde_json::Value;

use crate::{
    admission::{AdmissionRequest, Operation},
    call::Call,
    encode::Stored,
    object::{self, meta},
    status::Failure,
};

/// How often a write that names no revision is tried against a busy object.
pub(super) const ATTEMPTS: usize = 8;

/// An object as it is stored now.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub entry: Entry,
    /// Parsed, with its resourceVersion.
    pub object: Value,
}

impl Live {
    pub fn stored(&self) -> Stored {
        Stored { bytes: self.entry.value.clone(), revision: self.entry.modified }
    }
}

pub(super) fn find(call: &Call) -> Option<Live> {
    let entry = call.state.store.get(&call.key())?;
    let object = object::parse(&entry.value, entry.modified, &call.resource.api_version);
    Some(Live { entry, object })
}

pub(super) fn live(call: &Call) -> Result<Live, Failure> {
    find(call).ok_or_else(|| call.resource.not_found(call.name()))
}

/// Why a write did not go through.
pub(super) enum Refusal {
    /// Somebody else was faster; look again.
    Raced,
    Failure(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Runs the embedder's hooks; they may change `object`.
pub(super) fn admit(
    call: &mut Call,
    operation: Operation,
    object: Value,
    old: &Value,
) -> Result<Value, Failure> {
    if call.state.config.admission.is_empty() {
        return Ok(object);
    }
    let mut request = AdmissionRequest {
        operation,
        user: call.user.clone(),
        resource: call.resource.clone(),
        subresource: call.info.subresource.clone(),
        namespace: call.namespace().map(str::to_owned),
        name: call.name().to_owned(),
        dry_run: call.options.dry_run,
        object,
        old: old.clone(),
    };
    for hook in &call.state.config.admission {
        call.warnings.extend(hook.review(&mut request)?);
    }
    Ok(request.object)
}

/// Stores a new object. The namespace it goes to must not have changed meanwhile.
pub(super) async fn insert(
    call: &Call,
    object: &Value,
    namespace: Option<Entry>,
) -> Result<Stored, Refusal> {
    let name = meta(object, "name");
    let key = call.resource.key(call.namespace(), name);
    let bytes = stored_bytes(call, object);
    let change = Change::Put(bytes.clone());
    let mut ops = vec![Op { key: key.as_str().into(), expect: Expect::Absent, change }];
    if let Some(entry) = namespace {
        let expect = Expect::At(entry.modified);
        ops.push(Op { key: entry.key, expect, change: Change::Nothing });
    }
    match commit(call, ops).await {
        Err(TxnError::Conflict { key: other, .. }) if *other == *key => {
            let resource = &call.resource;
            let failure = Failure::already_exists(&resource.group, &resource.plural, name);
            Err(failure.into())
        }
        done => Ok(Stored { bytes, revision: done.map_err(refusal)? }),
    }
}

/// Stores a new state of `live`, unless somebody was faster.
pub(super) async fn replace(call: &Call, live: &Live, object: &Value) -> Result<Stored, Refusal> {
    let bytes = stored_bytes(call, object);
    let expect = Expect::At(live.entry.modified);
    let op = Op { key: live.entry.key.clone(), expect, change: Change::Put(bytes.clone()) };
    let revision = commit(call, vec![op]).await.map_err(refusal)?;
    Ok(Stored { bytes, revision })
}

/// Removes `live`, unless somebody changed it meanwhile. The revision is that of the deletion.
pub(super) async fn remove(call: &Call, live: &Live) -> Result<Revision, Refusal> {
    let expect = Expect::At(live.entry.modified);
    let op = Op { key: live.entry.key.clone(), expect, change: Change::Delete };
    commit(call, vec![op]).await.map_err(refusal)
}

/// The object as it is stored: in the storage version.
pub(super) fn stored_bytes(call: &Call, object: &Value) -> Bytes {
    object::to_stored(object, &call.resource.stored_as)
}

async fn commit(call: &Call, mut ops: Vec<Op>) -> Result<Revision, TxnError> {
    if call.options.dry_run {
        // Everything but the change: what is expected is still compared.
        for op in &mut ops {
            op.change = Change::Nothing;
        }
    }
    call.state.store.txn(ops).await
}

fn refusal(error: TxnError) -> Refusal {
    match error {
        TxnError::Conflict { .. } => Refusal::Raced,
        TxnError::Unavailable(why) => {
            Failure::new(503, "ServiceUnavailable", format!("the store cannot write: {why}")).into()
        }
    }
}
