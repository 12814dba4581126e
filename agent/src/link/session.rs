//! The agent's side of one session: a pure state machine.
//!
//! Owns the rules of design/protocol.md (Session) as the agent keeps them: which hub is obeyed,
//! which assignments are worked on, what is said when. Never does I/O and reads no clock: messages
//! and the time come in, actions and messages go out.
//!
//! Bounded by construction: one slot an application in each direction; what is sent is the latest
//! at the time of sending.

mod reports;
#[cfg(test)]
mod tests;
mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    time::Duration,
};

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, StateRow, state_root},
    ids::{AppUid, Epoch, Generation},
    object::ObjectId,
    report::Report,
    tree::ObjectPage,
};

pub use self::work::Outcome;
use self::{reports::Outbox, work::Work};
use super::message::{Ack, Body, Command, CommandResult, FromHub, Hello, Introduction, ToHub};

/// The newest protocol version of this agent.
const NEWEST: u32 = 1;
/// Protocol versions of this agent: the newest and the two before it (design/protocol.md, 11).
pub const PROTOCOL: RangeInclusive<u32> =
    RangeInclusive::new(if NEWEST > 3 { NEWEST - 2 } else { 1 }, NEWEST);
/// How many heartbeats may be missing before a side gives the other up.
pub const MISSED_HEARTBEATS: u32 = 3;
/// How long the hub may take to answer the hello.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(30);
/// What a hub may ask for as heartbeat: neither a flood nor an outage that nobody notices.
const HEARTBEATS: RangeInclusive<Duration> =
    RangeInclusive::new(Duration::from_millis(50), Duration::from_mins(5));
/// Rows in one message of a summary: about a quarter of a megabyte.
const ROWS_A_MESSAGE: usize = 2000;
/// Answers to commands that may wait to be sent; a hub that asks faster than it reads is told no
/// more.
const MOST_RESULTS: usize = 256;

/// What a session reads from the reconciler. Read when needed, so it is always the latest.
pub trait Local {
    /// What is held durably.
    fn held(&self) -> Vec<StateRow>;
    /// The latest report of every application.
    fn reports(&self) -> Vec<Report>;
}

/// What the caller has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Keep the epoch durably before anything else is done; end the session if that fails.
    RaiseEpoch(Epoch),
    /// Fetch the content and accept; then call [`Session::worked`].
    Accept {
        /// Epoch of the message that brought it.
        epoch: Epoch,
        /// What to accept.
        assignment: Assignment,
    },
    /// Drop a tombstone that was carried out: the hub knows.
    Forget {
        /// The application.
        app: AppUid,
        /// Generation of the tombstone.
        generation: Generation,
    },
    /// Have the certificate renewed if its life begins before.
    Renew(Timestamp),
    /// Reconcile now, then call [`Session::answer`].
    SyncNow {
        /// Id of the command.
        id: String,
        /// The application.
        app: AppUid,
    },
    /// Look at an application's objects, then call [`Session::answer_objects`].
    ListObjects {
        /// Id of the command.
        id: String,
        /// The application.
        app: AppUid,
        /// The last object of the page before.
        after: Option<ObjectId>,
    },
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The hub lost its term.
    #[error(
        "the hub speaks with epoch {given}, epoch {highest} was seen: it lost its term and is not obeyed"
    )]
    StaleHub {
        /// Epoch of the message.
        given: Epoch,
        /// Highest ever seen.
        highest: Epoch,
    },
    /// The hub does not want the session.
    #[error("the hub refused the session: {reason}")]
    Refused {
        /// Why, in the hub's words.
        reason: String,
        /// Not before this.
        retry_after: Duration,
    },
    /// The hub wants the session to be opened again, for example with another hub.
    #[error("the hub closed the session to have it opened again")]
    Drained {
        /// Not before this.
        retry_after: Duration,
    },
    /// Nothing was heard for too long.
    #[error("nothing was heard from the hub for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// The hub said something that the protocol does not allow here.
    #[error("the hub broke the protocol: {0}")]
    Protocol(String),
}

