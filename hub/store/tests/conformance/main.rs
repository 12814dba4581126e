//! One suite, every backend: what [`tidegate_store::Store`] promises.
//!
//! A case gets a fresh store with a given length of history. A new backend is one more function in
//! `subject` and no change in the cases. etcd needs a server, which the workspace's `tests` start:
//! `tests/tests/store_etcd.rs` runs the same list.

#[cfg(test)]
mod cases;
#[macro_use]
mod list;
#[cfg(test)]
mod watches;

#[cfg(test)]
mod subject {
    use std::sync::Arc;

    use tempfile::TempDir;
    use tidegate_store::{Embedded, Memory, Store, embedded::Options};

    /// A store under test; the directory goes with it.
    pub(crate) struct Subject {
        pub(crate) store: Arc<dyn Store>,
        _directory: Option<TempDir>,
    }

    #[expect(clippy::unnecessary_wraps, reason = "a backend may not be there: etcd")]
    pub(crate) fn memory(_case: &str) -> Option<impl AsyncFn(u64) -> Subject> {
        Some(async |history| Subject {
            store: Arc::new(Memory::with_history(usize::try_from(history).unwrap())),
            _directory: None,
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "a backend may not be there: etcd")]
    pub(crate) fn embedded(_case: &str) -> Option<impl AsyncFn(u64) -> Subject> {
        Some(async |history| {
            let directory = TempDir::new().unwrap();
            let options = Options {
                history_revisions: history,
                ..Options::default()
            };
            let store = Embedded::open(directory.path().join("hub.redb"), options)
                .await
                .unwrap();
            Subject {
                store: Arc::new(store),
                _directory: Some(directory),
            }
        })
    }
}

conformance! { memory, embedded }
