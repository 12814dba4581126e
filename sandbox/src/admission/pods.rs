//! Pods and their templates: containers, ports, variables, volumes, probes, resources.
//!
//! Owns what users get wrong most (k8s.io/kubernetes `pkg/apis/core/validation`). Never the rules of
//! single volume sources or security contexts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::syntax;
use crate::{answer::Cause, quantity::Quantity};

const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const PULLS: [&str; 3] = ["Always", "IfNotPresent", "Never"];
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
/// What containers may ask for without a domain.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

pub(super) fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    let items = object.get(field).and_then(Value::as_array);
    items.into_iter().flatten().enumerate()
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let found = object.get(field).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// A name that must be there, a label, and the only one of its kind.
fn named(at: &str, object: &Value, seen: &mut BTreeSet<String>) -> Vec<Cause> {
    let at = format!("{at}.name");
    let name = text(object, "name");
    if name.is_empty() {
        return vec![Cause::required(&at, "")];
    }
    let wrong = syntax::label(name);
    if wrong.is_empty() && !seen.insert(name.to_owned()) {
        return vec![Cause::duplicate(&at, &json!(name))];
    }
    syntax::all(&at, &json!(name), wrong)
}

/// What is wrong with the spec of a pod.
pub(super) fn causes(at: &str, spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut volumes = BTreeSet::new();
    for (index, volume) in list(spec, "volumes") {
        let at = format!("{at}.volumes[{index}]");
        causes.extend(named(&at, volume, &mut volumes));
        let mut sources = volume.as_object().into_iter().flatten();
        let mut sources = sources
            .by_ref()
            .filter(|(name, value)| *name != "name" && !value.is_null());
        sources.next();
        if let Some((source, _)) = sources.next() {
            let words = "may not specify more than 1 volume type";
            causes.push(Cause::forbidden(&format!("{at}.{source}"), words));
        }
    }
    let mut names = BTreeSet::new();
    if list(spec, "containers").next().is_none() {
        causes.push(Cause::required(&format!("{at}.containers"), ""));
    }
    for field in ["containers", "initContainers"] {
        for (index, one) in list(spec, field) {
            let at = format!("{at}.{field}[{index}]");
            causes.extend(named(&at, one, &mut names));
            causes.extend(container(&at, one, &volumes));
        }
    }
    let policy = text(spec, "restartPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        let at = format!("{at}.restartPolicy");
        causes.push(Cause::unsupported(&at, &json!(policy), &POLICIES));
    }
    causes
}

fn container(at: &str, one: &Value, volumes: &BTreeSet<String>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if text(one, "image").is_empty() {
        causes.push(Cause::required(&format!("{at}.image"), ""));
    }
    causes.extend(ports(at, one));
    for (index, variable) in list(one, "env") {
        causes.extend(environment(&format!("{at}.env[{index}]"), variable));
    }
    for (index, mount) in list(one, "volumeMounts") {
        let at = format!("{at}.volumeMounts[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            causes.push(Cause::required(&format!("{at}.name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause::not_found(&format!("{at}.name"), &json!(name)));
        }
        if text(mount, "mountPath").is_empty() {
            causes.push(Cause::required(&format!("{at}.mountPath"), ""));
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(it) = one.get(field) {
            causes.extend(probe(&format!("{at}.{field}"), it));
        }
    }
    let pull = text(one, "imagePullPolicy");
    if !pull.is_empty() && !PULLS.contains(&pull) {
        let at = format!("{at}.imagePullPolicy");
        causes.push(Cause::unsupported(&at, &json!(pull), &PULLS));
    }
    causes.extend(resources(&format!("{at}.resources"), &one["resources"]));
    causes
}