#[derive(Clone, Debug)]
enum Stage {
    /// Hello was not sent yet.
    Opening,
    /// Hello was sent. The carried-out tombstones that its root left out.
    Greeted {
        left_out: Vec<(AppUid, Generation)>,
    },
    Open,
}

/// One session with the hub.
#[derive(Clone, Debug)]
pub struct Session {
    introduction: Introduction,
    highest: Epoch,
    stage: Stage,
    heard: Duration,
    sent: Duration,
    heartbeat: Duration,
    /// When the last heartbeat was sent; `None` asks for one at once.
    last_heartbeat: Option<Duration>,
    work: Work,
    outbox: Outbox,
    summary: VecDeque<ToHub>,
    results: VecDeque<CommandResult>,
}

impl Session {
    /// A session that will say hello. `highest` is the highest epoch ever seen; `unsent` are the
    /// applications whose reports an earlier session did not get out. `now` is monotonic time
    /// since any fixed origin, the same in every call.
    pub fn new(
        introduction: Introduction,
        highest: Epoch,
        unsent: impl IntoIterator<Item = AppUid>,
        local: &dyn Local,
        now: Duration,
    ) -> Self {
        Self {
            introduction,
            highest,
            stage: Stage::Opening,
            heard: now,
            sent: now,
            heartbeat: OPENING_TIMEOUT,
            last_heartbeat: None,
            work: Work::new(local.held()),
            outbox: Outbox::new(local.reports(), unsent),
            summary: VecDeque::new(),
            results: VecDeque::new(),
        }
    }

    /// Assignments that came and are not accepted or rejected yet.
    pub fn waiting(&self) -> usize {
        self.work.waiting()
    }

    /// Takes a message. Actions are done in order, and before the next message is taken.
    pub fn take(
        &mut self,
        message: FromHub,
        local: &dyn Local,
        now: Duration,
    ) -> Result<Vec<Action>, End> {
        if message.epoch < self.highest {
            let (given, highest) = (message.epoch, self.highest);
            return Err(End::StaleHub { given, highest });
        }
        self.heard = now;
        let mut actions = Vec::new();
        if message.epoch > self.highest {
            self.highest = message.epoch;
            actions.push(Action::RaiseEpoch(message.epoch));
        }
        match message.body {
            body @ (Body::Refused { .. } | Body::Drain { .. }) => {
                return Err(body
                    .into_end()
                    .unwrap_or(End::Protocol("a broken refusal".into())));
            }
            Body::Welcome {
                protocol,
                heartbeat,
                in_sync,
                ..
            } => {
                actions.extend(self.welcome(protocol, heartbeat, in_sync)?);
            }
            body if !matches!(self.stage, Stage::Open) => {
                return Err(End::Protocol(format!("{} before the welcome", name(&body))));
            }
            Body::SummaryRequest => self.summarise(local),
            Body::Desired(desired) => self.desired(desired, now, &mut actions),
            Body::Command { id, command } => self.command(id, command, &mut actions),
            Body::Renewal { not_before } => actions.push(Action::Renew(not_before)),
            Body::Heartbeat | Body::Unknown => {}
        }
        Ok(actions)
    }

    fn welcome(
        &mut self,
        protocol: u32,
        heartbeat: Duration,
        in_sync: bool,
    ) -> Result<Vec<Action>, End> {
        let Stage::Greeted { left_out } = &mut self.stage else {
            return Err(End::Protocol("a welcome that nobody asked for".into()));
        };
        if !self.introduction.versions.contains(&protocol) {
            return Err(End::Protocol(format!(
                "it chose version {protocol}, which was not offered"
            )));
        }
        let left_out = std::mem::take(left_out);
        self.stage = Stage::Open;
        self.heartbeat = heartbeat.clamp(*HEARTBEATS.start(), *HEARTBEATS.end());
        // Equal roots prove that the hub, too, no longer counts what was left out: it has stored
        // that these were removed.
        let forget = |(app, generation)| Action::Forget { app, generation };
        Ok(left_out
            .into_iter()
            .filter(|_| in_sync)
            .map(forget)
            .collect())
    }

