//! Create, replace, patch, apply and delete: from a request's body to the object that is kept.
//!
//! Owns the order of the steps, which is the server's: form, owners, namespace, rules, write. With
//! dry run all of it but the last step. Never speaks HTTP.

use std::collections::BTreeSet;

use jiff::Timestamp;
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Value, json};

pub(crate) use self::apply::apply;
pub(crate) use self::delete::{DeleteOptions, collection, delete};
use crate::{
    admission,
    answer::{Cause, Refusal},
    cluster::{Cluster, Target, bump, settled, stamp},
    defaults::{ADDRESSES, address, allocate, carry_over, complete, drop_unknown},
    fields::{self, Frame, Manager, Part},
    object::{finalizers, is_terminating, meta, set_meta, take},
    resources::api_version,
    strategic,
};

mod apply;
mod delete;
mod last_applied;
pub(crate) mod scale;

/// What happens to fields that the kind does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    Strict,
    /// They are dropped.
    Lenient,
}

/// How an object is written.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) force: bool,
    pub(crate) validation: Validation,
    pub(crate) now: Timestamp,
}

/// What a patch is.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    Merge(Value),
    /// By the types of a built-in kind.
    Strategic(Value),
    Json(json_patch::Patch),
}

/// Makes an object.
pub(crate) fn create(
    cluster: &mut Cluster,
    target: &Target,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    admission::identity(target, &mut object)?;
    admission::decoded(target, options, &object)?;
    let version = target.served()?;
    drop_unknown(&version.ty, &mut object);
    if meta(&object, "name").is_empty() && !meta(&object, "generateName").is_empty() {
        let uid = cluster.uid();
        let name = format!("{}{}", meta(&object, "generateName"), &uid[..5]);
        set_meta(&mut object, "name", Some(json!(name)));
    }
    let name = meta(&object, "name").to_owned();
    if !meta(&object, "resourceVersion").is_empty() {
        return Err(Refusal::versioned());
    }
    let before = fields::managers(&object);
    admission::namespace(cluster, target, &name)?;
    prepare_new(cluster, target, &mut object, options)?;
    let manager = manager(target, options, false);
    let frame = frame(target, &manager, options.now)?;
    let owners = fields::update(&frame.borrow(), &nothing(target)?, &object, before);
    fields::set_managers(&mut object, &owners);
    insert(cluster, target, object, options)
}

/// Gives a new object everything that it gets from the server, and judges it.
fn prepare_new(
    cluster: &mut Cluster,
    target: &Target,
    object: &mut Value,
    options: &WriteOptions,
) -> Result<(), Refusal> {
    let resource = &target.resource;
    let version = target.served()?;
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "selfLink",
    ] {
        set_meta(object, field, None);
    }
    let uid = cluster.uid();
    set_meta(object, "uid", Some(json!(uid)));
    let now = json!(stamp(options.now));
    set_meta(object, "creationTimestamp", Some(now));
    let generation = resource.counts_generations().then(|| json!(1));
    set_meta(object, "generation", generation);
    if version.status {
        take(object, "status");
    }
    if &*resource.id == "persistentvolumeclaims" {
        object["status"] = json!({"phase": "Pending"});
    }
    if &*resource.id == "namespaces" {
        object["spec"] = json!({"finalizers": ["kubernetes"]});
        object["status"] = json!({"phase": "Active"});
    }
    complete(resource, &version.ty, object);
    settled(target, object);
    admission::written(cluster, target, None, object)
}

fn insert(
    cluster: &mut Cluster,
    target: &Target,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    let (id, name) = (&target.resource.id, meta(&object, "name").to_owned());
    if cluster.store.get(id, &target.namespace, &name).is_some() {
        return Err(Refusal::already_exists(&target.resource, &name));
    }
    if &*target.resource.id == "services" {
        allocate(&mut object, || free_address(cluster));
    }
    if !options.dry_run {
        cluster.put(&target.resource, &mut object);
    }
    Ok(object)
}

