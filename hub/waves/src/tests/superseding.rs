//! What a newer release does to an open run, under each policy.

use tidegate_model::{
    run::{MemberState, RunState},
    strategy::{BudgetMode, SupersedeWhen},
};

use crate::tests::{
    agent::Kind,
    fixture::{app, cluster, row, target, waves, world},
    world::World,
};

/// Two canaries under way one after the other, the first healthy and the second assigned.
fn mid_wave(newer: SupersedeWhen) -> World {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.supersede.newer = newer;
    strategy.waves[0].failure_budget.mode = BudgetMode::Fast;
    let rows = [row(1, "dev"), row(2, "dev"), row(9, "prod")];
    let mut world = world(&strategy, &rows);
    world.rounds_until(60, |world| world.assigned.len() == 2);
    world.newer_release = Some(5);
    world
}

#[test]
fn the_open_wave_is_finished_first_and_the_next_never_opens() {
    let mut world = mid_wave(SupersedeWhen::FinishWave);
    world.settle();
    assert_eq!(world.run.state, RunState::Rolling);
    world.rounds_until(60, |world| world.run.state == RunState::Superseded);
    assert_eq!(world.state(0, cluster(2)), MemberState::Soaked);
    assert_eq!(world.apps[&app(9)].highest.0, 3);
}

#[test]
fn at_once_is_at_once_and_who_is_under_way_keeps_what_was_assigned() {
    let mut world = mid_wave(SupersedeWhen::Immediately);
    world.settle();
    assert_eq!(world.run.state, RunState::Superseded);
    let known = &world.apps[&app(2)];
    assert_eq!(known.current.as_ref().unwrap().generation.0, 4);
    let good = known.last_good.as_ref().unwrap();
    assert_eq!(good.release, 3, "it proved nothing");
}

#[test]
fn a_failure_is_answered_before_a_newer_release_is_heard() {
    let mut world = mid_wave(SupersedeWhen::Immediately);
    world.newer_release = None;
    world.kinds.insert(target(&row(2, "dev")), Kind::Degrades);
    while world.run.state == RunState::Rolling {
        // The report and the release come to be known in the same moment.
        world.newer_release = None;
        for _ in 0..4 {
            world.work(cluster(2));
            while world.deliver(cluster(2)) {}
        }
        world.heartbeat(cluster(2));
        world.newer_release = Some(5);
        world.step();
    }
    assert_eq!(world.run.state, RunState::Breached);
}

#[test]
fn where_it_waits_the_run_goes_to_its_end() {
    for newer in [SupersedeWhen::Queue, SupersedeWhen::Never] {
        let mut world = mid_wave(newer);
        world.rounds_until(100, |world| world.run.state.is_terminal());
        assert_eq!(world.run.state, RunState::Succeeded, "{newer:?}");
    }
}
