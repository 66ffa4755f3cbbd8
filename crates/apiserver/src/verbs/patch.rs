//! A change described by the client: JSON, merge and strategic merge patches, and apply.

use http::Response;
use serde_json::Value;

use super::{
    create, input,
    meta::{self, Owners},
    update, write,
};
use crate::{body::Body, call::Call, encode, object::remove_meta, patch, status::Failure};

/// The four patch types, by content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Kind {
    pub fn of(call: &Call) -> Result<Self, Failure> {
        let media = call.content_type.split(';').next().unwrap_or_default().trim();
        match media {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !call.resource.custom => {
                Ok(Self::Strategic)
            }
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Failure::unsupported_media(
                other,
                "application/json-patch+json, application/merge-patch+json, \
                 application/strategic-merge-patch+json (built-in kinds only), \
                 application/apply-patch+yaml",
            )),
        }
    }
}

pub(super) async fn patch(call: &mut Call) -> Result<Response<Body>, Failure> {
    let kind = Kind::of(call)?;
    if kind == Kind::Apply {
        return apply(call).await;
    }
    if call.options.force {
        return Err(Failure::bad_request("force: may only be set for apply patches"));
    }
    let patch = input::patch(call)?;
    let stored = update::rewrite(call, |call, live| {
        let patched = patched(kind, live, &patch, call)?;
        Ok((meta::check_kind(call, patched)?, Owners::Record))
    })
    .await?;
    Ok(encode::object(call, 200, &stored))
}

fn patched(kind: Kind, live: &Value, patch: &Value, call: &Call) -> Result<Value, Failure> {
    match kind {
        Kind::Json => patch::json::apply(live, patch),
        Kind::Strategic => match call.resource.ty() {
            Some(ty) => patch::strategic::apply(live, patch, ty),
            None => patch::merge::apply(live, patch),
        },
        Kind::Merge | Kind::Apply => patch::merge::apply(live, patch),
    }
}

/// Server-side apply: creates what is not there.
async fn apply(call: &mut Call) -> Result<Response<Body>, Failure> {
    if call.options.field_manager.is_empty() {
        return Err(Failure::bad_request("fieldManager: is required for apply patch"));
    }
    let config = input::patch(call)?;
    let config = meta::check_kind(call, config)?;
    if write::find(call).is_none() && call.info.subresource.is_empty() {
        let mut object = settle(call, None, &config)?;
        let name = call.name().to_owned();
        meta::check_identity(call, &mut object, Some(&name))?;
        for field in ["uid", "resourceVersion"] {
            if remove_meta(&mut object, field).is_some() {
                return Err(call.resource.not_found(&name));
            }
        }
        let stored = create::insert(call, object, Owners::Known).await?;
        return Ok(encode::object(call, 201, &stored));
    }
    let stored =
        update::rewrite(call, |call, live| Ok((settle(call, Some(live), &config)?, Owners::Known)))
            .await?;
    Ok(encode::object(call, 200, &stored))
}

fn settle(call: &Call, live: Option<&Value>, config: &Value) -> Result<Value, Failure> {
    let manager = call.options.field_manager.as_str();
    let write = meta::writer(call, manager);
    let Some(ty) = call.resource.ty() else {
        return patch::merge::apply(live.unwrap_or(&serde_json::json!({})), config);
    };
    patch::apply::apply(live, config, ty, &write, call.options.force)
}
