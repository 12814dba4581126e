//! The promotion engine: planner and run state machine, pure.
//!
//! Owns every decision of a rollout: who belongs to which wave ([`plan`]), how a run begins
//! ([`start`]) and moves ([`step`]), what counts as evidence, when it goes back, what a pin holds
//! back ([`admit`]), what a run waits for ([`explain`]) and what must never happen
//! ([`invariants`]). Never does I/O, reads a clock, makes an id or sees an object's content: the
//! hub gathers [`Facts`], commits what a step returns in one transaction and calls again.

pub mod admit;
mod ask;
mod budget;
pub mod debts;
mod effect;
mod evidence;
mod explain;
mod facts;
mod forecast;
pub mod invariants;
mod limits;
mod measure;
mod mutant;
mod outlook;
mod plan;
mod quorum;
mod rollback;
mod start;
mod step;
#[cfg(test)]
mod tests;
mod validate;
mod walk;
mod window;

pub use self::{
    ask::{Answer, Question, QuestionId, questions},
    effect::{Action, Assign, AssignKind, Audit, Effect, Step},
    explain::{BlockCode, Blocking, explain},
    facts::{AppFacts, ClusterFacts, Evidence, Facts},
    forecast::{WaveForecast, forecast},
    limits::Limits,
    measure::{Measure, Outcome, SampleId, due},
    outlook::{WaveWindows, outlook},
    plan::{Candidate, PlanError, Planned, plan},
    quorum::{Barred, Quorum, approval_gate, may_speak, quorum},
    rollback::{Turn, back_to, may_go_back, turns},
    start::{AppStart, Begin, start},
    step::{again::may_retry, analysis::samples_needed, has_windows, skip::may_skip, step},
    validate::{StrategyError, StrategyErrors, validate},
    walk::{Walk, walk},
};

/// Actor of everything that the engine decides by itself.
pub const SYSTEM: &str = "system";
