//! How a release reaches its members: waves, gates, budgets, rollback (design/waves.md, "Spec").
//!
//! Owns the document and its defaults. Fields that this version cannot honour are unknown fields,
//! so they are refused instead of ignored. Never plans: `tidegate-waves` does.

mod amount;
mod analysis;
mod asked;
mod budget;
mod gate;
mod rolling_sync;
mod window;

use serde::{Deserialize, Serialize};

pub use self::{
    amount::Amount,
    analysis::{Analysis, Comparator, Condition, HttpCheck, PrometheusQuery},
    asked::{AlarmClear, Webhook},
    budget::{BudgetMode, FailureBudget},
    gate::{ApprovalGate, Approver, Gate, Gates},
    rolling_sync::{RollingStep, RollingSync},
    window::{Invoker, Window, WindowAction, WindowKind},
};
use crate::{duration::Span, selector::Selector};

/// The strategy of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Strategy {
    /// How members are ordered.
    #[serde(rename = "type", default)]
    pub kind: StrategyType,
    /// The `WavePlan` of the same project that says it all; nothing else is written beside it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wave_plan: String,
    /// In order; only with type Waves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Wave>,
    /// Argo CD's steps; only with type `RollingSync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_sync: Option<RollingSync>,
    /// In which order applications go when the set is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_order: Option<DeletionOrder>,
    /// What happens to members that no wave picks.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// What happens to a run when clusters come and go.
    #[serde(default, skip_serializing_if = "Membership::is_default")]
    pub membership: Membership,
    /// What a newer release does to an open run.
    #[serde(default)]
    pub supersede: Supersede,
    /// When and how to go back.
    #[serde(default)]
    pub rollback: Rollback,
}

impl Strategy {
    /// Whether some gate keeps the authors of a release from approving it.
    pub fn separates_duties(&self) -> bool {
        // Steps of a RollingSync have no gate that does.
        let gates = self.waves.iter().map(|wave| &wave.gates);
        let all = gates.flat_map(|gates| gates.before.iter().chain(&gates.after));
        all.filter_map(Gate::approval)
            .any(|gate| gate.separation_of_duties)
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            kind: StrategyType::AllAtOnce,
            wave_plan: String::new(),
            waves: Vec::new(),
            rolling_sync: None,
            deletion_order: None,
            unmatched: Unmatched::default(),
            membership: Membership::default(),
            supersede: Supersede::default(),
            rollback: Rollback::default(),
        }
    }
}

/// How members are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StrategyType {
    /// One wave with everybody in it, all at the same time.
    #[default]
    AllAtOnce,
    /// The waves written down.
    Waves,
    /// Argo CD's steps, read as waves.
    RollingSync,
}

/// In which order applications go when the set is deleted. Argo CD's other one, `Reverse`, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionOrder {
    /// All at the same time.
    AllAtOnce,
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wave {
    /// Unique in the strategy.
    pub name: String,
    /// Who belongs to it: the first wave that picks a member has it.
    #[serde(default)]
    pub select: Select,
    /// In which order members are assigned.
    #[serde(default)]
    pub order: Order,
    /// How many at most; the rest falls through to later waves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Members under way at once; a percentage is rounded down, at least 1. Default 1 in the first
    /// wave, 25 % after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<Amount>,
    /// No member that works is assigned while so many of the wave do not; a percentage is rounded
    /// down, at least 1. Default: as many as the concurrency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Amount>,
    /// How many may fail before the run stops.
    #[serde(default)]
    pub failure_budget: FailureBudget,
    /// So many must be healthy for the wave to be done, whatever the budget; a percentage is rounded
    /// up, at least 1. Members that were left out are not asked of it.
    #[serde(default = "everybody")]
    pub min_healthy: Amount,
    /// From Assigned to healthy, per member; stands still while it is unreachable.
    #[serde(default = "fifteen_minutes")]
    pub progress_deadline: Span,
    /// What to do about members that cannot be reached.
    #[serde(default)]
    pub unreachable: Unreachable,
    /// A member must be healthy at this run's content for so long without a break.
    #[serde(default = "thirty_seconds")]
    pub health_window: Span,
    /// Time that the whole wave must stay healthy before the next opens.
    #[serde(default)]
    pub soak: Soak,
    /// What is measured while it soaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
    /// What else must be given before and after.
    #[serde(default)]
    pub gates: Gates,
}

