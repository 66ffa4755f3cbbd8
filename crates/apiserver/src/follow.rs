//! What the server keeps in step with its own objects: rights, and custom kinds.
//!
//! One task reads all changes. It ends with the server's last handle.

use std::sync::{Arc, Weak};

use futures::StreamExt;
use serde_json::Value;
use tokio::time::{Duration, sleep, timeout};

use crate::{
    authz::rbac,
    changes::{Change, Changes, ObjectChange},
    crd::{self, CustomKinds},
    registry::Resource,
    server::{ApiServer, State},
};

/// Loads what is stored, then follows it in a task of its own.
pub(crate) async fn start(server: &ApiServer) {
    let mut custom = CustomKinds::default();
    let changes = catch_up(&server.state, &mut custom).await;
    let weak = Arc::downgrade(&server.state);
    server.state.run(follow(weak, changes, custom));
}

/// Reads everything up to now. The stream goes on from there.
async fn catch_up(state: &Arc<State>, custom: &mut CustomKinds) -> Option<Changes> {
    let mut changes = Changes::open(state, None).ok()?;
    while let Some(change) = changes.next().await {
        match change {
            Change::Object(it) => take(state, custom, &it),
            Change::Synced(revision) => {
                state.followed.send_replace(revision);
                break;
            }
        }
    }
    Some(changes)
}

async fn follow(state: Weak<State>, mut changes: Option<Changes>, mut custom: CustomKinds) {
    if let Some(state) = state.upgrade() {
        crd::settle_all(&ApiServer { state }, &custom).await;
    }
    loop {
        let next = match &mut changes {
            Some(changes) => changes.next().await,
            None => None,
        };
        let Some(state) = state.upgrade() else { return };
        match next {
            Some(Change::Object(change)) => {
                take(&state, &mut custom, &change);
                state.followed.send_replace(change.revision);
                crd::settle(&ApiServer { state }, &custom, &change).await;
            }
            Some(Change::Synced(_)) => {}
            // Too slow for the store, or it is closed: begin anew, in no haste.
            None => {
                sleep(Duration::from_secs(1)).await;
                changes = catch_up(&state, &mut custom).await;
            }
        }
    }
}

/// Whether anything is kept in step with objects of this kind.
pub(crate) fn cares_about(resource: &Resource) -> bool {
    resource.group == rbac::GROUP || crd::is_definition(resource)
}

/// Waits until everything that is stored now has been seen, a second at most.
pub(crate) async fn caught_up(state: &State) {
    let wanted = state.store.revision();
    let mut followed = state.followed.subscribe();
    let _ = timeout(Duration::from_secs(1), followed.wait_for(|it| *it >= wanted)).await;
}

fn take(state: &State, custom: &mut CustomKinds, change: &ObjectChange) {
    let resource = &change.resource;
    let name = change.name.as_ref();
    let parsed = || -> Option<Value> { serde_json::from_slice(change.object.as_ref()?).ok() };
    if resource.group == rbac::GROUP {
        let namespace = change.namespace.as_deref().unwrap_or_default();
        match parsed() {
            Some(object) => state.rbac.put(&object),
            None => state.rbac.remove(&resource.kind, namespace, name),
        }
    } else if crd::is_definition(resource) && custom.set(&state.fixed, name, parsed()) {
        state.publish(custom.rows());
    }
}
