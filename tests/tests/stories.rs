//! The stories of Tidegate, told on three clusters with the shipped binaries.
//!
//! Each is a text file in `tests/stories`; see [`tidegate_tests::story`] for how it reads. Those of
//! the first six letters are told on real clusters with either store and on sandboxes.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use tidegate_tests::{
    harness::{require_prometheus, require_real},
    story::{self, bed::Bed},
};
use tokio::sync::Semaphore;

/// Real fleets at a time: they wait far more than they work, but their start is heavy.
static TURNS: Semaphore = Semaphore::const_new(3);

fn tell(file: &str, bed: Bed) {
    let Some(binaries) = require_real(&format!("{file} on {bed}")) else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("stories")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let measures = text.lines().any(|line| line == "% prometheus start");
    if measures && require_prometheus(&format!("{file} on {bed}")).is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let told = runtime.block_on(async {
        let _turn = match bed {
            Bed::Sandbox => None,
            _ => Some(TURNS.acquire().await.unwrap()),
        };
        story::tell(&binaries, bed, &path).await
    });
    if let Err(failure) = told {
        panic!("{failure}");
    }
}

// By story first, so that a sandbox is told beside the real clusters of the same story or the next.
macro_rules! stories {
    ($($name:ident on [$($bed:ident => $variant:ident),+] => $file:literal,)+) => {
        $(mod $name {
            use super::{Bed, tell};

            $(#[test]
            fn $bed() {
                tell($file, Bed::$variant);
            })+
        })+

        #[test]
        fn every_story_is_told() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, [$($file),+]);
        }
    };
}

stories! {
    one_commit_reaches_three_clusters_in_two_waves on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "a-one-commit-two-waves.story",
    what_failed_is_tried_again_and_who_is_away_is_left_out on [sandbox => Sandbox]
        => "b-again-and-left-out.story",
    a_bad_image_is_taken_back_and_stays_away on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "b-automatic-rollback.story",
    a_person_says_how_far_back on [sandbox => Sandbox] => "b-back-to-a-release.story",
    a_person_takes_a_bad_image_back on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "b-rollback-by-a-person.story",
    a_hub_and_an_agent_are_killed_in_the_middle on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "c-killed-in-the-middle.story",
    an_agent_that_is_cut_off_catches_up on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "d-cut-off.story",
    deletion_needs_proof on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "e-deletion-needs-proof.story",
    drift_is_healed_or_reported_by_policy on [redb => Redb, etcd => Etcd, sandbox => Sandbox]
        => "f-drift.story",
    bad_input_is_refused_and_touches_nothing_else on [redb => Redb] => "g-bad-input.story",
    a_sick_store_is_told_and_loses_nothing on [redb => Redb] => "h-store-faults.story",
    what_must_be_refused_is_refused on [redb => Redb] => "i-refusals.story",
    a_lost_hub_is_restored_from_an_older_backup on [etcd => Etcd, sandbox => Sandbox]
        => "j-backup-and-restore.story",
    a_gate_opens_for_those_it_asks_and_one_no_closes_it on [redb => Redb, sandbox => Sandbox]
        => "k-approvals.story",
    what_happens_is_told_once on [sandbox => Sandbox] => "k-events.story",
    a_freeze_ends_with_the_wall_clock_or_a_broken_glass on [redb => Redb, sandbox => Sandbox]
        => "l-freeze-window.story",
    the_former_certificate_is_refused on [sandbox => Sandbox] => "l-rotation.story",
    what_does_not_render_keeps_what_it_runs on [redb => Redb]
        => "m-does-not-render.story",
    clusters_join_and_leave_under_a_run on [redb => Redb]
        => "m-joins-and-leaves.story",
    newer_commits_take_over_as_the_policy_says on [redb => Redb]
        => "m-newer-commits.story",
    a_region_is_away_for_a_wave on [redb => Redb]
        => "m-region-away.story",
    a_cluster_gets_what_it_is_owed_before_anything_newer on [redb => Redb]
        => "m-region-deferred.story",
    a_run_brings_what_its_release_says_within_the_second_of_a_commit on [redb => Redb]
        => "m-same-second.story",
    two_people_at_once_are_heard_in_some_order on [redb => Redb]
        => "m-two-at-once.story",
    a_bad_metric_takes_the_canary_back_and_nobody_else on [redb => Redb, sandbox => Sandbox]
        => "n-bad-metric.story",
    an_alarm_and_a_board_keep_a_wave_shut on [redb => Redb, sandbox => Sandbox]
        => "n-gates-that-ask.story",
    no_data_is_no_pass on [sandbox => Sandbox] => "n-what-is-measured.story",
}
