//! Every state of small models, breadth first, through the production `step`.
//!
//! Three clusters in two waves and two runs, with reports that lag, a cluster that is cut off,
//! approvals, superseding, pauses, rollbacks with pins and denies. On every transition every
//! invariant; and from every state a quiet one (the run is over, or waits for nothing but people)
//! can be reached by what comes by itself, with agents that get well and with agents that never do.
//! Each test prints its states and transitions; none is cut off.

mod action;
mod model;
mod state;

use std::{
    collections::{BTreeSet, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use indexmap::IndexSet;
use tidegate_model::{
    duration::Span,
    run::RunState,
    strategy::{
        Amount, ApprovalGate, BudgetMode, FailureBudget, Gate, RollbackOn, Strategy, SupersedeWhen,
        UnreachableThen,
    },
};

use self::{
    action::{Action, Extras, May},
    model::Model,
    state::{State, halves},
};
use crate::tests::fixture::waves;

/// Fingerprints are as good as random already.
#[derive(Default)]
struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        [_, self.0] = halves(value);
    }
}

/// What a search saw.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// States of runs that were reached, and what happened, by name.
    pub(crate) met: BTreeSet<String>,
}

/// A broken invariant with the way there, or a state that leads nowhere.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) problem: String,
    pub(crate) states: usize,
    pub(crate) path: Vec<Action>,
}

struct Search<'a> {
    model: &'a Model,
    known: IndexSet<u128, BuildHasherDefault<Low>>,
    /// For each state but the first: from where, by what.
    from: Vec<(u32, Action)>,
    queue: VecDeque<(u32, State)>,
    /// What comes by itself: from, to, and whether an agent got well.
    fair: Vec<(u32, u32, bool)>,
    quiet: Vec<u32>,
    transitions: usize,
    /// What happened, and states of runs that were reached.
    met: (Vec<Action>, Vec<RunState>),
}

/// Looks at every state, or at so many at most.
fn search(model: &Model, most: usize) -> Result<Searched, Found> {
    let first = model.first();
    let mut search = Search {
        model,
        known: IndexSet::default(),
        from: vec![(0, Action::Step)],
        queue: VecDeque::new(),
        fair: Vec::new(),
        quiet: Vec::new(),
        transitions: 0,
        met: Default::default(),
    };
    search.known.insert(first.fingerprint());
    search.queue.push_back((0, first));
    while let Some((id, state)) = search.queue.pop_front() {
        if search.known.len() > most {
            return Ok(search.report());
        }
        search.expand(id, &state)?;
    }
    for agents_get_well in [true, false] {
        search.check_liveness(agents_get_well)?;
    }
    Ok(search.report())
}

fn note<T: PartialEq>(known: &mut Vec<T>, met: T) {
    if !known.contains(&met) {
        known.push(met);
    }
}

fn names<T: std::fmt::Debug>(met: &[T]) -> impl Iterator<Item = String> {
    met.iter().map(|it| format!("{it:?}"))
}

