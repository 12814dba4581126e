//! Commands of one session: each is sent once and answered once, never coalesced with state.
//!
//! Owns the hub's own command too: report all, when the evidence does not agree. Never waits.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use crate::link::message::{Command, CommandResult, ToAgent};

/// Commands that may be unanswered at a time: a person's clicks, not a lane for bulk.
const MOST: usize = 64;
/// Longest pause between two attempts to get all reports.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Id of the hub's own command. Ids of others are UUIDs.
const OWN: &str = "report-all";

/// Too many commands of this session are unanswered; try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to send the command: {MOST} are unanswered already; try again later")]
pub struct Busy;

#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    queue: VecDeque<(String, Command)>,
    unanswered: BTreeSet<String>,
    /// When the reports were asked for, and how long until they are asked for again: an agent
    /// that cannot agree must not send everything every few seconds.
    asked: Option<(Duration, Duration)>,
}

impl Commands {
    pub(super) fn push(&mut self, id: String, command: Command) -> Result<(), Busy> {
        if self.unanswered.len() >= MOST {
            return Err(Busy);
        }
        self.unanswered.insert(id.clone());
        self.queue.push_back((id, command));
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<ToAgent> {
        self.queue
            .pop_front()
            .map(|(id, command)| ToAgent::Command { id, command })
    }

    /// The answer, if somebody waits for it.
    pub(super) fn answered(&mut self, result: CommandResult) -> Option<CommandResult> {
        self.unanswered
            .remove(&result.id)
            .then_some(result)
            .filter(|result| result.id != OWN)
    }

    /// Asks for all reports, unless that was done a moment ago; `true` if they are asked for.
    pub(super) fn report_all(&mut self, heartbeat: Duration, now: Duration) -> bool {
        let pause = match self.asked {
            Some((at, pause)) if now < at + pause => return false,
            Some((_, pause)) => (pause * 2).min(LONGEST_PAUSE),
            None => heartbeat,
        };
        self.asked = Some((now, pause));
        self.unanswered.remove(OWN);
        // A full queue means that the agent does not answer; silence will end the session.
        self.push(OWN.to_owned(), Command::ReportAll).is_ok()
    }

    pub(super) fn reports_are_right(&mut self) {
        self.asked = None;
    }
}
