//! Deletion: preconditions, propagation, finalizers.

use serde_json::{Value, json};

use super::WriteOptions;
use crate::{
    answer::{Cause, Refusal},
    cluster::{Cluster, Target, mark_terminating},
    lists::{Form, Page, Selection, list},
    object::{finalizers, is_terminating, meta, set_meta},
    store::Key,
};

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They are collected after the owner is gone.
    #[default]
    Background,
    /// The owner waits for those that block it.
    Foreground,
    /// They stay.
    Orphan,
}

/// `DeleteOptions`, as far as the sandbox knows them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) propagation: Propagation,
}

impl DeleteOptions {
    /// Reads the body of a delete, and what the query says where the body is silent.
    pub(crate) fn read(body: &Value, orphans: Option<bool>, policy: &str) -> Result<Self, Refusal> {
        let precondition = |field: &str| {
            let value = body["preconditions"][field].as_str();
            value.map(str::to_owned)
        };
        let field = "propagationPolicy";
        let policy = body[field].as_str().unwrap_or(policy);
        let orphans = body["orphanDependents"].as_bool().or(orphans);
        if orphans.is_some() && !policy.is_empty() {
            let words = "orphanDependents and deletionPropagation cannot be both set";
            let cause = Cause::invalid(field, &json!(policy), words);
            return Err(Refusal::invalid_deletion(&[cause]));
        }
        let propagation = match policy {
            "" if orphans == Some(true) => Propagation::Orphan,
            "" | "Background" => Propagation::Background,
            "Foreground" => Propagation::Foreground,
            "Orphan" => Propagation::Orphan,
            other => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                let cause = Cause::unsupported(field, &json!(other), &known);
                return Err(Refusal::invalid_deletion(&[cause]));
            }
        };
        Ok(Self {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            propagation,
        })
    }
}

/// Deletes an object, or marks it as being deleted; the answer's body and whether it is still there.
pub(crate) fn delete(
    cluster: &mut Cluster,
    target: &Target,
    delete: &DeleteOptions,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    let resource = &target.resource;
    let Some(live) = cluster.live(target) else {
        return Err(Refusal::not_found(resource, &target.name));
    };
    preconditions(target, delete, &live)?;
    let mut object = live.clone();
    let holder = match delete.propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some("foregroundDeletion"),
        Propagation::Orphan => Some("orphan"),
    };
    if let Some(holder) = holder {
        let mut all: Vec<Value> = finalizers(&object).iter().map(|it| json!(it)).collect();
        if !all.contains(&json!(holder)) {
            all.push(json!(holder));
        }
        set_meta(&mut object, "finalizers", Some(all.into()));
    }
    let namespace = &*resource.id == "namespaces";
    let waits = namespace || !finalizers(&object).is_empty();
    if !waits {
        if !options.dry_run {
            cluster.remove(resource, &target.key());
        }
        return Ok(gone(target, meta(&live, "uid")));
    }
    if !is_terminating(&object) {
        let counts = resource.counts_generations();
        mark_terminating(&mut object, counts, options.now);
        if namespace {
            set_meta(&mut object, "deletionGracePeriodSeconds", None);
            object["status"]["phase"] = json!("Terminating");
        }
    }
    if object != live && !options.dry_run {
        cluster.put(resource, &mut object);
    }
    Ok(object)
}

/// Deletes the selected objects of a kind, one after the other; the list of what they were.
pub(crate) fn collection(
    cluster: &mut Cluster,
    target: &Target,
    selection: &Selection,
    how: &DeleteOptions,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    let answer = list(cluster, target, selection, Form::Whole, &Page::default())?;
    let selected = cluster.store.all(&target.resource.id);
    let selected: Vec<Key> = selected
        .filter(|(key, stored)| selection.has(&key.0, &key.1, stored))
        .map(|(key, _)| key.clone())
        .collect();
    for (namespace, name) in selected {
        let one = Target {
            namespace: namespace.into(),
            name: name.into(),
            ..target.clone()
        };
        delete(cluster, &one, how, options)?;
    }
    Ok(answer)
}

fn preconditions(target: &Target, delete: &DeleteOptions, live: &Value) -> Result<(), Refusal> {
    let resource = &target.resource;
    let found = meta(live, "uid");
    if let Some(uid) = delete.uid.as_deref().filter(|uid| *uid != found) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({found}). The object might have been deleted and then recreated"
        );
        return Err(Refusal::precondition(resource, &target.name, &why));
    }
    let found = meta(live, "resourceVersion");
    if let Some(version) = delete.resource_version.as_deref().filter(|it| *it != found) {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({found}). The object might have been modified"
        );
        return Err(Refusal::precondition(resource, &target.name, &why));
    }
    Ok(())
}

fn gone(target: &Target, uid: &str) -> Value {
    let mut details = json!({"name": target.name, "kind": target.resource.plural, "uid": uid});
    if !target.resource.group.is_empty() {
        details["group"] = json!(target.resource.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
