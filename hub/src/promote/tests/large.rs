//! Members and rollbacks as large as they may be: every transaction fits into the store.

use super::*;

#[tokio::test]
async fn thirty_applications_move_together_there_and_back() {
    let mut world = World::new(&json!({}), 1, 30).await;
    world.roll_out("good").await;
    assert!(world.apps().iter().all(|app| app.last_good.is_some()));
    world.denied = (0..3).map(object).collect();
    world.publish("bad").await;
    world.settle().await;
    assert!(world.all_run("bad"));
    world.report(Health::Degraded).await;
    assert_eq!(world.run().state, RunState::RollingBack);
    assert!(world.all_run("good"), "all of them went back");
    world.recover().await;
    assert_eq!(world.run().state, RunState::RolledBack);
    let state = world.hub.db.read().clone();
    assert_eq!((state.pins.len(), state.denies.len()), (30, 3));
    let actions = world.actions().await;
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(
        (count("run.pin"), count("run.deny"), count("run.revert")),
        (30, 30, 30)
    );
    assert!(world.largest < 100, "{}", world.largest);
}

#[tokio::test]
async fn a_rollback_that_denies_hundreds_of_objects_goes_back() {
    let mut world = World::new(&json!({}), 3, 1).await;
    world.roll_out("good").await;
    world.denied = (0..250).map(object).collect();
    world.publish("bad").await;
    world.settle().await;
    world.report(Health::Degraded).await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::RolledBack);
    assert!(world.all_run("good"));
    assert_eq!(world.hub.db.read().denies.len(), 250);
    assert!(world.largest < 100, "{}", world.largest);
}

#[tokio::test]
async fn a_hub_that_dies_while_it_writes_denies_carries_on() {
    let mut world = World::new(&json!({}), 1, 1).await;
    world.roll_out("good").await;
    world.denied = (0..150).map(object).collect();
    world.publish("bad").await;
    world.settle().await;
    let backend = Backend::new(world.hub.db.clone());
    let app = world.apps().remove(0);
    backend
        .report(app.app.cluster, report(&app, Health::Degraded))
        .await
        .unwrap();
    world.agents.iter_mut().for_each(Agent::confirm);
    while world.hub.db.read().denies.is_empty() {
        assert!(world.pass().await);
    }
    assert!(world.all_run("bad"), "the step waits for its denies");
    assert!(world.hub.db.read().denies.len() < 150);
    let pin = world.hub.db.read().pins.iter().next().unwrap().clone();

    let mut world = world.restart().await;
    world.hub.clock.wind(jiff::SignedDuration::from_secs(9));
    world.settle().await;
    assert!(world.all_run("good"));
    assert_eq!(world.hub.db.read().denies.len(), 150);
    assert_eq!(
        *world.hub.db.read().pins.iter().next().unwrap(),
        pin,
        "written once"
    );
    let pins = world
        .actions()
        .await
        .into_iter()
        .filter(|action| action == "run.pin");
    assert_eq!(pins.count(), 1);
}

#[tokio::test]
async fn sixty_members_move_at_once_there_and_back() {
    let mut world = World::new(&json!({}), 60, 1).await;
    world.roll_out("good").await;
    world.denied = (0..40).map(object).collect();
    world.publish("bad").await;
    world.settle().await;
    world.report(Health::Degraded).await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::RolledBack);
    assert!(world.all_run("good"));
    assert_eq!(world.hub.db.read().pins.len(), 60);
    assert!(world.largest < 100, "{}", world.largest);
}

#[tokio::test]
async fn sixty_members_of_thirty_broken_applications_fit_as_well() {
    let mut world = World::new(&json!({}), 60, 30).await;
    world.connect();
    world.publish("a").await;
    for entry in world.entries.values_mut().flatten() {
        let cause = "x".repeat(500);
        entry.content = EntryContent::Unrendered { cause };
    }
    world.pass().await;
    let mut passes = 0;
    while world.members().len() < 60 {
        assert!(world.pass().await);
        passes += 1;
    }
    assert!(passes > 1, "all of them are more than a transaction holds");
    world.settle().await;
    assert_eq!(world.run().state, RunState::Failed);
}

#[test]
fn a_step_that_fits_takes_its_denies_along() {
    let (set, state) = (set(1, "web", &json!({})), State::default());
    let mut changes = Changes::default();
    changes.create(&cluster(1));
    let pass = |changes: &Changes| Pass {
        changes: changes.clone(),
        ..Pass::default()
    };
    let few: BTreeSet<_> = (0..98).map(object).collect();
    let together = with_denies(pass(&changes), &set, few.clone(), &state);
    assert_eq!(together.operations(), 99);
    assert!(together.writes.contains_key(&cluster(1).key()));

    let many: BTreeSet<_> = (0..99).map(object).collect();
    let ahead = with_denies(pass(&changes), &set, many, &state);
    assert!(!ahead.writes.contains_key(&cluster(1).key()));
    assert!(ahead.operations() > 0 && ahead.operations() < 99);

    // Those that are there already are not written again.
    let mut known = State::default();
    for (key, value) in &together.writes {
        known
            .apply(key, value.as_deref().map(|bytes| (bytes, 1)))
            .unwrap();
    }
    assert_eq!(with_denies(pass(&changes), &set, few, &known), changes);
}
