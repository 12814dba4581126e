//! Lists and what selects their objects.
//!
//! Owns label and field selectors, pages and the list's frame. Never sends.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    answer::Refusal,
    cluster::{Cluster, Target, converted},
    resources::{Resource, api_version},
    store::{Key, Stored},
    tables::{self, cells, columns},
};

/// What a list or a watch is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    /// Empty: all namespaces.
    pub(crate) namespace: String,
    labels: Vec<Requirement>,
    fields: Vec<(Field, bool, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Name,
    Namespace,
    /// A JSON pointer.
    Inside(String),
}

/// What objects of a kind are selected by besides name and namespace, as on the real server.
const SELECTABLE: [(&str, &[&str]); 8] = [
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
    ),
    (
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    ("secrets", &["type"]),
    ("services", &["spec.clusterIP", "spec.type"]),
    ("namespaces", &["status.phase"]),
    ("nodes", &["spec.unschedulable"]),
    ("replicasets.apps", &["status.replicas"]),
    ("jobs.batch", &["status.successful"]),
];

impl Field {
    fn read(resource: &Resource, name: &str) -> Result<Self, Refusal> {
        match name {
            "metadata.name" => return Ok(Self::Name),
            "metadata.namespace" if resource.namespaced => return Ok(Self::Namespace),
            _ => {}
        }
        let mut rows = SELECTABLE.iter();
        let known = rows.find(|(id, _)| *id == &*resource.id);
        if !known.is_some_and(|(_, fields)| fields.contains(&name)) {
            return Err(Refusal::bad_request(format!(
                "field label not supported: {name}"
            )));
        }
        Ok(match name {
            "status.successful" => Self::Inside("/status/succeeded".to_owned()),
            name => Self::Inside(format!("/{}", name.replace('.', "/"))),
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selection {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(crate) fn read(target: &Target, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let fields = fields.split(',').filter(|it| !it.is_empty());
        let mut found = Vec::new();
        for text in fields {
            let (name, equal, value) = if let Some((name, value)) = text.split_once("!=") {
                (name, false, value)
            } else if let Some((name, value)) = text.split_once('=') {
                (name, true, value.trim_start_matches('='))
            } else {
                return Err(Refusal::bad_request(format!(
                    "invalid field selector {text:?}"
                )));
            };
            let field = Field::read(&target.resource, name)?;
            found.push((field, equal, value.to_owned()));
        }
        Ok(Self {
            namespace: target.namespace.clone(),
            labels: requirements(labels)?,
            fields: found,
        })
    }

    /// Whether an object is meant.
    pub(crate) fn has(&self, namespace: &str, name: &str, stored: &Stored) -> bool {
        let place = self.namespace.is_empty() || self.namespace == namespace;
        let label = |key: &str| {
            let mut labels = stored.labels.iter();
            labels
                .find(|(it, _)| **it == *key)
                .map(|(_, value)| &**value)
        };
        let fits = |it: &Requirement| match it {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => {
                label(key).is_some_and(|it| values.iter().any(|value| value == it))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|it| values.iter().all(|value| value != it))
            }
        };
        let field = |(field, equal, value): &(Field, bool, String)| {
            let same = match field {
                Field::Name => name == value,
                Field::Namespace => namespace == value,
                Field::Inside(pointer) => inside(stored, pointer) == *value,
            };
            same == *equal
        };
        place && self.labels.iter().all(fits) && self.fields.iter().all(field)
    }
}

/// A field of an object as text; a number that is left out is zero, and false.
fn inside(stored: &Stored, pointer: &str) -> String {
    match stored.value().pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None if ["/status/replicas", "/status/succeeded"].contains(&pointer) => "0".to_owned(),
        None if pointer == "/spec/unschedulable" => "false".to_owned(),
        None => String::new(),
    }
}

/// Splits at commas that are not between parentheses.
fn requirements(text: &str) -> Result<Vec<Requirement>, Refusal> {
    let mut parts = vec![String::new()];
    let mut inside = false;
    for c in text.chars() {
        inside = (inside || c == '(') && c != ')';
        match parts.last_mut() {
            Some(last) if c != ',' || inside => last.push(c),
            _ => parts.push(String::new()),
        }
    }
    let parts = parts.iter().map(|part| part.trim());
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(requirement).collect()
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    let set = |text: &str| {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        let values = inner.split(',').map(|it| it.trim().to_owned());
        Some(values.collect::<Vec<_>>())
    };
    let invalid = || Refusal::bad_request(format!("unable to parse requirement: {text:?}"));
    if let Some((key, values)) = text.split_once(" notin ") {
        let values = set(values).ok_or_else(invalid)?;
        return Ok(Requirement::NotIn(key.trim().to_owned(), values));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        let values = set(values).ok_or_else(invalid)?;
        return Ok(Requirement::In(key.trim().to_owned(), values));
    }
    let one = |key: &str, value: &str| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((key, value)) = text.split_once("!=") {
        let (key, values) = one(key, value);
        return Ok(Requirement::NotIn(key, values));
    }
    if let Some((key, value)) = text.split_once('=') {
        let (key, values) = one(key, value.trim_start_matches('='));
        return Ok(Requirement::In(key, values));
    }
    if text.contains([' ', '(', ')', '>', '<']) {
        return Err(invalid());
    }
    Ok(match text.strip_prefix('!') {
        Some(key) => Requirement::Missing(key.trim().to_owned()),
        None => Requirement::Exists(text.to_owned()),
    })
}

/// How objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`, at a time; a later part of a watch has no heads.
    Table {
        now: Timestamp,
        heads: bool,
        /// What comes with each row.
        with: With,
    },
}

impl Form {
    /// What comes after the first object.
    pub(crate) fn continues(&mut self) {
        if let Self::Table { heads, .. } = self {
            *heads = false;
        }
    }

