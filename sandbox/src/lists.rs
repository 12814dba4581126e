//! Lists and what selects their objects.
//!
//! Owns label and field selectors, pages and the list's frame. Never sends.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    answer::Refusal,
    cluster::{Cluster, Target},
    resources::api_version,
    store::{Key, Stored},
};

/// What a list or a watch is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    /// Empty: all namespaces.
    pub(crate) namespace: String,
    labels: Vec<Requirement>,
    fields: Vec<(Field, bool, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Name,
    Namespace,
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
    pub(crate) fn read(namespace: &str, labels: &str, fields: &str) -> Result<Self, Refusal> {
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
            let field = match name {
                "metadata.name" => Field::Name,
                "metadata.namespace" => Field::Namespace,
                _ => {
                    return Err(Refusal::unsupported(&format!(
                        "the field selector {name:?}"
                    )));
                }
            };
            found.push((field, equal, value.to_owned()));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
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
            let found = match field {
                Field::Name => name,
                Field::Namespace => namespace,
            };
            (found == value) == *equal
        };
        place && self.labels.iter().all(fits) && self.fields.iter().all(field)
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
}

/// One object in the version and form that was asked for.
pub(crate) fn shown(target: &Target, form: Form, stored: &Stored) -> Value {
    let mut object = stored.value();
    if form == Form::Metadata {
        return json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"].take(),
        });
    }
    object["apiVersion"] = json!(api_version(&target.resource.group, &target.version));
    object
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
