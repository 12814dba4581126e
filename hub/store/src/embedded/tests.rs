//! Faults injected below redb: a disk that refuses, a disk that forgets.

mod disks;

use std::{io, path::PathBuf, sync::Arc};

use futures::StreamExt as _;
use proptest::prelude::*;
use tokio::runtime::Builder as RuntimeBuilder;

use self::disks::{Faulty, Forgetful};
use super::{Embedded, File, Options};
use crate::{
    disk,
    entry::Range,
    error::Error,
    store::Store,
    txn::{Outcome, Txn},
};

const KEY: &str = "/tidegate/v1/run/a";

fn path() -> PathBuf {
    PathBuf::from("/data/hub.redb")
}

async fn open(disk: &Arc<Faulty>) -> Result<Embedded, Error> {
    open_with(disk, Options::default()).await
}

async fn open_with(disk: &Arc<Faulty>, options: Options) -> Result<Embedded, Error> {
    let disk = Arc::clone(disk);
    let file = File::with_backend(path(), move |_| Ok(Box::new(Arc::clone(&disk).attach())));
    Embedded::open_file(file, options).await
}

async fn put(store: &Embedded, value: &str) -> Result<Outcome, Error> {
    store.transact(Txn::new().put(KEY, value.to_owned())).await
}

async fn value(store: &Embedded) -> String {
    let entry = store.get(KEY).await.unwrap().unwrap();
    String::from_utf8(entry.value.to_vec()).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_named_and_the_store_goes_on_once_there_is_space() {
    let disk = Arc::new(Faulty::default());
    let store = open(&disk).await.unwrap();
    assert!(put(&store, "1").await.is_ok());
    disk.refuse_writes(Some(io::ErrorKind::StorageFull));
    for _ in 0..3 {
        let error = put(&store, "2").await.unwrap_err();
        assert!(error.is_retryable() && error.is_outcome_unknown());
        let text = error.to_string();
        assert!(
            text.contains("/data/hub.redb") && text.contains("free space"),
            "{text}"
        );
    }
    disk.refuse_writes(None);
    assert_eq!(value(&store).await, "1", "nothing unacknowledged is read");
    assert!(put(&store, "3").await.is_ok());
    assert_eq!(value(&store).await, "3");
    assert_eq!(store.revision().await.unwrap(), 2);
}

#[tokio::test]
async fn a_transaction_that_grows_the_file_past_the_end_of_the_disk_is_not_acknowledged() {
    let disk = Arc::new(Faulty::default());
    let store = open(&disk).await.unwrap();
    assert!(put(&store, "1").await.is_ok());
    disk.limit(disk.len() + 1000);
    let big = Txn::new().put("/tidegate/v1/run/b", vec![1; 900_000]);
    let mut error = None;
    for _ in 0..20 {
        error = store.transact(big.clone()).await.err();
        if error.is_some() {
            break;
        }
    }
    assert!(
        matches!(error, Some(Error::Disk(disk::Error::Full { .. }))),
        "{error:?}"
    );
    assert_eq!(value(&store).await, "1", "what was acknowledged is read");
}

#[tokio::test]
async fn a_failed_sync_stops_the_store_for_good() {
    let disk = Arc::new(Faulty::default());
    let store = open(&disk).await.unwrap();
    assert!(put(&store, "1").await.is_ok());
    disk.refuse_syncs(true);
    let error = put(&store, "2").await.unwrap_err();
    assert!(matches!(error, Error::NotDurable { .. }), "{error:?}");
    assert!(error.to_string().contains("restart the hub"), "{error}");
    // The disk answers again, but what the system shows may not be on it.
    disk.refuse_syncs(false);
    assert!(matches!(
        put(&store, "3").await,
        Err(Error::NotDurable { .. })
    ));
    assert!(matches!(
        store.get(KEY).await,
        Err(Error::NotDurable { .. })
    ));
    drop(store);
    let store = open(&disk).await.unwrap();
    assert!(put(&store, "4").await.is_ok());
}

#[tokio::test]
async fn a_read_only_disk_is_named() {
    let disk = Arc::new(Faulty::default());
    drop(open(&disk).await.unwrap());
    disk.refuse_writes(Some(io::ErrorKind::ReadOnlyFilesystem));
    let error = open(&disk).await.unwrap_err();
    assert!(
        matches!(error, Error::Disk(disk::Error::ReadOnly { .. })),
        "{error:?}"
    );
    assert!(!error.is_retryable());
    assert!(
        error.to_string().contains("mount the volume writable"),
        "{error}"
    );
}

#[tokio::test]
async fn a_disk_that_becomes_read_only_stops_writes_and_loses_nothing() {
    let disk = Arc::new(Faulty::default());
    let store = open(&disk).await.unwrap();
    assert!(put(&store, "1").await.is_ok());
    disk.refuse_writes(Some(io::ErrorKind::ReadOnlyFilesystem));
    let error = put(&store, "2").await.unwrap_err();
    assert!(
        matches!(error, Error::Disk(disk::Error::ReadOnly { .. })),
        "{error:?}"
    );
    disk.refuse_writes(None);
    assert_eq!(value(&store).await, "1");
}

#[tokio::test]
async fn an_unreadable_sector_is_named_and_forgotten_once_it_reads_again() {
    let disk = Arc::new(Faulty::default());
    let options = Options {
        cache_bytes: 0,
        ..Options::default()
    };
    let store = open_with(&disk, options).await.unwrap();
    assert!(put(&store, "1").await.is_ok());
    disk.refuse_reads(true);
    for _ in 0..3 {
        let error = store.get(KEY).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/data/hub.redb: the sector is unreadable"),
            "{text}"
        );
        assert!(error.is_retryable());
    }
    disk.refuse_reads(false);
    assert_eq!(value(&store).await, "1");
    assert!(put(&store, "2").await.is_ok());
}

