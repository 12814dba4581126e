//! The events of a hub's life: appended by the view, read by watchers from wherever they were.
//!
//! Owns positions and gaps. Whoever missed something is told so, with the time in between; what was
//! told once is not told again, not even by a later hub, which knows decisions by their names.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tidegate_model::ids::Epoch;
use tidegate_store::Entry;
use tokio::sync::watch;

use super::{
    Event,
    differ::remembered,
    ring::{Kept, Ring},
};
use crate::{clock::Clock, state::State};

/// The most events that are kept.
const MOST: usize = 4_096;
/// The most memory that they take, bytes.
const MOST_BYTES: usize = 4 << 20;
/// The most decisions that are read again when a hub begins: most of them are no events.
const REMEMBERED: usize = 4 * MOST;

/// How far somebody has seen the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The hub's term.
    pub epoch: u64,
    /// The last event of that term.
    pub sequence: u64,
    /// The last decision up to there.
    pub decision: String,
    /// When the last event up to there happened; `None` before the first.
    pub at: Option<Timestamp>,
}

/// Why events are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They were before everything that is kept, and nobody has seen others.
    Beginning,
    /// More happened than is kept.
    Overrun,
    /// The hub that knew them is gone.
    HubRestarted,
}

/// Events that are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub why: Why,
    /// From when on.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Decisions of that time are known, and told.
    pub decisions_known: bool,
}

impl Why {
    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beginning => "Beginning",
            Self::Overrun => "Overrun",
            Self::HubRestarted => "HubRestarted",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.decisions_known {
            "what agents and sources told"
        } else {
            "events"
        };
        f.write_str(what)?;
        match (self.from, self.until) {
            (Some(from), Some(until)) => write!(f, " between {from:.0} and {until:.0}")?,
            (None, Some(until)) => write!(f, " before {until:.0}")?,
            (Some(from), None) => write!(f, " after {from:.0}")?,
            (None, None) => {}
        }
        let verb = if self.decisions_known { "is" } else { "are" };
        let why = match self.why {
            Why::Beginning if self.decisions_known => "this hub began then",
            Why::Beginning => "only the newest are kept",
            Why::Overrun => "more happened than the hub keeps",
            Why::HubRestarted => "the hub was restarted",
        };
        write!(f, " {verb} not known any more: {why}")
    }
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    clock: Clock,
    began: Timestamp,
    /// Every decision that there is was remembered.
    whole: bool,
    ring: Mutex<Ring>,
    last: watch::Sender<u64>,
}

impl Log {
    /// The events of a hub that took this term: what its store remembers of earlier ones.
    pub(crate) fn open(epoch: Epoch, clock: &Clock, entries: &[Entry], state: &State) -> Self {
        Self::sized(epoch, clock, entries, state, (MOST, MOST_BYTES))
    }

    pub(super) fn sized(
        epoch: Epoch,
        clock: &Clock,
        entries: &[Entry],
        state: &State,
        (most, most_bytes): (usize, usize),
    ) -> Self {
        let (events, whole) = remembered(entries, state, REMEMBERED);
        let log = Self {
            shared: Arc::new(Shared {
                epoch,
                began: clock.now(),
                clock: clock.clone(),
                whole,
                ring: Mutex::new(Ring::new(most, most_bytes)),
                last: watch::Sender::new(0),
            }),
        };
        log.append(events);
        log
    }

    /// The time of what has no time of its own.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Adds what happened, and wakes who watches.
    pub(crate) fn append(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let last = {
            let mut ring = self.ring();
            for event in events {
                ring.push(event);
            }
            ring.last()
        };
        self.shared.last.send_replace(last);
    }

    /// Changes with every event.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.last.subscribe()
    }

    /// Where to begin for somebody who has seen the events up to `after`, and what they missed.
    pub(crate) fn resume(&self, after: Option<&Position>) -> (Position, Option<Gap>) {
        let ring = self.ring();
        let begin = |sequence| Position {
            epoch: self.shared.epoch.0,
            sequence,
            decision: after
                .map(|after| after.decision.clone())
                .unwrap_or_default(),
            at: after.and_then(|after| after.at),
        };
        let Some(after) = after else {
            let whole = self.shared.whole && ring.lost().is_none();
            let first = ring.first().map(|kept| kept.event.at);
            let gap = Gap {
                why: Why::Beginning,
                from: None,
                until: if whole {
                    Some(self.shared.began)
                } else {
                    first
                },
                decisions_known: whole,
            };
            return (begin(ring.before_first()), Some(gap));
        };
        if after.epoch == self.shared.epoch.0 {
            // What falls out is noticed when it is read.
            return (begin(after.sequence.min(ring.last())), None);
        }
        let seen = if after.decision.is_empty() && self.shared.whole {
            (ring.before_first() == 0).then_some(0)
        } else {
            ring.find(&after.decision).map(|kept| kept.sequence)
        };
        let first = ring.first().map(|kept| kept.event.at);
        let gap = Gap {
            why: Why::HubRestarted,
            from: after.at,
            until: if seen.is_some() {
                Some(self.shared.began)
            } else {
                first
            },
            decisions_known: seen.is_some(),
        };
        (
            begin(seen.unwrap_or_else(|| ring.before_first())),
            Some(gap),
        )
    }

    /// At most `most` events after a position, the position behind them, and what fell out before.
    pub(crate) fn read(&self, after: &Position, most: usize) -> (Vec<Kept>, Position, Option<Gap>) {
        let ring = self.ring();
        let kept = ring.after(after.sequence, most);
        let fell_out = after.sequence < ring.before_first();
        let gap = fell_out.then(|| Gap {
            why: Why::Overrun,
            from: after.at,
            until: ring.first().map(|kept| kept.event.at),
            decisions_known: false,
        });
        let position = kept.last().map(|kept| self.position(kept));
        let position = position.unwrap_or_else(|| after.clone());
        (kept, position, gap)
    }

    /// The position of an event.
    pub(crate) fn position(&self, kept: &Kept) -> Position {
        Position {
            epoch: self.shared.epoch.0,
            sequence: kept.sequence,
            decision: kept.decision.to_string(),
            at: Some(kept.event.at),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        let ring = self.shared.ring.lock();
        ring.unwrap_or_else(PoisonError::into_inner)
    }
}