impl Wave {
    /// A wave of this name that picks everybody, with the defaults of the design.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            select: Select::default(),
            order: Order::default(),
            limit: None,
            max_concurrency: None,
            max_unavailable: None,
            failure_budget: FailureBudget::default(),
            min_healthy: everybody(),
            progress_deadline: fifteen_minutes(),
            unreachable: Unreachable::default(),
            health_window: thirty_seconds(),
            soak: Soak::default(),
            analysis: Vec::new(),
            gates: Gates::default(),
        }
    }
}

fn everybody() -> Amount {
    Amount::Percent(100)
}

fn fifteen_minutes() -> Span {
    Span::secs(15 * 60)
}

fn thirty_seconds() -> Span {
    Span::secs(30)
}

/// Who belongs to a wave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Select {
    /// By the cluster's labels.
    #[serde(default)]
    pub clusters: Selector,
    /// By the application's labels.
    #[serde(default)]
    pub applications: Selector,
}

/// The order within a wave: by a label, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// A cluster label; integers compare as integers, a missing label comes last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by_label: String,
}

/// How many members a wave takes at most: exactly one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// A number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// A share of the matching members, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
}

/// What to do about members that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unreachable {
    /// How long silence is nothing special.
    #[serde(default = "ten_minutes")]
    pub grace: Span,
    /// And after that.
    #[serde(default)]
    pub then: UnreachableThen,
    /// How many of the wave may be deferred at the same time; a percentage is rounded down, at
    /// least 1. Default 5 %; only with `then: defer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deferred: Option<Amount>,
}

impl Unreachable {
    /// The most of so many members that may be deferred at the same time.
    pub fn deferred_of(&self, members: usize) -> usize {
        match self.then {
            UnreachableThen::Defer => self
                .max_deferred
                .unwrap_or(Amount::Percent(5))
                .floor_at_least_one(members),
            UnreachableThen::Wait | UnreachableThen::Fail => 0,
        }
    }
}

fn ten_minutes() -> Span {
    Span::secs(10 * 60)
}

impl Default for Unreachable {
    fn default() -> Self {
        Self {
            grace: ten_minutes(),
            then: UnreachableThen::Wait,
            max_deferred: None,
        }
    }
}

/// What happens to an unreachable member after the grace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnreachableThen {
    /// The wave waits for it and says so.
    #[default]
    Wait,
    /// The wave goes on without it: it gets the content when its cluster is back.
    Defer,
    /// It counts as failed.
    Fail,
}

/// Time that the whole wave must stay healthy. The clock runs only while all its members are
/// healthy at the run's content and the run is not paused (facts of promotion, invariant 22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Soak {
    /// How long in all.
    #[serde(default)]
    pub time: Span,
    /// What an interruption costs.
    #[serde(default, skip_serializing_if = "is_healthy_only")]
    pub clock: SoakMode,
    /// So many samples of each analysis must pass, whatever its own count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_samples: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// What an interruption costs a soak: a member that is no longer healthy or cannot be reached, a
/// pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SoakMode {
    /// The clock stands, and goes on where it stood.
    #[default]
    HealthyOnly,
    /// The clock begins anew: the whole time must pass without a break.
    Continuous,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_healthy_only(value: &SoakMode) -> bool {
    *value == SoakMode::HealthyOnly
}

/// What happens to members that no wave picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unmatched {
    /// Refused, naming them.
    #[default]
    Error,
    /// They join the last wave.
    LastWave,
    /// They keep what they run.
    Exclude,
}

/// What happens to a run when clusters come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Membership {
    /// One that joins.
    #[serde(default)]
    pub added: MemberAdded,
    /// One that is taken out.
    #[serde(default)]
    pub removed: MemberRemoved,
}

impl Membership {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to a cluster that joins under an open run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberAdded {
    /// It is a member of the next run.
    #[default]
    NextRun,
    /// The open run would bring it its content. Not built: validation refuses it.
    CatchUp,
}

/// What happens to a cluster that is taken out under an open run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberRemoved {
    /// It is left out, and the run goes on.
    #[default]
    Drop,
}

/// What a newer release does to an open run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Supersede {
    /// When.
    #[serde(default)]
    pub newer: SupersedeWhen,
}

/// When a newer release takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SupersedeWhen {
    /// When the open wave is settled, or while nobody in it can be reached.
    #[default]
    FinishWave,
    /// At once: whoever is under way keeps what was assigned until the newer run reaches it.
    Immediately,
    /// Never; every release gets its run, one after the other.
    Queue,
    /// Never; when the run is over, the newest release gets its run.
    Never,
}