fn ports(at: &str, one: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut names = BTreeSet::new();
    for (index, port) in list(one, "ports") {
        let at = format!("{at}.ports[{index}]");
        let name = text(port, "name");
        let wrong = syntax::port_name(name);
        if !name.is_empty() && wrong.is_empty() && !names.insert(name) {
            causes.push(Cause::duplicate(&format!("{at}.name"), &json!(name)));
        } else if !name.is_empty() {
            causes.extend(syntax::all(&format!("{at}.name"), &json!(name), wrong));
        }
        let number = format!("{at}.containerPort");
        match port["containerPort"].as_i64().unwrap_or(0) {
            0 => causes.push(Cause::required(&number, "")),
            _ => causes.extend(syntax::port(&number, &port["containerPort"])),
        }
        if !PROTOCOLS.contains(&text(port, "protocol")) {
            let at = format!("{at}.protocol");
            causes.push(Cause::unsupported(&at, &port["protocol"], &PROTOCOLS));
        }
    }
    causes
}

fn environment(at: &str, variable: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = text(variable, "name");
    if name.is_empty() {
        causes.push(Cause::required(&format!("{at}.name"), ""));
    } else if !name.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
        let words = "a valid environment variable name must consist only of printable ASCII \
            characters other than '='";
        causes.push(Cause::invalid(&format!("{at}.name"), &json!(name), words));
    }
    if variable.get("valueFrom").is_some() && !text(variable, "value").is_empty() {
        let words = "may not be specified when `value` is not empty";
        causes.push(Cause::invalid(
            &format!("{at}.valueFrom"),
            &json!(""),
            words,
        ));
    }
    causes
}

fn probe(at: &str, probe: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let handlers: Vec<&str> = HANDLERS
        .into_iter()
        .filter(|it| probe.get(it).is_some_and(|it| !it.is_null()))
        .collect();
    if handlers.is_empty() {
        causes.push(Cause::required(at, "must specify a handler type"));
    }
    for extra in handlers.iter().skip(1) {
        let words = "may not specify more than 1 handler type";
        causes.push(Cause::forbidden(&format!("{at}.{extra}"), words));
    }
    for handler in handlers.iter().take(1) {
        if let Some(port) = probe[handler].get("port") {
            causes.extend(syntax::port(&format!("{at}.{handler}.port"), port));
        }
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        causes.extend(at_least_none(at, probe, field));
    }
    causes
}

/// A number that may not be below zero.
pub(super) fn at_least_none(at: &str, object: &Value, field: &str) -> Option<Cause> {
    let value = object.get(field)?;
    let words = "must be greater than or equal to 0";
    (value.as_i64()? < 0).then(|| Cause::invalid(&format!("{at}.{field}"), value, words))
}

fn resources(at: &str, resources: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let amounts = |kind: &str| {
        let all = resources.get(kind).and_then(Value::as_object);
        all.into_iter().flatten()
    };
    for kind in ["limits", "requests"] {
        for (name, value) in amounts(kind) {
            let at = format!("{at}.{kind}[{name}]");
            let known = RESOURCES.contains(&&**name) || name.starts_with("hugepages-");
            if !known && !name.contains('/') {
                for words in [
                    "must be a standard resource type or fully qualified",
                    "must be a standard resource for containers",
                ] {
                    causes.push(Cause::invalid(&at, &json!(name), words));
                }
            }
            if amount(value).is_some_and(Quantity::is_negative) {
                let words = "must be greater than or equal to 0";
                causes.push(Cause::invalid(&at, value, words));
            }
        }
    }
    for (name, request) in amounts("requests") {
        let limit = &resources["limits"][name];
        if let (Some(wanted), Some(most)) = (amount(request), amount(limit))
            && wanted.exceeds(most)
        {
            let most = limit.as_str().unwrap_or_default();
            let words = format!("must be less than or equal to {name} limit of {most}");
            causes.push(Cause::invalid(&format!("{at}.requests"), request, &words));
        }
    }
    causes
}

fn amount(value: &Value) -> Option<Quantity> {
    Quantity::read(value.as_str()?)
}
