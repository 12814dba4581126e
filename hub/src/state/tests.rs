//! What is found by index is what a look at everything finds.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{app, cluster_uid, set};

/// One application comes, moves to another cluster, or goes.
#[derive(Clone, Debug)]
enum Change {
    Put {
        n: u128,
        cluster: u128,
        assigned: bool,
    },
    Delete {
        n: u128,
    },
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (1..6_u128, 1..4_u128, any::<bool>())
            .prop_map(|(n, cluster, assigned)| Change::Put { n, cluster, assigned }),
        1 => (1..6_u128).prop_map(|n| Change::Delete { n }),
    ]
}

fn record(n: u128, cluster: u128, assigned: bool) -> AppRecord {
    let mut record = app(&set(1, "web", &json!({})), n, cluster);
    // Several have one name, and names change.
    record.app.name = if assigned { "old" } else { "new" }.to_owned();
    record.assignment = assigned.then(|| tidegate_model::assignment::Assignment {
        cluster: record.app.cluster,
        app: record.uid,
        app_name: format!("default/{}", record.app.name),
        generation: tidegate_model::ids::Generation(1),
        epoch: tidegate_model::ids::Epoch(1),
        desired: tidegate_model::assignment::Desired::Tombstone { cascade: true },
    });
    record
}

proptest! {
    #[test]
    fn applications_are_found_as_by_looking_at_all(changes in proptest::collection::vec(change(), 0..40)) {
        let mut state = State::default();
        for (revision, change) in (1..).zip(changes) {
            match change {
                Change::Put { n, cluster, assigned } => {
                    let record = record(n, cluster, assigned);
                    state.apply(&record.key(), Some((&record.encode(), revision))).unwrap();
                }
                Change::Delete { n } => state.apply(&record(n, 1, false).key(), None).unwrap(),
            }
            for n in 1..6 {
                let uid = record(n, 1, false).uid;
                let scanned = state.apps.iter().find(|app| app.uid == uid);
                prop_assert_eq!(state.app(uid), scanned);
            }
            for n in 1..4 {
                let cluster = cluster_uid(n);
                let scanned: Vec<_> = state.apps.iter()
                    .filter(|app| app.app.cluster == cluster && app.assignment.is_some())
                    .collect();
                prop_assert_eq!(state.apps_in(cluster).collect::<Vec<_>>(), scanned);
            }
            for name in ["old", "new"] {
                let scanned: Vec<_> = state.apps.iter().filter(|app| app.app.name == name).collect();
                let found = state.apps_named("default", name);
                prop_assert_eq!(found.collect::<Vec<_>>(), scanned);
                prop_assert_eq!(state.apps_named("other", name).count(), 0);
            }
        }
    }
}
