//! The body of a watch: lines as they come, until its time is over.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::{sync::watch::Receiver, time::Instant};

use crate::{
    sandbox::Sandbox,
    watches::{Next, Watch},
};

/// How long a watch lasts that does not say.
const LONGEST: Duration = Duration::from_mins(30);

/// How long before its end a watch tells where it stands.
const BEFORE_END: Duration = Duration::from_secs(2);

struct State {
    sandbox: Sandbox,
    watch: Watch,
    changes: Receiver<u64>,
    first: Vec<u8>,
    end: Instant,
    mark: Instant,
    over: bool,
}

/// The lines of a watch.
pub(super) fn lines(
    sandbox: Sandbox,
    watch: Watch,
    first: Vec<u8>,
    timeout: Option<Duration>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let now = tokio::time::Instant::now();
    let end = now + timeout.unwrap_or(LONGEST).min(LONGEST);
    let mark = now + sandbox.bookmarks();
    let state = State {
        changes: sandbox.changes(),
        end,
        // Once before its end, so that the next watch begins late.
        mark: if now + BEFORE_END < end {
            mark.min(end - BEFORE_END)
        } else {
            mark
        },
        sandbox,
        watch,
        first,
        over: false,
    };
    stream::unfold(state, |mut state| async move {
        let lines = state.next().await?;
        Some((Ok(Bytes::from(lines)), state))
    })
}

impl State {
    async fn next(&mut self) -> Option<Vec<u8>> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        while !self.over {
            // Seen before the read, so that a change after it wakes.
            self.changes.borrow_and_update();
            let watch = &mut self.watch;
            match self.sandbox.with(|cluster, now| watch.next(cluster, now)) {
                Next::Lines(lines) if lines.is_empty() => {}
                Next::Lines(lines) => return Some(lines),
                Next::End(lines) => {
                    self.over = true;
                    return Some(lines);
                }
            }
            tokio::select! {
                // Never closed: the state holds the sandbox.
                _ = self.changes.changed() => {}
                () = tokio::time::sleep_until(self.mark.min(self.end)) => {
                    if Instant::now() >= self.end {
                        return None;
                    }
                    self.mark = Instant::now() + self.sandbox.bookmarks();
                    let lines = self.watch.mark();
                    if !lines.is_empty() {
                        return Some(lines);
                    }
                }
            }
        }
        None
    }
}
