//! Assignments, content and waiting, as every test here needs them.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_model::{
    assignment::{Assignment, Desired, StateRow},
    bundle::{Bundle, BundleEntry, OBJECT_TAG},
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, Generation, RunId},
    object::ObjectKey,
    policy::Policy,
};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) const FIRST: ClusterUid = ClusterUid(Uuid::from_u128(0xc1));
pub(crate) const SECOND: ClusterUid = ClusterUid(Uuid::from_u128(0xc2));

pub(crate) fn app(n: u128) -> AppUid {
    AppUid(Uuid::from_u128(n))
}

/// A bundle of one `ConfigMap`, and the `ConfigMap`.
pub(crate) fn content(text: &str) -> (Bundle, Value) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"text": text},
    });
    let entry = BundleEntry {
        key: ObjectKey::of(&object).unwrap(),
        digest: Digest::of(OBJECT_TAG, &object),
    };
    (Bundle::new(vec![entry]), object)
}

/// The order to run `text`.
pub(crate) fn run(cluster: ClusterUid, n: u128, generation: u64, text: &str) -> Assignment {
    Assignment {
        cluster,
        app: app(n),
        app_name: format!("default/app-{n}"),
        generation: Generation(generation),
        epoch: Epoch(1),
        desired: Desired::Run {
            bundle: content(text).0.digest(),
            policy: Policy::default(),
            namespace: "web".into(),
            run: RunId(Uuid::from_u128(7)),
            prune_approved: false,
        },
    }
}

/// The order to remove it.
pub(crate) fn tombstone(cluster: ClusterUid, n: u128, generation: u64) -> Assignment {
    Assignment {
        desired: Desired::Tombstone { cascade: true },
        ..run(cluster, n, generation, "")
    }
}

pub(crate) fn row(assignment: &Assignment) -> StateRow {
    StateRow {
        app: assignment.app,
        generation: assignment.generation,
        digest: assignment.digest(),
    }
}

/// Waits until `probe` says something.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until `probe` is true.
pub(crate) async fn until(what: &str, mut probe: impl FnMut() -> bool) {
    eventually(what, || probe().then_some(())).await;
}
