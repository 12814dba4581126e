//! Members that a wave goes on without, and what they are owed, by example.

use crate::BlockCode;
use tidegate_model::{
    duration::Span,
    run::{MemberState, RequestVerb, RunState},
    strategy::{Amount, Gate, Strategy, UnreachableThen, WindowKind},
};

use crate::{
    tests::{
        agent::Kind,
        fixture::{Row, app, cluster, row, waves, world},
        world::World,
    },
    window::tests::recurring,
};

/// Three shops, of which one may be deferred, before the rest.
fn strategy() -> Strategy {
    let mut strategy = waves(&["shops", "rest"]);
    let wave = &mut strategy.waves[0];
    wave.unreachable.grace = Span::secs(60);
    wave.unreachable.then = UnreachableThen::Defer;
    strategy
}

fn rows() -> [Row; 4] {
    [
        row(1, "shops"),
        row(2, "shops"),
        row(3, "shops"),
        row(9, "rest"),
    ]
}

fn started(away: &[u64]) -> World {
    let mut world = world(&strategy(), &rows());
    for n in away {
        world.disconnect(cluster(*n));
    }
    world
}

fn run_to_its_end(world: &mut World) {
    world.rounds_until(200, |world| world.run.state.is_terminal());
}

fn highest(world: &World, n: u64) -> u64 {
    world.apps[&app(n)].highest.0
}

#[test]
fn the_wave_goes_on_without_it_and_it_is_paid_after_the_end() {
    let mut world = started(&[2]);
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.state(0, cluster(2)), MemberState::Deferred);
    assert_eq!(highest(&world, 2), 3, "nothing is written to who is away");
    assert!(world.run.owes);
    let said = world.explain();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(said[0].code, BlockCode::Deferred);
    assert_eq!(
        said[0].message,
        "cluster c2: deferred: it cannot be reached, and gets release 4 before anything newer when it is back"
    );
    assert_eq!(said[0].clears, "its agent's return");
    // A day later, with a newer run under way.
    world.newer_run = true;
    world.tick(86_400);
    world.reconnect(cluster(2));
    world.settle();
    assert_eq!(highest(&world, 2), 4);
    assert_eq!(world.state(0, cluster(2)), MemberState::Deferred);
    world.rounds_until(50, |world| !world.run.owes);
    assert_eq!(world.state(0, cluster(2)), MemberState::Soaked);
    assert_eq!(world.apps[&app(2)].last_good.as_ref().unwrap().release, 4);
    assert_eq!(world.explain(), []);
}

#[test]
fn no_more_are_deferred_than_the_wave_lets_and_the_next_is_named() {
    let mut world = started(&[2, 3]);
    for _ in 0..60 {
        world.round(5);
    }
    assert_eq!(world.run.state, RunState::Rolling);
    assert_eq!(world.state(0, cluster(2)), MemberState::Deferred);
    assert_eq!(world.state(0, cluster(3)), MemberState::Unreachable);
    let said = world.explain();
    let blocked = said.iter().find(|said| said.code == BlockCode::Unreachable);
    assert_eq!(
        blocked.unwrap().message,
        "cluster c3: its agent has no session, and maxDeferred lets the wave go on without no more than 1"
    );
    // The one that is back leaves its place to the other.
    world.reconnect(cluster(2));
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.state(0, cluster(2)), MemberState::Soaked);
    assert_eq!(world.state(0, cluster(3)), MemberState::Deferred);
}

#[test]
fn a_wave_of_which_everybody_is_away_has_shown_nothing() {
    let mut strategy = strategy();
    strategy.waves[0].unreachable.max_deferred = Some(Amount::Percent(100));
    let mut world = world(&strategy, &rows());
    (1..4).for_each(|n| world.disconnect(cluster(n)));
    for _ in 0..60 {
        world.round(5);
    }
    let deferred = (1..4).map(|n| world.state(0, cluster(n)));
    assert!(
        deferred
            .into_iter()
            .all(|state| state == MemberState::Deferred)
    );
    assert_eq!((world.run.state, world.run.wave), (RunState::Rolling, 0));
    world.reconnect(cluster(3));
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.state(0, cluster(3)), MemberState::Soaked);
}

#[test]
fn who_is_back_while_a_later_wave_rolls_is_paid_beside_it() {
    let mut strategy = strategy();
    strategy.waves[0].unreachable.grace = Span::secs(10);
    strategy.waves[0].soak.time = Span::secs(30);
    let mut world = world(&strategy, &rows());
    world.disconnect(cluster(2));
    world.disconnect(cluster(9));
    world.rounds_until(100, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    world.reconnect(cluster(2));
    world.rounds_until(100, |world| {
        world.state(0, cluster(2)) == MemberState::Soaked
    });
    assert_eq!(highest(&world, 9), 3, "the later wave still waits");
    world.reconnect(cluster(9));
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
    assert!(!world.run.owes);
}

#[test]
fn one_that_was_assigned_and_fell_silent_does_not_hold_its_place() {
    let mut world = started(&[]);
    world.settle();
    assert_eq!(highest(&world, 1), 4);
    world.disconnect(cluster(1));
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.state(0, cluster(1)), MemberState::Deferred);
    world.reconnect(cluster(1));
    world.rounds_until(50, |world| !world.run.owes);
    assert_eq!(world.state(0, cluster(1)), MemberState::Soaked);
    assert_eq!(highest(&world, 1), 4, "it is not written twice");
}

