//! etcd killed, silent, written by others; a hub that another one replaces.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use tidegate_hub::{
    changes::Changes,
    clock::Clock,
    db::{self, Db},
    records::{Role, UserRecord},
};
use tidegate_store::{
    Batch, Error, Etcd, Range, Store, Txn,
    blob::MemoryBlobs,
    etcd::{Fault, Options},
    store,
};
use tidegate_tests::harness::{self, Port, Signal, eventually, require_servers};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cases::{A, B, commit};

const ROOT: &str = "/tidegate/v1/";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a race is run that either side may win.
const ATTEMPTS: usize = 20;

async fn server(test: &str) -> Option<harness::Etcd> {
    let binaries = require_servers(test)?;
    Some(harness::Etcd::alone(&binaries).await.unwrap())
}

async fn open(server: &harness::Etcd) -> Arc<dyn Store> {
    Arc::new(Etcd::open(Options::new([server.url()])).await.unwrap())
}

async fn next(changes: &mut store::Changes) -> Option<Result<Batch, Error>> {
    timeout(PATIENCE, changes.next()).await.unwrap()
}

/// Commits as soon as etcd lets us; what it says until then can be tried again.
async fn commit_again(store: &dyn Store, txn: Txn) -> u64 {
    eventually("a commit", PATIENCE, || async {
        match store.transact(txn.clone()).await {
            Ok(outcome) => Ok(outcome.committed().unwrap()),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                Err(error.to_string())
            }
        }
    })
    .await
    .unwrap()
}

async fn hub(store: &Arc<dyn Store>, cancel: &CancellationToken) -> Db {
    let blobs = Arc::new(MemoryBlobs::default());
    let (store, cancel) = (Arc::clone(store), cancel.clone());
    Db::open(store, blobs, Clock::default(), "test".to_owned(), cancel)
        .await
        .unwrap()
}

fn user(db: &Db, name: &str) -> Changes {
    let mut changes = Changes::default();
    changes.create(&UserRecord {
        name: name.to_owned(),
        role: Role::Viewer,
        created_at: db.clock().now(),
        created_by: "test".to_owned(),
        groups: Vec::new(),
    });
    changes
}

#[tokio::test]
async fn a_watch_of_a_killed_etcd_ends_and_the_next_misses_nothing() {
    let Some(mut server) = server("a_watch_of_a_killed_etcd").await else {
        return;
    };
    let store = open(&server).await;
    let mut changes = store.watch(ROOT, 0);
    assert_eq!(commit(&*store, Txn::new().put(A, "1")).await, 1);
    assert_eq!(next(&mut changes).await.unwrap().unwrap().revision, 1);
    server.kill().await.unwrap();
    let error = next(&mut changes).await.unwrap().unwrap_err();
    assert!(error.is_retryable() && !error.needs_relist(), "{error}");
    assert!(
        next(&mut changes).await.is_none(),
        "an error ends the watch"
    );
    server.start_again().await.unwrap();
    assert_eq!(
        commit_again(&*store, Txn::new().put(B, "2").delete(A)).await,
        2
    );
    let batch = next(&mut store.watch(ROOT, 1)).await.unwrap().unwrap();
    assert_eq!((batch.revision, batch.events.len()), (2, 2));
}

#[tokio::test]
async fn a_transaction_without_an_answer_may_have_been_committed() {
    let Some(server) = server("a_transaction_without_an_answer").await else {
        return;
    };
    let options = Options {
        timeout: Duration::from_secs(1),
        ..Options::new([server.url()])
    };
    let store = Etcd::open(options).await.unwrap();
    // Awake again, the server reads the transaction and that its caller gave up, and may heed the
    // latter first: every attempt is told as unknown, and one of them is carried out.
    let mut committed = false;
    for _ in 0..ATTEMPTS {
        server.process().pause().await.unwrap();
        let error = store.transact(Txn::new().when_absent(A).put(A, "1")).await;
        let error = error.unwrap_err();
        assert!(
            error.is_outcome_unknown() && error.is_retryable(),
            "{error}"
        );
        server.process().signal(Signal::Continue).unwrap();
        let seen = eventually("an answer", PATIENCE, || async {
            store.get(A).await.map_err(|error| error.to_string())
        });
        committed = seen.await.unwrap().is_some();
        if committed {
            break;
        }
    }
    // Whoever assumed that it was not committed would be wrong.
    assert!(committed, "none of {ATTEMPTS} was carried out");
}

