//! Watching.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use tidegate_store::{Batch, Error, Event, Range, Store, Txn, store::Changes};
use tokio::time::timeout;

use crate::{
    cases::{A, B, commit},
    subject::Subject,
};

const RUNS: &str = "/tidegate/v1/run/";

async fn next(changes: &mut Changes) -> Option<Result<Batch, Error>> {
    timeout(Duration::from_secs(20), changes.next())
        .await
        .expect("a change within 20 s")
}

async fn batch(changes: &mut Changes) -> Batch {
    next(changes).await.expect("the watch goes on").unwrap()
}

pub(crate) async fn a_watch_replays_and_then_follows(make: impl AsyncFn(u64) -> Subject) {
    let subject = make(100).await;
    let store = &*subject.store;
    commit(store, Txn::new().put(A, "1")).await;
    commit(store, Txn::new().put(A, "2")).await;
    let mut changes = store.watch(RUNS, 1);
    let replayed = batch(&mut changes).await;
    assert_eq!(replayed.revision, 2);
    let [Event::Put(entry)] = &replayed.events[..] else {
        panic!("{replayed:?}")
    };
    assert_eq!(Some(entry.clone()), store.get(A).await.unwrap());
    let (live, ()) = tokio::join!(batch(&mut changes), async {
        commit(store, Txn::new().put(A, "3")).await;
    });
    assert_eq!(live.revision, 3);
    // Values that were overwritten since are still told one by one.
    let mut all = store.watch(RUNS, 0);
    for expected in 1..=3 {
        assert_eq!(batch(&mut all).await.revision, expected);
    }
}

pub(crate) async fn a_batch_is_a_whole_transaction(make: impl AsyncFn(u64) -> Subject) {
    let store = make(100).await.store;
    commit(&*store, Txn::new().put(A, "1")).await;
    commit(&*store, Txn::new().put(B, "2").delete(A)).await;
    let mut changes = store.watch(RUNS, 1);
    let batch = batch(&mut changes).await;
    let events: Vec<_> = batch
        .events
        .iter()
        .map(|event| (event.key(), event.mod_revision(), event.entry().is_some()))
        .collect();
    assert_eq!(events, [(B, 2, true), (A, 2, false)]);
}

pub(crate) async fn a_watch_sees_only_its_prefix(make: impl AsyncFn(u64) -> Subject) {
    let store = make(100).await.store;
    let mut changes = store.watch(RUNS, 0);
    for other in ["/tidegate/v1/runner/a", "/tidegate/v1/ru/a"] {
        commit(&*store, Txn::new().put(other, "")).await;
    }
    commit(
        &*store,
        Txn::new().put("/tidegate/v1/audit/a", "").put(A, "1"),
    )
    .await;
    let batch = batch(&mut changes).await;
    assert_eq!((batch.revision, batch.events.len()), (3, 1));
    assert_eq!(batch.events[0].key(), A);
}

pub(crate) async fn a_watch_behind_the_history_must_relist(make: impl AsyncFn(u64) -> Subject) {
    let store = make(3).await.store;
    for i in 0..10_u8 {
        commit(&*store, Txn::new().put(A, vec![i]).put(B, vec![i])).await;
    }
    let mut behind = store.watch(RUNS, 2);
    let error = next(&mut behind).await.unwrap().unwrap_err();
    assert!(error.needs_relist(), "{error}");
    let Error::Compacted { after: 2, oldest } = error else {
        panic!("{error}")
    };
    assert_eq!(oldest, 7);
    assert!(next(&mut behind).await.is_none(), "an error ends the watch");
    let error = next(&mut store.watch(RUNS, oldest - 1)).await.unwrap();
    assert!(error.unwrap_err().needs_relist(), "the revision before");
    let mut oldest_watch = store.watch(RUNS, oldest);
    for revision in oldest + 1..=10 {
        let batch = batch(&mut oldest_watch).await;
        assert_eq!((batch.revision, batch.events.len()), (revision, 2));
    }
}

