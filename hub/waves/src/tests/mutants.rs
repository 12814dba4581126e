//! One fault at a time inside the engine, each seen to be caught.
//!
//! The same histories and the same exhaustive check that pass without a fault must fail with it.

use std::{
    collections::BTreeMap,
    panic,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    invariants,
    mutant::{self, Mutant},
    tests::{exhaustive, history},
};

/// All of them; `each_fault_is_listed` holds the list.
const ALL: &[Mutant] = &[
    Mutant::DigestIgnored,
    Mutant::GenerationIgnored,
    Mutant::StaleReportCounts,
    Mutant::UnfreshCounts,
    Mutant::HealthWindowIgnored,
    Mutant::RegressionIgnored,
    Mutant::ApprovalOfOtherContent,
    Mutant::ApprovalOfOtherPosition,
    Mutant::ApprovalOfOtherWave,
    Mutant::ExpiryIgnored,
    Mutant::OneApprovalIsEnough,
    Mutant::RequiredIgnored,
    Mutant::RejectionIgnored,
    Mutant::AuthorApproves,
    Mutant::SoakCarriedOver,
    Mutant::SoakWhileUnwell,
    Mutant::SoakSkipped,
    Mutant::ContinuousGoesOn,
    Mutant::NoDataPasses,
    Mutant::FailIgnored,
    Mutant::InconclusiveAdvances,
    Mutant::SamplesCarriedOver,
    Mutant::StaleSampleCounts,
    Mutant::SampleTwice,
    Mutant::IntervalIgnored,
    Mutant::TimeAlonePasses,
    Mutant::MinSamplesIgnored,
    Mutant::AnalysisApprovalReused,
    Mutant::AnalysisUnexplained,
    Mutant::AnswersIgnored,
    Mutant::OldAnswerCounts,
    Mutant::AnswerOfOtherWave,
    Mutant::AnswerUnexplained,
    Mutant::WindowsIgnored,
    Mutant::WindowAtDoorOnly,
    Mutant::WindowNeverReopens,
    Mutant::OffsetOfAnHourAgo,
    Mutant::AllowBeatsDeny,
    Mutant::InvokerIgnored,
    Mutant::RollbackHeedsWindows,
    Mutant::NextWaveEarly,
    Mutant::UnreachableSettled,
    Mutant::ConcurrencyIgnored,
    Mutant::UnavailableIgnored,
    Mutant::BudgetOffByOne,
    Mutant::StrictIgnored,
    Mutant::MinHealthyIgnored,
    Mutant::FailureForgiven,
    Mutant::StepBackCounts,
    Mutant::PauseIgnored,
    Mutant::PauseCounts,
    Mutant::DeadlineWhileUnreachable,
    Mutant::UnreachableJudged,
    Mutant::RemovedFails,
    Mutant::DeferUnbounded,
    Mutant::DeferredAloneIsDone,
    Mutant::DebtForgotten,
    Mutant::NewerBeforeDebt,
    Mutant::DebtOverNewer,
    Mutant::DebtPaidUnproven,
    Mutant::DebtSurvivesRollback,
    Mutant::DeferredUnexplained,
    Mutant::GenerationNotRaised,
    Mutant::NewerRunIgnored,
    Mutant::ZombieAssigns,
    Mutant::SupersedeMidFlight,
    Mutant::SupersedeUnasked,
    Mutant::SupersedeLate,
    Mutant::NewerReleaseIgnored,
    Mutant::RollbackToRelease,
    Mutant::RollbackSkipsHealthy,
    Mutant::RollbackWritesUntouched,
    Mutant::ScopeIgnored,
    Mutant::WaveScopeIgnored,
    Mutant::OrderIgnored,
    Mutant::ReleaseIgnored,
    Mutant::RollbackOverEarly,
    Mutant::RevertUnproven,
    Mutant::NoDeny,
    Mutant::DenyScopeIgnored,
    Mutant::NoPin,
    Mutant::DenyIgnored,
    Mutant::PinIgnored,
    Mutant::RetryAdopts,
    Mutant::RetryForgetsWritten,
    Mutant::RetryKeepsWave,
    Mutant::RetryForgetsOne,
    Mutant::RetryAfterRollback,
    Mutant::RetryUnrecorded,
    Mutant::SkipIsHealth,
    Mutant::SkipEmptiesWave,
    Mutant::SkipForgives,
    Mutant::SkipUnrecorded,
    Mutant::SkippedStaysBehind,
    Mutant::LastGoodForgotten,
    Mutant::AssignUnrecorded,
    Mutant::FailureUnrecorded,
    Mutant::MoveUnrecorded,
    Mutant::OutcomeOfBefore,
    Mutant::SoakUnexplained,
    Mutant::UnreachableUnexplained,
    Mutant::PlanLosesMember,
    Mutant::SeedByArrival,
];

