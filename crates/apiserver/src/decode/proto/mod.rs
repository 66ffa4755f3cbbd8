//! Kubernetes' protobuf: four magic bytes and a `runtime.Unknown` that names the kind.
//!
//! `wire` reads tags and lengths; `message` turns a message into a JSON value by
//! the schema's field numbers; `scalar` knows the types with a form of their own.
//! Bodies are untrusted: depth is bounded, and nothing is read past its length.

mod message;
mod scalar;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::Value;

pub use self::wire::WireError;
use self::wire::{Reader, Wire};
use super::Decoded;
use crate::{schema::builtin, status::Failure};

/// What every body starts with.
pub const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    NoMagic,
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind { api_version: String, kind: String },
    #[error("content encoding {0:?} is not supported")]
    Encoding(String),
    #[error("{field}: {wrong}")]
    Field { field: String, wrong: WireError },
    #[error("the protobuf message cannot be read: {0}")]
    Wire(#[from] WireError),
}

pub fn read(bytes: &[u8]) -> Result<Decoded, Failure> {
    let value = envelope(bytes, 0).map_err(|error| Failure::bad_request(error.to_string()))?;
    Ok(Decoded { value, duplicates: Vec::new() })
}

/// An object with its envelope; `depth` messages deep in another.
fn envelope(bytes: &[u8], depth: usize) -> Result<Value, ProtoError> {
    let bytes = bytes.strip_prefix(MAGIC).ok_or(ProtoError::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(meta)) => {
                let mut meta = Reader::new(meta);
                while let Some((number, wire)) = meta.next()? {
                    match number {
                        1 => api_version = wire.text()?,
                        2 => kind = wire.text()?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (3, wire) => {
                let encoding = wire.text()?;
                if !encoding.is_empty() {
                    return Err(ProtoError::Encoding(encoding));
                }
            }
            _ => {}
        }
    }
    let Some(ty) = builtin().kind(&api_version, &kind) else {
        return Err(ProtoError::UnknownKind { api_version, kind });
    };
    let mut object = message::read(ty, raw, depth)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}
