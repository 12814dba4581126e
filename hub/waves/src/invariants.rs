//! What must never happen, as named functions over one step.
//!
//! Numbers are those of facts/promotion.md §2.4; 42 and 43 speak of what people do to single
//! members, 44 to 46 of what a strategy says of rollbacks and soaks. Written without the code that
//! they judge: they read states, facts and effects only. Called at the end of every step in debug
//! builds, from property tests, simulations and audits. Not here: 37 (the agent's).
//! Beside the list of those that judge a step stand 8, which judges a plan, 26 and 27, which judge
//! what is admitted, and 32, which judges where a history comes to rest.

mod analysis;
mod asked;
mod back;
mod books;
mod debt;
mod gate;
mod order;
mod people;
mod reach;
pub(crate) mod window;

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::{
    ids::AppUid,
    run::{Member, MemberApp, MemberId, MemberState, Run},
};

pub use self::{
    analysis::i24_evidence_minimum,
    asked::i25_preconditions,
    back::{
        i26_sticky_rollback, i27_pin_dominance, i28_rollback_target, i29_rollback_reaches_all,
        i30_rollback_is_no_promotion, i31_supersede_safety, i32_no_starvation, i33_no_zombie_run,
    },
    books::{
        i06_immutability, i07_partition, i08_determinism, i34_added_member, i35_removed_member,
        i38_crash_equivalence, i39_clock_skew, i40_audit_completeness, i41_explainability,
    },
    debt::{i36_debt_before_newer, i36_debt_is_settled, i36_deferred_bounded},
    gate::{
        i02_same_revision, i03_freshness, i14_budget_is_not_success, i19_approval_binding,
        i20_quorum, i21_no_double_spend, i22_soak_clock, i23_soak_is_per_run,
        i36_unreachable_is_neither,
    },
    order::{
        i01_wave_order, i04_single_writer, i05_fencing, i09_concurrency, i10_availability,
        i11_breach_stops, i12_bounded_overshoot, i13_strict_budget, i15_total_settlement,
    },
    people::{i42_retry_is_a_new_attempt, i43_skip_proves_nothing},
    reach::{i44_rollback_scope, i45_rollback_order, i46_unbroken_soak},
    window::{i16_windows, i17_window_zone, i18_closing_edge},
};
use crate::{Assign, AssignKind, Audit, Effect, Facts, Step};

/// One step with what it saw.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a> {
    /// The header before.
    pub run: &'a Run,
    /// The members before.
    pub members: &'a BTreeMap<MemberId, Member>,
    /// What was known.
    pub facts: &'a Facts,
    /// The hub's time.
    pub now: Timestamp,
    /// What the step returned.
    pub after: &'a Step,
    /// The members after.
    pub members_after: &'a BTreeMap<MemberId, Member>,
}

/// What an invariant says of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its premise does not hold: it says nothing about this step.
    Idle,
    /// It holds.
    Held,
    /// It is broken; the text says where.
    Broken(String),
}

impl Verdict {
    /// Idle without premise, otherwise broken by the first problem, otherwise held.
    fn of(premise: bool, mut problems: impl Iterator<Item = String>) -> Self {
        match problems.next() {
            Some(problem) => Self::Broken(problem),
            None if premise => Self::Held,
            None => Self::Idle,
        }
    }
}

