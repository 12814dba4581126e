//! Whom a wave went on without, and what would bring them in line.
//!
//! Owns the words on deferred members. They hold up nobody, so they stand beside the causes that do.

use tidegate_model::run::{Member, RunState};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    evidence::is_alive,
    mutant::{self, Mutant},
    step::{
        assign::{is_known, owed},
        debt::is_deferred,
        decide::pays_from,
        member::unreachable_since,
        work::has_begun,
    },
};

impl Explainer<'_> {
    /// Everybody who is owed something.
    pub(super) fn debts(&self) -> Vec<Blocking> {
        // A run that goes back brings nothing more.
        if self.run.rollback.is_some() || mutant::on(Mutant::DeferredUnexplained) {
            return Vec::new();
        }
        let members = self.work.members().filter(|member| is_deferred(member));
        members.map(|member| self.debt(member)).collect()
    }

    fn debt(&self, member: &Member) -> Blocking {
        let cluster = self.work.cluster(&member.id);
        let release = self.run.release_number;
        let since = unreachable_since(cluster);
        let facts = |uid| cluster.and_then(|cluster| cluster.apps.get(uid));
        let mut alive = member.apps.iter().filter(|(uid, _)| is_alive(facts(uid)));
        let written = alive.all(|(_, app)| app.generation.is_some());
        let not_known = !is_known(member, cluster);
        let (code, why, clears) = if since.is_some() || cluster.is_none() {
            let why = format!(
                "it cannot be reached, and gets release {release} before anything newer when it is \
                 back"
            );
            (BlockCode::Deferred, why, "its agent's return")
        } else if self.work.paused_by_person() {
            // Its clock stands too.
            let why = "it is back, and the run is paused".to_owned();
            (BlockCode::Deferred, why, "the end of the pause")
        } else if written || not_known {
            // It waits for what every member waits for.
            let said = self.member(member);
            return said.unwrap_or_else(|| self.deferred(member, BlockCode::NotHealthy, PAID));
        } else if let Some((why, clears)) = self.stands(member) {
            (
                BlockCode::Deferred,
                format!("it is back, and {why}"),
                clears,
            )
        } else if let Some(earlier) = owed(member, cluster) {
            (BlockCode::Debt, owed_words(earlier), OWED_CLEARS)
        } else if let Some(mut closed) = self.closed(member.id.wave as usize) {
            self.name(&mut closed, member);
            return closed;
        } else {
            let why = format!("it is back, and waits for its turn to get release {release}");
            let clears = "health, or the progress deadline, of those before it";
            (BlockCode::Turn, why, clears)
        };
        let mut said = self.deferred(member, code, (&why, clears));
        said.since = since;
        said
    }

    fn deferred(&self, member: &Member, code: BlockCode, (why, clears): (&str, &str)) -> Blocking {
        let message = format!("cluster {}: deferred: {why}", member.cluster_name);
        let mut said = self.say(code, &message, clears);
        self.name(&mut said, member);
        said
    }

    /// Why the run brings nobody what it is owed, and what ends that.
    fn stands(&self, member: &Member) -> Option<(&'static str, &'static str)> {
        let over = self.run.state.is_terminal();
        if over {
            None
        } else if self.run.state == RunState::Paused {
            Some(("the run is paused", "the end of the pause"))
        } else if pays_from(&self.work).is_none_or(|first| (member.id.wave as usize) < first) {
            let why = "a newer release takes over when the wave is done";
            Some((why, "the end of this run"))
        } else if !has_begun(self.run, member) {
            Some(("the run stands before its wave", "the opening of that wave"))
        } else {
            None
        }
    }
}

/// One who is being paid.
const PAID: (&str, &str) = ("what it is owed is assigned", "a report that it is healthy");

/// What is in the way of a member that an earlier run owes something.
pub(super) fn owed_words(release: u64) -> String {
    format!("an earlier run went on without it, and release {release} comes first")
}

/// And what clears it.
pub(super) const OWED_CLEARS: &str =
    "its health at that release, or the progress deadline of that run";
