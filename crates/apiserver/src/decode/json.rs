//! JSON bodies.

use std::cell::RefCell;

use serde::de::DeserializeSeed;

use super::{Decoded, tree::Tree};
use crate::status::Failure;

pub fn read(bytes: &[u8]) -> Result<Decoded, Failure> {
    let failed = |error: serde_json::Error| {
        Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
    };
    let duplicates = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Tree::new(&duplicates).deserialize(&mut deserializer).map_err(failed)?;
    deserializer.end().map_err(failed)?;
    Ok(Decoded { value, duplicates: duplicates.into_inner() })
}