/// The histories that are played first, and those that are when the models saw nothing either: most
/// faults are found by one of the two soon, and a model is cheaper than many histories.
const FIRST: u32 = 1000;
const MORE: u32 = 2500;
/// The most states of each model.
const STATES: usize = 10_000;

/// What the two ways to look for a fault said: after how much, by which check.
#[derive(Clone, Debug)]
struct Hunt {
    histories: Option<(u32, String)>,
    states: Option<(usize, String)>,
}

impl Hunt {
    fn is_caught(&self) -> bool {
        self.histories.is_some() || self.states.is_some()
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what the test is run for")]
fn every_fault_is_caught_and_without_one_nothing_is() {
    // The longest first: without a fault nothing ends a hunt.
    let faults: Vec<_> = [None]
        .into_iter()
        .chain(ALL.iter().copied().map(Some))
        .collect();
    let next = AtomicUsize::new(0);
    let hunts = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(fault) = faults.get(index) else {
                    return;
                };
                let seen = hunt(*fault);
                hunts.lock().unwrap().insert(index, seen);
            }
        };
        let others = thread::available_parallelism().map_or(1, usize::from) - 1;
        for _ in 0..others.min(3) {
            scope.spawn(work);
        }
        work();
    });
    let hunts = hunts.into_inner().unwrap();
    println!("fault | caught by, after so many histories | caught by, after so many states");
    let mut survivors = Vec::new();
    for (fault, hunt) in faults.iter().zip(hunts.values()) {
        let Some(fault) = fault else {
            assert!(!hunt.is_caught(), "without a fault: {hunt:?}");
            continue;
        };
        if !hunt.is_caught() {
            survivors.push(fault);
        }
        let name = format!("{fault:?}");
        let histories = said(hunt.histories.as_ref());
        let states = said(hunt.states.as_ref());
        println!("{name:24} | {histories:32} | {states}");
    }
    assert!(survivors.is_empty(), "nobody sees {survivors:?}");
}

fn said<N: std::fmt::Display>(found: Option<&(N, String)>) -> String {
    found.map_or_else(|| "-".to_owned(), |(n, by)| format!("{by}, {n}"))
}

fn hunt(fault: Option<Mutant>) -> Hunt {
    mutant::set(fault);
    let mut histories = history::histories(99, FIRST, false).err();
    // One is enough: the models look where the histories found nothing.
    let states = match &histories {
        Some(_) => None,
        None => panic::catch_unwind(|| exhaustive::hunt(STATES))
            .unwrap_or_else(|_| Some((0, "the engine panics".to_owned()))),
    };
    // That histories find nothing without a fault is another test's.
    if histories.is_none() && states.is_none() && fault.is_some() {
        let more = history::histories(98, MORE, false).err();
        histories = more.map(|(after, problem)| (FIRST + after, problem));
    }
    mutant::set(None);
    Hunt {
        histories: histories.map(|(n, problem)| (n, catcher(&problem))),
        states: states.map(|(n, problem)| (n, catcher(&problem))),
    }
}

/// The check that a message comes from.
fn catcher(problem: &str) -> String {
    let steps = invariants::ALL.iter().map(|(name, _)| *name);
    let others = invariants::OTHERS.iter().copied();
    let words = [
        "stuck", "truth", "clearing", "rest", "crash", "walk", "books", "replay",
    ];
    let named = steps.chain(others).chain(words);
    let found = named.filter_map(|name| Some((problem.find(&format!("{name}:"))?, name)));
    found.min().map_or_else(
        || problem.chars().take(60).collect(),
        |(_, name)| name.to_owned(),
    )
}

#[test]
fn each_fault_is_listed() {
    let source = include_str!("../mutant.rs");
    let names = source
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','))
        .filter(|name| name.chars().all(char::is_alphanumeric));
    let listed: Vec<_> = ALL.iter().map(|fault| format!("{fault:?}")).collect();
    assert_eq!(names.collect::<Vec<_>>(), listed);
    assert!(listed.len() >= 20);
}
