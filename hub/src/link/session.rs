//! The hub's side of one session: a pure state machine.
//!
//! Owns the rules of design/protocol.md (Session) as the hub keeps them: who may open a session,
//! which assignments an agent still needs, when stored reports are confirmed, when silence ends it.
//! Never does I/O and reads no clock: messages and the time come in, actions and messages go out.
//!
//! Bounded by construction: one slot an application, whatever the agent or the hub's own writers
//! do, and what is sent is the latest at the time of sending.

mod commands;
mod hello;
mod offers;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    digest::Digest,
    ids::{AppUid, Epoch},
    report::{Phase, Report, StatusRow, status_root},
};

pub use self::{
    commands::Busy,
    hello::{PROTOCOL, Versions},
};
use self::{commands::Commands, offers::Offers};
use super::{
    message::{Command, CommandResult, FromAgent, Hello, ToAgent},
    port::{Ack, AckOutcome, AgentFacts, Alarm, Refusal},
};

/// How many heartbeats may be missing before a side gives the other up: one lost and one late
/// one are no outage.
pub const MISSED_HEARTBEATS: u32 = 3;
/// How long opening a session may take, hello and summary included.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(30);
/// Rows that one agent may have: a bound on memory, far above any cluster.
pub const MAX_ROWS: usize = 100_000;

/// What a session reads from the hub. Read when needed, so it is always the latest.
pub trait Facts {
    /// The last word on every application of the cluster.
    fn assignments(&self) -> Vec<Assignment>;
    /// Rows of the stored reports.
    fn status_rows(&self) -> Vec<StatusRow>;
    /// Certificates whose life begins before are to be renewed.
    fn renew_before(&self) -> Option<Timestamp>;
}

/// What is fixed for the life of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the session.
    pub session_id: String,
    /// The hub's term.
    pub epoch: Epoch,
    /// Protocol versions that the hub speaks.
    pub versions: Versions,
    /// How often both sides say that they are there.
    pub heartbeat: Duration,
    /// The Kubernetes cluster that the identity is bound to.
    pub bound_kubernetes_uid: Option<String>,
    /// When the life of the agent's certificate begins.
    pub certificate: Option<Timestamp>,
}

/// What the caller has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Admit the agent, then call [`Session::admitted`].
    Admit(AgentFacts),
    /// Store a report; if the hub does not know the application, call [`Session::stranger`].
    Report(Report),
    /// Note an answer to the current assignment.
    Ack(Ack),
    /// The stored reports are what the agent sees, as of now.
    Confirmed,
    /// The stored reports are not what the agent sees; they were asked for.
    Differs,
    /// Hand an answer to whoever gave the command.
    Answer(CommandResult),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// It must not be opened.
    #[error("{}", .0.reason)]
    Refused(Refusal, Option<Alarm>),
    /// The agent said something that the protocol does not allow here.
    #[error("the agent broke the protocol: {0}")]
    Protocol(String),
    /// Nothing was heard for too long.
    #[error("nothing was heard from the agent for {} seconds", .0.as_secs())]
    Silent(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Hello,
    Admitting(Box<Hello>, u32),
    Open,
}

/// One session with one agent.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    stage: Stage,
    opened: Duration,
    heard: Duration,
    sent: Duration,
    welcome: Option<ToAgent>,
    offers: Offers,
    /// Reports on applications that the hub does not know. They count in the agent's status root,
    /// so without them the hub could never find the two equal.
    strangers: BTreeMap<AppUid, StatusRow>,
    commands: Commands,
    renewal: Renewal,
}

/// Whether the agent is told to renew its certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Renewal {
    /// What it must be told.
    wanted: Option<Timestamp>,
    /// What it was told last.
    told: Option<Timestamp>,
}

impl Renewal {
    fn take(&mut self) -> Option<ToAgent> {
        let not_before = self.wanted.filter(|_| self.wanted != self.told)?;
        self.told = self.wanted;
        Some(ToAgent::Renewal { not_before })
    }
}

