//! Metadata only: PartialObjectMetadata.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::object::head;

#[derive(Deserialize)]
struct MetadataOnly {
    metadata: Map<String, Value>,
}

/// A stored object's metadata as a PartialObjectMetadata.
pub(crate) fn partial(stored: &[u8], revision: u64) -> Vec<u8> {
    let metadata =
        serde_json::from_slice::<MetadataOnly>(stored).map(|it| it.metadata).unwrap_or_default();
    let rest = serde_json::to_vec(&metadata).expect("JSON always serialises into memory");
    let mut out = head("meta.k8s.io/v1", "PartialObjectMetadata").into_bytes();
    out.extend_from_slice(revision.to_string().as_bytes());
    out.push(b'"');
    if !metadata.is_empty() {
        out.push(b',');
    }
    // Its own opening brace is already in the head.
    out.extend_from_slice(&rest[1..]);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_metadata_and_the_revision_are_left() {
        let bytes =
            partial(br#"{"kind":"K","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}"#, 3);
        let parsed: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            parsed,
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": "a", "resourceVersion": "3"}})
        );
    }
}
