//! Where each application's last word stands in the trace of the commit that brought it.
//!
//! Kept beside the assignment and never part of it: nothing is decided by it, and losing it loses a
//! line in a picture. Empty while nothing is traced.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use opentelemetry::{KeyValue, trace::SpanContext};
use tidegate_model::{
    assignment::Assignment,
    ids::{AppUid, Generation},
};
use tidegate_telemetry::{Finished, Place, place, tracer, tracer::under};
use tracing::Span;

/// Applications that are remembered: a bound on memory, far above any cluster.
const MOST: usize = 100_000;

/// What is known. Cheap to clone; clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    known: Arc<Mutex<BTreeMap<AppUid, Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    generation: Generation,
    traceparent: String,
    parent: SpanContext,
}

impl Traces {
    /// Remembers where this generation stands; what is no place is forgotten.
    pub fn note(&self, app: AppUid, generation: Generation, traceparent: &str) {
        if tracer().is_none() {
            return;
        }
        let Some(parent) = place::read(traceparent) else {
            return;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let older = |known: &Known| known.generation > generation;
        if known.get(&app).is_some_and(older) || known.len() >= MOST {
            return;
        }
        let traceparent = traceparent.to_owned();
        known.insert(
            app,
            Known {
                generation,
                traceparent,
                parent,
            },
        );
    }

    /// Forgets an application.
    pub fn forget(&self, app: AppUid) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&app);
    }

    fn of(&self, app: AppUid, generation: Generation) -> Option<Known> {
        tracer()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&app)
            .filter(|known| known.generation == generation)
            .cloned()
    }

    /// What to keep of this assignment's place.
    pub fn kept(&self, app: AppUid, generation: Generation) -> Option<String> {
        Some(self.of(app, generation)?.traceparent)
    }

    /// The span of taking an assignment in; none if nobody traces it.
    pub fn accepting(&self, assignment: &Assignment) -> Span {
        let Some(known) = self.of(assignment.app, assignment.generation) else {
            return Span::none();
        };
        let span = tracing::info_span!(
            "accept",
            tidegate.application = assignment.app_name,
            tidegate.cluster.uid = %assignment.cluster,
            tidegate.generation = assignment.generation.0,
            otel.status_description = tracing::field::Empty,
        );
        under(&span, &known.parent);
        span
    }

    /// The span of a pass that brings an assignment about; none if nobody traces it.
    pub fn applying(&self, assignment: &Assignment) -> Span {
        let Some(known) = self.of(assignment.app, assignment.generation) else {
            return Span::none();
        };
        let span = tracing::info_span!(
            "apply",
            tidegate.application = assignment.app_name,
            tidegate.cluster.uid = %assignment.cluster,
            tidegate.generation = assignment.generation.0,
            tidegate.objects = tracing::field::Empty,
            tidegate.phase = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
        );
        under(&span, &known.parent);
        span
    }

    /// Tells that what was applied then was first seen healthy now.
    pub fn observed(&self, assignment: &Assignment, applied: SystemTime, now: SystemTime) {
        let known = self.of(assignment.app, assignment.generation);
        let (Some(tracer), Some(known)) = (tracer(), known) else {
            return;
        };
        let app = assignment.app.to_string();
        let generation = assignment.generation.to_string();
        tracer.tell(Finished {
            name: "observe",
            place: Place::of(&known.parent).child(&["observe", &app, &generation]),
            start: applied,
            end: now,
            attributes: vec![
                KeyValue::new("tidegate.application", assignment.app_name.clone()),
                KeyValue::new("tidegate.cluster.uid", assignment.cluster.to_string()),
            ],
            error: None,
            links: Vec::new(),
        });
    }
}

/// The span of one stage of a pass; none if the pass has none.
pub(crate) fn stage(stage: crate::stage::Stage, objects: usize) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::info_span!("stage", tidegate.stage = ?stage, tidegate.objects = objects)
}