#[test]
fn a_rollback_takes_the_debt_away() {
    let mut world = started(&[2]);
    run_to_its_end(&mut world);
    world.ask(RequestVerb::Rollback);
    run_to_its_end(&mut world);
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    assert_eq!(world.state(0, cluster(2)), MemberState::Skipped);
    world.reconnect(cluster(2));
    world.round(60);
    assert_eq!(highest(&world, 2), 3);
    assert_eq!(world.explain(), []);
}

#[test]
fn a_newer_run_waits_for_the_debt_and_says_so() {
    let mut world = started(&[]);
    world.apps.get_mut(&app(1)).unwrap().owed = Some(3);
    for _ in 0..5 {
        world.round(5);
    }
    assert_eq!(highest(&world, 1), 3);
    let said = world.explain();
    let debt = said
        .iter()
        .find(|said| said.code == BlockCode::Debt)
        .unwrap();
    assert_eq!(
        debt.message,
        "cluster c1: an earlier run went on without it, and release 3 comes first"
    );
    world.apps.get_mut(&app(1)).unwrap().owed = None;
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn what_a_removed_application_was_owed_hides_nothing() {
    let second = Row {
        app: 7,
        kind: Kind::Prunes,
        ..row(2, "shops")
    };
    let mut all = rows().to_vec();
    all.push(second);
    let mut world = world(&strategy(), &all);
    world.disconnect(cluster(2));
    run_to_its_end(&mut world);
    world.apps.get_mut(&app(2)).unwrap().removed = true;
    world.reconnect(cluster(2));
    for _ in 0..20 {
        world.round(5);
    }
    let said = world.explain();
    let codes: Vec<_> = said.iter().map(|said| said.code).collect();
    assert_eq!(codes, [BlockCode::PruneHeld], "{said:#?}");
}

#[test]
fn no_glass_opens_the_window_of_a_wave_that_was_left_behind() {
    let mut strategy = strategy();
    let window = recurring(WindowKind::Deny, "UTC", "50 22 * * *", "300m");
    strategy.waves[0].gates.before.push(Gate::Window(window));
    let mut world = world(&strategy, &rows());
    world.disconnect(cluster(2));
    run_to_its_end(&mut world);
    world.jump(2400);
    world.reconnect(cluster(2));
    for _ in 0..10 {
        world.round(5);
    }
    let said = world.explain();
    let said = said.iter().find(|said| said.code == BlockCode::Window);
    let said = said.unwrap_or_else(|| panic!("{:#?}", world.explain()));
    assert!(said.clears.starts_with("time ("), "{}", said.clears);
    assert!(!said.clears.contains("glass"), "{}", said.clears);
}

#[test]
fn newer_content_takes_the_place_of_a_debt() {
    let mut world = started(&[2]);
    run_to_its_end(&mut world);
    world.apps.get_mut(&app(2)).unwrap().overtaken = true;
    world.reconnect(cluster(2));
    world.round(60);
    assert_eq!(highest(&world, 2), 3, "older content is brought no more");
    assert_eq!(world.state(0, cluster(2)), MemberState::Skipped);
    assert!(!world.run.owes);
    assert_eq!(world.explain(), []);
}

#[test]
fn what_fails_on_return_is_brought_to_nobody_else() {
    let mut rows = rows();
    rows[0].kind = Kind::Degrades;
    let mut strategy = strategy();
    strategy.waves[0].unreachable.max_deferred = Some(Amount::Count(2));
    let mut world = world(&strategy, &rows);
    world.disconnect(cluster(1));
    world.disconnect(cluster(2));
    run_to_its_end(&mut world);
    assert_eq!(world.run.state, RunState::Succeeded);
    world.reconnect(cluster(1));
    world.rounds_until(50, |world| !world.run.owes);
    assert_eq!(world.run.state, RunState::Succeeded, "that is what it did");
    assert_eq!(world.state(0, cluster(1)), MemberState::Failed);
    assert_eq!(world.state(0, cluster(2)), MemberState::Skipped);
    let cause = world
        .members
        .values()
        .find(|it| it.id.cluster == cluster(2));
    let message = &cause.unwrap().cause.as_ref().unwrap().message;
    assert_eq!(
        message,
        "1 members failed with a failure budget of 0; it keeps what it runs"
    );
}
