//! Cells of tables: short words for parts of an object, as the server's printers write them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::writes::scale::selector_text;

/// A cell of an object: what it is about, and now.
pub(super) type Cell = fn(&Value, &str, Timestamp) -> Value;

const NONE: &str = "<none>";

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let all = object.pointer(pointer).and_then(Value::as_array);
    all.into_iter().flatten()
}

fn whole(object: &Value, pointer: &str) -> i64 {
    let found = object.pointer(pointer).and_then(Value::as_i64);
    found.unwrap_or(0)
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    json!(parts.collect::<Vec<_>>().join(","))
}

/// What is there, or `<none>`.
pub(super) fn text(object: &Value, at: &str, _: Timestamp) -> Value {
    match object.pointer(at) {
        Some(Value::String(text)) if !text.is_empty() => json!(text),
        Some(Value::Number(number)) => json!(number.to_string()),
        _ => json!(NONE),
    }
}

/// What is there, or nothing.
pub(super) fn plain(object: &Value, at: &str, _: Timestamp) -> Value {
    let text = object.pointer(at).and_then(Value::as_str);
    json!(text.unwrap_or_default())
}

/// What is there, or `<unset>`.
pub(super) fn unset(object: &Value, at: &str, _: Timestamp) -> Value {
    let text = object.pointer(at).and_then(Value::as_str);
    json!(text.unwrap_or("<unset>"))
}

pub(super) fn access_modes(object: &Value, _: &str, _: Timestamp) -> Value {
    joined(list(object, "/status/accessModes").filter_map(|mode| {
        Some(match mode.as_str()? {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        })
    }))
}

/// Names of the subjects of a kind.
pub(super) fn subjects(object: &Value, kind: &str, _: Timestamp) -> Value {
    let all = list(object, "/subjects").filter(|it| it["kind"] == kind);
    let names = all.map(|it| {
        let name = it["name"].as_str().unwrap_or_default();
        match kind {
            "ServiceAccount" => {
                format!("{}/{name}", it["namespace"].as_str().unwrap_or_default())
            }
            _ => name.to_owned(),
        }
    });
    json!(names.collect::<Vec<_>>().join(", "))
}

pub(super) fn number(object: &Value, at: &str, _: Timestamp) -> Value {
    json!(whole(object, at))
}

/// How many entries some maps have.
pub(super) fn count(object: &Value, at: &str, _: Timestamp) -> Value {
    let maps = at
        .split(' ')
        .filter_map(|at| object.pointer(at)?.as_object());
    json!(maps.map(serde_json::Map::len).sum::<usize>())
}

pub(super) fn created(object: &Value, _: &str, _: Timestamp) -> Value {
    object["metadata"]["creationTimestamp"].clone()
}

pub(super) fn age(object: &Value, _: &str, now: Timestamp) -> Value {
    json!(since(&object["metadata"]["creationTimestamp"], now))
}

/// How long ago a time was.
pub(super) fn since(time: &Value, now: Timestamp) -> String {
    match moment(time) {
        Some(then) => human(now.duration_since(then).as_secs()),
        None => "<unknown>".to_owned(),
    }
}

pub(super) fn moment(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok()
}

/// A length of time in its one or two largest units (apimachinery `duration.HumanDuration`).
fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |first: i64, unit: char, second: i64, small: char| match second {
        0 => format!("{first}{unit}"),
        second => format!("{first}{unit}{second}{small}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two(years, 'y', days % 365, 'd'),
        () => format!("{years}y"),
    }
}

pub(super) fn ready(object: &Value, _: &str, _: Timestamp) -> Value {
    let (ready, wanted) = ("/status/readyReplicas", "/spec/replicas");
    json!(format!(
        "{}/{}",
        whole(object, ready),
        whole(object, wanted)
    ))
}

fn template<'a>(object: &'a Value, of: &str) -> impl Iterator<Item = &'a Value> {
    list(
        object,
        if of == "jobTemplate" {
            "/spec/jobTemplate/spec/template/spec/containers"
        } else {
            "/spec/template/spec/containers"
        },
    )
}

pub(super) fn containers(object: &Value, of: &str, _: Timestamp) -> Value {
    joined(template(object, of).filter_map(|it| it["name"].as_str()))
}

pub(super) fn images(object: &Value, of: &str, _: Timestamp) -> Value {
    joined(template(object, of).filter_map(|it| it["image"].as_str()))
}

pub(super) fn selector(object: &Value, at: &str, _: Timestamp) -> Value {
    let text = object.pointer(at).map(selector_text).unwrap_or_default();
    json!(if text.is_empty() { NONE } else { &text })
}

/// Labels in a line.
pub(super) fn pairs(object: &Value, at: &str, now: Timestamp) -> Value {
    selector(object, at, now)
}

pub(super) fn service_type(object: &Value, _: &str, now: Timestamp) -> Value {
    text(object, "/spec/type", now)
}

/// Addresses outside the cluster.
pub(super) fn external(object: &Value, of: &str, _: Timestamp) -> Value {
    let balancer = list(object, "/status/loadBalancer/ingress");
    let mut found: Vec<&str> = balancer
        .filter_map(|it| it["ip"].as_str().or_else(|| it["hostname"].as_str()))
        .collect();
    if of == "ingress" {
        return json!(found.join(","));
    }
    if object["spec"]["type"] == "ExternalName" {
        return object["spec"]["externalName"].clone();
    }
    found.extend(list(object, "/spec/externalIPs").filter_map(Value::as_str));
    match &*found {
        [] if object["spec"]["type"] == "LoadBalancer" => json!("<pending>"),
        [] => json!(NONE),
        found => json!(found.join(",")),
    }
}

