//! What a watch says: pure, from the history of the store and the position of the watch.
//!
//! Owns the lines of a watch. A watch keeps a number, never objects. Never waits.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    answer::Refusal,
    cluster::{Cluster, Target},
    lists::{Form, Selection, show, shown},
    resources::api_version,
    store::{Event, Stored},
};

/// One watch.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) target: Target,
    pub(crate) selection: Selection,
    pub(crate) form: Form,
    pub(crate) bookmarks: bool,
    /// The revision up to which everything was said.
    pub(crate) position: u64,
}

/// What there is to say next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Lines; the watch goes on.
    Lines(Vec<u8>),
    /// Last words: the history no longer reaches back.
    End(Vec<u8>),
}

impl Watch {
    /// The objects there are, as if they had just been made; the position is then now.
    pub(crate) fn begin(&mut self, cluster: &Cluster, marked: bool) -> Vec<u8> {
        let mut lines = Vec::new();
        for (key, stored) in cluster.store.all(&self.target.resource.id) {
            if self.selection.has(&key.0, &key.1, stored) {
                line(&mut lines, "ADDED", &shown(&self.target, self.form, stored));
                self.form.continues();
            }
        }
        self.position = cluster.store.revision();
        if marked {
            line(&mut lines, "BOOKMARK", &self.bookmark(true));
        }
        lines
    }

    /// What happened since the position.
    pub(crate) fn next(&mut self, cluster: &Cluster, now: Timestamp) -> Next {
        let mut lines = Vec::new();
        let events = match cluster.store.since(self.position) {
            Ok(events) => events,
            Err(oldest) => {
                let status = Refusal::expired(self.position, oldest).status();
                line(&mut lines, "ERROR", &status);
                return Next::End(lines);
            }
        };
        let mut form = self.form.at(now);
        for event in events.filter(|event| event.resource == self.target.resource.id) {
            if let Some((what, object)) = self.seen(event, form) {
                line(&mut lines, what, &object);
                form.continues();
            }
        }
        self.form = form;
        self.position = cluster.store.revision();
        Next::Lines(lines)
    }

    /// A line that tells the position, so that a later watch begins there.
    pub(crate) fn mark(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        if self.bookmarks {
            line(&mut lines, "BOOKMARK", &self.bookmark(false));
        }
        lines
    }

    /// How an event looks through the selection: what leaves it is deleted, what enters is added.
    fn seen(&self, event: &Event, form: Form) -> Option<(&'static str, Value)> {
        let has = |stored: &Stored| self.selection.has(&event.namespace, &event.name, stored);
        let now = !event.gone && has(&event.object);
        let before = event.before.as_deref().filter(|stored| has(stored));
        let what = match (before, now) {
            (None, false) => return None,
            (None, true) => "ADDED",
            (Some(_), true) => "MODIFIED",
            (Some(_), false) => "DELETED",
        };
        let mut object = match before {
            // Its last form inside the selection, at the revision at which it left.
            Some(before) if !now => before.value(),
            _ => event.object.value(),
        };
        object["metadata"]["resourceVersion"] = json!(event.revision.to_string());
        Some((what, show(&self.target, form, object)))
    }

    fn bookmark(&self, initial: bool) -> Value {
        let resource = &self.target.resource;
        let (kind, version) = match self.form {
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Table { .. } => ("Table", "meta.k8s.io/v1".to_owned()),
            Form::Whole => (
                &*resource.kind,
                api_version(&resource.group, &self.target.version),
            ),
        };
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        json!({"kind": kind, "apiVersion": version, "metadata": metadata})
    }
}

fn line(lines: &mut Vec<u8>, what: &str, object: &Value) {
    let text = json!({"type": what, "object": object}).to_string();
    lines.extend_from_slice(text.as_bytes());
    lines.push(b'\n');
}
