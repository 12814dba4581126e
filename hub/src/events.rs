//! What happens in the fleet, told to whoever watches.
//!
//! An event is one of two things: a decision, which is in the audit log and known to every later hub,
//! or something that was seen (a report, a session, a fetch that failed), which lives in memory and
//! ends with the hub. Each is made once, when the view changes, however many watch. Owns the words of
//! events and how long they are kept. Nothing is decided by any of it.

mod decided;
mod differ;
mod log;
mod recorder;
mod ring;
mod seen;

pub(crate) use self::{differ::Transaction, recorder::record};
pub use self::{
    log::{Gap, Log, Position, Why},
    ring::Kept,
};

use jiff::Timestamp;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the hub's clock.
    pub at: Timestamp,
    /// Whether somebody should look at it.
    pub warning: bool,
    /// What, for programs: one word in `CamelCase` that never changes.
    pub reason: &'static str,
    /// Whom it concerns.
    pub about: About,
    /// What it is about, `KIND/NAME`.
    pub object: String,
    /// For people; at most [`LONGEST`] bytes.
    pub message: String,
    /// Who decided it; empty for what was seen.
    pub actor: String,
    /// The audit record that it tells of; empty for what was seen.
    pub decision: String,
}

/// Whom an event concerns. Empty is nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The project; `_` for what belongs to the fleet.
    pub project: String,
    /// The set.
    pub set: String,
    /// The cluster.
    pub cluster: String,
    /// The application.
    pub application: String,
    /// The run.
    pub run: String,
}

/// The longest message, bytes: what agents and documents say can be of any length.
const LONGEST: usize = 1_000;

impl Event {
    /// Something that was seen.
    fn seen(at: Timestamp, warning: bool, reason: &'static str, about: About) -> Self {
        let object = about.object();
        Self {
            at,
            warning,
            reason,
            about,
            object,
            message: String::new(),
            actor: String::new(),
            decision: String::new(),
        }
    }

    /// The same with what people read.
    fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = cut(message.into());
        self
    }

    /// What it takes in memory, bytes.
    fn bytes(&self) -> usize {
        let About {
            project,
            set,
            cluster,
            application,
            run,
        } = &self.about;
        let texts = [
            project,
            set,
            cluster,
            application,
            run,
            &self.object,
            &self.message,
            &self.actor,
            &self.decision,
        ];
        size_of::<Self>() + texts.map(String::len).iter().sum::<usize>()
    }
}

impl About {
    /// The narrowest of them, `KIND/NAME`; empty if there is none.
    fn object(&self) -> String {
        let all = [
            ("application", &self.application),
            ("cluster", &self.cluster),
            ("set", &self.set),
        ];
        let narrowest = all.into_iter().find(|(_, name)| !name.is_empty());
        narrowest.map_or_else(String::new, |(kind, name)| format!("{kind}/{name}"))
    }
}

/// At most [`LONGEST`] bytes of a text.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let mark = '…';
        text.truncate(text.floor_char_boundary(LONGEST - mark.len_utf8()));
        text.push(mark);
    }
    text
}

#[cfg(test)]
mod tests;
