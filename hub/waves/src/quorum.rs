//! Whether the people who are asked have said yes.
//!
//! Owns the rules of an approval (invariants 19 and 20): whose word counts, for how long, and what
//! is still missing. Never asks anybody.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::{
    run::{Approval, GatePosition, Run, Verdict},
    strategy::{ApprovalGate, Approver, Gate},
};

use crate::{
    mutant::{self, Mutant},
    step::work::elapsed,
};

/// How a gate of a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Whose yes counts, by name.
    pub given: Vec<String>,
    /// How many more are needed.
    pub missing: usize,
    /// Rules that need a yes and have none.
    pub required: Vec<Approver>,
    /// Who said no, and why.
    pub rejected: Option<(String, String)>,
    /// Whose yes is too old.
    pub expired: Vec<String>,
}

impl Quorum {
    /// Whether it lets the run through.
    pub fn is_open(&self) -> bool {
        self.missing == 0 && self.required.is_empty() && self.rejected.is_none()
    }
}

/// The approval that this gate of a wave asks for.
///
/// Who goes on with what an analysis could not say is who approves the wave: after it, or before it,
/// or whoever may approve runs.
pub fn approval_gate(run: &Run, wave: usize, position: GatePosition) -> Option<&ApprovalGate> {
    let gates = &run.strategy.waves.get(wave)?.gates;
    match position {
        GatePosition::Before => gates.before.iter().find_map(Gate::approval),
        GatePosition::After => gates.after.iter().find_map(Gate::approval),
        GatePosition::Analysis => {
            let mut all = gates.after.iter().chain(&gates.before);
            Some(all.find_map(Gate::approval).unwrap_or(&ANYBODY))
        }
    }
}

static ANYBODY: ApprovalGate = ApprovalGate {
    min_approvals: 1,
    approvers: Vec::new(),
    separation_of_duties: false,
    expires: None,
};

/// How the approval stands that this gate of a wave asks for; `None` if it asks for none.
pub fn quorum(run: &Run, wave: usize, position: GatePosition, now: Timestamp) -> Option<Quorum> {
    let gate = approval_gate(run, wave, position)?;
    let soak = match position {
        GatePosition::Before | GatePosition::After => 0,
        GatePosition::Analysis => run.analysing.as_ref().map_or(0, |known| known.soak),
    };
    let mut words: BTreeMap<&str, &Approval> = BTreeMap::new();
    for word in &run.approvals {
        let bound = (word.wave == wave || mutant::on(Mutant::ApprovalOfOtherWave))
            && (word.position == position || mutant::on(Mutant::ApprovalOfOtherPosition))
            && (word.content == run.content || mutant::on(Mutant::ApprovalOfOtherContent))
            && (word.soak == soak || mutant::on(Mutant::AnalysisApprovalReused));
        if bound && may_speak(gate, run, &word.actor, &word.groups).is_ok() {
            words.insert(&word.actor, word);
        }
    }
    let is_old = |word: &Approval| {
        gate.expires
            .is_some_and(|expires| elapsed(word.at, now) >= expires.0)
            && !mutant::on(Mutant::ExpiryIgnored)
    };
    let yes = || {
        words
            .values()
            .filter(|word| word.verdict == Verdict::Approve)
    };
    let good: Vec<_> = yes().filter(|word| !is_old(word)).collect();
    let needed = if mutant::on(Mutant::OneApprovalIsEnough) {
        1
    } else {
        gate.min_approvals.max(1) as usize
    };
    let required = gate.approvers.iter().filter(|rule| {
        let said = |word: &&&Approval| rule.matches(&word.actor, &word.groups);
        rule.required && !good.iter().any(said) && !mutant::on(Mutant::RequiredIgnored)
    });
    let no = words
        .values()
        .find(|word| word.verdict == Verdict::Reject && !mutant::on(Mutant::RejectionIgnored));
    Some(Quorum {
        missing: needed.saturating_sub(good.len()),
        required: required.cloned().collect(),
        rejected: no.map(|word| (word.actor.clone(), word.reason.clone())),
        expired: yes()
            .filter(|word| is_old(word))
            .map(|word| word.actor.clone())
            .collect(),
        given: good.iter().map(|word| word.actor.clone()).collect(),
    })
}

/// Why the word of a person does not count at a gate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// The gate names others.
    #[error("the gate asks for {}, and {user} is none of them", .asked.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))]
    NotAsked {
        /// Who wanted to speak.
        user: String,
        /// Whom it names.
        asked: Vec<Approver>,
    },
    /// The release is theirs.
    #[error(
        "{user} made this release, and the gate asks for a separation of duties: somebody else has to approve"
    )]
    Author {
        /// Who wanted to speak.
        user: String,
    },
}

/// Whether the word of this person counts.
pub fn may_speak(
    gate: &ApprovalGate,
    run: &Run,
    user: &str,
    groups: &[String],
) -> Result<(), Barred> {
    let asked = &gate.approvers;
    if !asked.is_empty() && !asked.iter().any(|rule| rule.matches(user, groups)) {
        return Err(Barred::NotAsked {
            user: user.to_owned(),
            asked: asked.clone(),
        });
    }
    if gate.separation_of_duties
        && !mutant::on(Mutant::AuthorApproves)
        && run.authors.iter().any(|author| is_same(author, user))
    {
        return Err(Barred::Author {
            user: user.to_owned(),
        });
    }
    Ok(())
}

/// Users have names here and e-mail addresses in commits: `ada` made what `ada@example.com` made.
/// Too many that are held to be the same is the safe side.
fn is_same(author: &str, user: &str) -> bool {
    let local = |name: &str| {
        let local = name.split_once('@').map_or(name, |(local, _)| local);
        local.to_lowercase()
    };
    local(author) == local(user)
}