    /// The same at another time.
    pub(crate) fn at(self, time: Timestamp) -> Self {
        match self {
            Self::Table { heads, with, .. } => Self::Table {
                now: time,
                heads,
                with,
            },
            other => other,
        }
    }
}

/// What comes with a row of a table (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    Nothing,
    Metadata,
    Object,
}

/// One object in the version and form that was asked for.
pub(crate) fn shown(target: &Target, form: Form, stored: &Stored) -> Value {
    show(target, form, stored.value())
}

/// As [`shown`], of an object that is at hand.
pub(crate) fn show(target: &Target, form: Form, mut object: Value) -> Value {
    match form {
        Form::Metadata => metadata(&object["metadata"]),
        Form::Whole => {
            object["apiVersion"] = json!(api_version(&target.resource.group, &target.version));
            converted(target, &mut object);
            object
        }
        Form::Table { .. } => {
            let version = object["metadata"]["resourceVersion"].clone();
            let about = json!({"resourceVersion": version});
            table(target, form, &about, vec![object])
        }
    }
}

fn metadata(metadata: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
    })
}

/// A table of objects of a kind that has one.
fn table(target: &Target, form: Form, about: &Value, objects: Vec<Value>) -> Value {
    let version = target.resource.version(&target.version);
    let columns = version.and_then(|it| columns(&target.resource, it));
    let columns = columns.unwrap_or_default();
    let Form::Table { now, heads, with } = form else {
        return Value::Null;
    };
    let rows = objects.into_iter().map(|object| {
        let mut row = json!({"cells": cells(&columns, &object, now)});
        row["object"] = match with {
            With::Nothing => Value::Null,
            With::Metadata => metadata(&object["metadata"]),
            With::Object => show(target, Form::Whole, object),
        };
        row
    });
    let rows: Vec<Value> = rows.collect();
    let heads = if heads {
        tables::heads(&columns)
    } else {
        Value::Null
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": about,
        "columnDefinitions": heads, "rows": rows,
    })
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    /// The token of the page before: the snapshot's revision and the last object's key.
    pub(crate) after: String,
}

/// The selected objects of a kind.
pub(crate) fn list(
    cluster: &Cluster,
    target: &Target,
    selection: &Selection,
    form: Form,
    page: &Page,
) -> Result<Value, Refusal> {
    let (revision, after) = match position(page)? {
        Some((revision, after)) => (revision, Some(after)),
        None => (cluster.store.revision(), None),
    };
    let all = cluster.store.at(&target.resource.id, revision);
    let all = all.map_err(|oldest| Refusal::expired(revision, oldest))?;
    let chosen: Vec<(&Key, &Arc<Stored>)> = all
        .iter()
        .filter(|(key, stored)| selection.has(&key.0, &key.1, stored))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
        .collect();
    let end = if page.limit == 0 {
        chosen.len()
    } else {
        page.limit.min(chosen.len())
    };
    let items = chosen[..end].iter().map(|(_, stored)| {
        if matches!(form, Form::Table { .. }) {
            return stored.value();
        }
        let mut item = shown(target, form, stored);
        if form == Form::Whole && !target.resource.custom {
            crate::object::take(&mut item, "kind");
            crate::object::take(&mut item, "apiVersion");
        }
        item
    });
    let items: Vec<Value> = items.collect();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if target.resource.custom {
        metadata["continue"] = json!("");
    }
    if let (Some((key, _)), true) = (chosen[..end].last(), end < chosen.len()) {
        metadata["continue"] = json!(format!("{revision}/{}/{}", key.0, key.1));
        metadata["remainingItemCount"] = json!(chosen.len() - end);
    }
    let (kind, version) = match form {
        Form::Table { .. } => return Ok(table(target, form, &metadata, items)),
        Form::Metadata => (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        ),
        Form::Whole => (
            target.resource.list_kind.clone(),
            api_version(&target.resource.group, &target.version),
        ),
    };
    Ok(json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items}))
}

/// Where a later page begins: the revision of the first one, and the last object that was listed.
fn position(page: &Page) -> Result<Option<(u64, Key)>, Refusal> {
    if page.after.is_empty() {
        return Ok(None);
    }
    let mut parts = page.after.splitn(3, '/');
    let revision = parts.next().and_then(|it| it.parse::<u64>().ok());
    let (Some(revision), Some(namespace), Some(name)) = (revision, parts.next(), parts.next())
    else {
        return Err(Refusal::bad_request("continue key is not valid"));
    };
    Ok(Some((revision, (namespace.into(), name.into()))))
}
