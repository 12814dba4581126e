//! Pins and denies: what makes a rollback stick (design/waves.md, "Rollback that sticks").
//!
//! Owns the digest by which denied content is recognised. Never decides when a pin opens: waves
//! does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    digest::Digest,
    ids::{AppUid, RunId},
    object::{ObjectId, ObjectKey},
};

/// Keeps one application at one bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The application.
    pub app: AppUid,
    /// The bundle it stays at.
    pub bundle: Digest,
    /// The bundle that was taken back. It never opens the pin, even where it differs from the good
    /// one only by what a deny does not see: a missing object, a label.
    pub bad: Digest,
    /// What opens it.
    pub release: PinRelease,
    /// Why.
    pub reason: String,
    /// Who, from the authenticated identity; `system` for an automatic rollback.
    pub actor: String,
    /// The run that was rolled back.
    pub run: RunId,
    /// When, by the hub's clock.
    pub created_at: Timestamp,
}

/// What opens a pin besides `unpin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinRelease {
    /// Git's content equals the pinned content again (default when a person rolls back).
    Converged,
    /// Every denied object is gone or has content that was never denied (default of an automatic
    /// rollback).
    Changed,
    /// Only `unpin`.
    Manual,
}

/// Content that no release may bring back: of one object, or a whole bundle. Belongs to the set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deny {
    /// Which object, in any application of the set.
    pub object: ObjectId,
    /// [`deny_digest`] of the content.
    pub content: Digest,
}

impl Deny {
    /// Group and kind that stand for a whole bundle. No manifest is taken for one: its digest would
    /// have to be that of the bundle that it is in.
    const BUNDLE: (&str, &str) = ("tidegate.dev", "Bundle");

    /// Denies exactly this bundle.
    pub fn whole(bundle: Digest) -> Self {
        let (group, kind) = Self::BUNDLE;
        Self {
            object: ObjectId {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: String::new(),
                name: bundle.short(),
            },
            content: bundle,
        }
    }

    /// Whether it is of a whole bundle.
    pub fn is_whole(&self) -> bool {
        (self.object.group.as_str(), self.object.kind.as_str()) == Self::BUNDLE
    }
}

/// Names an object's content without its own and its pod template's labels and annotations, so
/// that a commit-sha label does not make bad content look new.
pub fn deny_digest(manifest: &Value) -> Digest {
    let mut value = manifest.clone();
    for path in [
        "/metadata",
        "/spec/template/metadata",
        "/spec/jobTemplate/spec/template/metadata",
        "/spec/jobTemplate/metadata",
    ] {
        if let Some(Value::Object(metadata)) = value.pointer_mut(path) {
            metadata.remove("labels");
            metadata.remove("annotations");
        }
    }
    Digest::of("deny", &value)
}

/// The deny that would match `manifest`, or `None` when it is not an object.
pub fn deny_of(manifest: &Value) -> Option<Deny> {
    Some(Deny {
        object: ObjectKey::of(manifest)?.id,
        content: deny_digest(manifest),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_annotations_do_not_make_content_new_but_an_image_does() {
        let deployment = |sha: &str, image: &str| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "labels": {"sha": sha}, "annotations": {"sha": sha}},
                "spec": {"template": {"metadata": {"labels": {"sha": sha}},
                    "spec": {"containers": [{"name": "web", "image": image}]}}}})
        };
        assert_eq!(
            deny_of(&deployment("1", "bad:1")),
            deny_of(&deployment("2", "bad:1"))
        );
        assert_ne!(
            deny_of(&deployment("1", "bad:1")),
            deny_of(&deployment("1", "good:1"))
        );
    }
}
