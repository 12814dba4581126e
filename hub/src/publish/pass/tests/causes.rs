//! How much of a rendering error goes into a release.

use super::*;

#[test]
fn a_release_holds_no_more_of_an_error_than_a_step_can_carry() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    let long = format!("{}é{}", "x".repeat(499), "y".repeat(9_000));
    for (candidate, error) in world
        .candidate
        .apps
        .values_mut()
        .zip([long, "short".to_owned()])
    {
        candidate.content = Err(error);
    }
    world.settle();
    let state = world.state.clone();
    let view = View {
        state: &state,
        set: state.set("default", "web").unwrap(),
        candidate: &world.candidate,
        epoch: Epoch(1),
        now: Timestamp::UNIX_EPOCH,
    };
    let mut apps = Apps::default();
    let (mut record, mut changes) = (world.set(), Changes::default());
    match_applications(&view, &mut record, &mut apps, &mut changes, &mut Uuid::nil);
    let (mut holds, mut quiet) = (Holds::default(), BTreeMap::new());
    let causes = entries(&view, &apps, &mut holds, &mut quiet)
        .into_iter()
        .map(|entry| entry.content);
    let unrendered = |cause: String| EntryContent::Unrendered { cause };
    let cut = format!("{}é…", "x".repeat(499));
    assert_eq!(
        causes.collect::<Vec<_>>(),
        [unrendered(cut), unrendered("short".to_owned())]
    );
}
