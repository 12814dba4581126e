//! The list of cases, for every crate that runs them on a backend.
//!
//! Knows no backend: `crate::subject` has a function for each, which is given the case's name and
//! makes fresh stores, or says for itself why it cannot.

/// Runs these cases on one backend.
macro_rules! suite {
    ($backend:ident: $($module:ident :: $case:ident,)*) => {
        #[cfg(test)]
        mod $backend {
            $(
                #[tokio::test]
                async fn $case() {
                    if let Some(make) = $crate::subject::$backend(stringify!($case)) {
                        $crate::$module::$case(make).await;
                    }
                }
            )*
        }
    };
}

/// Runs every case on these backends.
macro_rules! conformance {
    ($($backend:ident),+) => {
        $(
            suite! {
                $backend:
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
        )+
    };
}