pub(super) fn ports(object: &Value, of: &str, _: Timestamp) -> Value {
    if of == "ingress" {
        let tls = list(object, "/spec/tls").next().is_some();
        return json!(if tls { "80, 443" } else { "80" });
    }
    let ports = list(object, "/spec/ports").map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64() {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    });
    let ports: Vec<_> = ports.collect();
    json!(if ports.is_empty() {
        NONE.to_owned()
    } else {
        ports.join(",")
    })
}

pub(super) fn hosts(object: &Value, _: &str, _: Timestamp) -> Value {
    let hosts = list(object, "/spec/rules").filter_map(|it| it["host"].as_str());
    let hosts: Vec<&str> = hosts.filter(|it| !it.is_empty()).collect();
    json!(if hosts.is_empty() {
        "*".to_owned()
    } else {
        hosts.join(",")
    })
}

fn conditions<'a>(object: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    list(object, "/status/conditions")
        .filter(move |it| it["type"] == kind && it["status"] == "True")
}

pub(super) fn job_status(object: &Value, _: &str, _: Timestamp) -> Value {
    let has = |kind| conditions(object, kind).next().is_some();
    json!(match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if object["metadata"]["deletionTimestamp"].is_string() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    })
}

pub(super) fn completions(object: &Value, _: &str, _: Timestamp) -> Value {
    let done = whole(object, "/status/succeeded");
    let (wanted, parallel) = (
        object["spec"]["completions"].as_i64(),
        whole(object, "/spec/parallelism"),
    );
    json!(match wanted {
        Some(wanted) => format!("{done}/{wanted}"),
        None if parallel > 1 => format!("{done}/1 of {parallel}"),
        None => format!("{done}/1"),
    })
}

pub(super) fn duration(object: &Value, _: &str, now: Timestamp) -> Value {
    let Some(start) = moment(&object["status"]["startTime"]) else {
        return json!("");
    };
    let end = moment(&object["status"]["completionTime"]).unwrap_or(now);
    json!(human(end.duration_since(start).as_secs()))
}

pub(super) fn suspended(object: &Value, _: &str, _: Timestamp) -> Value {
    json!(if object["spec"]["suspend"] == true {
        "True"
    } else {
        "False"
    })
}

pub(super) fn active(object: &Value, _: &str, _: Timestamp) -> Value {
    json!(list(object, "/status/active").count())
}

pub(super) fn last_schedule(object: &Value, _: &str, now: Timestamp) -> Value {
    match &object["status"]["lastScheduleTime"] {
        Value::Null => json!(NONE),
        time => json!(since(time, now)),
    }
}

pub(super) fn reference(object: &Value, at: &str, _: Timestamp) -> Value {
    let part = |field: &str| object.pointer(at).and_then(|it| it[field].as_str());
    json!(format!(
        "{}/{}",
        part("kind").unwrap_or_default(),
        part("name").unwrap_or_default()
    ))
}

/// Metrics and their targets: the current value is unknown, as nothing runs here.
pub(super) fn targets(object: &Value, _: &str, _: Timestamp) -> Value {
    let metrics = list(object, "/spec/metrics").map(|metric| {
        let name = metric["resource"]["name"].as_str();
        let target = &metric["resource"]["target"];
        let wanted = match &target["averageUtilization"] {
            Value::Null => target["averageValue"]
                .as_str()
                .unwrap_or("<auto>")
                .to_owned(),
            share => format!("{share}%"),
        };
        format!("{}: <unknown>/{wanted}", name.unwrap_or("<unknown>"))
    });
    let metrics: Vec<_> = metrics.collect();
    json!(if metrics.is_empty() {
        NONE.to_owned()
    } else {
        metrics.join(", ")
    })
}

fn or_none(value: &Value) -> Value {
    match value {
        Value::Null => json!("N/A"),
        Value::String(text) => json!(text),
        value => json!(value.to_string()),
    }
}

pub(super) fn min(object: &Value, _: &str, _: Timestamp) -> Value {
    or_none(&object["spec"]["minAvailable"])
}

pub(super) fn max(object: &Value, _: &str, _: Timestamp) -> Value {
    or_none(&object["spec"]["maxUnavailable"])
}

pub(super) fn node_status(object: &Value, _: &str, _: Timestamp) -> Value {
    let ready = conditions(object, "Ready").next().is_some();
    json!(if ready { "Ready" } else { "NotReady" })
}

pub(super) fn role(object: &Value, _: &str, _: Timestamp) -> Value {
    let labels = object["metadata"]["labels"].as_object();
    let roles = labels.into_iter().flatten();
    let roles: Vec<&str> = roles
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    json!(if roles.is_empty() {
        NONE.to_owned()
    } else {
        roles.join(",")
    })
}

pub(super) fn pod_ready(object: &Value, _: &str, _: Timestamp) -> Value {
    let ready = list(object, "/status/containerStatuses").filter(|it| it["ready"] == true);
    let all = list(object, "/spec/containers").count();
    json!(format!("{}/{all}", ready.count()))
}

pub(super) fn pod_status(object: &Value, _: &str, _: Timestamp) -> Value {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return json!("Terminating");
    }
    let states = list(object, "/status/containerStatuses");
    let mut reasons = states.filter_map(|it| {
        let waiting = it["state"]["waiting"]["reason"].as_str();
        waiting.or_else(|| it["state"]["terminated"]["reason"].as_str())
    });
    match reasons.next() {
        Some(reason) => json!(reason),
        None => object["status"]["phase"].clone(),
    }
}

pub(super) fn pod_restarts(object: &Value, _: &str, _: Timestamp) -> Value {
    let counts = list(object, "/status/containerStatuses").map(|it| whole(it, "/restartCount"));
    json!(counts.sum::<i64>().to_string())
}
