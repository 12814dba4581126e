//! A rollback of some, to an earlier release, and what it says before it is asked for.

use tidegate_model::{
    assignment::Assignment,
    deny::PinRelease,
    digest::Digest,
    run::{CauseCode, MemberState, Only, Request, RequestVerb, RunState, WayBack},
    strategy::Strategy,
};

use crate::{
    Action, Turn,
    tests::{
        fixture::{Before, Row, app, bundle, cluster, row, waves, world},
        world::World,
    },
    turns,
};

fn two() -> Strategy {
    waves(&["dev", "prod"])
}

fn rolled_out() -> World {
    let mut world = world(&two(), &[row(1, "dev"), row(2, "prod"), row(3, "prod")]);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    world
}

fn part(wave: Option<u32>, clusters: &[u64]) -> WayBack {
    let clusters = clusters.iter().map(|n| cluster(*n)).collect();
    WayBack {
        only: Only {
            wave,
            clusters,
            ..Only::default()
        },
        ..WayBack::default()
    }
}

fn to_release() -> WayBack {
    WayBack {
        to: Some(2),
        ..WayBack::default()
    }
}

fn runs(world: &World, n: u64) -> Option<Digest> {
    let current = world.apps[&app(n)].current.as_ref();
    current.and_then(Assignment::bundle)
}

fn old(n: u64) -> Digest {
    bundle(&format!("old {n}"))
}

fn older(n: u64) -> Digest {
    bundle(&format!("older {n}"))
}

fn refusal(world: &World) -> &str {
    let mut told = world.audits.iter().rev();
    let refused = told.find(|audit| audit.action == Action::Refuse);
    refused.map_or("", |audit| &audit.reason)
}

fn foretold(world: &World, way: &WayBack) -> Vec<Turn> {
    let request = Request {
        verb: RequestVerb::Rollback,
        actor: "ada".to_owned(),
        reason: "because".to_owned(),
        way: way.clone(),
    };
    turns(
        &world.run,
        &world.members,
        &world.facts(),
        request,
        world.now,
    )
    .unwrap()
}

#[test]
fn a_wave_or_a_cluster_goes_back_alone_and_the_rest_can_follow() {
    for (way, back, rest) in [
        (part(Some(1), &[]), [2, 3], vec![1]),
        (part(None, &[2, 3]), [2, 3], vec![1]),
    ] {
        let mut world = rolled_out();
        world.ask_way(RequestVerb::Rollback, way);
        world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
        assert!(back.iter().all(|n| runs(&world, *n) == Some(old(*n))));
        assert_eq!(world.at_target(), rest.iter().map(|n| app(*n)).collect());
        assert_eq!(world.pins.len(), 2);
        world.ask_way(RequestVerb::Rollback, part(None, &[2]));
        world.settle();
        assert!(refusal(&world).contains("went back already"));
        world.ask(RequestVerb::Rollback);
        world.rounds_until(100, |world| world.at_target().is_empty());
        world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
        assert_eq!(world.pins.len(), 3);
    }
}

#[test]
fn where_the_run_wrote_nothing_there_is_nothing_to_take_back() {
    let mut world = world(&two(), &[row(1, "dev"), row(2, "prod")]);
    world.settle();
    world.ask_way(RequestVerb::Rollback, part(Some(1), &[]));
    world.settle();
    assert!(refusal(&world).contains("wrote nothing there"));
    assert!(!world.run.state.is_terminal());
}

#[test]
fn everybody_goes_to_a_release_that_is_named_wherever_they_are() {
    let mut strategy = two();
    strategy.waves[1].gates.before = crate::tests::fixture::approval();
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(100, |world| world.run.wave == 1);
    assert_eq!(runs(&world, 2), Some(old(2)), "prod has not had its turn");
    world.ask_way(RequestVerb::Rollback, to_release());
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    assert_eq!(
        (runs(&world, 1), runs(&world, 2)),
        (Some(older(1)), Some(older(2)))
    );
    assert_eq!(world.pins.len(), 2);
    let good = world.apps[&app(2)].last_good.as_ref().unwrap();
    assert_eq!((Some(good.bundle), good.release), (Some(older(2)), 2));
    // What the release would bring is denied, and what ran.
    let denied: Vec<_> = world
        .denies
        .iter()
        .filter(|deny| Some(deny.1) == Some(older(2)))
        .collect();
    assert_eq!(denied.len(), 2, "{denied:?}");
    assert!(denied.iter().any(|deny| Some(deny.0) == Some(old(2))));
}

