//! What is checked of an assignment before anything is kept.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tidegate_model::{
    assignment::Assignment,
    bundle::{Bundle, OBJECT_TAG},
    digest::Digest,
    object::ObjectKey,
};

use crate::{
    blobs::BlobCache,
    port::{Accepted, Rejected},
    state::{Content, Record},
};

/// Compares with what is held: `Some` if there is nothing to do, an error if it is older.
pub(super) fn already_held(
    held: Option<&Record>,
    given: &Assignment,
) -> Result<Option<Accepted>, Rejected> {
    let Some(held) = held else { return Ok(None) };
    let old = &held.assignment;
    let same = old.generation == given.generation && old.digest() == given.digest();
    if same {
        // Without its content it is taken in again.
        return Ok(held.bundle.is_some().then(|| Accepted {
            generation: given.generation,
            digest: given.digest(),
            repeated: true,
            disk_only: held.content == Content::DiskOnly,
        }));
    }
    if given.generation <= old.generation {
        return Err(Rejected::StaleGeneration {
            app: given.app,
            given: given.generation,
            held: old.generation,
        });
    }
    Ok(None)
}

/// Whether the bundle is the one that the assignment names.
pub(super) fn bundle(assignment: &Assignment, bundle: &Bundle) -> Result<(), Rejected> {
    let actual = bundle.digest();
    match assignment.bundle() {
        Some(expected) if expected != actual => Err(Rejected::DigestMismatch {
            what: "bundle".to_owned(),
            expected,
            actual,
        }),
        None if !bundle.is_empty() => Err(Rejected::Malformed(format!(
            "a tombstone has no content, {} objects came with it",
            bundle.objects().len()
        ))),
        _ => Ok(()),
    }
}

/// Checks the objects that came, puts them on disk, and returns all objects of the bundle.
pub(super) fn objects(
    blobs: &BlobCache,
    bundle: &Bundle,
    mut given: BTreeMap<Digest, Value>,
) -> Result<Vec<Arc<Value>>, Rejected> {
    for (expected, object) in &given {
        let actual = Digest::of(OBJECT_TAG, object);
        if actual != *expected {
            return Err(Rejected::DigestMismatch {
                what: ObjectKey::of(object).map_or("object".to_owned(), |key| key.to_string()),
                expected: *expected,
                actual,
            });
        }
    }
    let mut all = Vec::with_capacity(bundle.objects().len());
    let mut missing = Vec::new();
    for entry in bundle.objects() {
        let object = match given.remove(&entry.digest) {
            Some(object) => {
                blobs.put(&object)?;
                Some(object)
            }
            None => blobs.get(entry.digest),
        };
        match object {
            Some(object) => {
                check_key(&entry.key, &object)?;
                all.push(Arc::new(object));
            }
            None => missing.push(entry.digest),
        }
    }
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        Ok(all)
    } else {
        Err(Rejected::MissingBlobs(missing))
    }
}

/// The bundle's name for an object must be the object's own, or a delete of one could hit another.
fn check_key(key: &ObjectKey, object: &Value) -> Result<(), Rejected> {
    let own = ObjectKey::of(object);
    let same = own.as_ref().is_some_and(|own| {
        let namespace = own.id.namespace.is_empty() || own.id.namespace == key.id.namespace;
        namespace
            && (&own.id.group, &own.id.kind, &own.id.name, &own.version)
                == (&key.id.group, &key.id.kind, &key.id.name, &key.version)
    });
    if same {
        return Ok(());
    }
    let own = own.map_or(
        "no object with apiVersion, kind and metadata.name".to_owned(),
        |own| format!("{own} in {}", own.api_version()),
    );
    Err(Rejected::Malformed(format!(
        "the bundle names {key} in {}, its content is {own}",
        key.api_version()
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_model::{
        assignment::Desired,
        bundle::BundleEntry,
        ids::{AppUid, ClusterUid, Epoch, Generation, RunId},
        policy::Policy,
    };
    use uuid::Uuid;

    use super::*;

    fn assignment(generation: u64, bundle: &Bundle) -> Assignment {
        Assignment {
            cluster: ClusterUid(Uuid::from_u128(1)),
            app: AppUid(Uuid::from_u128(2)),
            app_name: "demo/web".into(),
            generation: Generation(generation),
            epoch: Epoch(1),
            desired: Desired::Run {
                bundle: bundle.digest(),
                policy: Policy::default(),
                namespace: "shop".into(),
                run: RunId(Uuid::from_u128(3)),
                prune_approved: false,
            },
        }
    }

    fn config(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    }

    fn entry(object: &Value) -> BundleEntry {
        BundleEntry {
            key: ObjectKey::of(object).unwrap(),
            digest: Digest::of(OBJECT_TAG, object),
        }
    }

    #[test]
    fn old_and_equal_generations() {
        let empty = Bundle::default();
        let full = Bundle::new(vec![entry(&config("a"))]);
        let mut held = Record::new(
            assignment(5, &empty),
            Arc::new(empty.clone()),
            Content::Nothing,
        );
        let check = |held: &Record, generation, bundle| {
            already_held(Some(held), &assignment(generation, bundle))
        };
        assert!(check(&held, 6, &empty).unwrap().is_none());
        assert!(
            check(&held, 5, &empty)
                .unwrap()
                .is_some_and(|accepted| accepted.repeated)
        );
        assert!(matches!(
            check(&held, 4, &empty),
            Err(Rejected::StaleGeneration { .. })
        ));
        let error = check(&held, 5, &full).unwrap_err();
        assert!(error.to_string().contains("with another digest") && !error.is_retryable());
        // The disk with the content was lost: the same assignment is welcome again.
        held.bundle = None;
        assert!(check(&held, 5, &empty).unwrap().is_none());
    }

    #[test]
    fn content_that_is_not_what_it_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobCache::open(folder.path()).unwrap();
        let (a, b) = (config("a"), config("b"));
        let both = Bundle::new(vec![entry(&a), entry(&b)]);
        assert!(matches!(
            bundle(&assignment(1, &Bundle::default()), &both),
            Err(Rejected::DigestMismatch { .. })
        ));

        let lie = BTreeMap::from([(entry(&a).digest, b.clone())]);
        assert!(matches!(
            objects(&blobs, &both, lie),
            Err(Rejected::DigestMismatch { .. })
        ));
        assert!(!blobs.has(entry(&b).digest), "a refused object was kept");

        let half = BTreeMap::from([(entry(&a).digest, a.clone())]);
        let Err(Rejected::MissingBlobs(missing)) = objects(&blobs, &both, half) else {
            panic!()
        };
        assert_eq!(missing, [entry(&b).digest]);
        let rest = BTreeMap::from([(entry(&b).digest, b.clone())]);
        assert_eq!(objects(&blobs, &both, rest).unwrap().len(), 2);

        let mut misnamed = entry(&a);
        misnamed.key.id.name = "other".into();
        let misnamed = Bundle::new(vec![misnamed]);
        let error = objects(&blobs, &misnamed, BTreeMap::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("names ConfigMap other") && error.contains("ConfigMap a"),
            "{error}"
        );
    }

    #[test]
    fn a_tombstone_brings_no_content() {
        let full = Bundle::new(vec![entry(&config("a"))]);
        let tombstone = Assignment {
            desired: Desired::Tombstone { cascade: true },
            ..assignment(1, &full)
        };
        assert!(bundle(&tombstone, &Bundle::default()).is_ok());
        assert!(matches!(
            bundle(&tombstone, &full),
            Err(Rejected::Malformed(_))
        ));
    }
}
