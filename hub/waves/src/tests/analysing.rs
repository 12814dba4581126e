//! Analyses: what is measured while a wave soaks decides whether the next one opens.

use tidegate_model::{
    duration::Span,
    run::{CauseCode, GatePosition, RequestVerb, RunState, SampleVerdict, Tally},
    strategy::{RollbackOn, Strategy},
};

use crate::{
    Action, BlockCode, SampleId, due,
    tests::{
        fixture::{analysis, app, cluster, row, waves, world},
        world::{Meter, World},
    },
    validate,
};

fn measured(change: impl Fn(&mut Strategy)) -> World {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].analysis = vec![analysis("errors")];
    change(&mut strategy);
    assert_eq!(validate(&strategy), Ok(()));
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.provider = None;
    world.rounds_until(60, |world| world.run.state == RunState::Soaking);
    world
}

fn tally(world: &World) -> &Tally {
    &world.run.analysing.as_ref().unwrap().tallies[0]
}

/// The next sample falls due and is answered.
fn sample(world: &mut World, meter: Meter) {
    for cluster in [cluster(1), cluster(2)] {
        world.heartbeat(cluster);
    }
    world.tick(10);
    world.measure(meter);
    world.settle();
}

fn said(world: &World, code: BlockCode) -> String {
    let said = world.explain();
    let found = said.iter().find(|said| said.code == code);
    let found = found.unwrap_or_else(|| panic!("{said:#?}"));
    format!("{}; {}", found.message, found.clears)
}

