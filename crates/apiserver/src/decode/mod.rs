//! Bodies of requests to JSON values: JSON, YAML and Kubernetes' protobuf.
//!
//! What comes out is as the client wrote it; pruning, defaults and validation
//! are `schema`'s. Patches come as JSON or YAML and are read here too; what they
//! mean is `patch`'s.

mod json;
mod proto;
mod tree;
mod yaml;

use serde_json::Value;

use crate::status::Failure;

/// The media types of bodies; those of patches are in `verbs::patch`.
pub const SUPPORTED: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// A body, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    pub value: Value,
    /// `duplicate field "spec.replicas"` for each field that came again; the last one counts.
    pub duplicates: Vec<String>,
}

impl Media {
    /// None said is JSON. 415 for what is not read here, CBOR among it, so that clients fall back.
    pub fn of(content_type: &str) -> Result<Self, Failure> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            ""
            | "application/json"
            | "*/*"
            | "application/merge-patch+json"
            | "application/json-patch+json"
            | "application/strategic-merge-patch+json" => Ok(Self::Json),
            "application/yaml" | "application/apply-patch+yaml" => Ok(Self::Yaml),
            "application/vnd.kubernetes.protobuf" => Ok(Self::Protobuf),
            _ => Err(Failure::unsupported_media(media, SUPPORTED)),
        }
    }
}

/// Reads a body. 415 for an unknown type, 400 for one that cannot be read.
pub fn body(content_type: &str, bytes: &[u8]) -> Result<Decoded, Failure> {
    match Media::of(content_type)? {
        Media::Json => json::read(bytes),
        Media::Yaml => yaml::read(bytes),
        Media::Protobuf => proto::read(bytes),
    }
}

#[cfg(test)]
mod tests;
