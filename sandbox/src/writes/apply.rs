//! Server-side apply of one object: what is said, whose it becomes, and what is new.

use serde_json::Value;

use super::{
    WriteOptions, frame, insert, keep, last_applied, manager, merge_change, nothing, prepare_new,
    same_uid,
};
use crate::{
    admission,
    answer::Refusal,
    cluster::{Cluster, Target},
    fields::{self, Frame, Managers},
    object::{meta, set_meta},
};

/// Server-side apply: makes the object or brings it to what is said. The flag tells that it is new.
pub(crate) fn apply(
    cluster: &mut Cluster,
    target: &Target,
    mut config: Value,
    options: &WriteOptions,
) -> Result<(Value, bool), Refusal> {
    let said = config.clone();
    let namespace = meta(&config, "namespace").to_owned();
    if config["metadata"]
        .get("managedFields")
        .is_some_and(|it| !it.is_null())
    {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    admission::identity(target, &mut config)?;
    admission::typed(target, &namespace, &config)?;
    let manager = manager(target, options, true);
    let frame = frame(target, &manager, options.now)?;
    let Some(live) = cluster.live(target) else {
        if target.status {
            return Err(Refusal::not_found(&target.resource, &target.name));
        }
        guard_absent(target, &config)?;
        admission::namespace(cluster, target, &target.name)?;
        let nothing = nothing(target)?;
        let result = fields::apply(&frame.borrow(), &nothing, &config, Managers::new(), true);
        let (mut object, owners) = result.map_err(|taken| Refusal::owned(&taken))?;
        admission::converted(target, &namespace, &object)?;
        prepare_new(cluster, target, &mut object, options)?;
        fields::set_managers(&mut object, &owners);
        return Ok((insert(cluster, target, object, options)?, true));
    };
    same_uid(target, &live, &config)?;
    let owners = all_owners(target, &live, options)?;
    let result = applied(&frame.borrow(), &live, &config, owners, options.force);
    let (mut object, owners) = result.map_err(|taken| Refusal::owned(&taken))?;
    admission::converted(target, &namespace, &object)?;
    if manager.name == last_applied::MANAGER {
        last_applied::renew(&mut object, said);
    }
    for field in ["uid", "resourceVersion"] {
        if let Some(said) = config["metadata"].get(field) {
            set_meta(&mut object, field, Some(said.clone()));
        }
    }
    let object = merge_change(cluster, target, &live, object)?;
    Ok((
        keep(cluster, target, &live, object, &owners, options),
        false,
    ))
}

/// What an apply makes of a live object. What `kubectl apply` said last is no conflict for kubectl.
fn applied(
    frame: &Frame<'_>,
    live: &Value,
    config: &Value,
    owners: Managers,
    force: bool,
) -> Result<(Value, Managers), Vec<(String, String)>> {
    let taken = match fields::apply(frame, live, config, owners.clone(), force) {
        Err(taken) if frame.manager.name == last_applied::MANAGER => taken,
        result => return result,
    };
    let others = last_applied::others(frame.ty, live, taken);
    if !others.is_empty() {
        return Err(others);
    }
    fields::apply(frame, live, config, owners, true)
}

/// The owners of a live object; what nobody owns is of a time before the first apply.
fn all_owners(target: &Target, live: &Value, options: &WriteOptions) -> Result<Managers, Refusal> {
    let owners = fields::managers(live);
    if !owners.is_empty() {
        return Ok(owners);
    }
    let mut manager = manager(target, options, false);
    "before-first-apply".clone_into(&mut manager.name);
    let frame = frame(target, &manager, options.now)?;
    let nothing = nothing(target)?;
    Ok(fields::update(&frame.borrow(), &nothing, live, owners))
}

/// What must exist already cannot be made by an apply.
fn guard_absent(target: &Target, config: &Value) -> Result<(), Refusal> {
    let uid = meta(config, "uid");
    if uid.is_empty() {
        return Ok(());
    }
    let why = format!(
        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
    );
    Err(Refusal::conflict(&target.resource, &target.name, &why))
}
