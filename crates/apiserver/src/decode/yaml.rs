//! YAML bodies, read as kubectl reads files: YAML 1.1 booleans, one document.
//!
//! Most are JSON in truth (kubectl applies what it has parsed), so that is tried first.

use std::{cell::RefCell, str};

use serde::de::DeserializeSeed;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{Decoded, json, tree::Tree};
use crate::status::Failure;

pub fn read(bytes: &[u8]) -> Result<Decoded, Failure> {
    let starts = bytes.iter().find(|it| !it.is_ascii_whitespace());
    if starts == Some(&b'{')
        && let Ok(decoded) = json::read(bytes)
    {
        return Ok(decoded);
    }
    let failed =
        |why: String| Failure::bad_request(format!("error converting YAML to JSON: yaml: {why}"));
    let text = str::from_utf8(bytes).map_err(|error| failed(error.to_string()))?;
    let duplicates = RefCell::default();
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |it| {
        Tree::new(&duplicates).deserialize(it)
    })
    .map_err(|error| failed(error.to_string()))?;
    Ok(Decoded { value, duplicates: duplicates.into_inner() })
}