/// An address that no Service has.
fn free_address(cluster: &mut Cluster) -> String {
    let services = cluster.store.all("services");
    let taken: BTreeSet<String> = services
        .filter_map(|(_, stored)| Some(stored.value()["spec"]["clusterIP"].as_str()?.to_owned()))
        .collect();
    loop {
        let address = address(cluster.count());
        // All are taken only when there are more Services than addresses.
        if taken.len() >= ADDRESSES || !taken.contains(&address) {
            return address;
        }
    }
}

/// Replaces an object.
pub(crate) fn replace(
    cluster: &mut Cluster,
    target: &Target,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    admission::identity(target, &mut object)?;
    admission::decoded(target, options, &object)?;
    let live = existing(cluster, target)?;
    if target.resource.custom && meta(&object, "resourceVersion").is_empty() {
        return Err(Refusal::unversioned(&target.resource, &target.name));
    }
    change(cluster, target, &live, object, options)
}

/// Patches an object.
pub(crate) fn patch(
    cluster: &mut Cluster,
    target: &Target,
    patch: &Patch,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    let live = existing(cluster, target)?;
    let mut object = live.clone();
    object["apiVersion"] = json!(api_version(&target.resource.group, &target.version));
    match patch {
        Patch::Merge(patch) => json_patch::merge(&mut object, patch),
        Patch::Strategic(patch) => {
            let patched = strategic::patch(&target.served()?.ty, &mut object, patch.clone());
            patched.map_err(|error| match error {
                strategic::Error::Retain => Refusal::bad_request(error.to_string()),
                // So the real server says it.
                other => Refusal::untyped(other.to_string()),
            })?;
        }
        Patch::Json(patch) => {
            json_patched(&mut object, patch)?;
        }
    }
    admission::identity(target, &mut object)?;
    admission::patched(target, options, patch, &object)?;
    same_uid(target, &live, &object)?;
    change(cluster, target, &live, object, options)
}

/// Applies a JSON patch. The real server also replaces what an object does not have yet.
fn json_patched(object: &mut Value, patch: &json_patch::Patch) -> Result<(), Refusal> {
    for operation in &patch.0 {
        let operation = match operation {
            PatchOperation::Replace(it) if is_new_key(object, it.path.as_str()) => {
                PatchOperation::Add(AddOperation {
                    path: it.path.clone(),
                    value: it.value.clone(),
                })
            }
            operation => operation.clone(),
        };
        json_patch::patch(object, &[operation]).map_err(|_| Refusal::unfit())?;
    }
    Ok(())
}

/// Whether a pointer is about a key that an object lacks.
fn is_new_key(value: &Value, pointer: &str) -> bool {
    let above = pointer.rsplit_once('/').map(|(above, _)| above);
    let above = above.and_then(|above| value.pointer(above));
    above.is_some_and(Value::is_object) && value.pointer(pointer).is_none()
}

fn existing(cluster: &Cluster, target: &Target) -> Result<Value, Refusal> {
    let live = cluster.live(target);
    live.ok_or_else(|| Refusal::not_found(&target.resource, &target.name))
}

/// A patch cannot make an object another one.
fn same_uid(target: &Target, live: &Value, object: &Value) -> Result<(), Refusal> {
    let said = meta(object, "uid");
    if said.is_empty() || said == meta(live, "uid") {
        return Ok(());
    }
    let cause = Cause::invalid("metadata.uid", &json!(said), "field is immutable");
    Err(Refusal::invalid(&target.resource, &target.name, &[cause]))
}

fn change(
    cluster: &mut Cluster,
    target: &Target,
    live: &Value,
    object: Value,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    let owners = fields::said(live, &object, target.status);
    let object = merge_change(cluster, target, live, object)?;
    let manager = manager(target, options, false);
    let frame = frame(target, &manager, options.now)?;
    // An object whose owners were taken away has none until somebody applies it again.
    let owners = if owners.is_empty() {
        owners
    } else {
        fields::update(&frame.borrow(), live, &object, owners)
    };
    Ok(keep(cluster, target, live, object, &owners, options))
}

