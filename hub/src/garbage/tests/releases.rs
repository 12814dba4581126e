//! What of a release stays, and for how long.

use tidegate_model::strategy::SupersedeWhen;

use super::*;

#[tokio::test]
async fn a_release_whose_content_was_swept_is_still_shown() {
    let mut world = World::new().await;
    let set = world.set("web", 11);
    world.store(&set).await;
    for number in 1..=11 {
        let bundle = world.bundle(number).await;
        world.release(&set, number, &[bundle]).await;
    }
    let sweeper = world.sweeper();
    sweeper.sweep().await.unwrap();
    assert!(sweeper.sweep().await.unwrap().deleted > 0);

    let clock = Clock::default();
    let names = ["localhost".to_owned()];
    let authority =
        Authority::create(world.dir.path(), "fleet.example.org", &names, clock.now()).unwrap();
    let evidence = Evidence::new(Sessions::new(clock.clone()), clock, Duration::from_secs(10));
    let (_poller, handle) = Poller::new(world.db.clone(), world.git.clone(), Duration::MAX);
    let api = FleetApi::new(
        world.db.clone(),
        evidence,
        Sessions::new(Clock::default()),
        handle,
        crate::settled::Settled::default(),
        Arc::new(authority),
    );
    for (number, entries) in [(1, 0), (2, 1), (11, 1)] {
        let request = wire::ListRequest {
            project: PROJECT.to_owned(),
            set: "web".to_owned(),
            name: format!("{number}"),
            ..wire::ListRequest::default()
        };
        let answer = api.list_releases(tonic::Request::new(request)).await;
        let items = answer.unwrap().into_inner().items;
        let [release] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!((release.number, release.entries.len()), (number, entries));
    }
}

#[tokio::test]
async fn releases_that_queue_keep_their_content_until_their_turn() {
    let mut world = World::new().await;
    let mut set = world.set("web", 14);
    let bundles = [world.bundle(1).await, world.bundle(2).await];
    let run = world
        .run(&set, 2, RunState::Rolling, bundles[0], bundles[1])
        .await;
    set.latest_run = Some(run);
    set.document.spec.strategy.supersede.newer = SupersedeWhen::Queue;
    world.store(&set).await;
    for number in 1..=14 {
        let bundle = world.bundle(100 + number).await;
        world.release(&set, number, &[bundle]).await;
    }
    let sweeper = world.sweeper();
    sweeper.sweep().await.unwrap();
    sweeper.sweep().await.unwrap();
    for number in 1..=14 {
        let (bundle, _) = bundle(100 + number);
        // The first is over and not of the last ten; the others run, or wait for it.
        assert_eq!(world.has_bundle(bundle).await, number > 1, "{number}");
    }
}
