//! What is told once, and what is not the same.

use serde_json::json;
use tidegate_model::{
    bundle::{BundleEntry, OBJECT_TAG},
    object::ObjectKey,
};

use super::*;
use crate::testing::cluster_uid;

/// What an application is told: `ConfigMaps` by name and content.
fn side(objects: &[(&str, &str)]) -> Side {
    let entry = |(name, content): &(&str, &str)| {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name}, "data": content});
        BundleEntry {
            key: ObjectKey::of(&manifest).unwrap(),
            digest: Digest::of(OBJECT_TAG, &manifest),
        }
    };
    Side {
        bundle: Arc::new(Bundle::new(objects.iter().map(entry).collect())),
        policy: Policy::default(),
        namespace: "web".to_owned(),
    }
}

fn sides(sides: &[(u128, Side)]) -> Sides {
    let place = |n: u128| (format!("web-{n}"), cluster_uid(n));
    sides
        .iter()
        .map(|(n, side)| (place(*n), side.clone()))
        .collect()
}

type Told<'a> = (Kind, Vec<&'a str>, Vec<(Kind, &'a str)>);

fn told(differences: &Differences) -> Vec<Told<'_>> {
    let groups = differences.groups.iter();
    groups
        .map(|group| {
            let apps = group.applications.iter().map(|(name, _)| name.as_str());
            let objects = group.objects.iter();
            let objects = objects.map(|change| (change.kind(), change.id.name.as_str()));
            (group.kind, apps.collect(), objects.collect())
        })
        .collect()
}

#[test]
fn the_same_change_is_told_once_and_another_is_not_mixed_in() {
    let before = sides(&[
        // The clusters differ in what does not change.
        (1, side(&[("a", "1"), ("own", "c1")])),
        (2, side(&[("a", "1"), ("own", "c2")])),
        (3, side(&[("a", "0"), ("gone", "x")])),
        (4, side(&[("a", "2")])),
        (5, side(&[("a", "1")])),
    ]);
    let after = sides(&[
        (1, side(&[("a", "2"), ("own", "c1")])),
        (2, side(&[("a", "2"), ("own", "c2")])),
        (3, side(&[("a", "2"), ("new", "x")])),
        (4, side(&[("a", "2")])),
        (6, side(&[("a", "2")])),
    ]);
    let differences = compare(&before, &after);
    assert_eq!(
        told(&differences),
        [
            (
                Kind::Changed,
                vec!["web-1", "web-2"],
                vec![(Kind::Changed, "a")]
            ),
            (
                Kind::Changed,
                vec!["web-3"],
                vec![
                    (Kind::Changed, "a"),
                    (Kind::Removed, "gone"),
                    (Kind::Added, "new")
                ]
            ),
            (Kind::Removed, vec!["web-5"], vec![(Kind::Removed, "a")]),
            (Kind::Added, vec!["web-6"], vec![(Kind::Added, "a")]),
        ]
    );
    assert_eq!(differences.unchanged, 1);
}

#[test]
fn an_application_that_moves_goes_here_and_comes_there() {
    let app = |cluster| ("web".to_owned(), cluster_uid(cluster));
    let one = |place| Sides::from([(place, side(&[("a", "1")]))]);
    let kinds: Vec<_> = compare(&one(app(2)), &one(app(1)))
        .groups
        .iter()
        .map(|group| (group.kind, group.applications[0].1))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::Added, cluster_uid(1)),
            (Kind::Removed, cluster_uid(2))
        ]
    );
}

#[test]
fn another_policy_or_namespace_is_a_change_without_objects() {
    let old = side(&[("a", "1")]);
    let mut new = old.clone();
    new.policy = Policy {
        prune: false,
        drift: Drift::Warn,
    };
    new.namespace = String::new();
    let differences = compare(&sides(&[(1, old)]), &sides(&[(1, new)]));
    let [group] = &differences.groups[..] else {
        panic!("{differences:?}");
    };
    assert_eq!(group.objects, []);
    assert_eq!(
        group.settings,
        [
            "prune: true -> false",
            "drift: heal -> warn",
            "namespace: web -> none"
        ]
    );
}
