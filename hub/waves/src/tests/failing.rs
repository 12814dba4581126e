//! Failures, cut-off clusters and the way back, rule by rule.

use crate::{AssignKind, BlockCode};
use tidegate_model::{
    deny::PinRelease,
    duration::Span,
    run::{CauseCode, MemberState, RequestVerb, RunState},
    strategy::{Amount, RollbackOn, Strategy},
};

use crate::tests::{
    agent::Kind,
    fixture::{Before, Row, app, cluster, old, row, target, waves, world},
    world::World,
};

fn bad(kind: Kind) -> Row {
    Row {
        kind,
        ..row(1, "dev")
    }
}

fn manual(mut strategy: Strategy) -> Strategy {
    strategy.rollback.on = vec![RollbackOn::Manual];
    strategy
}

fn reverts(world: &World) -> usize {
    world
        .assigned
        .iter()
        .filter(|(kind, _)| *kind == AssignKind::Revert)
        .count()
}

#[test]
fn degraded_content_stops_in_the_canary_and_goes_back() {
    let canary = bad(Kind::Degrades);
    let mut world = world(&waves(&["dev", "prod"]), &[canary.clone(), row(2, "prod")]);
    world.rounds_until(60, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::RolledBack);
    assert_eq!(world.run.cause.as_ref().unwrap().code, CauseCode::Degraded);
    assert_eq!(world.state(0, cluster(1)), MemberState::Reverted);
    assert_eq!(world.apps[&app(2)].highest.0, 3, "prod was never written");
    let current = world.apps[&app(1)].current.clone().unwrap();
    assert_eq!(
        (current.generation.0, current.bundle()),
        (5, Some(old(&canary)))
    );
    let [pin] = &world.pins[..] else {
        panic!("{:?}", world.pins)
    };
    assert_eq!((pin.bundle, pin.bad), (old(&canary), target(&canary)));
    assert_eq!(
        (pin.release, pin.actor.as_str()),
        (PinRelease::Changed, "system")
    );
    assert_eq!(world.denies, [(target(&canary), old(&canary))]);
    assert_eq!(world.apps[&app(1)].last_good.as_ref().unwrap().release, 3);
}

#[test]
fn without_an_automatic_rollback_a_failed_run_stops_and_a_person_goes_back() {
    let canary = bad(Kind::Degrades);
    let strategy = manual(waves(&["dev", "prod"]));
    let mut world = world(&strategy, &[canary.clone(), row(2, "prod")]);
    world.rounds_until(60, |world| world.run.state == RunState::Failed);
    for _ in 0..10 {
        world.round(60);
    }
    assert_eq!((reverts(&world), world.pins.len()), (0, 0));
    world.ask(RequestVerb::Rollback);
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    assert_eq!(
        (world.pins[0].release, world.pins[0].actor.as_str()),
        (PinRelease::Converged, "ada")
    );
    assert_eq!(
        world.apps[&app(1)].current.as_ref().unwrap().bundle(),
        Some(old(&canary))
    );
}

#[test]
fn a_succeeded_run_can_be_taken_back_unless_a_newer_one_began() {
    let rows = [row(1, "dev"), row(2, "prod")];
    let mut world = world(&waves(&["dev", "prod"]), &rows);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    let mut late = world.clone();
    late.newer_run = true;
    late.ask(RequestVerb::Rollback);
    late.round(5);
    assert_eq!((late.run.state, reverts(&late)), (RunState::Succeeded, 0));
    world.ask(RequestVerb::Rollback);
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    assert_eq!((reverts(&world), world.denies.len()), (2, 2));
    assert!(
        world
            .apps
            .values()
            .all(|app| app.last_good.as_ref().unwrap().release == 3)
    );
}

#[test]
fn content_that_sticks_or_is_refused_runs_into_its_deadline() {
    for (kind, why) in [
        (Kind::Sticks, "Progressing"),
        (Kind::Refused, "failed to apply"),
    ] {
        let mut strategy = waves(&["dev"]);
        strategy.waves[0].progress_deadline = Span::secs(300);
        let mut world = world(&strategy, &[bad(kind)]);
        for _ in 0..50 {
            world.round(5);
            assert_eq!(world.run.state, RunState::Rolling, "{kind:?} failed early");
        }
        world.rounds_until(30, |world| world.run.state == RunState::RolledBack);
        let cause = world.run.cause.as_ref().unwrap();
        assert_eq!(cause.code, CauseCode::DeadlineExceeded);
        assert!(
            cause.message.contains(why) && cause.message.contains("5m"),
            "{}",
            cause.message
        );
    }
}

