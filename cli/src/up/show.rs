//! The waves on the screen, run after run.
//!
//! Owns following: it goes on when the hub is not there for a moment. What a run looks like is
//! the command `run watch`'s.

use std::time::Duration;

use tidegate_proto::v1 as wire;
use tokio::{sync::mpsc, time::Instant};

use super::pace::Pace;
use crate::{args::Format, commands, connect::Hub, error::Error, output::Output};

/// How often a set is asked whether it has another run.
const LOOK: Duration = Duration::from_millis(500);
/// How often a view is drawn although nothing came: its ages go on.
const TICK: Duration = Duration::from_secs(1);

/// What the screen shows, and what it hears besides.
pub(super) struct Show {
    pub(super) hub: Hub,
    pub(super) set: String,
    /// Since when the fleet starts.
    pub(super) begun: Instant,
    /// Things to tell between the waves.
    pub(super) notes: mpsc::Receiver<String>,
    pub(super) pace: Pace,
}

impl Show {
    /// Shows the latest run until it has ended.
    pub(super) async fn latest(&mut self, output: &mut Output) -> Result<wire::Run, Error> {
        let request = wire::GetRunRequest {
            set: self.set.clone(),
            ..wire::GetRunRequest::default()
        };
        self.follow(request, output).await
    }

    /// Waits until something other than `last` is the latest: another run, or the same one taken
    /// back. Shows it until it has ended.
    pub(super) async fn next(
        &mut self,
        last: &wire::Run,
        output: &mut Output,
    ) -> Result<wire::Run, Error> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Some(note) = self.notes.recv() => output.note(&note),
            }
            let request = wire::ListRequest {
                set: self.set.clone(),
                limit: 1,
                ..wire::ListRequest::default()
            };
            let listed = self
                .hub
                .call(async |fleet| fleet.list_runs(request).await)
                .await;
            let newest = match listed {
                Ok(listed) => listed.items.into_iter().next(),
                Err(error) if error.is_retryable() => None,
                Err(error) => return Err(error),
            };
            let Some(newest) =
                newest.filter(|run| (&run.id, &run.state) != (&last.id, &last.state))
            else {
                continue;
            };
            let request = wire::GetRunRequest {
                run_id: newest.id,
                ..wire::GetRunRequest::default()
            };
            output.note("");
            return self.follow(request, output).await;
        }
    }

    async fn follow(
        &mut self,
        mut request: wire::GetRunRequest,
        output: &mut Output,
    ) -> Result<wire::Run, Error> {
        let mut seen: Option<wire::Run> = None;
        // With another format the summary is all that is printed.
        let told = output.format() == Format::Table;
        let live = told && output.screen().terminal;
        loop {
            let asked = request.clone();
            let mut states = self
                .hub
                .call(async |fleet| fleet.watch_run(asked).await)
                .await?;
            loop {
                let next = tokio::select! {
                    next = states.message() => next,
                    Some(note) = self.notes.recv() => {
                        output.note(&note);
                        continue;
                    }
                    () = tokio::time::sleep(TICK) => {
                        if let (Some(run), true) = (&seen, live) {
                            commands::draw(run, output)?;
                        }
                        continue;
                    }
                };
                let run = match next.map_err(|status| self.hub.refusal(status)) {
                    Ok(Some(run)) => run,
                    Ok(None) => break,
                    Err(error) if error.is_retryable() => break,
                    Err(error) => return Err(error),
                };
                self.pace.see(&run, self.begun.elapsed());
                let last = seen.replace(run.clone());
                if told {
                    commands::show(last.as_ref(), &run, live, output)?;
                }
                if run.terminal {
                    return Ok(run);
                }
            }
            // A hub that ended the stream is asked again, for the same run.
            if let Some(run) = &seen {
                request.run_id.clone_from(&run.id);
                request.set.clear();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
