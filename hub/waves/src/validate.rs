//! What can be said about a strategy before any cluster is known.
//!
//! Owns the rules that a strategy must keep, for the moment when a set is written and again before
//! it is planned. Never plans.

mod analysis;
mod asked;
mod gates;

use std::{collections::BTreeSet, fmt};

use tidegate_model::{
    selector::Selector,
    strategy::{
        Amount, Limit, MemberAdded, RollbackOn, Strategy, StrategyType, UnreachableThen, Wave,
    },
};

/// One thing that is wrong with a strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct StrategyError {
    /// The wave's name; `None` for the strategy as a whole.
    pub wave: Option<String>,
    /// The field within the strategy, as it is written.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for StrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "strategy.{}", self.field)?;
        if let Some(wave) = &self.wave {
            write!(f, " (wave {wave:?})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Everything that is wrong with a strategy, never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to use the strategy: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct StrategyErrors(pub Vec<StrategyError>);

/// Checks a strategy on its own.
pub fn validate(strategy: &Strategy) -> Result<(), StrategyErrors> {
    let mut found = Found::default();
    match strategy.kind {
        StrategyType::AllAtOnce if !strategy.waves.is_empty() => {
            found.whole(
                "waves",
                "type AllAtOnce has no waves; remove them or set type: Waves",
            );
        }
        StrategyType::Waves if strategy.waves.is_empty() => {
            found.whole(
                "waves",
                "type Waves needs at least one wave; add one or set type: AllAtOnce",
            );
        }
        StrategyType::RollingSync => check_rolling_sync(strategy, &mut found),
        StrategyType::AllAtOnce | StrategyType::Waves => {}
    }
    if strategy.kind != StrategyType::RollingSync && strategy.rolling_sync.is_some() {
        found.whole(
            "rollingSync",
            "steps are for type RollingSync; set that type or write them as waves",
        );
    }
    if !strategy.wave_plan.is_empty() {
        let alone = Strategy {
            wave_plan: strategy.wave_plan.clone(),
            ..Strategy::default()
        };
        if *strategy != alone {
            found.whole(
                "wavePlan",
                "the plan says everything; remove what stands beside it, or the name",
            );
        }
    }
    check_rest(strategy, &mut found);
    let mut names = BTreeSet::new();
    for (index, wave) in strategy.waves.iter().enumerate() {
        if !names.insert(wave.name.as_str()) {
            found.wave(
                index,
                wave,
                "name",
                "another wave has this name; rename one of them",
            );
        }
        check_wave(index, wave, strategy, &mut found);
    }
    if found.0.is_empty() {
        Ok(())
    } else {
        Err(StrategyErrors(found.0))
    }
}

/// What concerns no single wave.
fn check_rest(strategy: &Strategy, found: &mut Found) {
    if strategy.membership.added == MemberAdded::CatchUp {
        found.whole(
            "membership.added",
            "catchUp is not supported: what joins makes a new release, and approvals are bound to \
             the content of one; write nextRun or leave it out",
        );
    }
    let on = &strategy.rollback.on;
    if on.contains(&RollbackOn::Manual) && on.len() > 1 {
        found.whole(
            "rollback.on",
            "manual means that nothing rolls back by itself; write it alone or leave it out",
        );
    }
}

fn check_rolling_sync(strategy: &Strategy, found: &mut Found) {
    if !strategy.waves.is_empty() {
        found.whole(
            "waves",
            "type RollingSync has steps; remove the waves or set type: Waves",
        );
    }
    let steps = strategy
        .rolling_sync
        .as_ref()
        .map_or(&[][..], |it| &it.steps);
    for (index, step) in steps.iter().enumerate() {
        let selector = Selector {
            match_expressions: step.match_expressions.clone(),
            ..Selector::default()
        };
        if let Err(error) = selector.validate() {
            let field = format!("rollingSync.steps[{index}].matchExpressions");
            found.whole(&field, &error.to_string());
        }
    }
    if steps.is_empty() {
        found.whole(
            "rollingSync.steps",
            "type RollingSync needs at least one step; add one or set type: AllAtOnce",
        );
    }
}

fn check_wave(index: usize, wave: &Wave, strategy: &Strategy, found: &mut Found) {
    if wave.name.trim().is_empty() {
        found.wave(
            index,
            wave,
            "name",
            "it is empty; name the wave, for example canary",
        );
    }
    for (field, selector) in [
        ("select.clusters", &wave.select.clusters),
        ("select.applications", &wave.select.applications),
    ] {
        if let Err(error) = selector.validate() {
            found.wave(index, wave, field, &error.to_string());
        }
    }
    check_limit(index, wave, found);
    for (field, amount) in [
        ("maxConcurrency", wave.max_concurrency),
        ("maxUnavailable", wave.max_unavailable),
    ] {
        if amount.is_some_and(Amount::is_zero) {
            let problem = "it must be at least 1; nobody would ever be assigned";
            found.wave(index, wave, field, problem);
        }
    }
    if wave.min_healthy.is_zero() {
        let problem = "it must be at least 1; a wave with nothing healthy is never done";
        found.wave(index, wave, "minHealthy", problem);
    }
    check_unreachable(index, wave, found);
    if wave.progress_deadline <= wave.health_window {
        found.wave(
            index,
            wave,
            "progressDeadline",
            &format!(
                "{} is not longer than the healthWindow of {}, so every member would time out; make it longer",
                wave.progress_deadline, wave.health_window
            ),
        );
    }
    analysis::check(index, wave, found);
    asked::check(index, wave, found);
    gates::check(index, wave, strategy, found);
}

fn check_unreachable(index: usize, wave: &Wave, found: &mut Found) {
    let Some(max) = wave.unreachable.max_deferred else {
        return;
    };
    let problem = if wave.unreachable.then != UnreachableThen::Defer {
        "nobody is deferred without then: defer; write that, or leave maxDeferred out"
    } else if max.is_zero() {
        "it must be at least 1; write then: wait if nobody is to be deferred"
    } else {
        return;
    };
    found.wave(index, wave, "unreachable.maxDeferred", problem);
}

fn check_limit(index: usize, wave: &Wave, found: &mut Found) {
    let Some(Limit { count, percent }) = wave.limit else {
        return;
    };
    let (field, problem) = match (count, percent) {
        (Some(_), Some(_)) => ("limit", "it has both count and percent; keep one"),
        (None, None) => (
            "limit",
            "it has neither count nor percent; write one or remove limit",
        ),
        (Some(0), None) => (
            "limit.count",
            "it must be at least 1; remove the wave if nobody is to be in it",
        ),
        (None, Some(0 | 101..)) => ("limit.percent", "it must be between 1 and 100"),
        (Some(_), None) | (None, Some(_)) => return,
    };
    found.wave(index, wave, field, problem);
}

#[derive(Default)]
struct Found(Vec<StrategyError>);

impl Found {
    fn whole(&mut self, field: &str, problem: &str) {
        self.0.push(StrategyError {
            wave: None,
            field: field.to_owned(),
            problem: problem.to_owned(),
        });
    }

    fn wave(&mut self, index: usize, wave: &Wave, field: &str, problem: &str) {
        self.0.push(StrategyError {
            wave: Some(wave.name.clone()),
            field: format!("waves[{index}].{field}"),
            problem: problem.to_owned(),
        });
    }
}