impl Session {
    /// A session that waits for the agent's hello. `now` is monotonic time since any fixed origin,
    /// the same in every call.
    pub fn new(config: Config, now: Duration) -> Self {
        Self {
            config,
            stage: Stage::Hello,
            opened: now,
            heard: now,
            sent: now,
            welcome: None,
            offers: Offers::default(),
            strangers: BTreeMap::new(),
            commands: Commands::default(),
            renewal: Renewal::default(),
        }
    }

    /// Takes a message. Actions are done in order, and before the next message is taken: that is
    /// what makes a heartbeat's digest speak of the reports before it.
    pub fn take(
        &mut self,
        message: FromAgent,
        facts: &dyn Facts,
        now: Duration,
    ) -> Result<Vec<Action>, End> {
        self.heard = now;
        match (&self.stage, message) {
            (Stage::Hello, FromAgent::Hello(hello)) => self.hello(hello),
            (Stage::Hello, _) => Err(End::Protocol("the first message was not a hello".into())),
            (Stage::Admitting(..), _) => Err(End::Protocol(
                "the agent spoke before it was welcome".into(),
            )),
            (Stage::Open, FromAgent::Hello(_)) => {
                Err(End::Protocol("a second hello in one session".into()))
            }
            (Stage::Open, message) => self.open_message(message, facts, now),
        }
    }

    fn hello(&mut self, hello: Hello) -> Result<Vec<Action>, End> {
        let protocol = hello::check(&self.config, &hello)?;
        let facts = super::message::own_labels(hello.facts.clone());
        self.stage = Stage::Admitting(Box::new(hello), protocol);
        Ok(vec![Action::Admit(facts)])
    }

    /// The agent was admitted: the session is open.
    pub fn admitted(&mut self, facts: &dyn Facts, now: Duration) {
        let Stage::Admitting(hello, protocol) = &self.stage else {
            return;
        };
        let in_sync = self.offers.begin(hello.state_root, facts, now);
        self.renewal.wanted = self.renewal(facts);
        self.welcome = Some(ToAgent::Welcome {
            protocol: *protocol,
            session_id: self.config.session_id.clone(),
            heartbeat: self.config.heartbeat,
            in_sync,
        });
        self.stage = Stage::Open;
    }

    fn open_message(
        &mut self,
        message: FromAgent,
        facts: &dyn Facts,
        now: Duration,
    ) -> Result<Vec<Action>, End> {
        match message {
            FromAgent::Summary { rows, complete } => {
                self.offers.summary(rows, complete, facts)?;
                Ok(Vec::new())
            }
            FromAgent::Ack(ack) => {
                let current = self.offers.answered(&ack);
                Ok(current.then_some(Action::Ack(ack)).into_iter().collect())
            }
            FromAgent::Report(report) => {
                // What it said before of this application, known or not, no longer holds.
                self.strangers.remove(&report.app);
                if report.phase == Phase::Removed {
                    self.offers.removed(report.app, report.generation);
                }
                Ok(vec![Action::Report(report)])
            }
            FromAgent::Heartbeat {
                state_root,
                status_root,
            } => {
                self.offers.heartbeat(state_root, self.patience(), now);
                Ok(self.compare(status_root, facts, now))
            }
            FromAgent::CommandResult(result) => Ok(self
                .commands
                .answered(result)
                .map(Action::Answer)
                .into_iter()
                .collect()),
            FromAgent::Hello(_) | FromAgent::Unknown => Ok(Vec::new()),
        }
    }

    fn compare(&mut self, theirs: Digest, facts: &dyn Facts, now: Duration) -> Vec<Action> {
        let stored = facts.status_rows();
        let offers = &self.offers;
        self.strangers.retain(|app, _| !offers.wants(*app));
        if status_root(stored.into_iter().chain(self.strangers.values().copied())) == theirs {
            self.commands.reports_are_right();
            return vec![Action::Confirmed];
        }
        if self.commands.report_all(self.config.heartbeat, now) {
            // Those that are still there will be reported again; of those that are gone nothing
            // would ever be heard.
            self.strangers.clear();
        }
        vec![Action::Differs]
    }

