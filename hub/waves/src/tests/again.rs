//! Another attempt at what failed, and members that nobody waits for any more.

use tidegate_model::{
    assignment::Assignment,
    run::{CauseCode, MemberId, MemberState, Only, RequestVerb, RunState},
    strategy::{Amount, RollbackOn, Strategy},
};

use crate::{
    Action, BlockCode,
    tests::{
        agent::Kind,
        fixture::{Row, app, bundle, cluster, row, waves, world},
        world::World,
    },
};

/// Two waves that go back by a person's word only.
fn by_hand() -> Strategy {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.rollback.on = vec![RollbackOn::Manual];
    strategy
}

fn only(n: u64) -> Only {
    Only {
        clusters: [cluster(n)].into(),
        ..Only::default()
    }
}

/// Two canaries, of which the second fails, and one in prod.
fn one_fails() -> [Row; 3] {
    let fails = Row {
        kind: Kind::Degrades,
        ..row(2, "dev")
    };
    [row(1, "dev"), fails, row(3, "prod")]
}

/// Content that fails at first in dev, and works when it is tried again.
fn failed() -> World {
    let mut world = world(&by_hand(), &one_fails());
    world.rounds_until(100, |world| world.run.state == RunState::Failed);
    assert_eq!(world.state(0, cluster(2)), MemberState::Failed);
    world
}

fn mend(world: &mut World) {
    world.kinds.values_mut().for_each(|kind| *kind = Kind::Good);
}

fn refusal(world: &World) -> &str {
    let mut told = world.audits.iter().rev();
    let refused = told.find(|audit| audit.action == Action::Refuse);
    refused.map_or("", |audit| &audit.reason)
}

#[test]
fn what_failed_is_tried_again_by_a_new_word_at_the_same_content() {
    let mut world = failed();
    let before = world.apps[&app(2)].current.clone().unwrap();
    let untouched = world.apps[&app(1)].current.clone();
    mend(&mut world);
    world.ask(RequestVerb::Retry);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    let after = world.apps[&app(2)].current.clone().unwrap();
    assert!(after.generation > before.generation);
    assert_eq!(after.bundle(), before.bundle());
    assert_eq!(world.apps[&app(1)].current, untouched, "it did not fail");
    assert_eq!(world.at_target().len(), 3);
    let retry = world.run.retry.clone().unwrap();
    assert_eq!((retry.attempt, retry.actor.as_str()), (2, "ada"));
    let told = |action| world.audits.iter().filter(move |a| a.action == action);
    assert_eq!(told(Action::Retry).count(), 1);
    let members: Vec<_> = told(Action::RetryMember).collect();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].actor, "ada");
    assert!(
        members[0].reason.contains("attempt 2"),
        "{}",
        members[0].reason
    );
}

#[test]
fn what_fails_again_fails_the_run_again_and_can_be_tried_once_more() {
    let mut world = failed();
    for attempt in 2..4 {
        world.ask(RequestVerb::Retry);
        world.settle();
        assert!(!world.run.state.is_terminal());
        world.rounds_until(100, |world| world.run.state == RunState::Failed);
        assert_eq!(world.run.retry.as_ref().unwrap().attempt, attempt);
    }
}

