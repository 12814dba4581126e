//! Deletes one object, after proving that it is ours, and sees it gone; or lets it go.
//!
//! Owns: the proofs at the moment of the delete (label, annotation, uid; no controller), the
//! preconditions on uid and version, and what is done about an object that stays. Never decides
//! that an object should go: [`crate::prune`] and a tombstone do.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate_model::{
    ids::AppUid,
    names::{ANNOTATION_APP, FIELD_MANAGER, LABEL_APP_ID},
    object::ObjectId,
};

use crate::{
    apply::finalizers,
    cluster::{Cluster, Error, Kind, meta},
    fields, ownership,
    ownership::Proof,
};

/// Annotation by which a person keeps a live object from being pruned: `disabled`.
const ANNOTATION_PRUNE: &str = "tidegate.dev/prune";
/// How often a delete is decided anew because the object changed meanwhile.
const TRIES: usize = 4;

/// What became of an object that should go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is not there.
    Gone,
    /// It was asked to go, and has not gone yet; the text says what it waits for.
    Going(String),
    /// What stands under its name is not ours and was not touched; the text says why.
    NotOurs(String),
    /// It was not touched because a person said so.
    Kept(String),
}

/// Whose objects are deleted.
pub(crate) struct Deleter<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) app: AppUid,
    pub(crate) app_name: &'a str,
}

impl Deleter<'_> {
    /// Asks for the delete of an object whose uid the inventory knows as `recorded`.
    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        id: &ObjectId,
        recorded: Option<&str>,
    ) -> Result<Fate, Error> {
        let mut tries = 0;
        loop {
            let Some(live) = self.cluster.get(kind, id).await? else {
                return Ok(Fate::Gone);
            };
            if let Some(fate) = self.judge(&live, recorded) {
                return Ok(fate);
            }
            let (uid, version) = (meta(&live, "uid"), meta(&live, "resourceVersion"));
            match self.cluster.delete(kind, id, uid, version).await {
                Ok(()) => return Ok(Fate::Going(finalizers(&live))),
                Err(error) if error.is_not_found() => return Ok(Fate::Gone),
                Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `None` if the object may be deleted.
    fn judge(&self, live: &Value, recorded: Option<&str>) -> Option<Fate> {
        if !Proof::of(live, self.app, self.app_name, recorded).holds() {
            return Some(Fate::NotOurs(format!(
                "not deleted: the object with uid {} is not the one that was applied (uid {})",
                meta(live, "uid"),
                recorded.unwrap_or("not known")
            )));
        }
        if let Some(owner) = ownership::controller(live) {
            return Some(Fate::NotOurs(format!("not deleted: {owner} controls it")));
        }
        if ownership::mark(live, "annotations", ANNOTATION_PRUNE) == Some("disabled") {
            return Some(Fate::Kept(format!(
                "not deleted: its annotation {ANNOTATION_PRUNE} says disabled"
            )));
        }
        let going = !meta(live, "deletionTimestamp").is_empty();
        going.then(|| Fate::Going(finalizers(live)))
    }

    /// Waits until the object is gone, at most `limit`.
    pub(crate) async fn wait_gone(
        &self,
        kind: &Kind,
        id: &ObjectId,
        recorded: Option<&str>,
        limit: Duration,
    ) -> Result<Fate, Error> {
        let mut pause = Duration::from_millis(20);
        let deadline = crate::clock::monotonic() + limit;
        loop {
            let Some(live) = self.cluster.get(kind, id).await? else {
                return Ok(Fate::Gone);
            };
            if recorded.is_some_and(|uid| uid != meta(&live, "uid")) {
                // Somebody made a new one under the old name.
                return Ok(Fate::Gone);
            }
            if crate::clock::monotonic() >= deadline {
                return Ok(Fate::Going(finalizers(&live)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Takes our marks and our field ownership off an object that stays.
    pub(crate) async fn release(
        &self,
        kind: &Kind,
        id: &ObjectId,
        recorded: Option<&str>,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(live) = self.cluster.get(kind, id).await? else {
                return Ok(());
            };
            let ours = Proof::of(&live, self.app, self.app_name, recorded);
            if !ours.label && !ours.holds() {
                return Ok(());
            }
            match self
                .cluster
                .merge(kind, id, &release_patch(&live, ours))
                .await
            {
                Err(error) if error.is_conflict() => {}
                Err(error) if error.is_not_found() => return Ok(()),
                other => return other.map(drop),
            }
        }
        Err(Error::Request {
            action: "release",
            text: "the object changed all the time".to_owned(),
        })
    }
}

fn release_patch(live: &Value, ours: Proof) -> Value {
    let mut others: Vec<_> = fields::entries(live)
        .iter()
        .filter(|entry| entry.get("manager").and_then(Value::as_str) != Some(FIELD_MANAGER))
        .cloned()
        .collect();
    if others.is_empty() {
        // An empty list means "unchanged"; one empty entry means "none".
        others.push(json!({}));
    }
    let mut metadata = Map::new();
    metadata.insert(
        "resourceVersion".to_owned(),
        json!(meta(live, "resourceVersion")),
    );
    metadata.insert("managedFields".to_owned(), others.into());
    if ours.label {
        metadata.insert("labels".to_owned(), json!({LABEL_APP_ID: null}));
    }
    if ours.annotation {
        metadata.insert("annotations".to_owned(), json!({ANNOTATION_APP: null}));
    }
    json!({ "metadata": metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_drops_our_marks_and_our_ownership_and_nothing_else() {
        let proof = Proof {
            label: true,
            annotation: true,
            uid: true,
        };
        let mut live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "tidegate-agent", "operation": "Apply"}, {"manager": "x"}]}});
        let patch = release_patch(&live, proof);
        assert_eq!(
            patch["metadata"]["managedFields"],
            json!([{"manager": "x"}])
        );
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(
            patch["metadata"]["labels"],
            json!({"tidegate.dev/app-id": null})
        );
        live["metadata"]["managedFields"] = json!([{"manager": "tidegate-agent"}]);
        let patch = release_patch(
            &live,
            Proof {
                label: false,
                ..proof
            },
        );
        assert_eq!(patch["metadata"]["managedFields"], json!([{}]));
        assert!(patch["metadata"].get("labels").is_none());
    }
}
