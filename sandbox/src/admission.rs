//! What is checked before an object is written: its form, its name, its namespace, and what may
//! not change.
//!
//! Owns the checks and the words of the server for them. Never writes.

use serde_json::Value;

use crate::{
    answer::{Cause, Refusal},
    cluster::{Cluster, Target},
    object::{finalizers, is_terminating, meta},
    quantity::Quantity,
    resources::{DEFINITIONS, api_version},
    schema::{Findings, Rules, Scalar, Type, resolve, unknown_or_mistyped},
    writes::{Patch, Validation, WriteOptions},
};

mod definitions;
mod kinds;
mod metadata;
mod names;
mod pods;
mod references;
mod syntax;

/// Fields of a spec that never change, by kind.
const IMMUTABLE: [(&str, &str); 7] = [
    ("DaemonSet", "/spec/selector"),
    ("Deployment", "/spec/selector"),
    ("Job", "/spec/selector"),
    ("Job", "/spec/template"),
    ("ReplicaSet", "/spec/selector"),
    ("Secret", "/type"),
    ("StatefulSet", "/spec/serviceName"),
];

/// The body is an object of the target's kind, by name and namespace.
pub(crate) fn identity(target: &Target, object: &mut Value) -> Result<(), Refusal> {
    let resource = &target.resource;
    if !object.is_object() {
        return Err(Refusal::bad_request("the body is not an object"));
    }
    let wanted = api_version(&resource.group, &target.version);
    for (field, wanted) in [("apiVersion", &wanted), ("kind", &resource.kind)] {
        let found = object[field].as_str().unwrap_or_default();
        if found.is_empty() && resource.custom {
            // Only of built-in kinds a server knows by the path what is meant.
            return Err(Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): {field} is missing",
                resource.kind
            )));
        }
        if found.is_empty() {
            object[field] = Value::String(wanted.clone());
        } else if found != wanted {
            let message = format!(
                "the {field} in the data ({found}) does not match the expected {field} ({wanted})"
            );
            return Err(Refusal::bad_request(message));
        }
    }
    let namespace = meta(object, "namespace").to_owned();
    if namespace.is_empty() || !resource.namespaced {
        let place = Some(Value::String(target.namespace.clone()));
        crate::object::set_meta(object, "namespace", place.filter(|_| resource.namespaced));
    } else if namespace != target.namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let name = meta(object, "name");
    if !target.name.is_empty() && name != target.name {
        if name.is_empty() {
            let name = Value::String(target.name.clone());
            crate::object::set_meta(object, "name", Some(name));
            return Ok(());
        }
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

/// JSON types and unknown fields, in the words for bodies that are decoded.
pub(crate) fn decoded(
    target: &Target,
    options: &WriteOptions,
    object: &Value,
) -> Result<(), Refusal> {
    let findings = unknown_or_mistyped(&target.served()?.ty, object);
    let words = undecodable(target, &findings, object)?;
    handled(target, words.or_else(|| undeclared(options, &findings)))
}

fn handled(target: &Target, words: Option<String>) -> Result<(), Refusal> {
    let Some(words) = words else {
        return Ok(());
    };
    let (kind, version) = (&target.resource.kind, &target.version);
    Err(Refusal::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {words}"
    )))
}

/// Why Go cannot read a body.
fn undecodable(
    target: &Target,
    findings: &Findings,
    object: &Value,
) -> Result<Option<String>, Refusal> {
    // What a definition types is judged with its other rules, when defaults are filled in.
    let mut mistyped = findings
        .mistyped
        .iter()
        .filter(|(path, ..)| !target.resource.custom || path.split('.').next() == Some("metadata"));
    if let Some((path, wanted, found)) = mistyped.next() {
        let words = format!("json: cannot unmarshal {found} into field {path} of type {wanted}");
        return Ok(Some(words));
    }
    let words = unreadable(&target.served()?.ty, object);
    Ok(words.or_else(|| kinds::unreadable(&target.resource, object)))
}

