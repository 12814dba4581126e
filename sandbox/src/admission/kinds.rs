//! Rules of single kinds: workloads, config maps, secrets, services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    definitions,
    metadata::labels,
    pods::{self, PROTOCOLS, at_least_none, list, text},
    references, syntax,
};
use crate::{
    answer::Cause,
    defaults::bytes_of,
    encoded,
    resources::{DEFINITIONS, Resource},
};

/// Bytes of all values of a config map or secret.
const LARGEST: usize = 1024 * 1024;

/// Types of secrets and the keys that each must have.
const KEYS: [(&str, &[&str]); 4] = [
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

/// What is wrong with an object of a built-in kind.
pub(super) fn causes(resource: &Resource, object: &Value) -> Vec<Cause> {
    match &*resource.id {
        "configmaps" => config_map(object),
        "secrets" => secret(object),
        "services" => service(object),
        "pods" => pods::causes("spec", &object["spec"]),
        "deployments.apps" => {
            let mut causes = workload(object, "deployment");
            causes.extend(deployment(&object["spec"]));
            causes
        }
        "replicasets.apps" => workload(object, "replicaset"),
        "statefulsets.apps" => workload(object, "statefulset"),
        "daemonsets.apps" => workload(object, "daemonset"),
        "jobs.batch" => {
            let template = &object["spec"]["template"];
            pods::causes("spec.template.spec", &template["spec"])
        }
        "rolebindings.rbac.authorization.k8s.io" => {
            references::role(object, &["Role", "ClusterRole"])
        }
        "clusterrolebindings.rbac.authorization.k8s.io" => {
            references::role(object, &["ClusterRole"])
        }
        DEFINITIONS => definitions::columns(&object["spec"]),
        "horizontalpodautoscalers.autoscaling" => references::scaled(&object["spec"]),
        _ => Vec::new(),
    }
}

/// Values that are no base64.
pub(super) fn unreadable(resource: &Resource, object: &Value) -> Option<String> {
    let map = object.get(bytes_of(resource)?)?.as_object()?;
    map.values().find_map(|value| {
        let at = encoded::decode(value.as_str()?).err()?;
        Some(format!("illegal base64 data at input byte {at}"))
    })
}

fn bytes(map: &Value) -> usize {
    let values = map.as_object().into_iter().flatten();
    values
        .map(|(_, value)| value.as_str().map_or(0, str::len))
        .sum()
}

fn keys<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a String> {
    let map = object.get(field).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, _)| key)
}

fn config_map(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for key in keys(object, "data") {
        let at = format!("data[{key}]");
        causes.extend(syntax::all(&at, &json!(key), syntax::config_key(key)));
        if object["binaryData"].get(key).is_some() {
            let words = "duplicate of key present in binaryData";
            causes.push(Cause::invalid(&at, &json!(key), words));
        }
    }
    for key in keys(object, "binaryData") {
        let at = format!("binaryData[{key}]");
        causes.extend(syntax::all(&at, &json!(key), syntax::config_key(key)));
    }
    let binary = bytes(&object["binaryData"]) / 4 * 3;
    if bytes(&object["data"]) + binary > LARGEST {
        causes.push(Cause::too_long("[]", LARGEST));
    }
    causes
}

fn secret(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for key in keys(object, "data") {
        let at = format!("data[{key}]");
        causes.extend(syntax::all(&at, &json!(key), syntax::config_key(key)));
    }
    if bytes(&object["data"]) / 4 * 3 > LARGEST {
        causes.push(Cause::too_long("data", LARGEST));
    }
    let ty = text(object, "type");
    let value = |key: &str| {
        let encoded = object["data"].get(key)?.as_str()?;
        encoded::decode(encoded).ok()
    };
    let known = KEYS.iter().find(|(it, _)| *it == ty);
    for key in known.map(|(_, keys)| *keys).into_iter().flatten() {
        let at = format!("data[{key}]");
        match value(key) {
            None => causes.push(Cause::required(&at, "")),
            Some(value) if key.starts_with(".docker") => {
                if let Err(error) = serde_json::from_slice::<Value>(&value) {
                    let hidden = json!("<secret contents redacted>");
                    causes.push(Cause::invalid(&at, &hidden, &error.to_string()));
                }
            }
            Some(_) => {}
        }
    }
    if ty == "kubernetes.io/basic-auth"
        && value("username").is_none()
        && value("password").is_none()
    {
        causes.push(Cause::required("data[username]", ""));
        causes.push(Cause::required("data[password]", ""));
    }
    let account = "kubernetes.io/service-account.name";
    let named = object["metadata"]["annotations"][account].as_str();
    if ty == "kubernetes.io/service-account-token" && named.unwrap_or_default().is_empty() {
        let at = format!("metadata.annotations[{account}]");
        causes.push(Cause::required(&at, ""));
    }
    causes
}

fn service(object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let (ty, address) = (text(spec, "type"), text(spec, "clusterIP"));
    let mut causes = Vec::new();
    if list(spec, "ports").next().is_none() && ty != "ExternalName" && address != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    causes.extend(service_ports(spec));
    causes.extend(labels("spec.selector", &spec["selector"]));
    if !ty.is_empty() && !types.contains(&ty) {
        causes.push(Cause::unsupported("spec.type", &json!(ty), &types));
    }
    if ty == "ExternalName" && text(spec, "externalName").is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    }
    if !address.is_empty() && address != "None" && address.parse::<std::net::IpAddr>().is_err() {
        let words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!(address), words));
    }
    causes
}