    /// A report was on an application that the hub does not know.
    pub fn stranger(&mut self, row: StatusRow) {
        if self.strangers.len() < MAX_ROWS {
            self.strangers.insert(row.app, row);
        }
    }

    /// Something that the hub wants of this cluster may have changed.
    pub fn nudge(&mut self, facts: &dyn Facts) {
        if self.stage == Stage::Open {
            self.offers.refresh(facts);
            self.renewal.wanted = self.renewal(facts);
        }
    }

    /// What the agent must be told of its certificate.
    fn renewal(&self, facts: &dyn Facts) -> Option<Timestamp> {
        let least = facts.renew_before()?;
        let made = self.config.certificate;
        made.is_none_or(|made| made < least).then_some(least)
    }

    /// Gives the agent something to do once. Its answer comes as [`Action::Answer`].
    pub fn command(&mut self, id: String, command: Command) -> Result<(), Busy> {
        self.commands.push(id, command)
    }

    /// The next message to send, if there is one: control before commands before assignments,
    /// the latest of each application, and a heartbeat when nothing else was sent for a while.
    pub fn next_message(&mut self, now: Duration) -> Option<ToAgent> {
        if self.stage != Stage::Open {
            return None;
        }
        let message = self
            .welcome
            .take()
            .or_else(|| self.renewal.take())
            .or_else(|| self.offers.take_request())
            .or_else(|| self.commands.next())
            .or_else(|| self.offers.next(now).map(ToAgent::Desired))
            .or_else(|| (now >= self.sent + self.config.heartbeat).then_some(ToAgent::Heartbeat))?;
        self.sent = now;
        Some(message)
    }

    /// When the life of the agent's certificate begins.
    pub fn certificate(&self) -> Option<Timestamp> {
        self.config.certificate
    }

    /// Whether the session must end because of the time.
    pub fn check(&self, now: Duration) -> Result<(), End> {
        let silent = now.saturating_sub(self.heard);
        if silent >= self.patience() {
            return Err(End::Silent(silent));
        }
        if self.is_opening() && now.saturating_sub(self.opened) >= OPENING_TIMEOUT {
            return Err(End::Protocol(format!(
                "the session was not open after {} seconds",
                OPENING_TIMEOUT.as_secs()
            )));
        }
        Ok(())
    }

    /// When [`Session::check`] has to be called next, if nothing else happens.
    pub fn deadline(&self) -> Duration {
        let silent = self.heard + self.patience();
        if self.is_opening() {
            silent.min(self.opened + OPENING_TIMEOUT)
        } else {
            silent
        }
    }

    /// When [`Session::next_message`] has something to say next, if nothing else happens and it
    /// has nothing to say now.
    pub fn next_heartbeat(&self) -> Option<Duration> {
        (self.stage == Stage::Open).then(|| self.sent + self.config.heartbeat)
    }

    /// Whether hello or the first summary are still awaited: the costly part, of which the hub
    /// allows only so many at a time.
    pub fn is_opening(&self) -> bool {
        self.stage != Stage::Open || self.offers.awaits_first_summary()
    }

    /// Rows that the agent holds and the hub does not know; left alone.
    pub fn unknown_apps(&self) -> usize {
        self.offers.unknown_apps()
    }

    fn patience(&self) -> Duration {
        self.config.heartbeat * MISSED_HEARTBEATS
    }
}

impl Ack {
    fn row(&self) -> StateRow {
        StateRow {
            app: self.app,
            generation: self.generation,
            digest: self.digest,
        }
    }

    fn is_accepted(&self) -> bool {
        self.outcome == AckOutcome::Accepted
    }
}
