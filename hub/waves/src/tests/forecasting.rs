//! What is foretold is what the engine does, where nothing goes wrong.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tidegate_model::{
    duration::Span,
    run::RunState,
    strategy::{Amount, BudgetMode, Gate, Invoker, Strategy, WindowAction, WindowKind},
};

use super::{
    fixture::{Row, analysis, row, waves, world},
    world::{Meter, World},
};
use crate::{WaveForecast, forecast, window::tests::recurring};

fn rows() -> Vec<Row> {
    let prod = (3..=9).map(|n| row(n, "prod"));
    [row(1, "dev"), row(2, "dev")]
        .into_iter()
        .chain(prod)
        .collect()
}

fn foretold(world: &World) -> Vec<WaveForecast> {
    let none = Duration::ZERO;
    forecast(&world.run.strategy, &world.run.plan, none, world.now)
}

/// When each wave was done, second by second.
fn happened(world: &mut World) -> Vec<Timestamp> {
    let mut ends = Vec::new();
    for _ in 0..4000 {
        let before = world.run.wave;
        world.round(1);
        if world.run.wave != before || world.run.state.is_terminal() {
            ends.push(world.now);
        }
        if world.run.state.is_terminal() {
            assert_eq!(world.run.state, RunState::Succeeded);
            return ends;
        }
    }
    panic!(
        "it does not end: {:?} {:#?}",
        world.run.state,
        world.explain()
    );
}

fn compared(what: &str, change: impl Fn(&mut Strategy)) {
    let mut strategy = waves(&["dev", "prod"]);
    for wave in &mut strategy.waves {
        wave.health_window = Span::secs(20);
    }
    change(&mut strategy);
    let mut world = world(&strategy, &rows());
    world.provider = Some(Meter::Good);
    let foretold = foretold(&world);
    let happened = happened(&mut world);
    assert_eq!(foretold.len(), happened.len(), "{what}");
    let mut turns = 0;
    for (wave, (foretold, happened)) in foretold.iter().zip(happened).enumerate() {
        // Here each word takes a round of a second, and there are some in every turn and every soak.
        turns += 1 + world.run.plan.waves[wave]
            .members
            .len()
            .div_ceil(foretold.at_once);
        let most = SignedDuration::from_secs(5 * i64::try_from(turns).unwrap());
        let off = happened.duration_since(foretold.ends);
        assert!(
            off >= SignedDuration::ZERO && off <= most,
            "{what}, wave {wave}: {} foretold, {happened} happened",
            foretold.ends
        );
    }
}

#[test]
fn waves_end_when_the_engine_ends_them() {
    compared("one by one", |_| {});
    compared("fast", |strategy| {
        strategy.waves[1].max_concurrency = Some(Amount::Count(4));
        strategy.waves[1].failure_budget.mode = BudgetMode::Fast;
    });
    compared("strict", |strategy| {
        strategy.waves[1].max_concurrency = Some(Amount::Count(4));
        strategy.waves[1].failure_budget.max = Amount::Count(1);
    });
    compared("availability", |strategy| {
        strategy.waves[1].max_concurrency = Some(Amount::Count(7));
        strategy.waves[1].max_unavailable = Some(Amount::Count(3));
        strategy.waves[1].failure_budget.mode = BudgetMode::Fast;
    });
    compared("soaks", |strategy| {
        strategy.waves[0].soak.time = Span::secs(600);
        strategy.waves[1].soak.time = Span::secs(90);
    });
    compared("samples", |strategy| {
        let mut measured = analysis("errors");
        measured.count = 30;
        strategy.waves[0].soak.time = Span::secs(60);
        strategy.waves[0].analysis = vec![measured];
    });
}

/// Open for a minute in five.
fn now_and_then() -> Gate {
    let mut window = recurring(WindowKind::Allow, "UTC", "*/5 * * * *", "1m");
    window.invokers = vec![Invoker::Automation, Invoker::Human];
    window.actions = vec![WindowAction::Assign];
    Gate::Window(window)
}

#[test]
fn whoever_has_not_set_out_when_a_window_closes_waits_for_the_next() {
    compared("windows", |strategy| {
        strategy.waves[1].gates.before = vec![now_and_then()];
        strategy.waves[1].health_window = Span::secs(45);
    });
}

#[test]
fn a_strict_budget_leaves_fewer_places_than_the_concurrency() {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].max_concurrency = Some(Amount::Count(5));
    assert_eq!(foretold(&world(&strategy, &rows()))[1].at_once, 1);
    strategy.waves[1].failure_budget.mode = BudgetMode::Fast;
    assert_eq!(foretold(&world(&strategy, &rows()))[1].at_once, 5);
}

#[test]
fn behind_a_window_that_never_opens_nothing_is_foretold() {
    let mut strategy = waves(&["dev", "prod"]);
    let past = json!({
        "kind": "allow", "tz": "UTC", "start": "2020-01-01T00:00:00", "end": "2020-01-02T00:00:00",
    });
    let past = serde_json::from_value(past).unwrap();
    strategy.waves[1].gates.before = vec![Gate::Window(past)];
    assert_eq!(foretold(&world(&strategy, &rows())).len(), 1);
}
