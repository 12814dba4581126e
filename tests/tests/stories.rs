//! The stories of Tidegate, told on three real clusters with the shipped binaries.
//!
//! Each is a text file in `tests/stories`; see [`tidegate_tests::story`] for how it reads.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use tidegate_tests::{harness::require_real, story};

/// Three clusters and their agents are as much as two cores carry at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn tell(file: &str) {
    let Some(binaries) = require_real(file) else {
        return;
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("stories")
        .join(file);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Err(failure) = runtime.block_on(story::tell(&binaries, &path)) {
        panic!("{failure}");
    }
}

macro_rules! stories {
    ($($name:ident => $file:literal,)+) => {
        $(#[test]
        fn $name() {
            tell($file);
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
    one_commit_reaches_three_clusters_in_two_waves => "a-one-commit-two-waves.story",
    a_bad_image_is_taken_back_and_stays_away => "b-automatic-rollback.story",
    a_person_takes_a_bad_image_back => "b-rollback-by-a-person.story",
    a_hub_and_an_agent_are_killed_in_the_middle => "c-killed-in-the-middle.story",
    an_agent_that_is_cut_off_catches_up => "d-cut-off.story",
    deletion_needs_proof => "e-deletion-needs-proof.story",
    drift_is_healed_or_reported_by_policy => "f-drift.story",
    bad_input_is_refused_and_touches_nothing_else => "g-bad-input.story",
    a_sick_store_is_told_and_loses_nothing => "h-store-faults.story",
    what_must_be_refused_is_refused => "i-refusals.story",
}