impl Search<'_> {
    fn expand(&mut self, id: u32, state: &State) -> Result<(), Found> {
        let mut busy = false;
        for action in self.model.actions(state) {
            if busy && action == Action::Tick {
                continue;
            }
            self.transitions += 1;
            let next = self
                .model
                .act(state, action)
                .map_err(|problem| self.found(id, Some(action), problem))?;
            note(&mut self.met.0, action);
            // The first action is a step; time passes only when the hub has nothing to do at once.
            busy |= next.more && matches!(action, Action::Step | Action::Pay);
            if next.quiet {
                self.quiet.push(id);
            }
            let (to, new) = self.known.insert_full(next.state.fingerprint());
            let to = u32::try_from(to).unwrap();
            if new {
                note(&mut self.met.1, next.state.run.state);
                self.from.push((id, action));
                self.queue.push_back((to, next.state));
            }
            if action.is_fair() && to != id {
                self.fair.push((id, to, matches!(action, Action::Well(_))));
            }
        }
        Ok(())
    }

    fn found(&self, id: u32, last: Option<Action>, problem: String) -> Found {
        let mut path: Vec<_> = last.into_iter().collect();
        let mut at = id;
        while at != 0 {
            let (from, action) = self.from[at as usize];
            path.push(action);
            at = from;
        }
        path.reverse();
        Found {
            problem,
            states: self.known.len(),
            path,
        }
    }

    fn report(self) -> Searched {
        Searched {
            states: self.known.len(),
            transitions: self.transitions,
            met: names(&self.met.0).chain(names(&self.met.1)).collect(),
        }
    }

    /// From every state a quiet one can be reached, even by agents that never get well.
    fn check_liveness(&self, agents_get_well: bool) -> Result<(), Found> {
        let edges = || {
            self.fair
                .iter()
                .filter(|(.., well)| agents_get_well || !well)
        };
        let mut starts = vec![0_u32; self.known.len() + 1];
        edges().for_each(|(_, to, _)| starts[*to as usize + 1] += 1);
        for n in 1..starts.len() {
            starts[n] += starts[n - 1];
        }
        let mut place = starts.clone();
        let mut sources = vec![0_u32; edges().count()];
        for (from, to, _) in edges() {
            let at = &mut place[*to as usize];
            sources[*at as usize] = *from;
            *at += 1;
        }
        let mut live = vec![false; self.known.len()];
        let mut todo = self.quiet.clone();
        while let Some(id) = todo.pop() {
            let id = id as usize;
            if !std::mem::replace(&mut live[id], true) {
                let from = &sources[starts[id] as usize..starts[id + 1] as usize];
                todo.extend(from.iter().filter(|from| !live[**from as usize]));
            }
        }
        let stuck = live.iter().filter(|live| !**live).count();
        let Some(first) = live.iter().position(|live| !live) else {
            return Ok(());
        };
        let problem = format!(
            "stuck: {stuck} states lead to no quiet one (agents get well: {agents_get_well})"
        );
        Err(self.found(u32::try_from(first).unwrap(), None, problem))
    }
}

/// Concurrency 1, budget 0, a tick of soak in dev, an approval before prod; a tick of deadline.
fn strategy() -> Strategy {
    let mut strategy = waves(&["dev", "prod"]);
    for wave in &mut strategy.waves {
        wave.max_concurrency = Some(Amount::Count(1));
        wave.health_window = Span::secs(0);
        wave.progress_deadline = Span::secs(30);
        wave.unreachable.grace = Span::secs(30);
    }
    strategy.waves[0].soak.time = Span::secs(30);
    strategy.waves[1].gates.before = vec![Gate::Approval(ApprovalGate {
        separation_of_duties: true,
        ..ApprovalGate::default()
    })];
    strategy
}

/// The base model. Two at once would do, but a strict budget of 0 makes it one.
fn base() -> Model {
    let mut strategy = strategy();
    strategy.waves[0].max_concurrency = Some(Amount::Count(2));
    Model::new(
        strategy,
        Extras {
            may: &[May::Pause, May::Cut],
            publish: &[1, 2],
        },
    )
}

/// A tolerated failure, and a minimum of health apart from it, in one run.
fn budget() -> Model {
    let mut strategy = strategy();
    strategy.waves[0].failure_budget.max = Amount::Count(1);
    strategy.waves[0].min_healthy = Amount::Percent(50);
    Model::new(
        strategy,
        Extras {
            may: &[May::Fall, May::Refuse],
            publish: &[],
        },
    )
}

/// Two at once, fast.
fn fast() -> Model {
    let mut strategy = strategy();
    strategy.waves[0].max_concurrency = Some(Amount::Count(2));
    strategy.waves[0].failure_budget = FailureBudget {
        max: Amount::Count(0),
        mode: BudgetMode::Fast,
    };
    Model::new(
        strategy,
        Extras {
            may: &[May::Cut],
            publish: &[2],
        },
    )
}

/// What was taken back is offered again, reverted, repaired and unpinned.
fn deny() -> Model {
    Model::new(
        strategy(),
        Extras {
            may: &[May::RollBack, May::Unpin, May::SecondFails],
            publish: &[0, 1, 2],
        },
    )
}

