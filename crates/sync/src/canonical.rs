//! One byte form for equal content: what hashes are taken of.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// JSON without spaces, keys sorted whatever order the value has them in.
pub fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            // Sorted already, unless serde_json keeps insertion order for some other crate's sake.
            keys.sort_unstable();
            for (i, key) in keys.into_iter().enumerate() {
                out.push(if i == 0 { b'{' } else { b',' });
                scalar(key, out);
                out.push(b':');
                write(&fields[key], out);
            }
            out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if 0 < i {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        _ => scalar(value, out),
    }
}

fn scalar(value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("scalars are always JSON, and memory takes any bytes");
}

/// SHA-256 of canonical bytes, in hex.
pub fn hash(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let nibbles =
        |byte: &u8| [HEX[usize::from(byte >> 4)] as char, HEX[usize::from(byte & 15)] as char];
    Sha256::digest(bytes).iter().flat_map(nibbles).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_text_is_json() {
        let value = json!({"b": [{"z": 1, "a": "q\"\n"}, null, true], "a": {}, "c": []});
        let want = r#"{"a":{},"b":[{"a":"q\"\n","z":1},null,true],"c":[]}"#;
        assert_eq!(String::from_utf8(bytes(&value)).unwrap(), want);
        assert_eq!(serde_json::from_slice::<Value>(&bytes(&value)).unwrap(), value);
    }

    #[test]
    fn the_hash_is_sha_256_in_hex() {
        let want = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(b""), want);
        assert_ne!(hash(b"a"), want);
    }
}