    fn summarise(&mut self, local: &dyn Local) {
        self.work.set_held(local.held());
        self.outbox.refresh(local.reports());
        let rows: Vec<_> = self.counted().collect();
        self.summary = rows
            .chunks(ROWS_A_MESSAGE)
            .map(|rows| ToHub::Summary {
                rows: rows.to_vec(),
                complete: false,
            })
            .collect();
        self.summary.push_back(ToHub::Summary {
            rows: Vec::new(),
            complete: true,
        });
    }

    fn desired(
        &mut self,
        desired: Result<Assignment, super::message::Unreadable>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        match desired {
            Ok(assignment) => {
                let app = assignment.app;
                if self.work.take(self.highest, assignment) {
                    // The hub asks for something that stands here already: it may not have heard
                    // what became of it.
                    self.outbox.resend(app);
                }
                actions.extend(self.work.start(now));
            }
            Err(unreadable) => self.work.answer(Ack {
                app: unreadable.app,
                generation: unreadable.generation,
                digest: unreadable.digest,
                rejected: Some(unreadable.problem),
            }),
        }
    }

    fn command(&mut self, id: String, command: Option<Command>, actions: &mut Vec<Action>) {
        match command {
            Some(Command::SyncNow(app)) => actions.push(Action::SyncNow { id, app }),
            Some(Command::ListObjects { app, after }) => {
                actions.push(Action::ListObjects { id, app, after });
            }
            Some(Command::ReportAll) => {
                self.outbox.resend_all();
                // So that the hub learns at once that the reports are complete.
                self.last_heartbeat = None;
                self.answer(id, true, String::new());
            }
            None => {
                let message = format!(
                    "agent {} does not know this command",
                    self.introduction.version
                );
                self.answer(id, false, message);
            }
        }
    }

    /// Answers a command.
    pub fn answer(&mut self, id: String, ok: bool, message: String) {
        self.result(CommandResult {
            id,
            ok,
            message,
            objects: None,
        });
    }

    /// Answers with objects, or says that there is no such application.
    pub fn answer_objects(&mut self, id: String, objects: Option<ObjectPage>) {
        let message = match objects {
            Some(_) => String::new(),
            None => "no such application here".to_owned(),
        };
        self.result(CommandResult {
            id,
            ok: objects.is_some(),
            message,
            objects,
        });
    }

    fn result(&mut self, result: CommandResult) {
        if self.results.len() < MOST_RESULTS {
            self.results.push_back(result);
        }
    }

    /// Something became of an assignment that was to be accepted.
    pub fn worked(&mut self, app: AppUid, outcome: Outcome, now: Duration) -> Vec<Action> {
        if matches!(outcome, Outcome::Accepted { repeated: true, .. }) {
            self.outbox.resend(app);
        }
        self.work.worked(app, outcome, now);
        self.work.start(now)
    }

    /// Work whose time to be tried again has come.
    pub fn due_work(&mut self, now: Duration) -> Vec<Action> {
        self.work.start(now)
    }

    /// These reports changed.
    pub fn reported(&mut self, reports: Vec<Report>) {
        for report in reports {
            self.outbox.put(report);
        }
    }

    /// The next message to send, if there is one: control before answers before reports, the
    /// latest of each application, and a heartbeat at least every other interval even while other
    /// messages flow, because only it confirms the reports of the quiet applications.
    pub fn next_message(&mut self, local: &dyn Local, now: Duration) -> Option<ToHub> {
        let message = match self.stage {
            Stage::Opening => Some(self.hello(local)),
            Stage::Greeted { .. } => None,
            Stage::Open => self
                .results
                .pop_front()
                .map(ToHub::CommandResult)
                .or_else(|| self.summary.pop_front())
                .or_else(|| self.work.next_ack().map(ToHub::Ack))
                .or_else(|| self.outbox.next(now).map(ToHub::Report))
                .or_else(|| self.heartbeat(local, now)),
        }?;
        self.sent = now;
        Some(message)
    }