#[test]
fn a_deadline_without_rollback_on_deadline_only_stops() {
    let mut strategy = waves(&["dev"]);
    strategy.rollback.on = vec![RollbackOn::Budget];
    let mut world = world(&strategy, &[bad(Kind::Sticks)]);
    world.rounds_until(300, |world| world.run.state == RunState::Failed);
    assert_eq!(reverts(&world), 0);
}

#[test]
fn the_deadline_stands_still_while_the_cluster_is_cut_off() {
    let mut world = world(&waves(&["dev", "prod"]), &[row(1, "dev"), row(2, "prod")]);
    world.settle();
    world.disconnect(cluster(1));
    for _ in 0..19 {
        world.round(30);
    }
    assert_eq!(
        world.state(0, cluster(1)),
        MemberState::Assigned,
        "silence within the grace"
    );
    assert_eq!(world.explain()[0].code, BlockCode::Unreachable);
    for _ in 0..100 {
        world.round(30);
    }
    assert_eq!(world.state(0, cluster(1)), MemberState::Unreachable);
    let said = world.explain();
    assert_eq!(
        (said[0].code, said[0].cluster.as_deref()),
        (BlockCode::Unreachable, Some("c1"))
    );
    assert!(said[0].since.is_some());
    assert_eq!(world.run.state, RunState::Rolling);
    world.reconnect(cluster(1));
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn a_cut_off_cluster_is_assigned_when_it_is_back_and_others_go_on() {
    let mut strategy = waves(&["dev"]);
    strategy.waves[0].max_concurrency = Some(Amount::Count(1));
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "dev")]);
    world.disconnect(cluster(1));
    world.rounds_until(60, |world| {
        world.state(0, cluster(2)) == MemberState::Healthy
    });
    assert_eq!(world.apps[&app(1)].highest.0, 3);
    world.reconnect(cluster(1));
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn an_outage_of_the_hub_eats_up_no_deadline() {
    let mut strategy = waves(&["dev"]);
    strategy.waves[0].progress_deadline = Span::secs(300);
    let mut world = world(&strategy, &[row(1, "dev")]);
    world.settle();
    world.tick(7200);
    world.settle();
    assert_eq!(world.run.state, RunState::Rolling);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn an_unrendered_application_fails_its_wave_and_takes_nothing_back() {
    let mut broken = row(2, "prod");
    broken.rendered = false;
    let mut world = world(
        &waves(&["dev", "prod"]),
        &[row(1, "dev"), broken, row(3, "prod")],
    );
    world.rounds_until(60, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::Failed);
    let cause = world.run.cause.as_ref().unwrap();
    assert_eq!(cause.code, CauseCode::Unrendered);
    assert!(
        cause.message.contains("kustomization.yaml:3"),
        "{}",
        cause.message
    );
    assert_eq!(
        world.at_target(),
        [app(1)].into(),
        "dev keeps what runs well, prod was not begun"
    );
    assert!(world.denies.is_empty());
}

#[test]
fn without_a_last_known_good_what_runs_is_left() {
    let mut first = bad(Kind::Degrades);
    first.before = Before::Nothing;
    let mut unproven = Row {
        app: 9,
        ..bad(Kind::Good)
    };
    unproven.before = Before::Old;
    let mut world = world(&waves(&["dev"]), &[first.clone(), unproven.clone()]);
    world.rounds_until(60, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::RollbackFailed);
    let cause = world.run.cause.as_ref().unwrap();
    assert_eq!(cause.code, CauseCode::NoLastKnownGood);
    assert!(
        cause.message.contains("p/web-1") && !cause.message.contains("p/web-9"),
        "{}",
        cause.message
    );
    assert_eq!(
        world.apps[&app(1)].current.as_ref().unwrap().bundle(),
        Some(target(&first))
    );
    assert_eq!(
        world.apps[&app(9)].current.as_ref().unwrap().bundle(),
        Some(old(&unproven))
    );
    assert_eq!(
        world.pins.iter().map(|pin| pin.app).collect::<Vec<_>>(),
        [app(9)]
    );
}

#[test]
fn the_way_back_reaches_everybody_who_was_touched_the_cut_off_too() {
    let mut rows = [
        row(1, "dev"),
        row(2, "prod"),
        row(3, "prod"),
        row(4, "prod"),
    ];
    rows[2].kind = Kind::Degrades;
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].max_concurrency = Some(Amount::Count(2));
    let mut world = world(&strategy, &rows);
    world.rounds_until(60, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    world.disconnect(cluster(1));
    world.rounds_until(60, |world| world.run.state == RunState::RollingBack);
    world.rounds_until(60, |world| reverts(world) == 3);
    world.round(5);
    assert_eq!(
        world.run.state,
        RunState::RollingBack,
        "silence within the grace is nothing special"
    );
    world.rounds_until(200, |world| world.run.state == RunState::RolledBack);
    assert_eq!(world.state(0, cluster(1)), MemberState::Unreachable);
    assert_eq!(world.apps[&app(4)].highest.0, 3);
    world.reconnect(cluster(1));
    for _ in 0..5 {
        world.round(5);
    }
    let held = &world.agents[&cluster(1)].apps[&app(1)];
    assert_eq!(
        held.held.bundle(),
        Some(old(&rows[0])),
        "the revert comes before anything else"
    );
}

#[test]
fn a_revert_that_does_not_get_healthy_fails_the_rollback() {
    let canary = bad(Kind::Degrades);
    let mut world = world(&waves(&["dev"]), std::slice::from_ref(&canary));
    world.kinds.insert(old(&canary), Kind::Sticks);
    world.rounds_until(400, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::RollbackFailed);
    assert_eq!(
        world.run.cause.as_ref().unwrap().code,
        CauseCode::DeadlineExceeded
    );
}

#[test]
fn an_unchanged_member_that_is_unwell_stops_the_run_but_takes_nothing_back() {
    let mut sick = row(2, "dev");
    sick.before = Before::Target;
    let mut world = world(&Strategy::default(), &[row(1, "dev"), sick]);
    let truth = world.truth;
    let agent = world.agents.get_mut(&cluster(2)).unwrap();
    agent.set_health(app(2), tidegate_model::health::Health::Degraded, truth);
    let sick = agent.apps[&app(2)].held.bundle().unwrap();
    world.kinds.insert(sick, Kind::Degrades);
    for _ in 0..60 {
        world.round(5);
        assert_eq!(
            world.run.state,
            RunState::Rolling,
            "it has its deadline to recover"
        );
    }
    world.rounds_until(300, |world| world.run.state == RunState::Failed);
    assert_eq!((reverts(&world), world.at_target().len()), (0, 2));
}

#[test]
fn a_removed_cluster_neither_stops_nor_saves_a_run() {
    let mut world = world(
        &waves(&["dev", "prod"]),
        &[row(1, "dev"), row(2, "dev"), row(3, "prod")],
    );
    world.settle();
    world.disconnect(cluster(1));
    world.sessions.get_mut(&cluster(1)).unwrap().removed = true;
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    assert_eq!(world.state(0, cluster(1)), MemberState::Skipped);
    assert!(world.at_target().contains(&app(3)));
}

#[test]
fn a_deleted_application_is_not_waited_for_and_never_comes_back() {
    let mut world = world(
        &waves(&["dev"]),
        &[
            row(1, "dev"),
            Row {
                app: 9,
                ..bad(Kind::Degrades)
            },
        ],
    );
    world.apps.get_mut(&app(1)).unwrap().removed = true;
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    assert_eq!(world.apps[&app(1)].highest.0, 3);
}

#[test]
fn a_held_prune_waits_for_a_person_past_every_deadline() {
    let mut world = world(
        &waves(&["dev", "prod"]),
        &[bad(Kind::Prunes), row(2, "prod")],
    );
    for _ in 0..400 {
        world.round(10);
    }
    assert_eq!((world.run.state, world.run.wave), (RunState::Rolling, 0));
    let said = world.explain();
    assert_eq!(said[0].code, BlockCode::PruneHeld);
    assert!(
        said[0].message.contains("3 of 3 objects"),
        "{}",
        said[0].message
    );

    // A person approves: the hub words the same content anew.
    let known = world.apps.get_mut(&app(1)).unwrap();
    let current = known.current.as_mut().unwrap();
    current.generation = current.generation.next();
    if let tidegate_model::assignment::Desired::Run { prune_approved, .. } = &mut current.desired {
        *prune_approved = true;
    }
    known.highest = current.generation;
    world.kinds.insert(target(&bad(Kind::Prunes)), Kind::Good);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}