pub(crate) async fn a_watch_from_the_future_must_relist(make: impl AsyncFn(u64) -> Subject) {
    let store = make(3).await.store;
    commit(&*store, Txn::new().put(A, "1")).await;
    let error = next(&mut store.watch(RUNS, 2)).await.unwrap().unwrap_err();
    assert!(error.needs_relist(), "{error}");
    assert!(matches!(
        error,
        Error::Future {
            after: 2,
            current: 1
        }
    ));
}

pub(crate) async fn a_wrong_prefix_ends_the_watch(make: impl AsyncFn(u64) -> Subject) {
    let store = make(3).await.store;
    let mut changes = store.watch("/tidegate/v1/run", 0);
    assert!(matches!(
        next(&mut changes).await,
        Some(Err(Error::Key { .. }))
    ));
    assert!(next(&mut changes).await.is_none());
}

pub(crate) async fn a_slow_watcher_misses_nothing(make: impl AsyncFn(u64) -> Subject) {
    let store = make(1000).await.store;
    let mut changes = store.watch(RUNS, 0);
    for i in 0..600_u32 {
        let key = if i % 7 == 0 {
            "/tidegate/v1/audit/a"
        } else {
            A
        };
        commit(&*store, Txn::new().put(key, "")).await;
    }
    for revision in (1..=600_u64).filter(|revision| (revision - 1) % 7 != 0) {
        assert_eq!(batch(&mut changes).await.revision, revision);
    }
}

pub(crate) async fn a_watch_ends_with_the_store(make: impl AsyncFn(u64) -> Subject) {
    let subject = make(10).await;
    let mut changes = subject.store.watch(RUNS, 0);
    commit(&*subject.store, Txn::new().put(A, "1")).await;
    assert_eq!(batch(&mut changes).await.revision, 1);
    drop(subject);
    match next(&mut changes).await {
        None | Some(Err(Error::Closed)) => {}
        other => panic!("{other:?}"),
    }
    assert!(changes.next().await.is_none());
}

pub(crate) async fn list_then_watch_misses_nothing(make: impl AsyncFn(u64) -> Subject) {
    let subject = make(1000).await;
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(churn(Arc::clone(&subject.store), writer)))
        .collect();
    let mut mirror = BTreeMap::new();
    let mut first_revision = None;
    let mut range = Some(Range::prefix(RUNS).limit(3));
    while let Some(wanted) = range.take() {
        let page = subject.store.range(wanted).await.unwrap();
        first_revision.get_or_insert(page.revision);
        mirror.extend(page.entries.into_iter().map(|e| (e.key.clone(), e)));
        range = page.next.map(|key| Range::prefix(RUNS).limit(3).after(key));
    }
    let mut changes = subject.store.watch(RUNS, first_revision.unwrap());
    for writer in writers {
        writer.await.unwrap();
    }
    let last = subject.store.revision().await.unwrap();
    let mut seen = first_revision.unwrap();
    while seen < last {
        let batch = batch(&mut changes).await;
        assert!(batch.revision > seen);
        seen = batch.revision;
        for event in batch.events {
            match event {
                Event::Put(entry) => mirror.insert(entry.key.clone(), entry),
                Event::Delete { key, .. } => mirror.remove(&key),
            };
        }
    }
    let truth = subject.store.range(Range::prefix(RUNS)).await.unwrap();
    assert_eq!(mirror.into_values().collect::<Vec<_>>(), truth.entries);
}

async fn churn(store: Arc<dyn Store>, writer: u32) {
    for i in 0..30_u32 {
        let key = format!("{RUNS}{writer}/{}", i % 5);
        let txn = if i % 3 == 2 {
            Txn::new().delete(key)
        } else {
            Txn::new().put(key, i.to_string())
        };
        assert!(store.transact(txn).await.unwrap().committed().is_some());
        tokio::task::yield_now().await;
    }
}
