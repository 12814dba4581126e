//! `run watch`: follows one run until it ends, through restarts of the hub.
//!
//! Owns reconnecting and the outcome. What it shows is `view`'s.

use std::time::Duration;

use tidegate_proto::v1 as wire;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Streaming;

use super::view;
use crate::{
    args::{Format, Watch},
    connect::Hub,
    error::Error,
    output::{
        Output,
        rows::Row as _,
        text::{or_dash, plain},
    },
};

/// How long a hub may be away before following its run is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two attempts to reach a hub that went away.
const RETRY: Duration = Duration::from_secs(1);
/// How often the ages of a view are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// What was last seen of the run.
#[derive(Default)]
struct Seen {
    run: Option<wire::Run>,
}

pub(super) async fn watch(hub: &Hub, options: &Watch, output: &mut Output) -> Result<(), Error> {
    let mut seen = Seen::default();
    let followed = follow(hub, options.run.request(), &mut seen, output);
    let result = match options.timeout {
        Some(limit) => tokio::time::timeout(limit.0, followed).await,
        None => Ok(followed.await),
    };
    let Ok(result) = result else {
        let limit = options.timeout.unwrap_or_default();
        return Err(Error::Timeout(match &seen.run {
            Some(run) => format!(
                "{} is still {} after {limit}",
                run.name(),
                or_dash(&run.state)
            ),
            None => format!("the hub told nothing of the run within {limit}"),
        }));
    };
    let run = result?;
    if output.format() == Format::Name {
        output.line(&plain(&run.name()))?;
    }
    outcome(&run)
}

/// A run that ended otherwise than well is an error.
pub(crate) fn outcome(run: &wire::Run) -> Result<(), Error> {
    if run.state == "Succeeded" {
        return Ok(());
    }
    let cause = run
        .cause
        .as_ref()
        .map(|cause| format!(": {}", cause.message))
        .unwrap_or_default();
    Err(Error::RunFailed(format!(
        "{} of set {} ended {}{cause}; `tidegate run explain {}` says more",
        run.name(),
        run.set,
        run.state,
        run.id
    )))
}

async fn follow(
    hub: &Hub,
    mut request: wire::GetRunRequest,
    seen: &mut Seen,
    output: &mut Output,
) -> Result<wire::Run, Error> {
    let mut heard = Instant::now();
    loop {
        let before = seen.run.clone();
        let result = stream(hub, &request, seen, output).await;
        if let Some(run) = &seen.run {
            if run.terminal {
                return Ok(run.clone());
            }
            // The latest run of the set may be another one by the time the hub is back.
            request = wire::GetRunRequest {
                run_id: run.id.clone(),
                ..Default::default()
            };
        }
        if seen.run != before {
            heard = Instant::now();
        }
        match result {
            // A hub that ends the stream early restarts or hands over.
            Ok(()) => {}
            Err(error)
                if error.is_retryable() && seen.run.is_some() && heard.elapsed() < PATIENCE =>
            {
                output.note(&format!("trying again: {}", plain(&error.to_string())));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Shows the run as long as the hub tells of it.
async fn stream(
    hub: &Hub,
    request: &wire::GetRunRequest,
    seen: &mut Seen,
    output: &mut Output,
) -> Result<(), Error> {
    let asked = request.clone();
    let mut states: Streaming<wire::Run> =
        hub.call(async |fleet| fleet.watch_run(asked).await).await?;
    let begun = Instant::now();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = seen.run.is_some();
    let live = output.screen().terminal && output.format() == Format::Table;
    loop {
        let next = tokio::select! {
            next = states.message() => next.map_err(|status| hub.refusal(status))?,
            _ = tick.tick(), if live || !told => {
                match &seen.run {
                    Some(run) if live => draw(run, output)?,
                    None if !told && begun.elapsed() >= TICK => {
                        let set = plain(&request.set);
                        output.note(&format!(
                            "set {set} has no run yet: waiting (`tidegate get set {set}` shows why)"
                        ));
                        told = true;
                    }
                    _ => {}
                }
                continue;
            }
        };
        let Some(run) = next else { return Ok(()) };
        let last = seen.run.replace(run.clone());
        show(last.as_ref(), &run, live, output)?;
        if run.terminal {
            return Ok(());
        }
    }
}

/// Tells what changed since `last`, or draws the run anew where it is shown live.
pub(crate) fn show(
    last: Option<&wire::Run>,
    run: &wire::Run,
    live: bool,
    output: &mut Output,
) -> Result<(), Error> {
    if last == Some(run) {
        return Ok(());
    }
    match output.format() {
        Format::Table if live => draw(run, output),
        Format::Table => {
            let paint = output.screen().paint;
            view::changes(last, run, paint)
                .iter()
                .try_for_each(|line| output.line(line))
        }
        _ => output.state(run),
    }
}

/// Draws the run in place of the view before.
pub(crate) fn draw(run: &wire::Run, output: &mut Output) -> Result<(), Error> {
    let lines = view::lines(run, output.now_ms(), output.screen());
    output.redraw(&lines)
}
