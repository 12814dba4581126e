//! `WatchEvents`: the hub's events to one watcher, from wherever it was.
//!
//! Owns filters and what is sent at once. Never makes an event: the view's follower does, once for
//! all who watch.

use std::pin::Pin;

use futures::{Stream, stream};
use jiff::Timestamp;
use tidegate_proto::v1 as wire;
use tokio::sync::watch;
use tonic::Status;

use super::{FleetApi, convert};
use crate::events::{About, Gap, Kept, Log, Position};

type Events = Pin<Box<dyn Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

/// The most events that are looked at for one message.
const AT_ONCE: usize = 256;
/// After so many events that a watcher did not ask for it is told how far it is, so that it does not
/// come back from where the hub no longer knows what followed.
const SKIPPED: u64 = 1_024;

struct Watching {
    log: Log,
    changes: watch::Receiver<u64>,
    asked: wire::WatchEventsRequest,
    position: Position,
    /// The sequence that the watcher was told last.
    told: u64,
    /// What is told first, even where there is no event.
    gap: Option<Gap>,
    first: bool,
}

impl FleetApi {
    /// What is known after a position and, if asked, what happens from then on.
    pub(super) fn watch_events_after(&self, asked: wire::WatchEventsRequest) -> Events {
        let log = self.db.events().clone();
        let changes = log.changes();
        let after = asked.after.as_ref().map(position);
        let (position, gap) = log.resume(after.as_ref());
        let watching = Watching {
            log,
            changes,
            told: position.sequence,
            position,
            asked,
            gap,
            first: true,
        };
        Box::pin(stream::unfold(Some(watching), |watching| async {
            let mut watching = watching?;
            match watching.next().await {
                Ok(None) => None,
                Ok(Some(message)) => Some((Ok(message), Some(watching))),
                Err(status) => Some((Err(status), None)),
            }
        }))
    }
}

impl Watching {
    async fn next(&mut self) -> Result<Option<wire::WatchEventsResponse>, Status> {
        loop {
            self.changes.borrow_and_update();
            let (kept, behind, gap) = self.log.read(&self.position, AT_ONCE);
            // What a restarted hub does not know spans what fell out of its ring, too.
            let gap = self.gap.take().or(gap);
            let is_last = kept.len() < AT_ONCE;
            self.position = behind;
            let events: Vec<_> = kept
                .iter()
                .filter(|kept| is_asked(&self.asked, kept))
                .map(|kept| event(&self.log, kept))
                .collect();
            let skipped = self.position.sequence - self.told;
            let news = self.first || gap.is_some() || !events.is_empty() || skipped >= SKIPPED;
            if news {
                self.first = false;
                self.told = self.position.sequence;
                return Ok(Some(wire::WatchEventsResponse {
                    gap: gap.as_ref().map(told_gap),
                    events,
                    position: Some(told_position(&self.position)),
                }));
            }
            if !is_last {
                continue;
            }
            if !self.asked.follow {
                return Ok(None);
            }
            if self.changes.changed().await.is_err() {
                return Err(Status::unavailable("the hub is stopping"));
            }
        }
    }
}

fn is_asked(asked: &wire::WatchEventsRequest, kept: &Kept) -> bool {
    let About {
        project,
        set,
        cluster,
        ..
    } = &kept.event.about;
    let fits = |asked: &str, found: &str| asked.is_empty() || asked == found;
    fits(&asked.project, project)
        && fits(&asked.set, set)
        && fits(&asked.cluster, cluster)
        && kept.event.at.as_millisecond() >= asked.since_ms
}

fn event(log: &Log, kept: &Kept) -> wire::Event {
    let event = kept.event.as_ref();
    let about = event.about.clone();
    wire::Event {
        position: Some(told_position(&log.position(kept))),
        at_ms: event.at.as_millisecond(),
        r#type: if event.warning { "Warning" } else { "Normal" }.to_owned(),
        reason: event.reason.to_owned(),
        project: about.project,
        set: about.set,
        cluster: about.cluster,
        application: about.application,
        run_id: about.run,
        object: event.object.clone(),
        message: event.message.clone(),
        actor: event.actor.clone(),
    }
}

fn position(told: &wire::EventPosition) -> Position {
    let at = Timestamp::from_millisecond(told.at_ms).ok();
    Position {
        epoch: told.epoch,
        sequence: told.sequence,
        decision: told.decision.clone(),
        at: at.filter(|_| told.at_ms != 0),
    }
}

fn told_position(position: &Position) -> wire::EventPosition {
    wire::EventPosition {
        epoch: position.epoch,
        sequence: position.sequence,
        decision: position.decision.clone(),
        at_ms: convert::millis(position.at),
    }
}

fn told_gap(gap: &Gap) -> wire::EventGap {
    wire::EventGap {
        reason: gap.why.name().to_owned(),
        from_ms: convert::millis(gap.from),
        until_ms: convert::millis(gap.until),
        decisions_known: gap.decisions_known,
        message: gap.to_string(),
    }
}
