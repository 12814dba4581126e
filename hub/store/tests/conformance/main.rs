//! One suite, every backend: what [`tidegate_store::Store`] promises.
//!
//! A case gets a fresh store with a given length of history. A new backend is one more module
//! here and no change in the cases.

#[cfg(test)]
mod cases;
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

    pub(crate) async fn memory(history: u64) -> Subject {
        Subject {
            store: Arc::new(Memory::with_history(usize::try_from(history).unwrap())),
            _directory: None,
        }
    }

    pub(crate) async fn embedded(history: u64) -> Subject {
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
    }
}

/// Runs every named case on one backend.
macro_rules! suite {
    ($backend:ident: $($module:ident :: $case:ident,)*) => {
        #[cfg(test)]
        mod $backend {
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::$module::$case($crate::subject::$backend).await;
                }
            )*
        }
    };
}

macro_rules! every_backend {
    ($($cases:tt)*) => {
        suite! { memory: $($cases)* }
        suite! { embedded: $($cases)* }
    };
}

every_backend! {
    cases::a_new_store_is_empty_at_revision_zero,
    cases::entries_carry_their_history,
    cases::a_recreated_key_starts_again,
    cases::a_conflict_writes_nothing_and_says_which_comparison,
    cases::comparisons_mean_what_they_say,
    cases::a_transaction_without_effect_keeps_the_revision,
    cases::limits_are_exact,
    cases::wrong_keys_are_refused_everywhere,
    cases::ranges_are_ordered_and_end_at_the_prefix,
    cases::pages_continue_where_they_ended,
    cases::concurrent_increments_lose_nothing,
    watches::a_watch_replays_and_then_follows,
    watches::a_batch_is_a_whole_transaction,
    watches::a_watch_sees_only_its_prefix,
    watches::a_watch_behind_the_history_must_relist,
    watches::a_watch_from_the_future_must_relist,
    watches::a_wrong_prefix_ends_the_watch,
    watches::a_slow_watcher_misses_nothing,
    watches::a_watch_ends_with_the_store,
    watches::list_then_watch_misses_nothing,
}