#[test]
fn what_was_not_in_the_named_release_is_left_and_told() {
    let mut world = world(&two(), &[row(1, "dev"), row(5, "prod")]);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
    let told = foretold(&world, &to_release());
    let left = told.iter().find(|turn| turn.app == app(5)).unwrap();
    assert!(left.left.as_ref().unwrap().contains("not in release 2"));
    assert_eq!(left.from, left.to);
    world.ask_way(RequestVerb::Rollback, to_release());
    world.rounds_until(100, |world| world.run.state == RunState::RollbackFailed);
    let cause = world.run.cause.as_ref().unwrap();
    assert_eq!(cause.code, CauseCode::NoLastKnownGood);
    assert_eq!(world.state(1, cluster(5)), MemberState::Skipped);
    assert_eq!(runs(&world, 1), Some(older(1)));
}

#[test]
fn a_run_that_went_back_goes_nowhere_else() {
    let mut world = rolled_out();
    world.ask(RequestVerb::Rollback);
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    world.ask_way(RequestVerb::Rollback, to_release());
    world.settle();
    assert!(refusal(&world).contains("goes nowhere else"));
}

#[test]
fn a_pin_opens_by_what_was_asked_for() {
    for pin in [
        PinRelease::Converged,
        PinRelease::Changed,
        PinRelease::Manual,
    ] {
        let mut world = rolled_out();
        let way = WayBack {
            pin: Some(pin),
            ..WayBack::default()
        };
        world.ask_way(RequestVerb::Rollback, way);
        world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
        assert!(world.pins.iter().all(|known| known.release == pin));
    }
}

#[test]
fn what_is_foretold_is_what_is_written() {
    let many: Vec<_> = (0..70)
        .map(|n| Row {
            before: if n % 7 == 0 {
                Before::Nothing
            } else {
                Before::Old
            },
            ..row(n, if n < 40 { "dev" } else { "prod" })
        })
        .collect();
    let mut strategy = two();
    for wave in &mut strategy.waves {
        wave.max_concurrency = Some(tidegate_model::strategy::Amount::Percent(100));
        wave.failure_budget.mode = tidegate_model::strategy::BudgetMode::Fast;
    }
    for way in [
        WayBack::default(),
        part(Some(1), &[]),
        to_release(),
        part(None, &[3, 50]),
    ] {
        let mut world = world(&strategy, &many);
        world.rounds_until(200, |world| world.run.state == RunState::Succeeded);
        let (run, members) = (world.run.clone(), world.members.clone());
        let told = foretold(&world, &way);
        assert_eq!((&run, &members), (&world.run, &world.members));
        world.ask_way(RequestVerb::Rollback, way.clone());
        world.step();
        world.rounds_until(200, |world| world.run.state.is_terminal());
        for turn in &told {
            let now = world.apps[&turn.app].current.as_ref();
            assert_eq!(
                now.and_then(Assignment::bundle),
                turn.to,
                "{way:?} {turn:?}"
            );
            let pinned = world.pins.iter().any(|pin| pin.app == turn.app);
            assert_eq!(pinned, turn.pinned, "{way:?} {turn:?}");
        }
        let moved = world.apps.iter().filter(|(uid, known)| {
            let before = &members
                .values()
                .find_map(|member| member.apps.get(uid))
                .unwrap();
            known.current.as_ref().and_then(Assignment::bundle) != before.target.bundle()
        });
        let foretold = told.iter().filter(|turn| turn.from != turn.to);
        assert_eq!(moved.count(), foretold.count(), "{way:?}");
        let denied: usize = told.iter().map(|turn| turn.denied.len()).sum();
        assert_eq!(denied, world.denies.len(), "{way:?}");
    }
}
