//! What a wave allows, counted in members.
//!
//! Owns what the words of a strategy come to for the planned members of one wave. Shares are of the
//! members that were planned: who is removed on the way changes no allowance (invariant 35). Never
//! counts who failed: the steps do.

use tidegate_model::{
    run::Run,
    strategy::{BudgetMode, Wave},
};

use crate::{
    mutant::{self, Mutant},
    step::work::wave_of,
};

/// What one wave of a run allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members under way at once.
    pub concurrency: usize,
    /// Members that do not work while one that works is assigned.
    pub unavailable: usize,
    /// Members that may fail.
    pub budget: usize,
    /// No more are under way than could fail and leave one failure beyond the budget.
    pub strict: bool,
    /// Members that must be healthy, of those that were not left out.
    pub min_healthy: usize,
}

impl Limits {
    /// Those of a wave of the run; all zero for one that it does not have.
    pub fn of(run: &Run, wave: usize) -> Self {
        let (members, concurrency) = run
            .plan
            .waves
            .get(wave)
            .map_or((0, 0), |wave| (wave.members.len(), wave.concurrency));
        Self::planned(&wave_of(run, wave), members, concurrency)
    }

    /// Those of a wave for which so many members are planned.
    pub(crate) fn planned(spec: &Wave, members: usize, concurrency: usize) -> Self {
        Self {
            concurrency,
            unavailable: spec
                .max_unavailable
                .map_or(concurrency, |max| max.floor_at_least_one(members)),
            budget: spec.failure_budget.max.floor(members),
            strict: spec.failure_budget.mode == BudgetMode::Strict,
            min_healthy: spec.min_healthy.ceil_at_least_one(members),
        }
    }

    /// How many may be under way when so many failed.
    pub fn places(&self, failed: usize) -> usize {
        if self.strict && !mutant::on(Mutant::StrictIgnored) {
            let left = (self.budget + 1).saturating_sub(failed);
            self.concurrency.min(left)
        } else {
            self.concurrency
        }
    }

    /// Whether a wave of so many that were not left out is done well with so many healthy ones.
    pub fn suffice(&self, healthy: usize, asked: usize) -> bool {
        healthy >= self.min_healthy.min(asked) || mutant::on(Mutant::MinHealthyIgnored)
    }
}