/// What an apply made can be read, in the words for what is applied.
pub(crate) fn converted(target: &Target, namespace: &str, object: &Value) -> Result<(), Refusal> {
    let Some(words) = unconvertible(target, object)? else {
        return Ok(());
    };
    let (group, kind) = (&target.resource.group, &target.resource.kind);
    let what = format!("{group}/{}, Kind={kind}", target.version);
    Err(Refusal::untyped(format!(
        "failed to convert new object ({namespace}/{}; {what}) to proper version: unable to \
         convert unstructured object to {what}: {words}",
        target.name
    )))
}

/// Why Go cannot read an object that was no text.
fn unconvertible(target: &Target, object: &Value) -> Result<Option<String>, Refusal> {
    let encoded = || {
        let words = kinds::unreadable(&target.resource, object)?;
        Some(format!("error decoding from json: {words}"))
    };
    Ok(unreadable(&target.served()?.ty, object).or_else(encoded))
}

/// What Go cannot read although its JSON type is right.
fn unreadable(ty: &Type, value: &Value) -> Option<String> {
    match (resolve(ty).0, value) {
        (Type::Scalar(Scalar::Quantity), Value::String(text)) => {
            let words = "quantities must match the regular expression \
                '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
            Quantity::read(text).is_none().then(|| words.to_owned())
        }
        (Type::Struct(it), Value::Object(map)) => map
            .iter()
            .find_map(|(name, value)| unreadable(&it.fields.get(&**name)?.ty, value)),
        (Type::Map(below), Value::Object(map)) => {
            map.values().find_map(|value| unreadable(below, value))
        }
        (Type::List(_, item), Value::Array(items)) => {
            items.iter().find_map(|value| unreadable(item, value))
        }
        _ => None,
    }
}

/// As [`decoded`] for what a patch made, in the words for a patch where the server has some.
pub(crate) fn patched(
    target: &Target,
    options: &WriteOptions,
    patch: &Patch,
    object: &Value,
) -> Result<(), Refusal> {
    let refused = |value: &Value, words: &str| {
        let value = value.to_string();
        Err(Refusal::strict_patch(&format!(
            "Invalid value: {value:?}: {words}"
        )))
    };
    let findings = unknown_or_mistyped(&target.served()?.ty, object);
    let undeclared = || undeclared(options, &findings);
    if let Patch::Strategic(patch) = patch {
        let words = unconvertible(target, object)?;
        if let Some(words) = words.or_else(undeclared) {
            return refused(patch, &words);
        }
    }
    match undecodable(target, &findings, object)? {
        Some(words) if !matches!(patch, Patch::Strategic(_)) && !target.resource.custom => {
            refused(object, &words)
        }
        words => handled(target, words.or_else(undeclared)),
    }
}

/// The fields that a kind does not have, where they are refused.
fn undeclared(options: &WriteOptions, findings: &Findings) -> Option<String> {
    if options.validation != Validation::Strict || findings.unknown.is_empty() {
        return None;
    }
    let unknown = findings.unknown.iter();
    let unknown: Vec<_> = unknown
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    Some(format!("strict decoding error: {}", unknown.join(", ")))
}

/// JSON types and unknown fields, in the words for what is applied.
pub(crate) fn typed(target: &Target, namespace: &str, config: &Value) -> Result<(), Refusal> {
    let findings = unknown_or_mistyped(&target.served()?.ty, config);
    let unknown = findings
        .unknown
        .iter()
        .map(|path| format!(".{path}: field not declared in schema"));
    let mistyped = findings
        .mistyped
        .iter()
        .map(|(path, wanted, found)| format!(".{path}: expected {wanted}, got {found}"));
    let mut all: Vec<String> = unknown.chain(mistyped).collect();
    all.sort();
    let words = match &*all {
        [] => return Ok(()),
        [one] => one.clone(),
        many => {
            let lines: Vec<_> = many.iter().map(|it| format!("  {it}")).collect();
            format!("errors:\n{}", lines.join("\n"))
        }
    };
    let version = api_version(&target.resource.group, &target.version);
    let (name, kind) = (&target.name, &target.resource.kind);
    Err(Refusal::untyped(format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {words}"
    )))
}

