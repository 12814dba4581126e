//! Which assignments an agent still needs: what the hub wants, less what the agent has.
//!
//! One slot an application. What the agent has is learnt from equal roots or from its summary, and
//! kept true by its answers. An application that the hub does not know is left alone: absence is
//! no order to delete (design, decision 6).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidegate_model::{
    assignment::{Assignment, StateRow, state_root},
    digest::Digest,
    ids::{AppUid, Generation},
    report::Phase,
};

use super::{End, Facts, MAX_ROWS};
use crate::link::{message::ToAgent, port::Ack};

/// An assignment and what an agent that holds it has in its root.
#[derive(Clone, Debug)]
struct Want {
    assignment: Assignment,
    row: StateRow,
}

/// What this session said last about an application.
#[derive(Clone, Copy, Debug)]
struct Offer {
    row: StateRow,
    at: Duration,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Rejected,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    /// What the hub wants.
    desired: BTreeMap<AppUid, Want>,
    /// What the agent has, as far as is known.
    held: BTreeMap<AppUid, StateRow>,
    offered: BTreeMap<AppUid, Offer>,
    /// Applications whose last word has to be sent.
    pending: BTreeSet<AppUid>,
    /// Rows of the summary that is being received.
    summary: Option<Vec<StateRow>>,
    /// Nothing can be offered before the agent's rows are known.
    first_summary: bool,
    request: bool,
    requested_at: Option<Duration>,
}

impl Offers {
    /// Compares the roots; asks for the rows unless they are equal.
    pub(super) fn begin(&mut self, theirs: Digest, facts: &dyn Facts, now: Duration) -> bool {
        self.read(facts);
        let rows: BTreeMap<_, _> = self
            .desired
            .iter()
            .map(|(app, want)| (*app, want.row))
            .collect();
        let in_sync = state_root(rows.values().copied()) == theirs;
        if in_sync {
            self.held = rows;
        } else {
            self.first_summary = true;
            self.ask(now);
        }
        in_sync
    }

    fn ask(&mut self, now: Duration) {
        self.request = true;
        self.requested_at = Some(now);
        self.summary = Some(Vec::new());
    }

    pub(super) fn take_request(&mut self) -> Option<ToAgent> {
        std::mem::take(&mut self.request).then_some(ToAgent::SummaryRequest)
    }

    pub(super) fn awaits_first_summary(&self) -> bool {
        self.first_summary
    }

    pub(super) fn wants(&self, app: AppUid) -> bool {
        self.desired.contains_key(&app)
    }

    pub(super) fn unknown_apps(&self) -> usize {
        self.held.keys().filter(|app| !self.wants(**app)).count()
    }

    /// Takes a part of the agent's rows. One that was not asked for says nothing new.
    pub(super) fn summary(
        &mut self,
        rows: Vec<StateRow>,
        complete: bool,
        facts: &dyn Facts,
    ) -> Result<(), End> {
        let Some(sum) = &mut self.summary else {
            return Ok(());
        };
        sum.extend(rows);
        if sum.len() > MAX_ROWS {
            return Err(End::Protocol(format!(
                "a summary of more than {MAX_ROWS} rows"
            )));
        }
        if complete {
            self.held = sum.drain(..).map(|row| (row.app, row)).collect();
            self.summary = None;
            self.first_summary = false;
            // What was sent and is not there was lost. What was refused would be refused again.
            let held = &self.held;
            self.offered.retain(|app, offer| {
                offer.answer == Some(Answer::Rejected) || held.get(app) == Some(&offer.row)
            });
            self.refresh(facts);
        }
        Ok(())
    }

    /// Reads what the hub wants, and finds what has to be said.
    pub(super) fn refresh(&mut self, facts: &dyn Facts) {
        self.read(facts);
        self.offered.retain(|app, _| self.desired.contains_key(app));
        let differs = |(app, want): (&AppUid, &Want)| {
            let held = self.held.get(app) == Some(&want.row);
            let offered = self
                .offered
                .get(app)
                .is_some_and(|offer| offer.row == want.row);
            (!held && !offered).then_some(*app)
        };
        self.pending = self.desired.iter().filter_map(differs).collect();
    }

    /// A tombstone that was carried out is left out: the agent does not count it either, and
    /// forgets it once the roots agree without it.
    fn read(&mut self, facts: &dyn Facts) {
        let removed: BTreeSet<_> = facts
            .status_rows()
            .into_iter()
            .filter(|row| row.phase == Phase::Removed)
            .map(|row| StateRow {
                app: row.app,
                generation: row.generation,
                digest: row.digest,
            })
            .collect();
        let mut known = std::mem::take(&mut self.desired);
        let wants = facts.assignments().into_iter().map(|assignment| {
            // Digests cost; most assignments are the ones of the last time.
            match known.remove(&assignment.app) {
                Some(want) if want.assignment == assignment => want,
                _ => Want {
                    row: row(&assignment),
                    assignment,
                },
            }
        });
        self.desired = wants
            .filter(|want| !removed.contains(&want.row))
            .map(|want| (want.assignment.app, want))
            .collect();
    }

    /// The next assignment to send.
    pub(super) fn next(&mut self, now: Duration) -> Option<Assignment> {
        if self.first_summary {
            return None;
        }
        let app = self.pending.pop_first()?;
        let want = self.desired.get(&app)?;
        self.offered.insert(
            app,
            Offer {
                row: want.row,
                at: now,
                answer: None,
            },
        );
        Some(want.assignment.clone())
    }

    /// Takes an answer; `true` if it answers what the hub wants now.
    pub(super) fn answered(&mut self, ack: &Ack) -> bool {
        let said = ack.row();
        let answer = if ack.is_accepted() {
            Answer::Accepted
        } else {
            Answer::Rejected
        };
        if let Some(offer) = self
            .offered
            .get_mut(&ack.app)
            .filter(|offer| offer.row == said)
        {
            offer.answer = Some(answer);
        }
        let older = self
            .held
            .get(&ack.app)
            .is_some_and(|held| held.generation > ack.generation);
        if answer == Answer::Accepted && !older && self.held.len() < MAX_ROWS {
            self.held.insert(ack.app, said);
        }
        self.desired
            .get(&ack.app)
            .is_some_and(|want| want.row == said)
    }

    /// The agent carried a tombstone out: it no longer counts it.
    pub(super) fn removed(&mut self, app: AppUid, generation: Generation) {
        if self
            .held
            .get(&app)
            .is_some_and(|held| held.generation == generation)
        {
            self.held.remove(&app);
        }
    }

    /// Asks for the rows again if the agent does not have what it should, or did not answer for
    /// longer than `patience` (it may be fetching content, so not at once).
    pub(super) fn heartbeat(&mut self, theirs: Digest, patience: Duration, now: Duration) {
        if self.requested_at.is_some_and(|at| now < at + patience) {
            return;
        }
        let unanswered = || self.offered.values().filter(|offer| offer.answer.is_none());
        let lost = unanswered().any(|offer| now >= offer.at + patience);
        let differs = state_root(self.held.values().copied()) != theirs;
        if lost || (differs && unanswered().next().is_none()) {
            self.ask(now);
        }
    }
}

fn row(assignment: &Assignment) -> StateRow {
    StateRow {
        app: assignment.app,
        generation: assignment.generation,
        digest: assignment.digest(),
    }
}