/// The changed object with everything that a writer cannot change as it was.
fn merge_change(
    cluster: &Cluster,
    target: &Target,
    live: &Value,
    mut object: Value,
) -> Result<Value, Refusal> {
    let resource = &target.resource;
    let version = target.served()?;
    drop_unknown(&version.ty, &mut object);
    let said = meta(&object, "resourceVersion");
    if !said.is_empty() && said != meta(live, "resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::conflict(resource, &target.name, why));
    }
    let said = meta(&object, "uid");
    if !said.is_empty() && said != meta(live, "uid") {
        let live = meta(live, "uid");
        let why =
            format!("Precondition failed: UID in precondition: {said}, UID in object meta: {live}");
        return Err(Refusal::conflict(resource, &target.name, &why));
    }
    if target.status {
        let status = take(&mut object, "status");
        object = live.clone();
        take(&mut object, "status");
        if let Some(status) = status {
            object["status"] = status;
        }
    } else if version.status {
        take(&mut object, "status");
        if let Some(status) = live.get("status") {
            object["status"] = status.clone();
        }
    }
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "managedFields",
    ] {
        set_meta(&mut object, field, live["metadata"].get(field).cloned());
    }
    carry_over(resource, live, &mut object);
    complete(resource, &version.ty, &mut object);
    settled(target, &mut object);
    admission::change(target, live, &object)?;
    // Of a change of status only a definition says what is good.
    if !target.status || resource.custom {
        admission::written(cluster, target, Some(live), &object)?;
    }
    if resource.counts_generations() && !target.status && is_new_content(target, live, &object) {
        bump(&mut object);
    }
    Ok(object)
}

/// Whether a change counts as a new generation: everything but metadata and status, and a
/// Deployment's annotations.
fn is_new_content(target: &Target, live: &Value, new: &Value) -> bool {
    let content = |object: &Value| {
        let mut object = object.clone();
        let metadata = take(&mut object, "metadata").unwrap_or_default();
        take(&mut object, "apiVersion");
        if target.served().is_ok_and(|version| version.status) {
            take(&mut object, "status");
        }
        let annotations =
            (&*target.resource.id == "deployments.apps").then(|| metadata["annotations"].clone());
        (object, annotations)
    };
    content(live) != content(new)
}

/// Writes a changed object, unless nothing changed; one that only waited for its last finalizer
/// goes.
fn keep(
    cluster: &mut Cluster,
    target: &Target,
    live: &Value,
    mut object: Value,
    owners: &fields::Managers,
    options: &WriteOptions,
) -> Value {
    fields::set_managers(&mut object, owners);
    if object == *live {
        return object;
    }
    if options.dry_run {
        return object;
    }
    let last = is_terminating(&object) && finalizers(&object).is_empty();
    if last && &*target.resource.id != "namespaces" {
        cluster.remove(&target.resource, &target.key());
        return object;
    }
    cluster.put(&target.resource, &mut object);
    object
}

fn manager(target: &Target, options: &WriteOptions, apply: bool) -> Manager {
    let version = api_version(&target.resource.group, &target.version);
    Manager {
        name: options.manager.clone(),
        apply,
        version: if apply { String::new() } else { version },
        subresource: if target.status {
            "status".to_owned()
        } else {
            String::new()
        },
    }
}

/// A frame with the texts that it borrows.
struct OwnedFrame<'a> {
    manager: &'a Manager,
    ty: &'a crate::schema::Type,
    part: Part,
    version: String,
    time: String,
}

impl OwnedFrame<'_> {
    fn borrow(&self) -> Frame<'_> {
        Frame {
            ty: self.ty,
            manager: self.manager,
            version: &self.version,
            part: self.part,
            time: &self.time,
        }
    }
}

fn frame<'a>(
    target: &'a Target,
    manager: &'a Manager,
    now: Timestamp,
) -> Result<OwnedFrame<'a>, Refusal> {
    let version = target.served()?;
    let part = match (target.status, version.status) {
        (true, _) => Part::Status,
        (false, true) => Part::Main,
        (false, false) => Part::All,
    };
    Ok(OwnedFrame {
        manager,
        ty: &version.ty,
        part,
        version: api_version(&target.resource.group, &target.version),
        time: stamp(now),
    })
}

fn nothing(target: &Target) -> Result<Value, Refusal> {
    if target.resource.custom {
        return Ok(json!({"metadata": {}}));
    }
    Ok(fields::nothing(&target.served()?.ty))
}
