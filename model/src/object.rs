//! Names of Kubernetes objects.
//!
//! Never holds an object's content. Identity leaves the version out: `autoscaling/v1` and
//! `autoscaling/v2` name the same object, and a version bump must prune nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one object is, whatever version it is written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, as in the manifest.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// An object id with the version its manifest is written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// API version without the group, for example `v1`.
    pub version: String,
}

impl ObjectKey {
    /// The key of a manifest, or `None` if it lacks `apiVersion`, `kind` or `metadata.name`.
    pub fn of(manifest: &Value) -> Option<Self> {
        let (group, version) = split_api_version(manifest.get("apiVersion")?.as_str()?);
        let metadata = manifest.get("metadata")?;
        let text = |field: &str| {
            metadata
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let kind = manifest.get("kind")?.as_str()?;
        if kind.is_empty() || version.is_empty() || text("name").is_empty() {
            return None;
        }
        Some(Self {
            id: ObjectId {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: text("namespace").to_owned(),
                name: text("name").to_owned(),
            },
            version: version.to_owned(),
        })
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.id.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.id.group, self.version)
        }
    }
}

/// Splits `apps/v1` into (`apps`, `v1`), and `v1` into an empty group and `v1`.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        f.write_str(" ")?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}
