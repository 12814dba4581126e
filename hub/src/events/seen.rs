//! What was seen as events: a record as it was and as it is.
//!
//! Pure. Tells of what changed, not of what is so: an application that stays degraded is told once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidegate_model::{
    health::Health,
    report::{DriftItem, Phase, Report},
};

use super::{About, Event};
use crate::{
    publish::inputs::is_unfetched,
    records::{AppRecord, ReportRecord, SetRecord, SourceRecord},
};

fn about(app: &AppRecord) -> About {
    About {
        project: app.app.project.clone(),
        set: app.app.set.clone(),
        cluster: app.app.cluster_name.clone(),
        application: app.app.name.clone(),
        run: String::new(),
    }
}

/// What a report says that the one before did not. That an application becomes healthy while its run
/// rolls is what the run tells of all of them: `rolling`.
pub(super) fn reported(
    app: &AppRecord,
    before: Option<&ReportRecord>,
    after: &ReportRecord,
    rolling: bool,
) -> Vec<Event> {
    let last = before.map(|record| &record.report);
    let now = &after.report;
    let mut events = Vec::new();
    let mut tell = |warning, reason, message: String| {
        let event = Event::seen(after.received_at, warning, reason, about(app));
        events.push(event.saying(message));
    };
    let was = last.map(|report| report.health);
    let failed = |report: &Report| report.phase == Phase::Failed;
    let failed_before = last.is_some_and(|last| failed(last) && last.generation == now.generation);
    if failed(now) && !failed_before {
        tell(
            true,
            "ApplyFailed",
            problem(now, "an object could not be applied"),
        );
    }
    match now.health {
        health if was == Some(health) => {}
        Health::Degraded => tell(
            true,
            "ApplicationDegraded",
            problem(now, "an object is degraded"),
        ),
        Health::Missing => tell(
            true,
            "ApplicationMissing",
            problem(now, "an object is missing"),
        ),
        Health::Healthy if rolling && matches!(was, None | Some(Health::Progressing)) => {}
        Health::Healthy => tell(
            false,
            "ApplicationHealthy",
            format!("healthy at generation {}", now.generation),
        ),
        Health::Suspended | Health::Progressing | Health::Unknown => {}
    }
    let known = last.map_or(&[][..], |report| &report.drift);
    let fresh = |item: &&DriftItem| !known.iter().any(|old| old.object == item.object);
    let drifted: Vec<_> = now.drift.iter().filter(fresh).collect();
    if !drifted.is_empty() {
        let open = drifted.iter().any(|item| !item.healed);
        tell(open, "ApplicationDrifted", drift(&drifted));
    }
    let held = |report: &Report| report.held_prune.is_some();
    if let Some(prune) = &now.held_prune
        && !last.is_some_and(held)
    {
        tell(
            true,
            "DeletionHeld",
            format!("{} objects would go: {}", prune.count, prune.reason),
        );
    }
    events
}

/// The worst problem of a report.
fn problem(report: &Report, otherwise: &str) -> String {
    match report.problems.first() {
        Some(problem) => match &problem.object {
            Some(object) => format!("{} {}: {}", object.kind, object.name, problem.message),
            None => problem.message.clone(),
        },
        None => otherwise.to_owned(),
    }
}

fn drift(items: &[&DriftItem]) -> String {
    let Some(first) = items.first() else {
        return String::new();
    };
    let what = match first.fields.as_slice() {
        [] => "is missing".to_owned(),
        [field] => format!("differs at {field}"),
        [field, more @ ..] => format!("differs at {field} and {} more", more.len()),
    };
    let healed = if first.healed { "; put back" } else { "" };
    let others = match items.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more objects)"),
    };
    format!(
        "{} {} {what}{healed}{others}",
        first.object.kind, first.object.name
    )
}

/// An agent's no.
pub(super) fn rejected(before: Option<&AppRecord>, after: &AppRecord) -> Option<Event> {
    let rejection = after.rejection.as_ref()?;
    let known = before.and_then(|app| app.rejection.as_ref());
    (known != Some(rejection)).then(|| {
        Event::seen(rejection.at, true, "AssignmentRejected", about(after))
            .saying(rejection.reason.clone())
    })
}

/// What became wrong with a set, or that nothing is wrong with it any more.
pub(super) fn judged(
    before: Option<&SetRecord>,
    after: &SetRecord,
    now: Timestamp,
) -> Option<Event> {
    let about = About {
        project: after.project.clone(),
        set: after.name.clone(),
        ..About::default()
    };
    let known: BTreeSet<_> = before.into_iter().flat_map(real_problems).collect();
    let fresh: Vec<_> = real_problems(after)
        .filter(|it| !known.contains(it))
        .collect();
    let Some(first) = fresh.first() else {
        let solved = real_problems(after).next().is_none() && !known.is_empty();
        let event = Event::seen(now, false, "ProblemsSolved", about);
        return solved.then(|| event.saying("nothing is wrong with it any more"));
    };
    let reason = if crate::promote::is_problem(first) {
        "PromotionBlocked"
    } else {
        "RenderFailed"
    };
    let others = match fresh.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(Event::seen(now, true, reason, about).saying(format!("{first}{others}")))
}

fn real_problems(set: &SetRecord) -> impl Iterator<Item = &str> {
    let problems = set.problems.iter().map(String::as_str);
    problems.filter(|problem| !is_unfetched(problem))
}

/// A source that cannot be fetched.
pub(super) fn fetched(before: Option<&SourceRecord>, after: &SourceRecord) -> Option<Event> {
    let error = after.error.as_ref()?;
    let known = before.and_then(|source| source.error.as_ref());
    (known != Some(error)).then(|| {
        let about = About {
            project: crate::records::FLEET.to_owned(),
            ..About::default()
        };
        let mut event =
            Event::seen(after.checked_at, true, "FetchFailed", about).saying(error.clone());
        let source = &after.source;
        event.object = format!("source/{}@{}", source.repo_url, source.revision);
        event
    })
}
