//! Whom a wave went on without, and what would bring them in line.
//!
//! Owns the words on deferred members. They hold up nobody, so they stand beside the causes that do.

use tidegate_model::run::Member;

use super::{BlockCode, Blocking, Explainer};
use crate::{
    mutant::{self, Mutant},
    step::{
        assign::{is_payable, owed},
        debt::is_deferred,
        member::{debt::is_held, unreachable_since},
    },
};

impl Explainer<'_> {
    /// Everybody who is owed something.
    pub(super) fn debts(&self) -> Vec<Blocking> {
        let members = self.work.members().filter(|member| is_deferred(member));
        if mutant::on(Mutant::DeferredUnexplained) {
            return Vec::new();
        }
        members.map(|member| self.debt(member)).collect()
    }

    fn debt(&self, member: &Member) -> Blocking {
        let cluster = self.work.cluster(&member.id);
        let release = self.run.release_number;
        let since = unreachable_since(cluster);
        let (code, why, clears) = if since.is_some() || cluster.is_none() {
            let why = format!(
                "deferred: it cannot be reached, and gets release {release} before anything newer \
                 when it is back"
            );
            (BlockCode::Deferred, why, "its agent's return")
        } else if self.work.paused_by_person() {
            let why = "deferred: it is back, and the run is paused".to_owned();
            (BlockCode::Deferred, why, "resume the run")
        } else if is_held(member, cluster) {
            let why = "deferred: a newer run has proven newer content in its wave";
            let clears = "the end of that run";
            (BlockCode::Deferred, why.to_owned(), clears)
        } else if let Some(earlier) = owed(member, cluster).filter(|_| is_unwritten(member)) {
            (BlockCode::Debt, owed_words(earlier), OWED_CLEARS)
        } else if is_payable(&self.work, member) {
            let why = format!("deferred: it is back, and waits for its turn to get {release}");
            let clears = "health, or the progress deadline, of those being paid";
            (BlockCode::Turn, why, clears)
        } else if let Some(said) = self.member(member) {
            // What it is owed is assigned: it waits for what every member waits for.
            return said;
        } else {
            let why = "deferred: what it is owed is assigned".to_owned();
            (BlockCode::NotHealthy, why, "a report that it is healthy")
        };
        let message = format!("cluster {}: {why}", member.cluster_name);
        let mut said = self.say(code, &message, clears);
        self.name(&mut said, member);
        said.since = since;
        said
    }
}

/// Whether what it is owed is not assigned yet: later nothing comes in front of it.
fn is_unwritten(member: &Member) -> bool {
    member.apps.values().any(|app| app.generation.is_none())
}

/// What is in the way of a member that an earlier run owes something.
pub(super) fn owed_words(release: u64) -> String {
    format!("an earlier run went on without it, and release {release} comes first")
}

/// And what clears it.
pub(super) const OWED_CLEARS: &str =
    "its health at that release, or the progress deadline of that run";
