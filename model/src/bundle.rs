//! A bundle: everything one application puts into one cluster, by digest.
//!
//! Holds names and digests only; objects are blobs. Never renders and never applies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{digest::Digest, object::ObjectKey};

/// Type tag of an object's digest.
pub const OBJECT_TAG: &str = "object";
/// Type tag of a bundle's digest.
pub const BUNDLE_TAG: &str = "bundle";

/// One object of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BundleEntry {
    /// Which object.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// Digest (tag `object`) of its manifest.
    pub digest: Digest,
}

/// The sorted list of an application's objects. Its own digest names the content, so two equal
/// bundles are stored, sent and compared once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    objects: Vec<BundleEntry>,
}

impl Bundle {
    /// A bundle of these objects, in any order.
    pub fn new(mut objects: Vec<BundleEntry>) -> Self {
        objects.sort();
        objects.dedup();
        Self { objects }
    }

    /// The objects in canonical order.
    pub fn objects(&self) -> &[BundleEntry] {
        &self.objects
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The canonical JSON of the bundle: what its digest is over and what travels as its blob.
    pub fn to_value(&self) -> Value {
        Value::Array(
            self.objects
                .iter()
                .map(|entry| {
                    let id = &entry.key.id;
                    serde_json::json!([
                        id.group,
                        entry.key.version,
                        id.kind,
                        id.namespace,
                        id.name,
                        entry.digest.to_string()
                    ])
                })
                .collect(),
        )
    }

    /// Reads what [`Bundle::to_value`] wrote; `None` if it is anything else.
    pub fn from_value(value: &Value) -> Option<Self> {
        let read = |row: &Value| {
            let row = row.as_array().filter(|row| row.len() == 6)?;
            let text = |i: usize| row.get(i).and_then(Value::as_str).map(str::to_owned);
            Some(BundleEntry {
                key: ObjectKey {
                    id: crate::object::ObjectId {
                        group: text(0)?,
                        kind: text(2)?,
                        namespace: text(3)?,
                        name: text(4)?,
                    },
                    version: text(1)?,
                },
                digest: text(5)?.parse().ok()?,
            })
        };
        value
            .as_array()?
            .iter()
            .map(read)
            .collect::<Option<Vec<_>>>()
            .map(Self::new)
    }

    /// The bundle's name.
    pub fn digest(&self) -> Digest {
        Digest::of(BUNDLE_TAG, &self.to_value())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(name: &str) -> BundleEntry {
        let manifest =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}});
        BundleEntry {
            key: ObjectKey::of(&manifest).unwrap(),
            digest: Digest::of(OBJECT_TAG, &manifest),
        }
    }

    #[test]
    fn order_of_arrival_does_not_change_the_name() {
        let one = Bundle::new(vec![entry("a"), entry("b")]);
        let two = Bundle::new(vec![entry("b"), entry("a")]);
        assert_eq!(one.digest(), two.digest());
        assert_ne!(one.digest(), Bundle::new(vec![entry("a")]).digest());
    }

    #[test]
    fn the_blob_reads_back() {
        let bundle = Bundle::new(vec![entry("a"), entry("b")]);
        assert_eq!(Bundle::from_value(&bundle.to_value()), Some(bundle));
        assert_eq!(Bundle::from_value(&json!([["x"]])), None);
    }
}
