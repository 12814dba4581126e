//! What a run that is over still owes, over the store that a hub has.

use tidegate_model::run::MemberState;

use super::*;

fn said(world: &World) -> Vec<String> {
    let state = world.hub.db.read().clone();
    let run = state.run(world.run().id).unwrap();
    let (epoch, now) = (world.hub.db.epoch(), world.hub.clock.now());
    let blocking = explain(&state, &world.hub.evidence, &run.record, epoch, now);
    blocking.into_iter().map(|cause| cause.code).collect()
}

#[tokio::test]
async fn a_debt_outlives_the_hub_and_is_paid_before_anything_newer() {
    let world = World::in_debt().await;
    assert_eq!(said(&world), ["Deferred"]);
    let mut world = world.restart().await;
    world.connect_only(&[1, 2]);
    world.publish("b").await;
    world.settle().await;
    let running = world.running();
    assert_eq!(
        (running["web-1"], running["web-2"]),
        (Some(bundle("b")), Some(bundle("a")))
    );
    assert!(
        said(&world).contains(&"Debt".to_owned()),
        "{:?}",
        said(&world)
    );
    world.recover().await;
    world.recover().await;
    assert!(world.all_run("b"), "{:?}", world.running());
    assert_eq!(world.run().state, RunState::Succeeded);
    let state = world.hub.db.read().clone();
    assert!(state.runs.iter().all(|run| !run.run.owes));
    for app in world.apps() {
        assert_eq!(app.last_good.unwrap().release, 2);
    }
    let actions = world.actions().await;
    let count = |name: &str| actions.iter().filter(|action| *action == name).count();
    assert_eq!((count("run.defer-member"), count("run.pay-debt")), (1, 1));
}

#[tokio::test]
async fn newer_content_that_a_wave_has_proven_is_what_is_owed() {
    let mut world = World::in_debt().await;
    world.publish("b").await;
    world.settle().await;
    world.recover().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    let state = world.hub.db.read().clone();
    let owing = state.runs.iter().filter(|run| run.run.owes);
    let owing: Vec<_> = owing.map(|run| run.run.release_number).collect();
    assert_eq!(owing, [2], "one debt for one cluster");
    world.connect_only(&[1, 2]);
    world.settle().await;
    assert!(world.all_run("b"), "{:?}", world.running());
    world.recover().await;
    let states: Vec<_> = world.members().iter().map(|it| it.member.state).collect();
    assert_eq!(states, [MemberState::Soaked; 2]);
    assert!(!world.run().owes);
}
