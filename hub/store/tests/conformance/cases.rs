//! Reading, writing, comparing, limits.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use tidegate_store::{
    Compare, Entry, Error, Expect, Outcome, Range, Store, Txn,
    txn::{MAX_BYTES, MAX_OPERATIONS},
};

use crate::subject::Subject;

pub(crate) const A: &str = "/tidegate/v1/run/payments/a";
pub(crate) const B: &str = "/tidegate/v1/run/payments/b";

pub(crate) async fn commit(store: &dyn Store, txn: Txn) -> u64 {
    store
        .transact(txn)
        .await
        .unwrap()
        .committed()
        .expect("committed")
}

async fn get(store: &dyn Store, key: &str) -> Option<Entry> {
    store.get(key).await.unwrap()
}

fn entry(key: &str, value: &str, create: u64, modified: u64, version: u64) -> Entry {
    Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        create_revision: create,
        mod_revision: modified,
        version,
    }
}

pub(crate) async fn a_new_store_is_empty_at_revision_zero(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    assert_eq!(store.revision().await.unwrap(), 0);
    assert_eq!(get(&*store, A).await, None);
    let page = store.range(Range::prefix("/tidegate/v1/")).await.unwrap();
    assert_eq!((page.entries.len(), page.revision, page.next), (0, 0, None));
}

pub(crate) async fn entries_carry_their_history(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    assert_eq!(commit(&*store, Txn::new().put(A, "1")).await, 1);
    assert_eq!(commit(&*store, Txn::new().put(B, "2")).await, 2);
    assert_eq!(commit(&*store, Txn::new().put(A, "3").delete(B)).await, 3);
    assert_eq!(get(&*store, A).await, Some(entry(A, "3", 1, 3, 2)));
    assert_eq!(get(&*store, B).await, None);
    assert_eq!(store.revision().await.unwrap(), 3);
}

pub(crate) async fn a_recreated_key_starts_again(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    commit(&*store, Txn::new().put(A, "1")).await;
    commit(&*store, Txn::new().put(A, "")).await;
    commit(&*store, Txn::new().delete(A)).await;
    commit(&*store, Txn::new().put(A, "4")).await;
    assert_eq!(get(&*store, A).await, Some(entry(A, "4", 4, 4, 1)));
}

pub(crate) async fn a_conflict_writes_nothing_and_says_which_comparison(
    make: impl AsyncFn(u64) -> Subject,
) {
    let store = make(10).await.store;
    commit(&*store, Txn::new().put(A, "1")).await;
    let outcome = store
        .transact(
            Txn::new()
                .when_unchanged(A, 1)
                .when_absent(A)
                .when_exists(B)
                .put(A, "2")
                .put(B, "2"),
        )
        .await
        .unwrap();
    let Outcome::Conflict(conflict) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(conflict.index, 1);
    let expected = Compare {
        key: A.to_owned(),
        expect: Expect::ModRevision(0),
    };
    assert_eq!(conflict.compare, expected);
    assert_eq!(conflict.current, Some(entry(A, "1", 1, 1, 1)));
    assert_eq!(get(&*store, B).await, None);
    assert_eq!(store.revision().await.unwrap(), 1);
}

pub(crate) async fn comparisons_mean_what_they_say(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    let holds = async |txn: Txn| store.transact(txn).await.unwrap().committed().is_some();
    assert!(holds(Txn::new().when_absent(A)).await);
    assert!(!holds(Txn::new().when_exists(A)).await);
    assert!(!holds(Txn::new().when_unchanged(A, 1)).await);
    assert!(holds(Txn::new().when_absent(A).put(A, "1")).await);
    assert!(!holds(Txn::new().when_absent(A)).await);
    assert!(holds(Txn::new().when_exists(A)).await);
    assert!(holds(Txn::new().when_unchanged(A, 1).put(A, "1")).await);
    assert!(!holds(Txn::new().when_unchanged(A, 1)).await);
    assert!(holds(Txn::new().when_unchanged(A, 2).delete(A)).await);
    assert!(holds(Txn::new().when_absent(A)).await);
}

pub(crate) async fn a_transaction_without_effect_keeps_the_revision(
    make: impl AsyncFn(u64) -> Subject,
) {
    let store = make(10).await.store;
    commit(&*store, Txn::new().put(A, "1")).await;
    assert_eq!(commit(&*store, Txn::new()).await, 1);
    assert_eq!(commit(&*store, Txn::new().when_exists(A)).await, 1);
    assert_eq!(commit(&*store, Txn::new().delete(B)).await, 1);
    // Writing the same value again is a change, as in etcd.
    assert_eq!(commit(&*store, Txn::new().put(A, "1")).await, 2);
}

