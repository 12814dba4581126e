//! Content names: `sha256:` over a type tag and canonical JSON (design: "Digest").
//!
//! The tag keeps a bundle and an object with the same JSON apart. Never hashes anything but
//! canonical bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::canonical;

/// The SHA-256 name of some content. Prints as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to read digest {0:?}: expected sha256: and 64 hexadecimal digits")]
pub struct ParseDigestError(String);

impl Digest {
    /// Names `value` as content of type `tag` (for example `object`, `bundle`, `policy`).
    pub fn of(tag: &str, value: &Value) -> Self {
        Self::of_bytes(tag, &canonical::to_vec(value))
    }

    /// Names bytes that are canonical already. `tag` must not contain a NUL, which separates it
    /// from the content.
    pub fn of_bytes(tag: &str, canonical: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(tag.as_bytes());
        hasher.update([0]);
        hasher.update(canonical);
        Self(hasher.finalize().into())
    }

    /// The digest whose 32 bytes these are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: for people, never for comparison.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseDigestError(text.chars().take(100).collect());
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
        if digits.len() != 64 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tag_keeps_types_apart_and_key_order_does_not_matter() {
        let a = json!({"x": 1, "y": 2});
        let b: Value = serde_json::from_str(r#"{"y":2,"x":1}"#).unwrap();
        assert_eq!(Digest::of("object", &a), Digest::of("object", &b));
        assert_ne!(Digest::of("object", &a), Digest::of("bundle", &a));
    }

    #[test]
    fn a_known_digest_never_changes() {
        // Changing the digest of existing content makes every cluster re-apply everything.
        assert_eq!(
            Digest::of("object", &json!({"kind": "ConfigMap"})).to_string(),
            "sha256:0bc8e7d7c12df0b5997f61049a5a48b6589824a915d67d95ca5b82255b91b6d3"
        );
    }

    #[test]
    fn text_round_trips_and_bad_text_is_refused() {
        let digest = Digest::of("object", &json!(1));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in [
            "",
            "sha256:",
            "sha256:zz",
            "md5:00",
            &digest.to_string().to_uppercase(),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