/// Nothing goes back by itself: what failed is tried again, left out, or taken back by a person.
fn again() -> Model {
    let mut strategy = strategy();
    strategy.rollback.on = vec![RollbackOn::Manual];
    Model::new(
        strategy,
        Extras {
            may: &[May::Retry, May::Skip, May::RollBack, May::Cut],
            publish: &[],
        },
    )
}

/// The wave goes on without the cluster that was cut off; both runs go to their end.
fn defer() -> Model {
    let mut strategy = strategy();
    strategy.waves[0].soak.time = Span::secs(0);
    strategy.waves[0].unreachable.then = UnreachableThen::Defer;
    strategy.waves[1].gates.before.clear();
    strategy.supersede.newer = SupersedeWhen::Queue;
    Model::new(
        strategy,
        Extras {
            may: &[May::CutFirst, May::FirstHolds, May::PublishLate],
            publish: &[2],
        },
    )
}

/// Looks for a fault in so many states of each model at most; says in how many it was found.
pub(crate) fn hunt(most: usize) -> Option<(usize, String)> {
    let mut before = 0;
    for model in [base(), budget(), fast(), deny(), again(), defer()] {
        match search(&model, most) {
            Ok(seen) => before += seen.states,
            Err(found) => return Some((before + found.states, found.problem)),
        }
    }
    None
}

#[expect(
    clippy::print_stdout,
    reason = "the counts are what the test is run for"
)]
fn check(name: &str, model: &Model, meets: &[&str]) {
    match search(model, usize::MAX) {
        Ok(seen) => {
            // A model that lost an action would be sound, and small.
            let missing: Vec<_> = meets.iter().filter(|it| !seen.met.contains(**it)).collect();
            assert!(
                missing.is_empty(),
                "{name} never meets {missing:?}: {:?}",
                seen.met
            );
            println!(
                "{name}: {} states, {} transitions, complete",
                seen.states, seen.transitions
            );
        }
        Err(Found {
            problem,
            states,
            path,
        }) => panic!("{name}, state {states}: {problem}\nafter {path:?}"),
    }
}

#[test]
fn every_state_of_the_base_model_is_sound() {
    let meets = [
        "Pause",
        "Resume",
        "Cut",
        "Back",
        "Approve",
        "Begin",
        "Deliver",
        "Ill(0)",
        "Publish(1)",
        "Publish(2)",
        "Succeeded",
        "RolledBack",
        "Superseded",
        "Paused",
        "WaitingGate",
        "Soaking",
    ];
    check("base", &base(), &meets);
}

#[test]
fn every_state_with_a_budget_is_sound() {
    let meets = [
        "Fall",
        "Rise",
        "Refuse",
        "Relent",
        "Approve",
        "Ill(0)",
        "Succeeded",
        "RolledBack",
    ];
    check("budget 1, minHealthy 50 %", &budget(), &meets);
}

#[test]
fn every_state_with_two_at_once_is_sound() {
    let meets = [
        "Cut",
        "Back",
        "Begin",
        "Approve",
        "Succeeded",
        "RolledBack",
        "Superseded",
    ];
    check("fast, concurrency 2", &fast(), &meets);
}

#[test]
fn every_state_with_a_debt_is_sound() {
    let meets = [
        "Back",
        "Pay",
        "Begin",
        "Publish(2)",
        "Ill(1)",
        "Ill(2)",
        "Succeeded",
        "RolledBack",
    ];
    check("defer", &defer(), &meets);
}

#[test]
fn every_state_after_rollbacks_is_sound() {
    let meets = [
        "RollBack",
        "Unpin",
        "Begin",
        "Publish(0)",
        "Publish(1)",
        "Publish(2)",
        "RolledBack",
        "RollingBack",
        "Succeeded",
    ];
    check("deny", &deny(), &meets);
}

#[test]
fn every_state_of_another_attempt_is_sound() {
    let meets = [
        "Retry",
        "Skip",
        "Cut",
        "RollBack",
        "Failed",
        "Succeeded",
        "RolledBack",
    ];
    check("retry and skip", &again(), &meets);
}
