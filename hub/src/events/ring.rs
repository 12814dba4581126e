//! The newest events, in order, in so much memory and no more.
//!
//! Owns sequences and what falls out. Never waits and never tells anybody.

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;

use super::Event;

/// An event in its place.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Rises by one with each event of a hub's life, from 1.
    pub sequence: u64,
    /// The last decision up to here, this event included; empty before the first.
    pub decision: Arc<str>,
    /// What happened.
    pub event: Arc<Event>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    kept: VecDeque<Kept>,
    bytes: usize,
    last: u64,
    decision: Arc<str>,
    /// When the newest event happened that fell out.
    lost: Option<Timestamp>,
    most: usize,
    most_bytes: usize,
}

impl Ring {
    /// Keeps at most so many events of so many bytes.
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            last: 0,
            decision: Arc::from(""),
            lost: None,
            most,
            most_bytes,
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.last += 1;
        self.bytes += event.bytes();
        if !event.decision.is_empty() {
            self.decision = Arc::from(event.decision.as_str());
        }
        self.kept.push_back(Kept {
            sequence: self.last,
            decision: Arc::clone(&self.decision),
            event: Arc::new(event),
        });
        while self.kept.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= oldest.event.bytes();
            self.lost = Some(oldest.event.at);
        }
    }

    /// Sequence of the newest; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Sequence of the last one that is not kept any more; 0 while all are.
    pub(super) fn before_first(&self) -> u64 {
        self.last - self.kept.len() as u64
    }

    /// The oldest that is kept.
    pub(super) fn first(&self) -> Option<&Kept> {
        self.kept.front()
    }

    /// When the newest event happened that fell out.
    pub(super) fn lost(&self) -> Option<Timestamp> {
        self.lost
    }

    /// The event that tells of this decision; what was only seen is no decision.
    pub(super) fn find(&self, decision: &str) -> Option<&Kept> {
        if decision.is_empty() {
            return None;
        }
        let mut newest_first = self.kept.iter().rev();
        newest_first.find(|kept| kept.event.decision == decision)
    }

    /// At most `most` events after `sequence`, as far as they are kept.
    pub(super) fn after(&self, sequence: u64, most: usize) -> Vec<Kept> {
        let skip = sequence.saturating_sub(self.before_first());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.kept.iter().skip(skip).take(most).cloned().collect()
    }
}