pub(crate) async fn limits_are_exact(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    let puts = |n: usize| {
        (0..n).fold(Txn::new(), |txn, i| {
            let key = format!("/tidegate/v1/run/{i:03}");
            txn.when_absent(key.as_str()).put(key, "")
        })
    };
    assert_eq!(commit(&*store, puts(MAX_OPERATIONS)).await, 1);
    let refused = store.transact(puts(MAX_OPERATIONS + 1)).await;
    assert!(matches!(
        refused,
        Err(Error::TooManyOperations { count: 101 })
    ));
    let compares = (0..=MAX_OPERATIONS).fold(Txn::new(), |txn, _| txn.when_absent(A));
    assert!(matches!(
        store.transact(compares).await,
        Err(Error::TooManyOperations { count: 101 })
    ));
    let room = MAX_BYTES - A.len();
    assert_eq!(commit(&*store, Txn::new().put(A, vec![7; room])).await, 2);
    assert_eq!(get(&*store, A).await.unwrap().value.len(), room);
    assert!(matches!(
        store.transact(Txn::new().put(A, vec![7; room + 1])).await,
        Err(Error::TooLarge { bytes }) if bytes == MAX_BYTES + 1
    ));
    assert!(matches!(
        store.transact(Txn::new().put(A, "").delete(A)).await,
        Err(Error::DuplicateKey { key }) if key == A
    ));
    assert_eq!(store.revision().await.unwrap(), 2);
}

pub(crate) async fn wrong_keys_are_refused_everywhere(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    let wrong = |result: Result<(), Error>| matches!(result, Err(Error::Key { .. }));
    for bad in ["", "a", "/tidegate/v1/run", "/tidegate/v2/run/a"] {
        assert!(wrong(store.get(bad).await.map(drop)), "{bad}");
        for txn in [
            Txn::new().put(bad, ""),
            Txn::new().delete(bad),
            Txn::new().when_exists(bad),
        ] {
            assert!(wrong(store.transact(txn).await.map(drop)), "{bad}");
        }
        assert!(
            wrong(store.range(Range::prefix(bad)).await.map(drop)),
            "{bad}"
        );
    }
    assert_eq!(store.revision().await.unwrap(), 0);
}

pub(crate) async fn ranges_are_ordered_and_end_at_the_prefix(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    let keys = [
        "/tidegate/v1/ru/x",
        "/tidegate/v1/run-x/a",
        "/tidegate/v1/run/B",
        "/tidegate/v1/run/a",
        "/tidegate/v1/run/a/b",
        "/tidegate/v1/run/~",
        "/tidegate/v1/runner/a",
    ];
    for key in keys.iter().rev() {
        commit(&*store, Txn::new().put(*key, *key)).await;
    }
    let list = async |prefix: &str| {
        let page = store.range(Range::prefix(prefix)).await.unwrap();
        assert_eq!((page.revision, &page.next), (7, &None));
        page.entries.into_iter().map(|e| e.key).collect::<Vec<_>>()
    };
    assert_eq!(list("/tidegate/v1/").await, keys);
    assert_eq!(list("/tidegate/v1/run/").await, keys[2..6]);
    assert_eq!(list("/tidegate/v1/run/a/").await, keys[4..5]);
    assert!(list("/tidegate/v1/zebra/").await.is_empty());
}

pub(crate) async fn pages_continue_where_they_ended(make: impl AsyncFn(u64) -> Subject) {
    let store = make(10).await.store;
    for i in 0..5 {
        let key = format!("/tidegate/v1/run/{i}");
        commit(&*store, Txn::new().put(key, "")).await;
    }
    commit(&*store, Txn::new().put("/tidegate/v1/runner/a", "")).await;
    let whole = Range::prefix("/tidegate/v1/run/");
    let mut sizes = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(whole.clone().limit(2));
    while let Some(range) = next {
        let page = store.range(range).await.unwrap();
        sizes.push(page.entries.len());
        seen.extend(page.entries.into_iter().map(|entry| entry.key));
        next = page.next.map(|key| whole.clone().limit(2).after(key));
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(seen.len(), 5);
    // Exactly full is not "more to come", and nothing asked is nothing given.
    let full = store.range(whole.clone().limit(5)).await.unwrap();
    assert_eq!((full.entries.len(), full.next), (5, None));
    let none = store.range(whole.clone().limit(0)).await.unwrap();
    assert_eq!((none.entries.len(), none.revision), (0, 6));
    let below = whole.clone().after("/tidegate/v1/a/z");
    assert_eq!(store.range(below).await.unwrap().entries.len(), 5);
    let behind = whole.after("/tidegate/v1/z/z");
    assert_eq!(store.range(behind).await.unwrap().entries.len(), 0);
}

pub(crate) async fn concurrent_increments_lose_nothing(make: impl AsyncFn(u64) -> Subject) {
    let subject = make(10).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| tokio::spawn(increment(Arc::clone(&subject.store), 25)))
        .collect();
    let mut revisions = BTreeSet::new();
    for task in tasks {
        revisions.extend(task.await.unwrap());
    }
    assert_eq!(revisions.len(), 200, "two commits shared a revision");
    let counter = get(&*subject.store, A).await.unwrap();
    assert_eq!((counter.value.len(), counter.version), (200, 200));
}

/// Appends a byte `times` times, each time on top of what was read.
async fn increment(store: Arc<dyn Store>, times: usize) -> Vec<u64> {
    let mut revisions = Vec::new();
    while revisions.len() < times {
        let current = get(&*store, A).await;
        let revision = current.as_ref().map_or(0, |entry| entry.mod_revision);
        let mut value = current.map_or_else(Vec::new, |entry| entry.value.to_vec());
        value.push(b'x');
        let txn = Txn::new().when_unchanged(A, revision).put(A, value);
        revisions.extend(store.transact(txn).await.unwrap().committed());
    }
    revisions
}