#[tokio::test]
async fn history_is_bounded_by_bytes_too_and_never_by_half_a_transaction() {
    let disk = Arc::new(Faulty::default());
    let options = Options {
        history_bytes: 10_000,
        ..Options::default()
    };
    let store = open_with(&disk, options).await.unwrap();
    for i in 0..20_u64 {
        let txn = (0..5).fold(Txn::new(), |txn, n| {
            txn.put(format!("/tidegate/v1/run/{n}"), vec![0; 500])
        });
        assert_eq!(store.transact(txn).await.unwrap().committed(), Some(i + 1));
    }
    let Some(Err(Error::Compacted { oldest, .. })) =
        store.watch("/tidegate/v1/run/", 0).next().await
    else {
        panic!("20 transactions of 2,500 bytes are within 10,000")
    };
    // Five records of a bit over 500 bytes in a transaction: three fit, four do not.
    assert_eq!(oldest, 17);
    let mut changes = store.watch("/tidegate/v1/run/", oldest);
    for revision in 18..=20 {
        let batch = changes.next().await.unwrap().unwrap();
        assert_eq!((batch.revision, batch.events.len()), (revision, 5));
    }
    // A transaction larger than the bound is still told to who waits for it.
    let big = Txn::new().put(KEY, vec![0; 20_000]);
    assert!(store.transact(big).await.is_ok());
    assert_eq!(changes.next().await.unwrap().unwrap().revision, 21);
}

#[tokio::test]
async fn a_watch_goes_on_after_a_fault() {
    let disk = Arc::new(Faulty::default());
    let store = open(&disk).await.unwrap();
    assert!(put(&store, "1").await.is_ok());
    let mut changes = store.watch("/tidegate/v1/run/", 0);
    assert_eq!(changes.next().await.unwrap().unwrap().revision, 1);
    disk.refuse_writes(Some(io::ErrorKind::StorageFull));
    assert!(put(&store, "2").await.is_err());
    disk.refuse_writes(None);
    assert!(put(&store, "3").await.is_ok());
    let batch = changes.next().await.unwrap().unwrap();
    assert_eq!(batch.events[0].entry().unwrap().value, "3");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Power is cut between any two writes. Unsynced writes reach the disk or not, each for
    /// itself. What was acknowledged before is there, whole; nothing else is there in part.
    #[test]
    fn power_loss_loses_nothing_acknowledged(cut in 20_usize..400, dice in any::<u64>()) {
        let runtime = RuntimeBuilder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let disk = Arc::new(Forgetful::cut_after(cut));
            let acknowledged = write_until_the_cut(&disk).await;
            let disk = Arc::new(disk.after_power_loss(dice));
            let store = open_forgetful(&disk).await.unwrap();
            check_pairs(&store, acknowledged).await;
        });
    }
}

async fn open_forgetful(disk: &Arc<Forgetful>) -> Result<Embedded, Error> {
    let disk = Arc::clone(disk);
    let file = File::with_backend(path(), move |_| Ok(Box::new(Arc::clone(&disk).attach())));
    Embedded::open_file(file, Options::default()).await
}

/// Writes pairs of equal values in one transaction each; returns how many were acknowledged.
async fn write_until_the_cut(disk: &Arc<Forgetful>) -> usize {
    let Ok(store) = open_forgetful(disk).await else {
        return 0;
    };
    for i in 0.. {
        let value = vec![b'v'; 50 + i * 37 % 3000];
        let txn = Txn::new()
            .put(format!("/tidegate/v1/left/{i:06}"), value.clone())
            .put(format!("/tidegate/v1/right/{i:06}"), value);
        if store.transact(txn).await.is_err() {
            return i;
        }
    }
    unreachable!("the power is always cut")
}

async fn check_pairs(store: &Embedded, acknowledged: usize) {
    let list = async |prefix: &str| store.range(Range::prefix(prefix)).await.unwrap().entries;
    let left = list("/tidegate/v1/left/").await;
    let right = list("/tidegate/v1/right/").await;
    let halves = |entries: &[crate::Entry]| {
        entries
            .iter()
            .map(|e| {
                (
                    e.key.rsplit('/').next().unwrap().to_owned(),
                    e.value.clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        halves(&left),
        halves(&right),
        "a transaction is there by half"
    );
    assert!(
        left.len() == acknowledged || left.len() == acknowledged + 1,
        "{} transactions were acknowledged, {} are there",
        acknowledged,
        left.len()
    );
    assert_eq!(store.revision().await.unwrap(), left.len() as u64);
}
