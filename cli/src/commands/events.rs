//! `events`: what happens in the fleet, as it is known and as it happens.
//!
//! Owns coming back to where it was after the hub was away: nothing is told twice, and what is not
//! known any more is a line of its own.

use std::time::Duration;

use serde_json::json;
use tidegate_proto::v1 as wire;
use tokio::time::Instant;
use tonic::Streaming;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    args::{Events, Format, bare},
    connect::Hub,
    error::Error,
    output::{
        Output, message,
        rows::Row as _,
        text::{cut, plain},
    },
};

/// Between the first two attempts to reach a hub that went away; the next wait twice as long.
const RETRY: Duration = Duration::from_millis(500);
/// The longest between two attempts.
const LONGEST_RETRY: Duration = Duration::from_secs(8);
/// What nobody was before who sees a list for the first time.
const BEGINNING: &str = "Beginning";

fn named(name: Option<&String>, kind: &str) -> String {
    name.map_or_else(String::new, |name| bare(name, kind).to_owned())
}

pub(super) async fn events(hub: &Hub, options: &Events, output: &mut Output) -> Result<(), Error> {
    let request = wire::WatchEventsRequest {
        after: None,
        follow: options.follow,
        project: options.project.name(),
        set: named(options.set.as_ref(), "set"),
        cluster: named(options.cluster.as_ref(), "cluster"),
        since_ms: options
            .since
            .map_or(0, |since| since.at_ms(output.now_ms())),
    };
    if !options.follow {
        return list(hub, request, output).await;
    }
    let mut follower = Follower {
        request,
        heard: false,
        widths: ROOM.map(|(least, _)| least),
        headed: false,
    };
    let following = follower.follow(hub, output);
    match options.timeout {
        None => following.await,
        Some(limit) => match tokio::time::timeout(limit.0, following).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout(format!("stopped following after {limit}"))),
        },
    }
}

async fn open(
    hub: &Hub,
    request: &wire::WatchEventsRequest,
) -> Result<Streaming<wire::WatchEventsResponse>, Error> {
    let request = request.clone();
    hub.call(async |fleet| fleet.watch_events(request).await)
        .await
}

async fn list(
    hub: &Hub,
    request: wire::WatchEventsRequest,
    output: &mut Output,
) -> Result<(), Error> {
    let mut stream = open(hub, &request).await?;
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    while let Some(message) = stream
        .message()
        .await
        .map_err(|status| hub.refusal(status))?
    {
        gaps.extend(message.gap);
        events.extend(message.events);
    }
    // A restored hub has its decisions chain by chain.
    events.sort_by_key(|event| event.at_ms);
    output.list(&events, "no such event is known")?;
    for gap in gaps.iter().filter(|gap| concerns(gap, &request)) {
        output.note(&plain(&gap.message));
    }
    Ok(())
}

/// Whether what is not known was asked for.
fn concerns(gap: &wire::EventGap, request: &wire::WatchEventsRequest) -> bool {
    gap.until_ms == 0 || gap.until_ms > request.since_ms
}

/// The least and the most room of each column but the last: most lines stand under one another.
const ROOM: [(usize, usize); 4] = [(9, 11), (7, 7), (19, 24), (16, 32)];
/// A screen that is narrower shows each event as a block.
const NARROW: usize = 72;

struct Follower {
    request: wire::WatchEventsRequest,
    /// The hub has answered: from then on it may go away.
    heard: bool,
    /// How wide each column was so far.
    widths: [usize; ROOM.len()],
    /// The headings were told.
    headed: bool,
}

impl Follower {
    async fn follow(&mut self, hub: &Hub, output: &mut Output) -> Result<(), Error> {
        let mut away = false;
        let mut pause = RETRY;
        loop {
            let before = self.request.after.clone();
            let begun = Instant::now();
            match self.stream(hub, output).await {
                // A hub that ends the stream restarts or hands over.
                Ok(()) => {}
                Err(error) if error.is_retryable() && self.heard => {
                    if !away {
                        let why = plain(&error.to_string());
                        output.note(&format!("trying again: {why}"));
                    }
                    away = true;
                }
                Err(error) => return Err(error),
            }
            if self.request.after != before || begun.elapsed() > LONGEST_RETRY {
                (away, pause) = (false, RETRY);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    /// Tells events as long as the hub does.
    async fn stream(&mut self, hub: &Hub, output: &mut Output) -> Result<(), Error> {
        let mut stream = open(hub, &self.request).await?;
        while let Some(message) = stream
            .message()
            .await
            .map_err(|status| hub.refusal(status))?
        {
            self.heard = true;
            if let Some(gap) = &message.gap
                && concerns(gap, &self.request)
            {
                tell_gap(gap, output)?;
            }
            for event in &message.events {
                self.tell(event, output)?;
                self.request.after.clone_from(&event.position);
            }
            if message.position.is_some() {
                self.request.after = message.position;
            }
        }
        Ok(())
    }

    fn tell(&mut self, event: &wire::Event, output: &mut Output) -> Result<(), Error> {
        match output.format() {
            Format::Json | Format::Yaml => return output.state(event),
            Format::Name => return output.line(&plain(&event.name())),
            Format::Table => {}
        }
        let screen = output.screen();
        let width = usize::from(screen.width);
        if screen.narrow && width < NARROW {
            let pieces = output.pieces(std::slice::from_ref(event));
            output.line(&pieces.rows.join("\n"))?;
            return output.line("");
        }
        let cells = event.cells(output.now_ms());
        for ((width, cell), (_, most)) in self.widths.iter_mut().zip(&cells).zip(ROOM) {
            *width = cell.width().min(most).max(*width);
        }
        if !std::mem::replace(&mut self.headed, true) {
            let heads = wire::Event::COLUMNS.iter().map(|it| it.head.to_owned());
            let line = self.line(&heads.collect::<Vec<_>>());
            output.line(&line)?;
        }
        let line = self.line(&cells);
        let line = if screen.narrow {
            cut(&line, width)
        } else {
            line
        };
        output.line(&line)
    }

    /// Cells under the headings, whatever comes later.
    fn line(&self, cells: &[String]) -> String {
        let widths = self.widths.iter().copied().chain([0]);
        let cells = cells.iter().zip(widths).map(|(cell, width)| {
            let room = " ".repeat(width.saturating_sub(cell.width()));
            format!("{cell}{room}")
        });
        let cells: Vec<_> = cells.collect();
        cells.join("  ").trim_end().to_owned()
    }
}

fn tell_gap(gap: &wire::EventGap, output: &mut Output) -> Result<(), Error> {
    let words = plain(&gap.message);
    if gap.reason == BEGINNING {
        output.note(&words);
        return Ok(());
    }
    match output.format() {
        Format::Table => output.line(&words),
        Format::Name => {
            output.note(&words);
            Ok(())
        }
        Format::Json | Format::Yaml => output.document(&json!({"gap": message::value(gap)?})),
    }
}
