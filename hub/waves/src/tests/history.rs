//! Random histories: every invariant after every step, then a fair schedule to the end (32, 41 and
//! the liveness of §2.4).
//!
//! `every_invariant_holds_in_every_history_and_is_put_to_the_test` makes a million transitions with
//! fixed seeds and prints how often each premise was true; `PROPTEST_CASES` widens it.

mod acts;
mod admitting;
mod clearing;
mod replay;
mod setup;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
};

use crate::{
    BlockCode, Effect,
    invariants::{self, i08_determinism, i32_no_starvation},
};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use tidegate_model::{
    assignment::Assignment,
    run::{Member, MemberState, RunState},
};

use self::{
    acts::{Act, any_acts},
    setup::{Setup, any_setup},
};
use crate::tests::{
    fixture::candidates,
    world::{Doorman, Meter, World},
};

/// Every invariant's premise must be true so often, or nothing is proven.
const LEAST: u64 = 1000;
/// Steps and acts that the histories must come to.
const TRANSITIONS: u64 = 1_000_000;
/// Seeds, each with its own share of the histories.
const SEEDS: u8 = 16;
/// Histories of one seed.
const HISTORIES: u32 = 880;

/// What some histories came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met {
    /// How often each premise was true, and how the histories ended.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) histories: u32,
    pub(crate) transitions: u64,
}

impl Met {
    fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.histories += other.histories;
        self.transitions += other.transitions;
    }
}

/// Plays so many histories of one seed; or says after how many which problem came up.
pub(crate) fn histories(seed: u8, cases: u32, shrink: bool) -> Result<Met, (u32, String)> {
    let config = Config {
        failure_persistence: None,
        cases,
        max_shrink_iters: if shrink { 4096 } else { 0 },
        ..Config::default()
    };
    // Fixed seeds: which premises are met must not depend on luck.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let met: RefCell<Met> = RefCell::default();
    let begun = RefCell::new(0);
    let result = runner.run(&(any_setup(), any_acts()), |(setup, acts)| {
        *begun.borrow_mut() += 1;
        met.borrow_mut().add(&play(&setup, &acts));
        Ok(())
    });
    match result {
        Ok(()) => Ok(met.into_inner()),
        Err(TestError::Fail(reason, _)) if !shrink => {
            Err((begun.into_inner(), reason.message().to_owned()))
        }
        Err(error) => Err((begun.into_inner(), error.to_string())),
    }
}

/// Plays a history and then lets everything come to rest.
fn play(setup: &Setup, acts: &[Act]) -> Met {
    let mut world = setup.world();
    world.note(
        "i08_determinism",
        i08_determinism(&setup.strategy, &candidates(&setup.rows), 1),
    );
    for act in acts {
        act.on(&mut world, setup);
    }
    clearing::check(&world);
    rest(&mut world);
    let at_rest = i32_no_starvation(&world.run, world.newer_release, &world.explain());
    world.note("i32_no_starvation", at_rest);
    admitting::judge(&mut world);
    replay::check(setup, &world);
    check_books(&world);
    let liveness = if world.run.state.is_terminal() {
        "terminal"
    } else {
        "waits for people"
    };
    let mut counts = std::mem::take(&mut world.premises);
    for (name, action) in [("defers", "run.defer-member"), ("pays", "run.pay-debt")] {
        let met = world
            .audits
            .iter()
            .any(|audit| audit.action.name() == action);
        *counts.entry(name).or_default() += u64::from(met);
    }
    *counts.entry(liveness).or_default() += 1;
    *counts.entry(state_name(world.run.state)).or_default() += 1;
    Met {
        counts,
        histories: 1,
        transitions: world.steps + acts.len() as u64,
    }
}

