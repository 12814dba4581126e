//! A fresh store on a fresh etcd for every case.
//!
//! Owns the compaction after each commit: the store itself compacts every few minutes.

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};
use tidegate_store::{
    Entry, Error, Etcd, Outcome, Page, Range, Store, Txn, etcd::Options, store::Changes,
};
use tidegate_tests::harness::{self, require_servers};

/// A store under test.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
}

/// Stores with this many revisions of history, unless the machine cannot have an etcd.
pub(crate) fn etcd(case: &str) -> Option<impl AsyncFn(u64) -> Subject> {
    let binaries = require_servers(case)?;
    Some(async move |history| {
        let server = harness::Etcd::alone(&binaries).await.unwrap();
        let options = Options {
            history_revisions: history,
            ..Options::new([server.url()])
        };
        let store = Etcd::open(options).await.unwrap();
        Subject {
            store: Arc::new(Short {
                store,
                _server: server,
            }),
        }
    })
}

/// Compacts after each commit; the etcd goes with the store, which some cases keep alone.
struct Short {
    store: Etcd,
    _server: harness::Etcd,
}

impl Store for Short {
    fn revision(&self) -> BoxFuture<'_, Result<u64, Error>> {
        self.store.revision()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        self.store.get(key)
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
        self.store.range(range)
    }

    fn transact(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, Error>> {
        async {
            let outcome = self.store.transact(txn).await?;
            self.store.compact().await?;
            Ok(outcome)
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, after: u64) -> Changes {
        self.store.watch(prefix, after)
    }
}