/// The namespace is there and takes new objects.
pub(crate) fn namespace(cluster: &Cluster, target: &Target, name: &str) -> Result<(), Refusal> {
    if !target.resource.namespaced {
        return Ok(());
    }
    let Some(namespaces) = cluster.resource("namespaces") else {
        return Ok(());
    };
    match cluster.store.get("namespaces", "", &target.namespace) {
        None => Err(Refusal::not_found(namespaces, &target.namespace)),
        Some(namespace) if namespace.terminating => Err(Refusal::terminating(
            &target.resource,
            name,
            &target.namespace,
        )),
        Some(_) => Ok(()),
    }
}

/// A written object has a good name, everything its kind requires and no value that it refuses. What
/// it was before is not judged again.
pub(crate) fn written(
    cluster: &Cluster,
    target: &Target,
    live: Option<&Value>,
    object: &Value,
) -> Result<(), Refusal> {
    let resource = &target.resource;
    let name = meta(object, "name");
    let mut causes = metadata::causes(resource, object);
    if resource.custom {
        let rules = target
            .served()?
            .rules
            .get_or_init(|| rules(cluster, target));
        causes.extend(rules.causes(object, live));
    } else {
        causes.extend(kinds::causes(resource, object));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(resource, name, &causes))
}

/// The rules of a custom kind's version.
fn rules(cluster: &Cluster, target: &Target) -> Rules {
    let stored = cluster.store.get(DEFINITIONS, "", &target.resource.id);
    let definition = stored.map(|stored| stored.value()).unwrap_or_default();
    let versions = definition["spec"]["versions"].as_array();
    let mut versions = versions.into_iter().flatten();
    let version = versions.find(|it| it["name"] == *target.version);
    let schema = version.map(|it| it["schema"]["openAPIV3Schema"].clone());
    Rules::new(schema.unwrap_or_default())
}

/// A change keeps what may not change.
pub(crate) fn change(target: &Target, live: &Value, new: &Value) -> Result<(), Refusal> {
    let resource = &target.resource;
    let mut causes = Vec::new();
    if is_terminating(live) {
        let old = finalizers(live);
        let added: Vec<_> = finalizers(new)
            .into_iter()
            .filter(|it| !old.contains(it))
            .collect();
        if !added.is_empty() {
            let added: Vec<_> = added.iter().map(|it| format!("{it:?}")).collect();
            let added = added.join(", ");
            let words = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{added}}}"
            );
            causes.push(Cause::forbidden("metadata.finalizers", &words));
        }
    }
    if !resource.custom {
        for (_, path) in IMMUTABLE.iter().filter(|(kind, _)| *kind == resource.kind) {
            causes.extend(immutable(path, live, new));
        }
        if resource.kind.ends_with("RoleBinding") && live["roleRef"] != new["roleRef"] {
            let found = &new["roleRef"];
            causes.push(Cause::invalid("roleRef", found, "cannot change roleRef"));
        }
        causes.extend(locked(live, new));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(resource, meta(live, "name"), &causes))
}

fn immutable(path: &str, live: &Value, new: &Value) -> Option<Cause> {
    let (old, new) = (live.pointer(path), new.pointer(path));
    (old != new && old.is_some()).then(|| {
        let field = path.trim_start_matches('/').replace('/', ".");
        Cause::invalid(&field, new.unwrap_or(&Value::Null), "field is immutable")
    })
}

/// Config maps and secrets that were declared immutable.
fn locked(live: &Value, new: &Value) -> Option<Cause> {
    if live["immutable"] != true {
        return None;
    }
    let field = ["data", "binaryData", "immutable"]
        .into_iter()
        .find(|field| live[*field] != new[*field])?;
    let words = "field is immutable when `immutable` is set";
    Some(Cause::forbidden(field, words))
}
