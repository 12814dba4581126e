//! The way forward, rule by rule.

use crate::{Action, BlockCode};
use tidegate_model::{
    duration::Span,
    health::Health,
    run::{CauseCode, GatePosition, MemberState, RequestVerb, RunState},
    strategy::{Amount, BudgetMode, Strategy},
};

use crate::tests::{
    fixture::{Before, app, approval, cluster, row, waves, world},
    world::World,
};

fn two_waves() -> World {
    world(
        &waves(&["dev", "prod"]),
        &[row(1, "dev"), row(2, "prod"), row(3, "prod")],
    )
}

#[test]
fn a_release_goes_through_its_waves() {
    let mut world = two_waves();
    world.rounds_until(60, |world| {
        !world.at_target().is_disjoint(&[app(2), app(3)].into())
    });
    let dev = world.apps[&app(1)].report.clone().unwrap().0;
    assert_eq!(
        (dev.health, Some(dev.digest)),
        (
            Health::Healthy,
            world.members[&world.run.plan.waves[0].members[0]].apps[&app(1)].assignment
        )
    );
    assert!(
        world.truth.as_secs() >= 1600 + 30,
        "prod moved before dev's health window was over"
    );
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    assert_eq!(world.at_target().len(), 3);
    for app in world.apps.values() {
        assert_eq!(app.last_good.as_ref().unwrap().release, 4);
        assert_eq!(app.highest.0, 4);
    }
    assert!(world.run.finished_at.is_some());
    assert!(world.explain().is_empty());
}

#[test]
fn prod_waits_for_dev_and_explain_says_so() {
    let mut world = two_waves();
    world.settle();
    world.tick(20);
    world.settle();
    let said = world.explain();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(
        (said[0].code, said[0].cluster.as_deref()),
        (BlockCode::NotHealthy, Some("c1"))
    );
    assert!(world.at_target().is_subset(&[app(1)].into()));
}

#[test]
fn concurrency_is_one_at_first_and_a_quarter_after() {
    let mut rows: Vec<_> = (1..=3).map(|n| row(n, "dev")).collect();
    rows.extend((10..18).map(|n| row(n, "prod")));
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].failure_budget.mode = BudgetMode::Fast;
    let mut world = world(&strategy, &rows);
    world.settle();
    assert_eq!(world.assigned.len(), 1);
    assert_eq!(world.assigned[0].1.app, app(1), "order is by rank");
    world.rounds_until(200, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    assert_eq!(world.assigned.len(), 3 + 2);
    assert_eq!(world.assigned[3].1.app, app(10));
}

#[test]
fn all_at_once_is_all_at_once() {
    let rows: Vec<_> = (1..=5).map(|n| row(n, "dev")).collect();
    let mut world = world(&Strategy::default(), &rows);
    world.settle();
    assert_eq!(world.assigned.len(), 5);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn what_runs_the_content_already_counts_only_by_a_word_of_this_run() {
    let mut same = row(1, "dev");
    same.before = Before::Target;
    let mut world = world(&waves(&["dev", "prod"]), &[same, row(2, "prod")]);
    world.tick(300);
    world.settle();
    assert_eq!(world.state(0, cluster(1)), MemberState::Unchanged);
    assert!(
        world.assigned.is_empty(),
        "neither written, nor evidence for prod"
    );
    world.heartbeat(cluster(1));
    world.settle();
    assert_eq!(world.state(0, cluster(1)), MemberState::Soaked);
    assert_eq!(world.assigned.len(), 1);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
    assert_eq!(
        world.apps[&app(1)].highest.0,
        3,
        "unchanged content gets no new generation"
    );
}

#[test]
fn reports_of_other_generations_and_stale_ones_open_nothing() {
    let mut world = two_waves();
    world.settle();
    for back in [0, 1] {
        world.lie(app(1), back);
        world.tick(120);
        world.settle();
        assert_eq!(world.state(0, cluster(1)), MemberState::Assigned);
    }
    let healthy = |world: &World| {
        world.apps[&app(1)]
            .report
            .as_ref()
            .is_some_and(|(report, _)| report.health.is_healthy())
    };
    world.rounds_until(20, |world| {
        world.state(0, cluster(1)) == MemberState::Applying
    });
    world.rounds_until(20, healthy);
    world.sessions.get_mut(&cluster(1)).unwrap().confirmed = None;
    for _ in 0..20 {
        world.tick(5);
        world.settle();
        assert_eq!(
            world.state(0, cluster(1)),
            MemberState::Verifying,
            "nobody vouches for it"
        );
    }
    assert_eq!(world.explain()[0].code, BlockCode::NotConfirmed);
    world.rounds_until(20, |world| world.run.wave == 1);
}

#[test]
fn gates_open_by_approval_of_that_wave_position_and_content() {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].gates.after = approval();
    strategy.waves[1].gates.before = approval();
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(60, |world| world.run.gate == Some(GatePosition::After));
    assert_eq!(
        world.apps[&app(1)].last_good.as_ref().unwrap().release,
        3,
        "not done before the gate"
    );
    let content = world.run.content;
    world.approve(0, GatePosition::Before, content);
    world.approve(1, GatePosition::After, content);
    world.approve(
        0,
        GatePosition::After,
        crate::tests::fixture::bundle("other"),
    );
    world.round(60);
    assert_eq!(
        (world.run.state, world.run.wave),
        (RunState::WaitingGate, 0)
    );
    let said = world.explain();
    assert_eq!(
        (said[0].code, said[0].position),
        (BlockCode::Approval, Some(GatePosition::After))
    );
    world.approve(0, GatePosition::After, content);
    world.round(5);
    assert_eq!(
        (world.run.wave, world.run.gate),
        (1, Some(GatePosition::Before))
    );
    assert_eq!(world.apps[&app(1)].last_good.as_ref().unwrap().release, 4);
    assert!(!world.at_target().contains(&app(2)));
    world.approve(1, GatePosition::Before, content);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
    assert_eq!(
        world
            .audits
            .iter()
            .filter(|audit| audit.action == Action::PassGate)
            .count(),
        2
    );
}