#[tokio::test]
async fn a_transaction_that_could_not_be_sent_was_not_committed() {
    let Some(mut server) = server("a_transaction_that_could_not_be_sent").await else {
        return;
    };
    let store = open(&server).await;
    server.kill().await.unwrap();
    // The connection that broke is found broken once; from then on there is none.
    eventually("no connection", PATIENCE, || async {
        match store.transact(Txn::new().put(A, "1")).await {
            Err(Error::Etcd(fault @ Fault::Unreachable { .. })) => {
                assert!(fault.is_retryable() && !fault.is_outcome_unknown());
                assert!(fault.to_string().contains(server.url()), "{fault}");
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    server.start_again().await.unwrap();
    assert_eq!(
        commit_again(&*store, Txn::new().when_absent(A).put(A, "1")).await,
        1
    );
}

#[tokio::test]
async fn an_etcd_that_is_not_there_is_named_at_once() {
    let port = Port::lease().unwrap();
    let url = format!("http://127.0.0.1:{}", port.number());
    let error = timeout(PATIENCE, Etcd::open(Options::new([&url])))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, Error::Etcd(Fault::Unreachable { .. })));
    let words = error.to_string();
    assert!(words.contains(&url) && words.contains("refused"), "{words}");
}

#[tokio::test]
async fn one_dead_endpoint_of_two_does_no_harm() {
    let Some(server) = server("one_dead_endpoint_of_two").await else {
        return;
    };
    let port = Port::lease().unwrap();
    let dead = format!("http://127.0.0.1:{}", port.number());
    let store = Etcd::open(Options::new([dead.as_str(), server.url()]))
        .await
        .unwrap();
    for revision in 1..=20 {
        assert_eq!(commit(&store, Txn::new().put(A, "")).await, revision);
    }
}

#[tokio::test]
async fn a_long_range_is_of_one_revision() {
    let Some(server) = server("a_long_range").await else {
        return;
    };
    let store = open(&server).await;
    let key = |i: usize| format!("/tidegate/v1/run/{i:04}");
    for piece in 0..7 {
        let txn = (0..100).fold(Txn::new(), |txn, i| txn.put(key(100 * piece + i), ""));
        commit(&*store, txn).await;
    }
    let all = store.range(Range::prefix(ROOT)).await.unwrap();
    assert_eq!((all.entries.len(), all.revision, all.next), (700, 7, None));
    assert!(all.entries.is_sorted_by(|a, b| a.key < b.key));
    let first = store.range(Range::prefix(ROOT).limit(600)).await.unwrap();
    assert_eq!(first.entries.len(), 600);
    assert_eq!(first.next, Some(key(599)));
    let rest = Range::prefix(ROOT).limit(600).after(key(599));
    let rest = store.range(rest).await.unwrap();
    assert_eq!((rest.entries.len(), rest.next), (100, None));
}

#[tokio::test]
async fn what_others_write_moves_a_watch_without_events() {
    let Some(server) = server("what_others_write").await else {
        return;
    };
    let store = open(&server).await;
    let mut other = etcd_client::Client::connect([server.url()], None)
        .await
        .unwrap();
    commit(&*store, Txn::new().put(A, "1")).await;
    let mut changes = store.watch(ROOT, 1);
    other.put("/elsewhere", "x", None).await.unwrap();
    let now = store.revision().await.unwrap();
    assert_eq!(now, 2);
    let batch = next(&mut changes).await.unwrap().unwrap();
    assert_eq!((batch.revision, batch.events.len()), (now, 0));
    // A transaction that changes nothing tells a revision as well.
    other.put("/elsewhere", "y", None).await.unwrap();
    assert_eq!(commit(&*store, Txn::new().delete(B)).await, 3);
    assert_eq!(next(&mut changes).await.unwrap().unwrap().revision, 3);
}

#[tokio::test]
async fn a_hub_rides_out_the_restart_of_its_etcd() {
    let Some(mut server) = server("a_hub_rides_out_the_restart").await else {
        return;
    };
    let (store, cancel) = (open(&server).await, CancellationToken::new());
    let db = hub(&store, &cancel).await;
    db.commit(user(&db, "ada")).await.unwrap();
    server.kill().await.unwrap();
    let error = db.commit(user(&db, "bob")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    server.start_again().await.unwrap();
    eventually("a commit after the restart", PATIENCE, || async {
        let committed = timeout(PATIENCE, db.commit(user(&db, "bob")))
            .await
            .unwrap();
        committed.map_err(|error| {
            assert!(error.is_retryable(), "{error}");
            error.to_string()
        })
    })
    .await
    .unwrap();
    assert!(db.read().users.find(|user| user.name == "bob").is_some());
    assert_eq!(*db.failed().borrow(), None);
    cancel.cancel();
}

#[tokio::test]
async fn of_two_hubs_the_older_is_fenced() {
    let Some(server) = server("of_two_hubs").await else {
        return;
    };
    let (store, cancel) = (open(&server).await, CancellationToken::new());
    let older = hub(&store, &cancel).await;
    older.commit(user(&older, "ada")).await.unwrap();
    let newer = hub(&open(&server).await, &cancel).await;
    assert!(newer.epoch() > older.epoch());
    let before = store.revision().await.unwrap();
    let error = older.commit(user(&older, "bob")).await.unwrap_err();
    assert!(matches!(error, db::Error::Fenced { .. }), "{error}");
    assert_eq!(store.revision().await.unwrap(), before);
    newer.commit(user(&newer, "bob")).await.unwrap();
    // In a conflict, too, the view comes to what was in the way, whoever else writes.
    let mut other = etcd_client::Client::connect([server.url()], None)
        .await
        .unwrap();
    other.put("/elsewhere", "x", None).await.unwrap();
    let conflict = timeout(PATIENCE, newer.commit(user(&newer, "ada")))
        .await
        .unwrap();
    assert!(
        matches!(conflict, Err(db::Error::Conflict { .. })),
        "{conflict:?}"
    );
    cancel.cancel();
}
