//! Windows: nobody is assigned out of hours, whoever is under way goes on, and time alone opens.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidegate_model::{
    run::{MemberState, RequestVerb, RunState},
    strategy::{Gate, Invoker, Strategy, Window, WindowAction, WindowKind},
};

use crate::{
    Action, BlockCode, Blocking,
    tests::{
        agent::Kind,
        fixture::{app, approval, cluster, row, waves, world},
        world::World,
    },
    validate,
    window::tests::recurring,
};

/// A Saturday evening before the clock goes back in Berlin.
const EVE: &str = "2026-10-24T22:00:00Z";

/// From 01:30 to 03:30 on the wall: three hours that night.
fn freeze() -> Window {
    let mut window = recurring(WindowKind::Deny, "Europe/Berlin", "30 1 * * SUN", "2h");
    window.name = "sunday-night".to_owned();
    window
}

fn frozen(change: impl Fn(&mut Window)) -> Strategy {
    let mut strategy = waves(&["dev", "prod"]);
    let mut window = freeze();
    change(&mut window);
    strategy.waves[1].gates.before = vec![Gate::Window(window)];
    strategy
}

fn rows() -> Vec<crate::tests::fixture::Row> {
    vec![row(1, "dev"), row(2, "prod"), row(3, "prod")]
}

/// At this time, with dev about to roll.
fn at(strategy: &Strategy, time: &str) -> World {
    assert_eq!(validate(strategy), Ok(()));
    let mut world = world(strategy, &rows());
    move_to(&mut world, time);
    world
}

fn move_to(world: &mut World, time: &str) {
    let time: Timestamp = time.parse().unwrap();
    let secs = time.duration_since(world.now).as_secs();
    world.jump(secs);
    let clusters: Vec<_> = world.sessions.keys().copied().collect();
    for cluster in clusters {
        world.heartbeat(cluster);
    }
}

fn waiting(world: &World) -> Blocking {
    let said = world.explain();
    let window: Vec<_> = said
        .iter()
        .filter(|said| said.code == BlockCode::Window)
        .collect();
    assert_eq!(window.len(), 1, "{said:#?}");
    window[0].clone()
}

fn until_closed(world: &mut World) {
    world.rounds_until(60, |world| {
        world
            .explain()
            .iter()
            .any(|said| said.code == BlockCode::Window)
    });
}

