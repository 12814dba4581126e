//! Failure budget, minimum of health, availability and silence that counts as failure, by example.

use crate::BlockCode;
use tidegate_model::{
    duration::Span,
    run::{CauseCode, MemberState, RunState},
    strategy::{Amount, BudgetMode, FailureBudget, RollbackOn, Strategy, UnreachableThen, Wave},
};

use crate::tests::{
    agent::Kind,
    fixture::{Row, app, cluster, row, waves, world},
    world::World,
};

/// A wave dev of `of` clusters, the last `bad` of which never get healthy, before one in prod.
fn fleet(of: u64, bad: u64) -> Vec<Row> {
    let kind = |n| {
        if n > of - bad {
            Kind::Degrades
        } else {
            Kind::Good
        }
    };
    let dev = (1..=of).map(|n| Row {
        kind: kind(n),
        ..row(n, "dev")
    });
    dev.chain([row(90, "prod")]).collect()
}

fn strategy(change: impl Fn(&mut Wave)) -> Strategy {
    let mut strategy = waves(&["dev", "prod"]);
    change(&mut strategy.waves[0]);
    strategy
}

fn budget(max: u32, mode: BudgetMode) -> FailureBudget {
    FailureBudget {
        max: Amount::Count(max),
        mode,
    }
}

fn failures(world: &World) -> usize {
    let failed = |state: MemberState| state.is_failed() || state == MemberState::Reverted;
    let members = world.members.values();
    members.filter(|member| failed(member.state)).count()
}

#[test]
fn failures_within_the_budget_stay_behind_and_the_run_succeeds() {
    let strategy = strategy(|wave| {
        wave.failure_budget = budget(1, BudgetMode::Strict);
        wave.min_healthy = Amount::Percent(75);
    });
    let mut world = world(&strategy, &fleet(4, 1));
    world.rounds_until(200, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.state(0, cluster(4)), MemberState::Failed);
    assert_eq!(world.state(1, cluster(90)), MemberState::Soaked);
    assert_eq!(world.apps[&app(4)].last_good.as_ref().unwrap().release, 3);
    assert!(world.pins.is_empty() && world.denies.is_empty());
}

#[test]
fn a_wave_within_its_budget_but_with_too_little_health_does_not_open_the_next() {
    for (on, end) in [
        (RollbackOn::Budget, RunState::Failed),
        (RollbackOn::MinHealthy, RunState::RolledBack),
    ] {
        let mut strategy = strategy(|wave| wave.failure_budget = budget(2, BudgetMode::Strict));
        strategy.rollback.on = vec![on];
        let mut world = world(&strategy, &fleet(4, 1));
        world.rounds_until(200, |world| world.run.state.is_terminal());
        assert_eq!(world.run.state, end);
        let cause = world.run.cause.as_ref().unwrap();
        assert_eq!(cause.code, CauseCode::MinHealthy);
        assert!(
            cause
                .message
                .starts_with("3 members are healthy, 4 must be; wave dev, cluster c4:"),
            "{}",
            cause.message
        );
        assert_eq!(world.apps[&app(90)].highest.0, 3, "prod was never written");
    }
}

#[test]
fn a_wave_that_fails_wholly_within_its_budget_is_no_success() {
    let strategy = strategy(|wave| {
        wave.failure_budget = budget(2, BudgetMode::Fast);
        wave.min_healthy = Amount::Count(1);
    });
    let mut world = world(&strategy, &fleet(2, 2));
    world.rounds_until(200, |world| world.run.state.is_terminal());
    assert_eq!(world.run.state, RunState::Failed);
    assert_eq!(world.apps[&app(90)].highest.0, 3);
}

#[test]
fn a_strict_budget_is_overspent_by_one_and_a_fast_one_by_what_is_under_way() {
    for (mode, failed) in [(BudgetMode::Strict, 2), (BudgetMode::Fast, 4)] {
        let strategy = strategy(|wave| {
            wave.failure_budget = budget(1, mode);
            wave.max_concurrency = Some(Amount::Count(4));
        });
        let mut world = world(&strategy, &fleet(8, 8));
        world.settle();
        assert_eq!(world.assigned.len(), failed, "{mode:?}");
        world.rounds_until(200, |world| world.run.state.is_terminal());
        assert_eq!(failures(&world), failed, "{mode:?}");
        assert_eq!(world.run.state, RunState::RolledBack);
        let message = &world.run.cause.as_ref().unwrap().message;
        assert!(message.contains("with a failure budget of 1"), "{message}");
    }
}

#[test]
fn a_share_of_a_budget_is_rounded_down() {
    let share = |wave: &mut Wave| {
        wave.failure_budget.max = Amount::Percent(25);
        wave.min_healthy = Amount::Percent(50);
    };
    for (of, end) in [(3, RunState::RolledBack), (4, RunState::Succeeded)] {
        let mut world = world(&strategy(share), &fleet(of, 1));
        world.rounds_until(200, |world| world.run.state.is_terminal());
        assert_eq!(world.run.state, end, "{of}");
    }
}

#[test]
fn who_works_waits_while_as_many_as_may_be_do_not() {
    let strategy = strategy(|wave| {
        wave.max_concurrency = Some(Amount::Count(3));
        wave.max_unavailable = Some(Amount::Count(1));
        wave.failure_budget.mode = BudgetMode::Fast;
    });
    let mut world = world(&strategy, &fleet(4, 0));
    // Two are broken by what they ran before: they may be mended, nobody else may be risked.
    for n in [2, 3] {
        let truth = world.truth;
        let agent = world.agents.get_mut(&cluster(n)).unwrap();
        agent.set_health(app(n), tidegate_model::health::Health::Degraded, truth);
    }
    for n in 1..=4 {
        while world.deliver(cluster(n)) {}
        world.heartbeat(cluster(n));
    }
    world.settle();
    let assigned: Vec<_> = world.assigned.iter().map(|(_, it)| it.app).collect();
    assert_eq!(assigned, [app(2), app(3)]);
    let said = world.explain();
    let turn = said
        .iter()
        .find(|said| said.code == BlockCode::Turn)
        .unwrap();
    assert_eq!(
        turn.message,
        "2 members wait for their turn: 2 members do not work, and maxUnavailable is 1"
    );
    world.rounds_until(200, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn a_member_that_is_silent_beyond_the_grace_fails_where_the_wave_says_so() {
    let strategy = strategy(|wave| {
        wave.unreachable.grace = Span::secs(60);
        wave.unreachable.then = UnreachableThen::Fail;
        wave.failure_budget.max = Amount::Count(1);
        wave.min_healthy = Amount::Count(1);
    });
    let mut world = world(&strategy, &fleet(2, 0));
    world.disconnect(cluster(2));
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    assert_eq!(world.state(0, cluster(2)), MemberState::Failed);
    assert_eq!(world.apps[&app(2)].highest.0, 3, "it was never written");
}
