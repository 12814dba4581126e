//! What a publication did: expansion and rendering, counted when they are done and told when they
//! led to a release.
//!
//! A pass that leads to none tells nothing: sets are looked at all the time.

use std::{collections::BTreeMap, time::SystemTime};

use opentelemetry::KeyValue;
use tidegate_telemetry::{Finished, Place, tracer};
use tokio::time::Instant;

use super::{metrics::Metrics, places, time};
use crate::{
    db::Db,
    publish::Candidate,
    records::{ReleaseRecord, SourceRecord},
};

/// Renderings that are told of one release: the failed ones first.
const RENDERINGS: usize = 100;

/// Begin and end of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// When it began.
    pub begun: Instant,
    /// When it ended.
    pub ended: Instant,
}

impl Work {
    /// It began then and ends now.
    pub fn since(begun: Instant) -> Self {
        Self {
            begun,
            ended: Instant::now(),
        }
    }

    fn seconds(self) -> f64 {
        self.ended.duration_since(self.begun).as_secs_f64()
    }
}

/// When a candidate came to be.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    /// The expansion.
    pub expanded: Option<Work>,
    /// Renderings by application; one that was remembered is older than the pass.
    pub rendered: BTreeMap<String, Work>,
}

/// Counts the fetch of a source that is recorded, and tells of a commit that it came to stand at.
pub fn fetched(db: &Db, record: &SourceRecord, work: Work, moved: bool) {
    let outcome = match (&record.error, moved) {
        (Some(_), _) => "failed",
        (None, true) => "changed",
        (None, false) => "unchanged",
    };
    db.metrics().fetched(work.seconds(), outcome);
    let (Some(tracer), Some(commit), true) = (tracer(), &record.commit, moved) else {
        return;
    };
    let wall = Wall::now(time(db.clock().now()));
    let source = &record.source;
    tracer.tell(Finished {
        name: "commit",
        place: places::commit(source, commit),
        start: wall.at(work.begun),
        end: wall.wall,
        attributes: vec![
            KeyValue::new("tidegate.source.repo", source.repo_url.clone()),
            KeyValue::new("tidegate.source.revision", source.revision.clone()),
            KeyValue::new("tidegate.source.commit", commit.clone()),
        ],
        error: None,
        links: Vec::new(),
    });
}

/// Counts the work of a pass that began then.
pub fn count(metrics: &Metrics, candidate: &Candidate, begun: Instant) {
    if let Some(expanded) = candidate.timing.expanded {
        metrics.expanded(expanded.seconds());
    }
    for (name, work) in &candidate.timing.rendered {
        if work.begun >= begun {
            metrics.rendered(work.seconds(), is_failed(candidate, name));
        }
    }
}

fn is_failed(candidate: &Candidate, name: &str) -> bool {
    let app = candidate.apps.get(name);
    app.is_some_and(|app| app.content.is_err())
}

/// Tells of a release that was created by a pass that began then.
pub fn tell(db: &Db, release: &ReleaseRecord, candidate: &Candidate, begun: Instant) {
    let Some(tracer) = tracer() else {
        return;
    };
    let wall = Wall::now(time(db.clock().now()));
    let state = db.read();
    let place = places::release(&state, release);
    // What was rendered before the release before this one was told with that.
    let number = release.number.saturating_sub(1);
    let path = format!("{}/{}/{number:020}", release.project, release.set);
    let before = state.releases.at(&path);
    let since = before.map_or(SystemTime::UNIX_EPOCH, |row| time(row.record.created_at));
    let set = state.set_by_uid(release.set).map(|set| set.name.clone());
    let links = places::news(&state, release)
        .into_iter()
        .map(|source| places::commit(&source.source, &source.commit).context())
        .filter(|context| context.trace_id() != place.trace)
        .collect();
    drop(state);
    let renderings = renderings(candidate, &wall, since);
    let first = renderings.iter().map(|(_, work)| wall.at(work.begun)).min();
    let start = first.into_iter().chain([wall.at(begun)]).min();
    tracer.tell(Finished {
        name: "publish",
        place,
        start: start.unwrap_or(wall.wall),
        end: wall.wall,
        attributes: vec![
            KeyValue::new("tidegate.project", release.project.clone()),
            KeyValue::new("tidegate.set", set.unwrap_or_default()),
            KeyValue::new("tidegate.release", number_of(release.number)),
            KeyValue::new("tidegate.release.cause", release.cause.clone()),
            KeyValue::new("tidegate.applications", number_of(candidate.apps.len())),
            KeyValue::new(
                "tidegate.applications.rendered",
                number_of(renderings.len()),
            ),
        ],
        error: None,
        links,
    });
    if let Some(work) = candidate.timing.expanded {
        tracer.tell(part("expand", place.child(&["expand", "0"]), &wall, work));
    }
    for (name, work) in renderings.into_iter().take(RENDERINGS) {
        let mut span = part("render", place.child(&["render", name]), &wall, work);
        span.attributes = vec![KeyValue::new("tidegate.application", name.to_owned())];
        let app = candidate.apps.get(name);
        span.error = app.and_then(|app| app.content.as_ref().err().cloned());
        tracer.tell(span);
    }
}

/// Renderings since then, the failed ones first.
fn renderings<'a>(
    candidate: &'a Candidate,
    wall: &Wall,
    since: SystemTime,
) -> Vec<(&'a str, Work)> {
    let mut renderings: Vec<_> = candidate
        .timing
        .rendered
        .iter()
        .filter(|(_, work)| wall.at(work.ended) >= since)
        .map(|(name, work)| (name.as_str(), *work))
        .collect();
    renderings.sort_by_key(|(name, _)| !is_failed(candidate, name));
    renderings
}

fn part(name: &'static str, place: Place, wall: &Wall, work: Work) -> Finished {
    Finished {
        name,
        place,
        start: wall.at(work.begun),
        end: wall.at(work.ended),
        attributes: Vec::new(),
        error: None,
        links: Vec::new(),
    }
}

fn number_of(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

/// Both clocks at one moment.
pub(crate) struct Wall {
    wall: SystemTime,
    monotonic: Instant,
}

impl Wall {
    /// Now, as the hub's clock says.
    pub(crate) fn now(wall: SystemTime) -> Self {
        Self {
            wall,
            monotonic: Instant::now(),
        }
    }

    /// What the wall showed then.
    pub(crate) fn at(&self, then: Instant) -> SystemTime {
        let ago = self.monotonic.saturating_duration_since(then);
        self.wall.checked_sub(ago).unwrap_or(self.wall)
    }
}
