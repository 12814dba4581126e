//! Windows: times at which a wave may, or may not, be moved.
//!
//! Owns how they are written and their defaults. Never says whether one is open: `tidegate-waves`
//! reads zone and cron expression, and is given the time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// A stretch of wall clock time in a zone: `cron` with `duration` again and again, or `start` to
/// `end` once. It covers an instant when the clock on the wall there shows a time within it, so an
/// hour that the clock skips is in no window, and one that it shows twice is inside twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// For people, for example `christmas-freeze`; default: what it says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it means to be inside.
    pub kind: WindowKind,
    /// IANA time zone, for example `Europe/Berlin`, or `UTC`.
    pub tz: String,
    /// When it begins, again and again: minute, hour, day of month, month, day of week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// How far it reaches on the wall clock from there, in whole minutes: 24h from midnight is the
    /// whole day, be it 23, 24 or 25 hours long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// When it begins, once: wall clock time such as `2026-12-20T18:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// When it is over; this minute is not in it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// What it speaks of.
    #[serde(default = "assignments")]
    pub actions: Vec<WindowAction>,
    /// Whom it binds.
    #[serde(default = "everybody")]
    pub invokers: Vec<Invoker>,
}

fn assignments() -> Vec<WindowAction> {
    vec![WindowAction::Assign]
}

fn everybody() -> Vec<Invoker> {
    vec![Invoker::Automation, Invoker::Human]
}

impl Window {
    /// Whether it speaks of this action by this invoker.
    pub fn binds(&self, action: WindowAction, invoker: Invoker) -> bool {
        self.actions.contains(&action) && self.invokers.contains(&invoker)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            WindowKind::Allow => "allow",
            WindowKind::Deny => "deny",
        };
        write!(f, "{kind} window ")?;
        if !self.name.is_empty() {
            write!(f, "{} ", self.name)?;
        }
        if let Some(cron) = &self.cron {
            let duration = self.duration.unwrap_or_default();
            return write!(f, "({cron:?} for {duration}, {})", self.tz);
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (start, end) = (text(&self.start), text(&self.end));
        write!(f, "({start} to {end}, {})", self.tz)
    }
}

/// What it means to be inside a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Only inside: with allow windows, one of them must be open.
    Allow,
    /// Never inside, whatever an allow window says.
    Deny,
}

/// What a window speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowAction {
    /// Bringing the release to a member.
    Assign,
    /// Taking a member back; heeded with `rollback.ignoreWindows: false` only.
    Rollback,
}

/// Who moves a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Invoker {
    /// Nobody was asked.
    Automation,
    /// A person: a wave with an approval before it is only ever opened by one, and a rollback may
    /// be asked for by one.
    Human,
}
