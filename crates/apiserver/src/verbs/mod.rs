//! What can be done to resources: a file each. [`serve`] picks by verb and subresource.

mod binding;
mod create;
mod delete;
mod eviction;
mod get;
mod input;
mod list;
mod meta;
mod patch;
mod review;
mod scale;
mod strategy;
mod update;
mod watch;
mod write;

use http::Response;

use crate::{
    body::Body, call::Call, follow, registry::Verbs, selector::Selector, status::Failure,
    user::APISERVER,
};

pub(crate) async fn serve(call: &mut Call) -> Result<Response<Body>, Failure> {
    let response = dispatch(call).await?;
    let writes = !matches!(call.info.verb.as_str(), "get" | "list" | "watch");
    // The task that follows writes definitions itself, and must not wait for itself.
    let waits = call.user.name != APISERVER;
    if writes && waits && follow::cares_about(&call.resource) {
        // So that a client that made a kind or a role can use it at once.
        follow::caught_up(&call.state).await;
    }
    Ok(response)
}

async fn dispatch(call: &mut Call) -> Result<Response<Body>, Failure> {
    let (verb, subresource) = (call.info.verb.clone(), call.info.subresource.clone());
    match (verb.as_str(), subresource.as_str()) {
        ("create", "") if call.resource.verbs == Verbs::CreateOnly => review::review(call),
        ("get", "") => get::get(call),
        ("list", "") => list::list(call),
        ("watch", "") => watch::watch(call),
        ("create", "") => create::create(call).await,
        ("update", "") => update::update(call).await,
        ("patch", "") => patch::patch(call).await,
        ("delete", "") => delete::delete(call).await,
        ("deletecollection", "") => delete::delete_collection(call).await,
        (verb, "status") if call.resource.status => match verb {
            "get" => get::get(call),
            "update" => update::update(call).await,
            "patch" => patch::patch(call).await,
            _ => Err(Failure::method_not_allowed()),
        },
        (verb, "scale") if call.resource.scale.is_some() => match verb {
            "get" => scale::get_scale(call),
            "update" => scale::update_scale(call).await,
            "patch" => scale::patch_scale(call).await,
            _ => Err(Failure::method_not_allowed()),
        },
        ("create", "binding") if call.resource.is("", "pods") => binding::bind(call).await,
        ("create", "eviction") if call.resource.is("", "pods") => eviction::evict(call).await,
        ("update", "finalize") if call.resource.is("", "namespaces") => update::update(call).await,
        _ => Err(Failure::no_such_resource()),
    }
}

/// The selectors of a list, a watch or a deletion of many.
fn selector(call: &Call) -> Result<Selector, Failure> {
    let resource = &call.resource;
    let selectable = |path: &str| {
        matches!(path, "metadata.name" | "metadata.namespace")
            || resource.selectable.iter().any(|it| it == path)
    };
    Selector::parse(&call.options.label_selector, &call.options.field_selector, selectable)
}