#[test]
fn a_wave_without_a_soak_is_done_when_enough_samples_passed_and_no_time_makes_up_for_them() {
    let mut world = measured(|strategy| strategy.waves[0].analysis[0].count = 2);
    assert!(due(&world.run, world.now).is_empty());
    let told = said(&world, BlockCode::Analysis);
    assert!(
        told.contains("0 of 2 samples that pass; no sample was taken yet"),
        "{told}"
    );
    assert!(told.contains("due in 10s at 20"), "{told}");
    for _ in 0..20 {
        world.round(30);
    }
    assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    assert_eq!(world.at_target(), [app(1)].into());
    assert_eq!(due(&world.run, world.now).len(), 1);
    assert!(said(&world, BlockCode::Analysis).contains("is being measured"));
    sample(&mut world, Meter::Good);
    assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    let told = said(&world, BlockCode::Analysis);
    assert!(
        told.contains("1 of 2") && told.contains("value 1.5 passed"),
        "{told}"
    );
    assert!(told.contains("(< 10)"), "{told}");
    sample(&mut world, Meter::Good);
    assert_eq!(world.run.wave, 1);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn samples_go_on_for_as_long_as_the_soak_and_the_last_may_fail_it() {
    let mut world = measured(|strategy| strategy.waves[0].soak.time = Span::secs(60));
    for _ in 0..4 {
        sample(&mut world, Meter::Good);
    }
    assert_eq!(tally(&world).passed, 4);
    let codes: Vec<_> = world.explain().iter().map(|said| said.code).collect();
    assert_eq!(codes, [BlockCode::Soak]);
    sample(&mut world, Meter::Bad);
    assert_eq!(world.run.state, RunState::RollingBack);
}

#[test]
fn a_sample_that_fails_takes_the_run_back_where_the_strategy_says_so() {
    for (on, end) in [
        (vec![RollbackOn::Analysis], RunState::RolledBack),
        (
            vec![RollbackOn::Budget, RollbackOn::Deadline],
            RunState::Failed,
        ),
        (vec![RollbackOn::Manual], RunState::Failed),
    ] {
        let mut world = measured(|strategy| strategy.rollback.on.clone_from(&on));
        sample(&mut world, Meter::Bad);
        world.rounds_until(60, |world| world.run.state.is_terminal());
        assert_eq!(world.run.state, end, "{on:?}");
        let breach: Vec<_> = world
            .audits
            .iter()
            .filter(|audit| audit.action == Action::Breach)
            .collect();
        assert_eq!(breach.len(), 1);
        let cause = breach[0].cause.as_ref().unwrap();
        assert_eq!(cause.code, CauseCode::AnalysisFailed);
        assert!(
            cause
                .message
                .starts_with("wave dev, analysis errors: sample 1 at"),
            "{cause:?}"
        );
        assert!(
            cause.message.ends_with("value 30 failed: it is > 20"),
            "{cause:?}"
        );
        assert_eq!(world.at_target().contains(&app(1)), end == RunState::Failed);
        assert_eq!(world.pins.len(), usize::from(end == RunState::RolledBack));
    }
}

#[test]
fn no_data_is_never_a_pass() {
    for (answer, why) in [
        (Ok("NaN"), "NaN is nothing to compare with"),
        (Ok("+Inf"), "inf is nothing to compare with"),
        (Ok("-Inf"), "-inf is nothing to compare with"),
        (Ok(""), "it is not a number"),
        (Ok("0x1"), "it is not a number"),
        (Ok("15"), "it is neither < 10 nor > 20"),
        (Err("connection refused"), "connection refused"),
    ] {
        // An infinity is below or above whatever bound there is.
        let mut world = measured(|strategy| strategy.waves[0].analysis[0].inconclusive_limit = 1);
        world.tick(10);
        let id = due(&world.run, world.now).remove(0).id;
        let outcome = answer.map(str::to_owned).map_err(str::to_owned);
        world.measured.insert(id, outcome);
        world.settle();
        let taken = tally(&world);
        assert_eq!(
            (taken.passed, taken.inconclusive, taken.failed),
            (0, 1, 0),
            "{answer:?}"
        );
        assert_eq!(taken.samples[0].verdict, SampleVerdict::Inconclusive);
        assert_eq!(taken.samples[0].reason, why);
        assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    }
}

#[test]
fn one_condition_alone_leaves_nothing_open() {
    for (keep_pass, meter, passed, failed) in [
        (true, Meter::Between, 0, 1),
        (true, Meter::Good, 1, 0),
        (false, Meter::Between, 1, 0),
        (false, Meter::Bad, 0, 1),
    ] {
        let mut world = measured(|strategy| {
            let one = &mut strategy.waves[0].analysis[0];
            one.pass = one.pass.filter(|_| keep_pass);
            one.fail = one.fail.filter(|_| !keep_pass);
        });
        sample(&mut world, meter);
        let taken = tally(&world);
        assert_eq!((taken.passed, taken.failed), (passed, failed), "{meter:?}");
    }
}

#[test]
fn too_much_silence_waits_for_a_person_who_goes_on_or_ends_it() {
    let mut world = measured(|strategy| {
        strategy.waves[0].soak.time = Span::secs(60);
        strategy.waves[0].analysis[0].inconclusive_limit = 1;
    });
    sample(&mut world, Meter::Nothing);
    assert_eq!(world.run.state, RunState::Soaking);
    sample(&mut world, Meter::NotANumber);
    let stands = |world: &World| (world.run.state, world.run.gate);
    let gate = (RunState::WaitingGate, Some(GatePosition::Analysis));
    assert_eq!(stands(&world), gate);
    let told = said(&world, BlockCode::Approval);
    assert!(
        told.contains("analysis errors said nothing 2 times, and its inconclusiveLimit is 1"),
        "{told}"
    );
    assert!(told.contains("value NaN was inconclusive"), "{told}");
    // Neither time nor an answer that comes now, nor a word on the gate after, opens it.
    let content = world.run.content;
    world.approve(0, GatePosition::After, content);
    for _ in 0..20 {
        assert!(due(&world.run, world.now).is_empty());
        world.provider = Some(Meter::Good);
        world.round(30);
    }
    assert_eq!(stands(&world), gate);
    world.approve(0, GatePosition::Analysis, content);
    world.provider = None;
    world.settle();
    assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    assert_eq!(tally(&world).inconclusive, 2);
    // What is left of the soak is soaked, and a sample can still fail it.
    let mut fails = world.clone();
    sample(&mut fails, Meter::Bad);
    assert_eq!(fails.run.state, RunState::RollingBack);
    sample(&mut world, Meter::Nothing);
    assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    world.rounds_until(60, |world| world.run.wave == 1);
    let records = |action| {
        world
            .audits
            .iter()
            .filter(|audit| audit.action == action)
            .count()
    };
    assert_eq!(records(Action::PassGate), 1);
    assert_eq!(records(Action::CloseGate), 1);
}

#[test]
fn an_interrupted_soak_begins_its_samples_anew_and_old_answers_say_nothing() {
    let mut world = measured(|strategy| {
        strategy.waves[0].soak.min_samples = 2;
        strategy.waves[0].analysis[0].inconclusive_limit = 1;
    });
    sample(&mut world, Meter::Good);
    sample(&mut world, Meter::Nothing);
    assert_eq!((tally(&world).passed, tally(&world).inconclusive), (1, 1));
    world.tick(10);
    let late = due(&world.run, world.now).remove(0).id;
    assert_eq!((late.soak, late.number), (1, 3));
    world.ask(RequestVerb::Pause);
    world.settle();
    assert!(due(&world.run, world.now).is_empty());
    world.measured.insert(late, Meter::Bad.outcome());
    world.ask(RequestVerb::Resume);
    world.settle();
    let known = world.run.analysing.clone().unwrap();
    assert_eq!((known.soak, known.tallies[0].taken()), (2, 0));
    // Another wave, another number, another name, and what was said before.
    for (wave, soak, name, number) in [
        (1, 2, "errors", 1),
        (0, 1, "errors", 1),
        (0, 2, "errors", 2),
        (0, 2, "other", 1),
    ] {
        let id = SampleId {
            wave,
            soak,
            analysis: name.to_owned(),
            number,
        };
        world.measured.insert(id, Meter::Bad.outcome());
    }
    world.tick(10);
    world.settle();
    assert_eq!(
        (world.run.state, tally(&world).taken()),
        (RunState::Soaking, 0)
    );
    sample(&mut world, Meter::Good);
    assert_eq!((world.run.wave, tally(&world).passed), (0, 1));
    // The answer to the second sample came before it was asked for.
    sample(&mut world, Meter::Good);
    assert_eq!(tally(&world).passed, 2);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut world = measured(|strategy| {
        strategy.waves[0].soak.time = Span::secs(3600);
        strategy.waves[0].analysis[0].inconclusive_limit = 100;
    });
    world.measured.insert(
        SampleId {
            wave: 0,
            soak: 1,
            analysis: "errors".to_owned(),
            number: 1,
        },
        Err("x".repeat(5000)),
    );
    for _ in 0..30 {
        sample(&mut world, Meter::Good);
    }
    let known = tally(&world);
    assert_eq!((known.taken(), known.samples.len()), (30, Tally::KEPT));
    assert_eq!(known.samples[0].number, 11);
}
