//! The deletion brake: when a result that removes things waits for a person.
//!
//! Pure. An empty or shrunken result is more often a mistake than a wish (facts/agent-reconcile.md
//! 1.4 and E1-E3, facts/applicationset.md T3), so it is held and an approval is bound to exactly
//! that content.

use tidegate_model::{
    bundle::{Bundle, BundleEntry},
    object::ObjectId,
};

use crate::records::HoldKind;

/// More objects than this may not leave an application at once without a person, if they are also
/// more than [`PERCENT`] of it.
pub const OBJECTS: usize = 20;
/// See [`OBJECTS`] and [`APPLICATIONS`].
pub const PERCENT: usize = 30;
/// More applications than this may not vanish from a set at once without a person, if they are
/// also more than [`PERCENT`] of it.
pub const APPLICATIONS: usize = 5;

/// Kinds whose loss takes data or other objects with it; removing one always waits.
const PROTECTED: [(&str, &str); 5] = [
    ("", "Namespace"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apps", "StatefulSet"),
];

/// Why replacing `previous` by `next` waits for a person, if it does.
pub fn objects(app: &str, previous: &Bundle, next: &Bundle) -> Option<(HoldKind, String)> {
    let kept: Vec<&ObjectId> = next.objects().iter().map(|entry| &entry.key.id).collect();
    let gone: Vec<&BundleEntry> = previous
        .objects()
        .iter()
        .filter(|entry| !kept.contains(&&entry.key.id))
        .collect();
    let (gone_count, total) = (gone.len(), previous.objects().len());
    if next.is_empty() && total > 0 {
        return Some((
            HoldKind::EmptyBundle,
            format!("{app} renders to no objects; all {total} it runs would be deleted"),
        ));
    }
    let protected = gone.iter().find(|entry| {
        let id = &entry.key.id;
        PROTECTED.contains(&(id.group.as_str(), id.kind.as_str()))
    });
    if let Some(entry) = protected {
        let message = format!(
            "{app} would delete {}, which takes more with it",
            entry.key.id
        );
        return Some((HoldKind::ShrunkBundle, message));
    }
    (gone_count > OBJECTS && gone_count * 100 > total * PERCENT).then(|| {
        (
            HoldKind::ShrunkBundle,
            format!("{app} would delete {gone_count} of its {total} objects"),
        )
    })
}

/// Why dropping `vanishing` of `total` applications waits for a person, if it does.
pub fn applications(total: usize, vanishing: usize) -> Option<String> {
    let all = vanishing == total && total > 0;
    (all || (vanishing > APPLICATIONS && vanishing * 100 > total * PERCENT)).then(|| {
        format!("{vanishing} of {total} applications have no row any more and would be deleted")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_model::{bundle::OBJECT_TAG, digest::Digest, object::ObjectKey};

    use super::*;

    fn bundle(kinds: &[(&str, usize)]) -> Bundle {
        let entries = kinds.iter().flat_map(|(kind, count)| {
            (0..*count).map(move |i| {
                let manifest = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": format!("n{i}")}});
                let key = ObjectKey::of(&manifest).unwrap();
                BundleEntry { key, digest: Digest::of(OBJECT_TAG, &manifest) }
            })
        });
        Bundle::new(entries.collect())
    }

    #[test]
    fn one_file_less_goes_and_an_empty_directory_waits() {
        let full = bundle(&[("ConfigMap", 3)]);
        assert_eq!(objects("a", &full, &bundle(&[("ConfigMap", 2)])), None);
        let (kind, message) = objects("a", &full, &bundle(&[])).unwrap();
        assert_eq!(kind, HoldKind::EmptyBundle);
        assert!(message.contains("all 3"), "{message}");
        assert_eq!(objects("a", &bundle(&[]), &bundle(&[])), None);
    }

    #[test]
    fn both_limits_must_be_passed() {
        let objects = |had, keeps| {
            objects(
                "a",
                &bundle(&[("ConfigMap", had)]),
                &bundle(&[("ConfigMap", keeps)]),
            )
        };
        assert_eq!(objects(100, 79), None, "21 objects, but 21 %");
        assert_eq!(objects(40, 20), None, "50 %, but 20 objects");
        assert_eq!(objects(60, 39).unwrap().0, HoldKind::ShrunkBundle);
    }

    #[test]
    fn protected_kinds_always_wait() {
        let (kind, _) = objects(
            "a",
            &bundle(&[("Namespace", 1), ("ConfigMap", 50)]),
            &bundle(&[("ConfigMap", 50)]),
        )
        .unwrap();
        assert_eq!(kind, HoldKind::ShrunkBundle);
    }

    #[test]
    fn rows_that_vanish() {
        assert_eq!(applications(3, 1), None);
        assert!(applications(3, 3).is_some());
        assert!(applications(10, 6).is_some());
        assert_eq!(applications(100, 6), None);
        assert_eq!(applications(0, 0), None);
    }
}