    fn hello(&mut self, local: &dyn Local) -> ToHub {
        self.work.set_held(local.held());
        self.outbox.refresh(local.reports());
        let removed = |row: &&StateRow| self.outbox.is_removed(row);
        let left_out = self
            .work
            .held()
            .filter(removed)
            .map(|row| (row.app, row.generation));
        let left_out = left_out.collect();
        let hello = Hello {
            identity: self.introduction.clone(),
            highest_epoch: self.highest,
            state_root: state_root(self.counted()),
        };
        self.stage = Stage::Greeted { left_out };
        ToHub::Hello(hello)
    }

    fn heartbeat(&mut self, local: &dyn Local, now: Duration) -> Option<ToHub> {
        if now < self.heartbeat_at() {
            return None;
        }
        self.work.set_held(local.held());
        self.outbox.refresh(local.reports());
        // The root must speak of what the hub was told, so news go first.
        if let Some(report) = self.outbox.next(now) {
            return Some(ToHub::Report(report));
        }
        self.last_heartbeat = Some(now);
        Some(ToHub::Heartbeat {
            state_root: state_root(self.counted()),
            status_root: self.outbox.root(),
        })
    }

    fn heartbeat_at(&self) -> Duration {
        match self.last_heartbeat {
            None => Duration::ZERO,
            Some(last) => (self.sent + self.heartbeat).min(last + self.heartbeat * 2),
        }
    }

    /// Rows of the state root: what is held, less the tombstones that were carried out.
    fn counted(&self) -> impl Iterator<Item = StateRow> {
        self.work
            .held()
            .filter(|row| !self.outbox.is_removed(row))
            .copied()
    }

    /// Whether the session must end because of the time.
    pub fn check(&self, now: Duration) -> Result<(), End> {
        let limit = self.patience();
        let silent = now.saturating_sub(self.heard);
        if silent >= limit {
            Err(End::Silent(silent))
        } else {
            Ok(())
        }
    }

    /// When [`Session::check`], [`Session::due_work`] and [`Session::next_message`] have to be
    /// called next, if nothing else happens.
    pub fn wake_at(&self) -> Duration {
        let mut at = self.deadline();
        if matches!(self.stage, Stage::Open) {
            let others = [
                self.work.wake_at(),
                self.outbox.wake_at(),
                Some(self.heartbeat_at()),
            ];
            at = others.into_iter().flatten().fold(at, Duration::min);
        }
        at
    }

    fn patience(&self) -> Duration {
        match self.stage {
            Stage::Open => self.heartbeat * MISSED_HEARTBEATS,
            Stage::Opening | Stage::Greeted { .. } => OPENING_TIMEOUT,
        }
    }

    /// When [`Session::check`] has to be called next, if nothing else happens.
    pub fn deadline(&self) -> Duration {
        self.heard + self.patience()
    }

    /// Whether the hub has opened the session.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Applications whose latest report did not get out: for the next session.
    pub fn unsent(&self) -> Vec<AppUid> {
        self.outbox.unsent()
    }
}

fn name(body: &Body) -> &'static str {
    match body {
        Body::Welcome { .. } => "a welcome",
        Body::SummaryRequest => "a summary request",
        Body::Desired(_) => "an assignment",
        Body::Heartbeat => "a heartbeat",
        Body::Command { .. } => "a command",
        Body::Renewal { .. } => "a renewal",
        Body::Drain { .. } => "a drain",
        Body::Refused { .. } => "a refusal",
        Body::Unknown => "an unknown message",
    }
}

/// Held rows by application.
type Held = BTreeMap<AppUid, StateRow>;
