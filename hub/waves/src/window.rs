//! Whether windows are open, and when that changes.
//!
//! Pure functions of windows and an instant: zones and their rules are built in. The one rule: a
//! window covers an instant when the wall clock of its zone shows a time within it, whatever that
//! clock skipped or repeated (invariant 17). Never knows a run or an action: `step::windows` does.

mod schedule;
#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;
use tidegate_model::strategy::{Window, WindowKind};

pub(crate) use self::schedule::{Schedule, read_cron};
use crate::mutant::{self, Mutant};

/// Changes that are looked at before "never" is the answer: years of a window that opens daily.
const MOST_CHANGES: usize = 4000;

/// Windows that bind together: open when no deny window is inside and, where there are allow
/// windows, one of those is.
#[derive(Debug)]
pub(crate) struct Windows<'a>(Vec<(&'a Window, Option<Schedule>)>);

impl<'a> Windows<'a> {
    /// These. One that cannot be read keeps them closed: nobody knows what it would say.
    pub(crate) fn new(windows: impl Iterator<Item = &'a Window>) -> Self {
        Self(
            windows
                .map(|window| (window, Schedule::read(window).ok()))
                .collect(),
        )
    }

    /// The windows that keep them closed, in the order of the document; none when they are open.
    pub(crate) fn closed_by(&self, at: Timestamp) -> Vec<&'a Window> {
        let inside = |schedule: &Schedule| schedule.covers(at);
        let of = |kind| {
            let all = self.0.iter();
            all.filter(move |(window, _)| window.kind == kind)
        };
        let allowed =
            of(WindowKind::Allow).any(|(_, schedule)| schedule.as_ref().is_some_and(inside));
        let denied = of(WindowKind::Deny)
            .filter(|(_, schedule)| schedule.as_ref().is_none_or(inside))
            .filter(|_| !(allowed && mutant::on(Mutant::AllowBeatsDeny)))
            .map(|(window, _)| *window);
        let shut = of(WindowKind::Allow)
            .filter(|_| !allowed)
            .map(|(window, _)| *window);
        denied.chain(shut).collect()
    }

    /// Whether they are open.
    pub(crate) fn is_open(&self, at: Timestamp) -> bool {
        self.closed_by(at).is_empty()
    }

    /// The first instant after `at` when they are open and were not, or the other way round; `None`
    /// if there is none in sight.
    pub(crate) fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let before = self.is_open(at);
        let mut seen = at;
        for _ in 0..MOST_CHANGES {
            let schedules = self.0.iter().filter_map(|(_, schedule)| schedule.as_ref());
            seen = schedules.filter_map(|one| one.next_change(seen)).min()?;
            if self.is_open(seen) != before {
                return Some(seen);
            }
        }
        None
    }
}

/// An instant for people: in the window's zone and in UTC.
pub(crate) fn shown(window: &Window, at: Timestamp) -> String {
    let utc = at.strftime("%Y-%m-%d %H:%M UTC");
    match schedule::zone(&window.tz) {
        Some(zone) => {
            let there = at.to_zoned(zone);
            format!("{} {} ({utc})", there.strftime("%Y-%m-%d %H:%M"), window.tz)
        }
        None => utc.to_string(),
    }
}