/// Clusters come back, agents work, heartbeats arrive, nobody asks for anything: the run ends, or
/// waits for nothing but people.
fn rest(world: &mut World) {
    world.provider = Some(Meter::Good);
    world.doorman = Doorman::Yes;
    let clusters: Vec<_> = world.sessions.keys().copied().collect();
    for cluster in clusters {
        world.reconnect(cluster);
    }
    world.apps.values_mut().for_each(|app| app.owed = None);
    world
        .agents
        .values_mut()
        .for_each(|agent| agent.resync(world.truth));
    for _ in 0..400 {
        // Whoever waits for a turn waits for what the others wait for, and everybody is back: who is
        // still deferred waits for a person.
        let said = world.explain();
        let mut causes = said
            .iter()
            .filter(|said| !matches!(said.code, BlockCode::Turn | BlockCode::Deferred))
            .peekable();
        let waits_for_people = causes.peek().is_some() && causes.all(|said| said.code.is_human());
        if !world.run.is_live() || waits_for_people {
            return;
        }
        world.round(20);
    }
    panic!(
        "rest: none comes: {:?} {:#?} {:#?}",
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
        assert!(
            before.is_none_or(|before| before < assignment.generation),
            "books: {} goes back from generation {before:?}",
            assignment.app
        );
    }
    let records = |name: &str| {
        world
            .audits
            .iter()
            .filter(|audit| audit.action.name() == name)
            .count()
    };
    let written = records("run.assign") + records("run.revert");
    assert_eq!(written, world.assigned.len(), "books: records");
    assert_eq!(records("run.pin"), world.pins.len(), "books: pins");
    if world.run.state == RunState::Succeeded {
        let left_out = |m: &&Member| {
            m.state.is_failed() || matches!(m.state, MemberState::Deferred | MemberState::Skipped)
        };
        let members = world.members.values().filter(|m| !left_out(m));
        let apps = members.flat_map(|member| &member.apps);
        let own = |uid| !world.apps[uid].removed && !world.apps[uid].overtaken;
        for (uid, app) in apps.filter(|(uid, _)| own(*uid)) {
            let known = &world.apps[uid];
            let removed = world.sessions[&known.cluster.unwrap()].removed;
            let runs = known.current.as_ref().and_then(Assignment::bundle);
            assert!(
                removed || runs == app.target.bundle(),
                "books: {uid} does not run the release"
            );
            let good = known.last_good.as_ref().map(|good| good.bundle);
            assert!(
                removed || good == app.target.bundle(),
                "books: {uid} would go back to {good:?}"
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
#[expect(
    clippy::print_stdout,
    reason = "the counts are what the test is run for"
)]
fn every_invariant_holds_in_every_history_and_is_put_to_the_test() {
    let cases = HISTORIES.max(Config::default().cases / u32::from(SEEDS));
    let next = AtomicU8::new(0);
    let met = Mutex::new(Met::default());
    thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= SEEDS {
                    return;
                }
                match histories(seed, cases, true) {
                    Ok(one) => met.lock().unwrap().add(&one),
                    Err((after, problem)) => {
                        panic!("history {after} of seed {seed}: {problem}")
                    }
                }
            }
        };
        let others = thread::available_parallelism().map_or(1, usize::from) - 1;
        for _ in 0..others.min(3) {
            scope.spawn(work);
        }
        work();
    });
    let met = met.into_inner().unwrap();
    println!(
        "{} histories, {} transitions",
        met.histories, met.transitions
    );
    for (name, count) in &met.counts {
        println!("{name:32} {count:>9}");
    }
    let steps = invariants::ALL.iter().map(|(name, _)| *name);
    let premises = steps.chain(invariants::OTHERS.iter().copied());
    let wanted = premises.map(|name| (name, LEAST));
    let ends = ENDS.iter().map(|name| (*name, LEAST / 2));
    let count = |name| met.counts.get(name).copied().unwrap_or_default();
    let seldom: Vec<_> = wanted
        .chain(ends)
        .filter(|(name, least)| count(*name) < *least)
        .collect();
    assert!(
        seldom.is_empty() && met.transitions >= TRANSITIONS,
        "put to the test less often than wanted: {seldom:?}; {} transitions of {TRANSITIONS}",
        met.transitions
    );
}

/// How histories end.
const ENDS: &[&str] = &[
    "terminal",
    "waits for people",
    "ends Succeeded",
    "ends RolledBack",
    "ends RollbackFailed",
    "ends Superseded",
    "ends Cancelled",
    "ends Failed",
    "defers",
    "pays",
];