#[test]
fn a_wave_without_members_skips_its_gates() {
    let mut strategy = waves(&["dev", "stage", "prod"]);
    strategy.waves[1].gates.before = approval();
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn soak_counts_only_while_everybody_is_healthy() {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].soak.time = Span::secs(300);
    strategy.waves[0].health_window = Span::secs(10);
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(60, |world| world.run.state == RunState::Soaking);
    for _ in 0..40 {
        world.round(5);
    }
    let banked = world.run.soak.done;
    assert!(
        banked >= Span::secs(150) && banked <= Span::secs(200),
        "{banked}"
    );
    assert_eq!(world.explain()[0].code, BlockCode::Soak);
    let truth = world.truth;
    world
        .agents
        .get_mut(&cluster(1))
        .unwrap()
        .set_health(app(1), Health::Progressing, truth);
    while world.deliver(cluster(1)) {}
    world.heartbeat(cluster(1));
    for _ in 0..60 {
        world.tick(5);
        world.heartbeat(cluster(1));
        world.settle();
    }
    assert_eq!(world.run.state, RunState::Rolling);
    assert!(world.run.soak.done <= Span::secs(200));
    world.rounds_until(100, |world| world.run.wave == 1);
}

#[test]
fn a_pause_stops_the_soak_and_every_assignment() {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].soak.time = Span::secs(120);
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(60, |world| world.run.state == RunState::Soaking);
    world.round(5);
    world.ask(RequestVerb::Pause);
    for _ in 0..60 {
        world.round(30);
    }
    assert_eq!(world.run.state, RunState::Paused);
    assert!(world.run.soak.done < Span::secs(60));
    let said = world.explain();
    assert_eq!(said[0].code, BlockCode::PausedByPerson);
    assert!(said[0].message.contains("ada"), "{}", said[0].message);
    world.ask(RequestVerb::Resume);
    world.round(5);
    assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn a_regression_in_an_earlier_wave_pauses_until_it_is_over() {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].max_concurrency = Some(Amount::Count(1));
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod"), row(3, "prod")]);
    world.rounds_until(60, |world| {
        world.run.wave == 1 && world.run.state == RunState::Rolling
    });
    let truth = world.truth;
    let dev = world.agents.get_mut(&cluster(1)).unwrap();
    dev.set_health(app(1), Health::Missing, truth);
    while world.deliver(cluster(1)) {}
    world.heartbeat(cluster(1));
    world.settle();
    assert_eq!(world.run.state, RunState::Paused);
    assert_eq!(
        world.run.cause.as_ref().unwrap().code,
        CauseCode::Regression
    );
    let said = world.explain();
    assert_eq!(
        (said[0].code, said[0].cluster.as_deref()),
        (BlockCode::Regression, Some("c1"))
    );
    for _ in 0..20 {
        world.tick(5);
        for n in [2, 3] {
            world.work(cluster(n));
            while world.deliver(cluster(n)) {}
            world.heartbeat(cluster(n));
        }
        world.heartbeat(cluster(1));
        world.settle();
    }
    assert!(
        !world.at_target().contains(&app(3)),
        "nothing is assigned while dev is unwell"
    );
    assert_eq!(world.run.state, RunState::Paused);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}