/// An invariant over one step.
pub type Invariant = fn(&Transition<'_>) -> Verdict;

/// All of them by name.
pub const ALL: &[(&str, Invariant)] = &[
    ("i01_wave_order", i01_wave_order),
    ("i02_same_revision", i02_same_revision),
    ("i03_freshness", i03_freshness),
    ("i04_single_writer", i04_single_writer),
    ("i05_fencing", i05_fencing),
    ("i06_immutability", i06_immutability),
    ("i07_partition", i07_partition),
    ("i09_concurrency", i09_concurrency),
    ("i10_availability", i10_availability),
    ("i11_breach_stops", i11_breach_stops),
    ("i12_bounded_overshoot", i12_bounded_overshoot),
    ("i13_strict_budget", i13_strict_budget),
    ("i14_budget_is_not_success", i14_budget_is_not_success),
    ("i15_total_settlement", i15_total_settlement),
    ("i16_windows", i16_windows),
    ("i17_window_zone", i17_window_zone),
    ("i18_closing_edge", i18_closing_edge),
    ("i19_approval_binding", i19_approval_binding),
    ("i20_quorum", i20_quorum),
    ("i21_no_double_spend", i21_no_double_spend),
    ("i22_soak_clock", i22_soak_clock),
    ("i23_soak_is_per_run", i23_soak_is_per_run),
    ("i24_evidence_minimum", i24_evidence_minimum),
    ("i25_preconditions", i25_preconditions),
    ("i28_rollback_target", i28_rollback_target),
    ("i29_rollback_reaches_all", i29_rollback_reaches_all),
    ("i30_rollback_is_no_promotion", i30_rollback_is_no_promotion),
    ("i31_supersede_safety", i31_supersede_safety),
    ("i33_no_zombie_run", i33_no_zombie_run),
    ("i34_added_member", i34_added_member),
    ("i35_removed_member", i35_removed_member),
    ("i36_unreachable_is_neither", i36_unreachable_is_neither),
    ("i36_deferred_bounded", i36_deferred_bounded),
    ("i36_debt_before_newer", i36_debt_before_newer),
    ("i36_debt_is_settled", i36_debt_is_settled),
    ("i38_crash_equivalence", i38_crash_equivalence),
    ("i39_clock_skew", i39_clock_skew),
    ("i40_audit_completeness", i40_audit_completeness),
    ("i41_explainability", i41_explainability),
    ("i42_retry_is_a_new_attempt", i42_retry_is_a_new_attempt),
    ("i43_skip_proves_nothing", i43_skip_proves_nothing),
    ("i44_rollback_scope", i44_rollback_scope),
    ("i45_rollback_order", i45_rollback_order),
    ("i46_unbroken_soak", i46_unbroken_soak),
];

/// Names of those that judge something else than a step.
pub const OTHERS: &[&str] = &[
    "i08_determinism",
    "i26_sticky_rollback",
    "i27_pin_dominance",
    "i32_no_starvation",
];

/// Names of the broken ones with what is wrong.
pub fn check(step: &Transition<'_>) -> Vec<String> {
    let broken = |(name, invariant): &(&str, Invariant)| match invariant(step) {
        Verdict::Broken(problem) => Some(format!("{name}: {problem}")),
        Verdict::Idle | Verdict::Held => None,
    };
    ALL.iter().filter_map(broken).collect()
}

impl<'a> Transition<'a> {
    fn assigns(&self, kind: AssignKind) -> impl Iterator<Item = &'a Assign> {
        self.after
            .effects
            .iter()
            .filter_map(move |effect| match effect {
                Effect::Assign(assign) if assign.kind == kind => Some(assign),
                _ => None,
            })
    }

    fn forward(&self) -> impl Iterator<Item = &'a Assign> {
        self.assigns(AssignKind::Forward)
    }

    fn audits(&self) -> impl Iterator<Item = &'a Audit> {
        self.after.effects.iter().filter_map(|effect| match effect {
            Effect::Audit(audit) => Some(audit),
            _ => None,
        })
    }

    /// Members before and after, those that changed.
    fn moved(&self) -> impl Iterator<Item = (&'a Member, &'a Member)> {
        let members = self.members;
        self.after
            .changed
            .iter()
            .filter_map(move |(id, after)| Some((members.get(id)?, after)))
    }

    fn wave(&self, wave: usize) -> impl Iterator<Item = &'a Member> {
        self.members_after
            .values()
            .filter(move |member| member.id.wave as usize == wave)
    }

    /// The applications of a member that still exist.
    fn alive(&self, member: &'a Member) -> impl Iterator<Item = (AppUid, &'a MemberApp)> {
        let cluster = self.facts.clusters.get(&member.id.cluster);
        member.apps.iter().filter_map(move |(uid, app)| {
            let removed = cluster
                .and_then(|cluster| cluster.apps.get(uid))
                .is_some_and(|a| a.removed || a.overtaken);
            (!removed).then_some((*uid, app))
        })
    }

    /// Whether fresh evidence says that some application of it does not work, whatever it runs.
    fn is_unwell(&self, member: &Member) -> bool {
        let Some(cluster) = self.facts.clusters.get(&member.id.cluster) else {
            return false;
        };
        let apps = member.apps.keys().filter_map(|uid| cluster.apps.get(uid));
        apps.filter(|app| !app.removed)
            .filter_map(|app| app.evidence.as_ref())
            .any(|evidence| evidence.fresh && !evidence.report.health.is_healthy())
    }

    fn is_cut_off(&self, member: &Member) -> bool {
        let cluster = self.facts.clusters.get(&member.id.cluster);
        cluster.is_some_and(|cluster| cluster.unreachable_since.is_some())
    }
}

fn touched(member: &Member) -> bool {
    member.apps.values().any(|app| app.touched)
}

fn failed(member: &Member) -> bool {
    matches!(member.state, MemberState::Failed | MemberState::TimedOut)
}

fn settled(member: &Member) -> bool {
    matches!(
        member.state,
        MemberState::Healthy | MemberState::Soaked | MemberState::Skipped | MemberState::Deferred
    )
}

fn under_way(member: &Member) -> bool {
    let written = |app: &MemberApp| app.touched && app.generation.is_some();
    let written = member.apps.values().any(written);
    written && !member.reached && !settled(member) && !failed(member)
}
