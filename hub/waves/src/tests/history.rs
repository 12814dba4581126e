//! Random histories: every invariant after every step, then a fair schedule to the end (32, 41 and
//! the liveness of §2.4).

mod acts;
mod clearing;
mod setup;

use std::{cell::RefCell, collections::BTreeMap};

use crate::{BlockCode, Effect, invariants};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tidegate_model::{assignment::Assignment, run::RunState};

use self::{
    acts::{Act, any_acts},
    setup::{Setup, any_setup},
};
use crate::tests::world::World;

/// Plays a history and then lets everything come to rest.
fn play(setup: &Setup, acts: &[Act]) -> BTreeMap<&'static str, u64> {
    let mut world = setup.world();
    for act in acts {
        act.on(&mut world, setup);
    }
    clearing::check(&world);
    rest(&mut world);
    let mut seen = world.premises.clone();
    let liveness = if world.run.state.is_terminal() {
        "terminal"
    } else {
        "waits for people"
    };
    *seen.entry(liveness).or_default() += 1;
    *seen.entry(state_name(world.run.state)).or_default() += 1;
    check_books(&world);
    seen
}

/// Clusters come back, agents work, heartbeats arrive, nobody asks for anything: the run ends, or
/// waits for nothing but people.
fn rest(world: &mut World) {
    let clusters: Vec<_> = world.sessions.keys().copied().collect();
    for cluster in clusters {
        world.reconnect(cluster);
    }
    world
        .agents
        .values_mut()
        .for_each(|agent| agent.resync(world.truth));
    for _ in 0..400 {
        // Whoever waits for a turn waits for what the others wait for.
        let said = world.explain();
        let mut causes = said
            .iter()
            .filter(|said| said.code != BlockCode::Turn)
            .peekable();
        let waits_for_people = causes.peek().is_some() && causes.all(|said| said.code.is_human());
        if world.run.state.is_terminal() || waits_for_people {
            return;
        }
        world.round(20);
    }
    panic!(
        "no rest: {:?} {:#?} {:#?}",
        world.run.state,
        world.explain(),
        world.members
    );
}

/// What must hold of a whole history: every last word was assigned here or before, generations of
/// an application only rise, and everything that was written has its record.
fn check_books(world: &World) {
    let mut last = BTreeMap::new();
    for (_, assignment) in &world.assigned {
        let before = last.insert(assignment.app, assignment.generation);
        assert!(before.is_none_or(|before| before < assignment.generation));
    }
    let records = |name: &str| {
        world
            .audits
            .iter()
            .filter(|audit| audit.action.name() == name)
            .count()
    };
    assert_eq!(
        records("run.assign") + records("run.revert"),
        world.assigned.len()
    );
    assert_eq!(records("run.pin"), world.pins.len());
    if world.run.state == RunState::Succeeded {
        let members = world.members.values().filter(|m| !m.state.is_failed());
        let apps = members.flat_map(|member| &member.apps);
        for (uid, app) in apps.filter(|(uid, _)| !world.apps[uid].removed) {
            let known = &world.apps[uid];
            let removed = world.sessions[&known.cluster.unwrap()].removed;
            let runs = known.current.as_ref().and_then(Assignment::bundle);
            assert!(
                removed || runs == app.target.bundle(),
                "{uid} does not run the release"
            );
        }
    }
    if let Some(step) = &world.last {
        assert!(
            step.effects
                .iter()
                .all(|effect| !matches!(effect, Effect::Pin(pin) if pin.bundle == pin.bad))
        );
    }
}

fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Succeeded => "ends Succeeded",
        RunState::RolledBack => "ends RolledBack",
        RunState::RollbackFailed => "ends RollbackFailed",
        RunState::Superseded => "ends Superseded",
        RunState::Cancelled => "ends Cancelled",
        RunState::Failed => "ends Failed",
        _ => "open",
    }
}

#[test]
fn every_invariant_holds_in_every_history_and_is_put_to_the_test() {
    let config = Config::default();
    let config = Config {
        failure_persistence: None,
        cases: config.cases.max(768),
        ..config
    };
    // A fixed seed: which premises are met must not depend on luck. PROPTEST_CASES widens it.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let met: RefCell<BTreeMap<&'static str, u64>> = RefCell::default();
    let result = runner.run(&(any_setup(), any_acts()), |(setup, acts)| {
        for (name, count) in play(&setup, &acts) {
            *met.borrow_mut().entry(name).or_default() += count;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let met = met.into_inner();
    let outcomes = [
        "terminal",
        "waits for people",
        "ends Succeeded",
        "ends RolledBack",
        "ends RollbackFailed",
        "ends Superseded",
        "ends Cancelled",
        "ends Failed",
    ];
    let names = invariants::ALL
        .iter()
        .map(|(name, _)| *name)
        .chain(outcomes);
    let never: Vec<_> = names
        .filter(|name| met.get(name).is_none_or(|count| *count == 0))
        .collect();
    assert!(
        never.is_empty(),
        "never put to the test: {never:?}; met: {met:#?}"
    );
}