#[test]
fn a_closed_window_holds_its_wave_back_and_time_alone_opens_it() {
    let mut world = at(&frozen(|_| {}), "2026-10-24T23:31:00Z");
    until_closed(&mut world);
    assert_eq!(
        (world.run.state, world.run.wave),
        (RunState::WaitingGate, 1)
    );
    let said = waiting(&world);
    assert_eq!(
        said.message,
        "wave prod is closed by deny window sunday-night (\"30 1 * * SUN\" for 2h, Europe/Berlin); \
         it opens at 2026-10-25 03:30 Europe/Berlin (2026-10-25 02:30 UTC)"
    );
    assert!(said.clears.contains("break the glass"), "{}", said.clears);
    let closed = world
        .audits
        .iter()
        .find(|audit| audit.action == Action::CloseGate)
        .unwrap();
    assert!(closed.reason.contains("sunday-night"), "{}", closed.reason);
    // 02:45 on the wall, for the second time.
    move_to(&mut world, "2026-10-25T01:45:00Z");
    for _ in 0..20 {
        world.round(60);
    }
    assert_eq!(world.at_target(), [app(1)].into());
    move_to(&mut world, "2026-10-25T02:30:00Z");
    world.settle();
    assert_eq!(world.run.state, RunState::Rolling);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn who_is_under_way_when_it_closes_goes_on_and_the_rest_waits() {
    let mut world = at(&frozen(|_| {}), "2026-10-24T23:10:00Z");
    world.rounds_until(60, |world| {
        world.state(1, cluster(2)) == MemberState::Assigned
    });
    move_to(&mut world, "2026-10-24T23:30:00Z");
    world.rounds_until(60, |world| {
        world.state(1, cluster(2)) == MemberState::Healthy
    });
    for _ in 0..20 {
        world.round(30);
    }
    assert_eq!(world.run.state, RunState::Rolling);
    assert_eq!(world.state(1, cluster(3)), MemberState::Queued);
    assert!(waiting(&world).message.contains("wave prod is closed by"));
    move_to(&mut world, "2026-10-25T02:30:00Z");
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn a_newer_release_does_not_starve_behind_a_window() {
    let mut world = at(&frozen(|_| {}), "2026-10-24T23:10:00Z");
    world.rounds_until(60, |world| {
        world.state(1, cluster(2)) == MemberState::Assigned
    });
    move_to(&mut world, "2026-10-24T23:30:00Z");
    world.newer_release = Some(5);
    world.settle();
    assert_eq!(world.run.state, RunState::Rolling, "one is still under way");
    world.rounds_until(60, |world| world.run.state == RunState::Superseded);
    assert_eq!(world.state(1, cluster(2)), MemberState::Healthy);
}

#[test]
fn an_approval_and_a_window_are_both_named() {
    let mut strategy = frozen(|_| {});
    strategy.waves[1].gates.before.extend(approval());
    let mut world = at(&strategy, "2026-10-24T23:29:00Z");
    until_closed(&mut world);
    let codes: Vec<_> = world.explain().iter().map(|said| said.code).collect();
    assert_eq!(codes, [BlockCode::Approval, BlockCode::Window]);
    let content = world.run.content;
    world.approve(1, tidegate_model::run::GatePosition::Before, content);
    for _ in 0..5 {
        world.round(20);
    }
    assert_eq!(world.at_target(), [app(1)].into());
    move_to(&mut world, "2026-10-25T02:30:00Z");
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn a_window_for_automation_does_not_bind_a_wave_that_people_open() {
    let mut strategy = frozen(|window| window.invokers = vec![Invoker::Automation]);
    let mut bound = at(&strategy, "2026-10-24T23:29:00Z");
    until_closed(&mut bound);
    strategy.waves[1].gates.before.extend(approval());
    let mut free = at(&strategy, "2026-10-24T23:31:00Z");
    let content = free.run.content;
    free.approve(1, tidegate_model::run::GatePosition::Before, content);
    free.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

/// Two prod clusters, the second of which degrades after the window closed.
fn failing(ignore: bool, window: impl Fn(&mut Window)) -> World {
    let mut strategy = frozen(window);
    strategy.rollback.ignore_windows = ignore;
    assert_eq!(validate(&strategy), Ok(()));
    let mut rows = rows();
    rows[2].kind = Kind::Degrades;
    let mut world = world(&strategy, &rows);
    move_to(&mut world, "2026-10-24T23:10:00Z");
    world.rounds_until(60, |world| {
        world.state(1, cluster(3)) == MemberState::Assigned
    });
    move_to(&mut world, "2026-10-24T23:30:00Z");
    world
}

#[test]
fn a_rollback_heeds_only_windows_that_list_it_and_only_if_asked_to() {
    let both = |window: &mut Window| window.actions.push(WindowAction::Rollback);
    for mut world in [failing(true, |_| {}), failing(false, |_| {})] {
        world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    }
    let mut world = failing(false, both);
    world.rounds_until(60, |world| world.run.state == RunState::RollingBack);
    for _ in 0..20 {
        world.round(20);
    }
    assert_eq!(world.run.state, RunState::RollingBack);
    // Dev has no window: it went back.
    assert_eq!(world.at_target(), [app(2), app(3)].into());
    let said = world.explain();
    let clusters: BTreeSet<_> = said
        .iter()
        .filter_map(|said| said.cluster.as_deref())
        .collect();
    assert_eq!(clusters, ["c2", "c3"].into(), "{said:#?}");
    assert!(
        said.iter().all(|said| said.code == BlockCode::Window),
        "{said:#?}"
    );
    let mut broken = world.clone();
    broken.ask(RequestVerb::BreakGlass);
    broken.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    move_to(&mut world, "2026-10-25T02:30:00Z");
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
}

#[test]
fn breaking_the_glass_opens_the_open_wave_of_this_run_and_is_recorded() {
    let mut strategy = frozen(|_| {});
    strategy.waves.push({
        let mut third = strategy.waves[1].clone();
        "rest".clone_into(&mut third.name);
        third.select.clusters.match_labels = crate::tests::fixture::labels(&[("env", "rest")]);
        third
    });
    let mut rows = rows();
    rows.push(row(4, "rest"));
    let mut world = world(&strategy, &rows);
    move_to(&mut world, "2026-10-24T23:29:00Z");
    until_closed(&mut world);
    world.ask(RequestVerb::BreakGlass);
    world.rounds_until(60, |world| world.run.wave == 2);
    for _ in 0..10 {
        world.round(20);
    }
    assert_eq!(
        world.run.state,
        RunState::WaitingGate,
        "it opens one wave, not the next"
    );
    let broken: Vec<_> = world
        .run
        .broken_glass
        .iter()
        .map(|one| (one.wave, &*one.actor))
        .collect();
    assert_eq!(broken, [(1, "ada")]);
    let audit = world
        .audits
        .iter()
        .find(|audit| audit.action == Action::BreakGlass)
        .unwrap();
    assert_eq!(
        (&*audit.actor, &*audit.reason, audit.wave),
        ("ada", "because", 1)
    );
    // Again for the wave that is open now, and not twice for the same.
    world.ask(RequestVerb::BreakGlass);
    world.step();
    let before = world.audits.len();
    world.ask(RequestVerb::BreakGlass);
    world.step();
    assert_eq!(world.audits[before].action, Action::Refuse);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn there_is_no_glass_where_there_is_no_window() {
    let mut world = at(&frozen(|_| {}), EVE);
    world.settle();
    world.ask(RequestVerb::BreakGlass);
    world.settle();
    assert!(world.run.broken_glass.is_empty());
    let refused = world
        .audits
        .iter()
        .find(|audit| audit.action == Action::Refuse)
        .unwrap();
    assert!(refused.reason.contains("no window"), "{}", refused.reason);
}

fn wrong(gates: Vec<Gate>, ignore: bool) -> String {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].gates.before = gates;
    strategy.rollback.ignore_windows = ignore;
    validate(&strategy).unwrap_err().to_string()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn each_mistake_in_a_window_is_named_with_its_field_and_what_to_do() {
    let with = |change: &dyn Fn(&mut Window)| {
        let mut window = freeze();
        change(&mut window);
        vec![Gate::Window(window)]
    };
    let once = |start: &str, end: &str| {
        let (start, end) = (start.to_owned(), end.to_owned());
        with(&move |window: &mut Window| {
            (window.cron, window.duration) = (None, None);
            (window.start, window.end) = (Some(start.clone()), Some(end.clone()));
        })
    };
    let text = |text: &str| Some(text.to_owned());
    let span = |text| tidegate_model::duration::Span::parse(text).ok();
    let table: Vec<(Vec<Gate>, &str, &str)> = vec![
        (
            with(&|w| "Berlin".clone_into(&mut w.tz)),
            "tz (wave \"prod\")",
            "did you mean Europe/Berlin?",
        ),
        (
            with(&|w| "Europe/Berlni".clone_into(&mut w.tz)),
            "tz",
            "did you mean Europe/Berlin?",
        ),
        (
            with(&|w| "Nowhere".clone_into(&mut w.tz)),
            "tz",
            "write an IANA name such as",
        ),
        (
            with(&|w| w.cron = text("99 * * * *")),
            "cron",
            "write minute, hour",
        ),
        (
            with(&|w| w.cron = text("0 30 1 * * SUN")),
            "cron",
            "write minute, hour",
        ),
        (
            with(&|w| w.cron = text("0 0 30 2 *")),
            "cron",
            "names no day that exists",
        ),
        (
            with(&|w| w.cron = None),
            "cron",
            "say when the window begins",
        ),
        (with(&|w| w.duration = None), "duration", "say how long"),
        (with(&|w| w.duration = span("0")), "duration", "at least 1m"),
        (
            with(&|w| w.duration = span("90s")),
            "duration",
            "whole minutes",
        ),
        (
            with(&|w| w.start = text("2026-10-25T00:00")),
            "window (wave",
            "keep one of the two forms",
        ),
        (
            with(&|w| (w.cron, w.duration) = (None, None)),
            "window (wave",
            "write cron and duration, or start and end",
        ),
        (
            once("2026-10-25T02:00+02:00", "2026-10-26"),
            "start",
            "has an offset",
        ),
        (
            once("2026-10-25T02:00", "tomorrow"),
            "end",
            "write wall clock time",
        ),
        (
            once("2026-10-25T02:00", "2026-10-25T02:00"),
            "end",
            "covers nothing",
        ),
        (with(&|w| w.actions.clear()), "actions", "write [assign]"),
        (
            with(&|w| w.invokers.clear()),
            "invokers",
            "write automation",
        ),
        (
            with(&|w| w.actions.push(WindowAction::Rollback)),
            "actions",
            "set that to false",
        ),
        (
            with(&|w| (w.cron, w.duration) = (text("0 0 * * *"), span("24h"))),
            "gates.before (wave \"prod\")",
            "never open",
        ),
    ];
    for (gates, field, advice) in table {
        let error = wrong(gates, true);
        assert!(error.contains("strategy.waves[1].gates.before"), "{error}");
        assert!(
            error.contains(field) && error.contains(advice),
            "{error}\nlacks {field}: {advice}"
        );
    }
}

#[test]
fn windows_that_exclude_each_other_are_found_when_they_are_written() {
    let window = |kind, cron, length| Gate::Window(recurring(kind, "UTC", cron, length));
    let allow = || window(WindowKind::Allow, "0 9 * * MON-FRI", "8h");
    let deny = || window(WindowKind::Deny, "0 8 * * *", "10h");
    assert!(wrong(vec![allow(), deny()], true).contains("never open"));
    // Both zones count: nine in New York is not nine in Berlin.
    let elsewhere = recurring(WindowKind::Deny, "America/New_York", "0 8 * * *", "10h");
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].gates.before = vec![allow(), Gate::Window(elsewhere)];
    assert_eq!(validate(&strategy), Ok(()));
    // Closed to automation for good: people may, if they are asked.
    let mut humans = recurring(WindowKind::Deny, "UTC", "0 0 * * *", "24h");
    humans.invokers = vec![Invoker::Automation];
    let error = wrong(vec![Gate::Window(humans.clone())], true);
    assert!(error.contains("or add an approval"), "{error}");
    strategy.waves[1].gates.before = [approval(), vec![Gate::Window(humans)]].concat();
    assert_eq!(validate(&strategy), Ok(()));
    // Rollbacks by whomever must have their hour, where they heed windows at all.
    let mut back = recurring(WindowKind::Deny, "UTC", "0 0 * * *", "24h");
    back.actions = vec![WindowAction::Rollback];
    assert!(wrong(vec![Gate::Window(back)], false).contains("never open to a rollback"));
    // After the soak nobody is assigned.
    let mut after = waves(&["dev"]);
    after.waves[0].gates.after = vec![allow()];
    let error = validate(&after).unwrap_err().to_string();
    assert!(
        error.contains("gates.after") && error.contains("gates.before"),
        "{error}"
    );
}
