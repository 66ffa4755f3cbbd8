//! How parts of messages are written where they leave the process.

/// JSON that is kept to the byte: its hash is known.
pub(super) mod json {
    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serializer, ser::Error as _};

    pub fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(std::str::from_utf8(bytes).map_err(S::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        String::deserialize(from).map(Bytes::from)
    }
}

/// Amounts by name: milli of `cpu`, whole units of all else.
pub(super) mod amounts {
    use std::collections::BTreeMap;

    use kogge_model::{ResourceName, Resources};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(amounts: &Resources, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(amounts.iter().map(|(name, amount)| (name.as_str().to_owned(), amount)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Resources, D::Error> {
        let mut amounts = Resources::default();
        for (name, amount) in BTreeMap::<String, i64>::deserialize(from)? {
            amounts.set(&ResourceName::of(&name), amount);
        }
        Ok(amounts)
    }
}