#[test]
fn a_retry_of_an_earlier_wave_begins_there() {
    let mut strategy = by_hand();
    strategy.waves[1].max_concurrency = Some(Amount::Count(1));
    let rows = [row(1, "dev"), row(2, "prod"), row(3, "prod")];
    let mut world = world(&strategy, &rows);
    world.rounds_until(100, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    let own = world.apps[&app(1)].current.as_ref();
    let own = own.and_then(Assignment::bundle).unwrap();
    world.kinds.insert(own, Kind::Degrades);
    world.rounds_until(400, |world| world.run.state == RunState::Failed);
    assert_eq!(world.state(0, cluster(1)), MemberState::TimedOut);
    mend(&mut world);
    world.ask(RequestVerb::Retry);
    world.step();
    assert_eq!(world.run.wave, 0);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    assert_eq!(world.at_target().len(), 3);
}

#[test]
fn a_rollback_after_a_retry_takes_everybody_back() {
    let mut world = failed();
    world.ask(RequestVerb::Retry);
    world.step();
    world.step();
    world.ask(RequestVerb::Rollback);
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    for n in [1, 2] {
        let current = world.apps[&app(n)].current.as_ref();
        let old = bundle(&format!("old {n}"));
        assert_eq!(current.and_then(Assignment::bundle), Some(old));
    }
}

#[test]
fn a_retry_of_a_paused_run_waits_for_it_to_be_resumed() {
    let mut strategy = by_hand();
    strategy.waves[0].failure_budget.max = Amount::Count(1);
    strategy.waves[0].min_healthy = Amount::Percent(50);
    strategy.waves[1].gates.before = crate::tests::fixture::approval();
    let mut world = world(&strategy, &one_fails());
    world.rounds_until(100, |world| world.run.gate.is_some());
    world.ask(RequestVerb::Retry);
    world.settle();
    assert!(refusal(&world).contains("pause it first"));
    world.ask(RequestVerb::Pause);
    world.settle();
    mend(&mut world);
    world.ask(RequestVerb::Retry);
    world.round(5);
    assert_eq!(world.run.state, RunState::Paused);
    assert_eq!(world.state(0, cluster(2)), MemberState::Queued);
    assert_eq!(world.explain()[0].code, BlockCode::PausedByPerson);
    world.ask(RequestVerb::Resume);
    world.rounds_until(100, |world| world.run.gate.is_some() && world.run.wave == 1);
    assert_eq!(world.state(0, cluster(2)), MemberState::Soaked);
}

#[test]
fn retries_that_do_not_fit_say_why() {
    let good = || world(&by_hand(), &[row(1, "dev"), row(3, "prod")]);
    let mut world = good();
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    world.ask(RequestVerb::Retry);
    world.settle();
    assert_eq!(world.run.state, RunState::Succeeded);
    assert!(refusal(&world).contains("nobody failed"));
    world.ask(RequestVerb::Rollback);
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    world.ask(RequestVerb::Retry);
    world.settle();
    assert!(refusal(&world).contains("went back"));
    let mut world = good();
    world.ask(RequestVerb::Cancel);
    world.settle();
    world.ask(RequestVerb::Retry);
    world.settle();
    assert!(refusal(&world).contains("for good"));
}

#[test]
fn who_is_left_out_is_not_waited_for_and_the_record_says_by_whom() {
    let rows = [row(1, "dev"), row(2, "dev"), row(3, "prod")];
    let mut world = world(&by_hand(), &rows);
    world.disconnect(cluster(2));
    world.round(5);
    world.ask_of(RequestVerb::Skip, only(2));
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    let id = MemberId {
        wave: 0,
        cluster: cluster(2),
    };
    let member = &world.members[&id];
    assert_eq!(member.state, MemberState::Skipped);
    let cause = member.cause.as_ref().unwrap();
    assert_eq!(cause.code, CauseCode::Requested);
    assert_eq!(cause.message, "skipped by ada: because");
    assert!(!world.at_target().contains(&app(2)));
    let mut told = world.audits.iter();
    let told = told.find(|audit| audit.action == Action::SkipMember);
    assert_eq!(told.unwrap().actor, "ada");
}

#[test]
fn who_is_left_out_counts_as_not_healthy() {
    let mut strategy = by_hand();
    strategy.waves[0].failure_budget.max = Amount::Count(1);
    strategy.waves[0].min_healthy = Amount::Percent(75);
    let rows = |bad: u64| {
        let kind = move |n| if n <= bad { Kind::Degrades } else { Kind::Good };
        let dev = (1..=4).map(move |n| Row {
            kind: kind(n),
            ..row(n, "dev")
        });
        dev.chain([row(9, "prod")]).collect::<Vec<_>>()
    };
    let end = |bad| {
        let mut world = world(&strategy, &rows(bad));
        world.ask_of(RequestVerb::Skip, only(4));
        world.rounds_until(200, |world| world.run.state.is_terminal());
        world.run
    };
    assert_eq!(end(0).state, RunState::Succeeded);
    let short = end(1);
    assert_eq!(short.state, RunState::Failed, "two of four are healthy");
    assert_eq!(short.cause.unwrap().code, CauseCode::MinHealthy);
}

#[test]
fn whom_nobody_can_replace_or_who_failed_is_not_left_out() {
    let mut world = world(&by_hand(), &[row(1, "dev"), row(3, "prod")]);
    world.settle();
    world.ask_of(RequestVerb::Skip, only(1));
    world.settle();
    assert!(refusal(&world).contains("nobody else in its wave"));
    world.ask_of(RequestVerb::Skip, only(7));
    world.settle();
    assert!(refusal(&world).contains("not in the run"));
    let mut world = failed();
    world.ask_of(RequestVerb::Skip, only(2));
    world.settle();
    assert!(refusal(&world).contains("the run is over"));
}

#[test]
fn a_rollback_takes_back_whom_a_person_left_out_on_the_way() {
    let mut strategy = by_hand();
    strategy.waves[0].max_concurrency = Some(Amount::Count(2));
    strategy.waves[0].failure_budget.mode = tidegate_model::strategy::BudgetMode::Fast;
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "dev"), row(3, "prod")]);
    world.settle();
    world.ask_of(RequestVerb::Skip, only(2));
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    assert!(world.at_target().contains(&app(2)), "it keeps what it got");
    world.ask(RequestVerb::Rollback);
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    assert!(world.at_target().is_empty());
    assert_eq!(world.state(0, cluster(2)), MemberState::Reverted);
}
