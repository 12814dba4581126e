//! What people and newer releases ask for.

use crate::{Action, BlockCode};
use tidegate_model::run::{CauseCode, RequestVerb, RunState};

use crate::tests::{
    fixture::{app, approval, cluster, row, waves, world},
    world::World,
};

fn two_waves() -> World {
    world(&waves(&["dev", "prod"]), &[row(1, "dev"), row(2, "prod")])
}

#[test]
fn a_cancelled_run_leaves_everything_where_it_is() {
    let mut world = two_waves();
    world.round(5);
    world.ask(RequestVerb::Cancel);
    for _ in 0..50 {
        world.round(30);
    }
    assert_eq!(world.run.state, RunState::Cancelled);
    assert_eq!(world.at_target(), [app(1)].into());
    assert_eq!(world.run.cause.as_ref().unwrap().code, CauseCode::Requested);
    let finish = world
        .audits
        .iter()
        .find(|audit| audit.action == Action::Finish)
        .unwrap();
    assert_eq!(finish.actor, "ada");
}

#[test]
fn requests_that_do_not_fit_are_refused_with_a_reason() {
    use RequestVerb::{Cancel, Pause, Resume, Rollback};
    let refused = |world: &mut World, verb| {
        let before = world.audits.len();
        let state = world.run.state;
        world.ask(verb);
        world.settle();
        assert_eq!(world.run.state, state, "{verb:?}");
        assert!(world.run.request.is_none());
        let audit = &world.audits[before];
        assert_eq!(
            (audit.action, audit.actor.as_str()),
            (Action::Refuse, "ada"),
            "{verb:?}"
        );
    };
    let mut world = two_waves();
    world.settle();
    refused(&mut world, Resume);
    world.ask(Pause);
    world.settle();
    refused(&mut world, Pause);
    world.ask(Rollback);
    world.step();
    refused_while_going_back(&mut world.clone());
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    for verb in [Pause, Resume, Cancel, Rollback] {
        refused(&mut world, verb);
    }
}

fn refused_while_going_back(world: &mut World) {
    world.ask(RequestVerb::Pause);
    world.settle();
    assert_eq!(world.run.state, RunState::RollingBack);
    assert!(
        world
            .audits
            .iter()
            .any(|audit| audit.action == Action::Refuse)
    );
    world.ask(RequestVerb::Cancel);
    world.settle();
    assert_eq!(
        world.run.state,
        RunState::Cancelled,
        "a person may stop a rollback"
    );
}

#[test]
fn a_newer_release_takes_over_when_the_wave_is_done() {
    let mut world = two_waves();
    world.round(5);
    world.newer_release = Some(5);
    world.round(5);
    assert_eq!(world.run.state, RunState::Rolling, "finishWave");
    world.rounds_until(60, |world| world.run.state == RunState::Superseded);
    assert_eq!(world.run.wave, 1);
    assert_eq!(world.apps[&app(1)].last_good.as_ref().unwrap().release, 4);
    assert!(!world.at_target().contains(&app(2)));
}

#[test]
fn a_run_that_only_waits_for_people_is_superseded_at_once() {
    for position in ["before", "after"] {
        let mut strategy = waves(&["dev", "prod"]);
        match position {
            "before" => strategy.waves[1].gates.before = approval(),
            _ => strategy.waves[0].gates.after = approval(),
        }
        let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
        world.rounds_until(60, |world| world.run.gate.is_some());
        world.newer_release = Some(5);
        world.round(1);
        assert_eq!(world.run.state, RunState::Superseded, "{position}");
    }
}

#[test]
fn the_last_wave_succeeds_although_a_newer_release_waits() {
    let mut world = two_waves();
    world.rounds_until(60, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    world.newer_release = Some(5);
    world.rounds_until(60, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn a_newer_release_does_not_starve_behind_a_cluster_that_is_cut_off() {
    let mut world = two_waves();
    world.settle();
    world.disconnect(cluster(1));
    world.newer_release = Some(5);
    world.round(30);
    assert_eq!(world.run.state, RunState::Rolling, "within the grace");
    world.rounds_until(200, |world| world.run.state == RunState::Superseded);
}

#[test]
fn a_paused_run_is_not_taken_over() {
    let mut world = two_waves();
    world.settle();
    world.ask(RequestVerb::Pause);
    world.newer_release = Some(5);
    for _ in 0..20 {
        world.round(60);
    }
    assert_eq!(world.run.state, RunState::Paused);
    assert_eq!(world.explain()[0].code, BlockCode::PausedByPerson);
}

#[test]
fn a_person_pauses_what_a_regression_paused() {
    let mut world = two_waves();
    world.rounds_until(60, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    let truth = world.truth;
    let agent = world.agents.get_mut(&cluster(1)).unwrap();
    agent.set_health(app(1), tidegate_model::health::Health::Missing, truth);
    while world.deliver(cluster(1)) {}
    world.heartbeat(cluster(1));
    world.settle();
    assert_eq!(world.explain()[0].code, BlockCode::Regression);
    world.ask(RequestVerb::Pause);
    for _ in 0..20 {
        world.round(10);
    }
    assert_eq!(
        world.explain()[0].code,
        BlockCode::PausedByPerson,
        "its end resumes nothing now"
    );
    world.ask(RequestVerb::Resume);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}