/// When and how to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// What starts it without a person. Without any, a failed run stops and waits.
    ///
    /// Written without quotes, the key `on` is the boolean true in YAML 1.1, which is how manifests
    /// are read here as in kubectl: hence the alias.
    #[serde(default = "automatic", alias = "true")]
    pub on: Vec<RollbackOn>,
    /// Whom an automatic one takes back. A person says it with the request.
    #[serde(default)]
    pub scope: RollbackScope,
    /// Which members go first.
    #[serde(default)]
    pub order: RollbackOrder,
    /// What may not come back.
    #[serde(default)]
    pub deny: DenyScope,
    /// A rollback heeds no window. Otherwise it heeds those that list it as an action.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub ignore_windows: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn automatic() -> Vec<RollbackOn> {
    vec![
        RollbackOn::Budget,
        RollbackOn::Analysis,
        RollbackOn::Deadline,
    ]
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            on: automatic(),
            scope: RollbackScope::default(),
            order: RollbackOrder::default(),
            deny: DenyScope::default(),
            ignore_windows: true,
        }
    }
}

/// Whom an automatic rollback takes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RollbackScope {
    /// The wave in which it went wrong, and those after it: they rest on what that wave showed.
    Wave,
    /// Everybody whom the run wrote.
    #[default]
    Run,
}

/// In which order members go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RollbackOrder {
    /// The last wave first: an earlier one waits until nobody of a later one is on the way.
    #[default]
    Reverse,
    /// All at once.
    Parallel,
}

/// What a rollback denies of the content that it takes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DenyScope {
    /// Every object whose content differs from what it went back to, whatever release it comes with.
    #[default]
    Content,
    /// Exactly the bundles that were taken back: one in which anything is different may come.
    Release,
}

/// What starts a rollback. A person can always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RollbackOn {
    /// More members failed than the wave's failure budget allows.
    Budget,
    /// A sample of an analysis failed.
    Analysis,
    /// A wave came to its end with too few healthy members.
    MinHealthy,
    /// A member ran into its progress deadline, beyond the failure budget.
    Deadline,
    /// Only a person: the value that stands for "not automatic" when written alone.
    Manual,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_design() {
        let wave: Wave = serde_json::from_str(r#"{"name": "canary"}"#).unwrap();
        assert_eq!(wave.health_window, Span::secs(30));
        assert_eq!(wave.progress_deadline, Span::secs(900));
        assert_eq!(wave.unreachable.grace, Span::secs(600));
        assert_eq!(wave.failure_budget.max, Amount::Count(0));
        assert_eq!(wave.failure_budget.mode, BudgetMode::Strict);
        assert_eq!(wave.min_healthy, Amount::Percent(100));
        let strategy = Strategy::default();
        assert_eq!(strategy.rollback.scope, RollbackScope::Run);
        assert_eq!(strategy.rollback.order, RollbackOrder::Reverse);
        assert_eq!(strategy.rollback.deny, DenyScope::Content);
        assert_eq!(wave.soak.clock, SoakMode::HealthyOnly);
        assert_eq!(strategy.membership.added, MemberAdded::NextRun);
        assert_eq!(
            strategy.rollback.on,
            [
                RollbackOn::Budget,
                RollbackOn::Analysis,
                RollbackOn::Deadline
            ]
        );
        assert_eq!(strategy.unmatched, Unmatched::Error);
    }

    #[test]
    fn a_twentieth_of_a_wave_may_be_deferred_and_one_at_least() {
        let read = |text| serde_json::from_str::<Unreachable>(text).unwrap();
        let defer = read(r#"{"then": "defer"}"#);
        let most = [1, 19, 39, 40, 200].map(|members| defer.deferred_of(members));
        assert_eq!(most, [1, 1, 1, 2, 10]);
        assert_eq!(
            read(r#"{"then": "defer", "maxDeferred": 3}"#).deferred_of(2),
            3
        );
        assert_eq!(Unreachable::default().deferred_of(100), 0);
    }

    #[test]
    fn the_key_on_is_read_as_yaml_hands_it_over() {
        for text in [r#"{"on": ["manual"]}"#, r#"{"true": ["manual"]}"#] {
            let rollback: Rollback = serde_json::from_str(text).unwrap();
            assert_eq!(rollback.on, [RollbackOn::Manual]);
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for text in [
            r#"{"name": "a", "failureBudgets": 1}"#,
            r#"{"name": "a", "unreachable": {"then": "skip"}}"#,
            r#"{"name": "a", "gates": {"before": [{"window": {}}]}}"#,
            r#"{"name": "a", "gates": {"before": [{"alarm": {}}]}}"#,
        ] {
            assert!(serde_json::from_str::<Wave>(text).is_err(), "{text}");
        }
    }
}
