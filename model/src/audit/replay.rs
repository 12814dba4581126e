//! The runs of a fleet as its audit records tell them, from the first record on.
//!
//! Pure. Owns what of a run is decided, and how a record moves it: whoever replays a chain gets what
//! the hub holds (facts "promotion", invariant 40). What reports make of a run between two
//! decisions is not decided, and not here. Never checks that a chain is whole: `verify` does.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, Record, Standing};
use crate::{
    digest::Digest,
    ids::{AppUid, RunId},
    run::{GatePosition, Member, MemberId, Run, RunState},
};

/// What was decided of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Its state.
    pub state: RunState,
    /// Index of its open wave; the number of waves when all are done.
    pub wave: usize,
    /// Which gate of that wave is closed, if one is.
    pub gate: Option<GatePosition>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Those of its members of whom something was decided.
    pub members: BTreeMap<MemberId, MemberDecided>,
}

/// What was decided of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDecided {
    /// Its cluster's name, for people.
    pub cluster_name: String,
    /// Where it stands.
    pub standing: Standing,
    /// What the run brought it: the bundle of each application that got other content.
    pub written: BTreeMap<AppUid, Digest>,
}

impl Decided {
    /// What is decided of this run, as the hub holds it.
    pub fn of<'a>(run: &Run, members: impl IntoIterator<Item = &'a Member>) -> Self {
        let members = members
            .into_iter()
            .map(|member| (member.id.clone(), MemberDecided::of(member)))
            .filter(|(_, decided)| decided.is_decided())
            .collect();
        Self {
            members,
            ..Self::from(&Outcome::of(run))
        }
    }

    /// What is decided once a record with this outcome is told; `after` is the record's.
    pub fn follow(&mut self, outcome: &Outcome, after: Option<Digest>) {
        let members = std::mem::take(&mut self.members);
        *self = Self {
            members,
            ..Self::from(outcome)
        };
        let Some(told) = &outcome.member else {
            return;
        };
        let member = self.members.entry(told.id.clone()).or_default();
        member.cluster_name.clone_from(&told.cluster_name);
        member.standing = told.standing;
        if let Some((app, bundle)) = told.wrote.zip(after) {
            member.written.insert(app, bundle);
        }
        if !member.is_decided() {
            self.members.remove(&told.id);
        }
    }
}

impl From<&Outcome> for Decided {
    fn from(outcome: &Outcome) -> Self {
        Self {
            state: outcome.state,
            wave: outcome.wave,
            gate: outcome.gate,
            attempt: outcome.attempt,
            members: BTreeMap::new(),
        }
    }
}

impl MemberDecided {
    fn of(member: &Member) -> Self {
        let written = member.apps.iter().filter(|(_, app)| app.touched);
        let written = written.filter_map(|(uid, app)| Some((*uid, app.target.bundle()?)));
        Self {
            cluster_name: member.cluster_name.clone(),
            standing: Standing::of(member),
            written: written.collect(),
        }
    }

    /// Whether it is anything else than what every member is from the beginning.
    fn is_decided(&self) -> bool {
        self.standing != Standing::default() || !self.written.is_empty()
    }
}

/// All runs that records told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    runs: BTreeMap<RunId, Decided>,
    partial: BTreeSet<RunId>,
}

/// The record that a run begins with.
const BEGIN: &str = "run.create";

impl Replay {
    /// Takes the next record of a chain.
    pub fn take(&mut self, record: &Record) {
        let Some(outcome) = &record.context.outcome else {
            return;
        };
        let run = outcome.run;
        if !self.runs.contains_key(&run) && record.action != BEGIN {
            self.partial.insert(run);
        }
        self.runs
            .entry(run)
            .or_insert_with(|| Decided::from(outcome))
            .follow(outcome, record.after.parse().ok());
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> &BTreeMap<RunId, Decided> {
        &self.runs
    }

    /// Those of them whose beginning the records do not tell, because a hub began them that did not
    /// record it yet: of these something may lack.
    pub fn is_partial(&self, run: RunId) -> bool {
        self.partial.contains(&run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Context, MemberOutcome, tests::chain};

    fn told(action: &str, outcome: Outcome) -> Record {
        let mut record = chain(1).0.remove(0);
        action.clone_into(&mut record.action);
        record.after = Digest::from_bytes([1; 32]).to_string();
        record.context = Context {
            outcome: Some(outcome),
            ..Context::default()
        };
        record
    }

    fn outcome(state: RunState, member: Option<MemberOutcome>) -> Outcome {
        Outcome {
            run: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
            state,
            wave: 0,
            gate: None,
            attempt: 1,
            member,
        }
    }

    fn member(standing: Standing, wrote: bool) -> MemberOutcome {
        let id = "01890000-0000-7000-8000-000000000002";
        MemberOutcome {
            id: MemberId {
                wave: 0,
                cluster: id.parse().unwrap(),
            },
            cluster_name: "dev".to_owned(),
            standing,
            wrote: wrote.then(|| id.parse().unwrap()),
        }
    }

    #[test]
    fn records_lead_to_what_was_decided_and_nothing_else_does() {
        let mut replay = Replay::default();
        let run = outcome(RunState::Planned, None).run;
        replay.take(&chain(1).0[0]);
        assert!(replay.runs().is_empty());
        replay.take(&told("run.create", outcome(RunState::Planned, None)));
        let written = outcome(RunState::Rolling, Some(member(Standing::Forward, true)));
        replay.take(&told("run.assign", written));
        let known = replay.runs()[&run].members.values().next().unwrap();
        assert_eq!(known.written.len(), 1);
        let failed = outcome(RunState::Rolling, Some(member(Standing::Failed, false)));
        replay.take(&told("run.fail-member", failed));
        let known = replay.runs()[&run].members.values().next().unwrap();
        assert_eq!((known.standing, known.written.len()), (Standing::Failed, 1));
        replay.take(&told("run.finish", outcome(RunState::Failed, None)));
        assert_eq!(replay.runs()[&run].state, RunState::Failed);
        assert_eq!(replay.runs()[&run].members.len(), 1);
        assert!(!replay.is_partial(run));
    }

    #[test]
    fn who_is_back_where_everybody_is_counts_as_nobody_and_a_lost_beginning_is_told() {
        let mut replay = Replay::default();
        let run = outcome(RunState::Planned, None).run;
        let skipped = outcome(RunState::Rolling, Some(member(Standing::Skipped, false)));
        replay.take(&told("run.skip-member", skipped));
        let again = outcome(RunState::Rolling, Some(member(Standing::Forward, false)));
        replay.take(&told("run.move", again));
        assert!(replay.runs()[&run].members.is_empty());
        assert!(replay.is_partial(run));
    }
}