fn service_ports(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let several = list(spec, "ports").count() > 1;
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in list(spec, "ports") {
        let at = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if name.is_empty() && several {
            causes.push(Cause::required(&format!("{at}.name"), ""));
        } else if !name.is_empty() {
            let wrong = syntax::label(name);
            if wrong.is_empty() && !names.insert(name) {
                causes.push(Cause::duplicate(&format!("{at}.name"), &json!(name)));
            }
            causes.extend(syntax::all(&format!("{at}.name"), &json!(name), wrong));
        }
        causes.extend(syntax::port(&format!("{at}.port"), &port["port"]));
        let protocol = text(port, "protocol");
        if !PROTOCOLS.contains(&protocol) {
            let at = format!("{at}.protocol");
            causes.push(Cause::unsupported(&at, &json!(protocol), &PROTOCOLS));
        }
        if let Some(target) = port.get("targetPort") {
            causes.extend(syntax::port(&format!("{at}.targetPort"), target));
        }
        let number = port["port"].as_i64().unwrap_or(0);
        if !numbers.insert((protocol, number)) {
            // So Go writes what tells two ports apart.
            let value = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol:?},\"AppProtocol\":null,\
                 \"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}"
            );
            let mut cause = Cause::duplicate(&at, &Value::Null);
            cause.words = format!("Duplicate value: {value}");
            causes.push(cause);
        }
    }
    causes
}

/// A selector, and a template that it selects.
fn workload(object: &Value, kind: &str) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    causes.extend(at_least_none("spec", spec, "replicas"));
    causes.extend(at_least_none("spec", spec, "minReadySeconds"));
    causes.extend(at_least_none("spec", spec, "revisionHistoryLimit"));
    let template = &spec["template"];
    let selector = &spec["selector"];
    let found = &template["metadata"]["labels"];
    if selector.is_null() && kind == "daemonset" {
        // Said by its labels alone.
    } else if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        let words = format!("empty selector is invalid for {kind}");
        causes.push(Cause::invalid("spec.selector", &json!({}), &words));
    } else {
        causes.extend(labels(
            "spec.selector.matchLabels",
            &selector["matchLabels"],
        ));
    }
    let empty = selector.as_object().is_some_and(serde_json::Map::is_empty);
    if !empty && !selects(selector, found) {
        let at = "spec.template.metadata.labels";
        let words = "`selector` does not match template `labels`";
        causes.push(Cause::invalid(at, found, words));
    }
    causes.extend(labels("spec.template.labels", found));
    let at = "spec.template.spec";
    causes.extend(pods::causes(at, &template["spec"]));
    let policy = text(&template["spec"], "restartPolicy");
    if !policy.is_empty() && policy != "Always" {
        let at = format!("{at}.restartPolicy");
        causes.push(Cause::unsupported(&at, &json!(policy), &["Always"]));
    }
    causes
}

/// Whether a label selector selects something with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    let mut wanted = wanted.into_iter().flatten();
    let label = |row: &Value| labels.get(text(row, "key"));
    let one_of = |row: &Value| {
        let values = row["values"].as_array();
        values.is_some_and(|all| label(row).is_some_and(|it| all.contains(it)))
    };
    let fits = |row: &Value| match text(row, "operator") {
        "In" => one_of(row),
        "NotIn" => !one_of(row),
        "Exists" => label(row).is_some(),
        _ => label(row).is_none(),
    };
    !selector.is_null()
        && wanted.all(|(key, value)| labels.get(key) == Some(value))
        && list(selector, "matchExpressions").all(|(_, row)| fits(row))
}

fn deployment(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let strategy = &spec["strategy"];
    let rolling = strategy.get("rollingUpdate").filter(|it| !it.is_null());
    match text(strategy, "type") {
        "Recreate" if rolling.is_some() => {
            let words = "may not be specified when strategy `type` is 'Recreate'";
            causes.push(Cause::forbidden("spec.strategy.rollingUpdate", words));
        }
        "RollingUpdate" => {
            let none = |field: &str| {
                let value = rolling.and_then(|it| it.get(field));
                value.is_some_and(|it| *it == json!(0) || *it == json!("0%"))
            };
            if none("maxSurge") && none("maxUnavailable") {
                let at = "spec.strategy.rollingUpdate.maxUnavailable";
                let value = &strategy["rollingUpdate"]["maxUnavailable"];
                let words = "may not be 0 when `maxSurge` is 0";
                causes.push(Cause::invalid(at, value, words));
            }
        }
        "Recreate" | "" => {}
        other => {
            // So Go writes the strategy.
            let mut cause = Cause::unsupported(
                "spec.strategy",
                &Value::Null,
                &["Recreate", "RollingUpdate"],
            );
            let found = format!("{{\"Type\":{other:?},\"RollingUpdate\":null}}");
            cause.words = cause.words.replacen("null", &found, 1);
            causes.push(cause);
        }
    }
    let (deadline, ready) = (&spec["progressDeadlineSeconds"], &spec["minReadySeconds"]);
    if deadline.as_i64().unwrap_or(i64::MAX) <= ready.as_i64().unwrap_or(0) {
        let words = "must be greater than minReadySeconds";
        causes.push(Cause::invalid(
            "spec.progressDeadlineSeconds",
            deadline,
            words,
        ));
    }
    causes
}
