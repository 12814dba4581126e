//! Kinds that a controller settles at once: claims are bound, balancers get an address, budgets are
//! observed.

use serde_json::{Value, json};

use crate::object::meta;

/// The status that an object gets, if it gets one.
pub(super) type Settler = fn(&Value) -> Option<Value>;

/// Who settles objects of a kind, if somebody does.
pub(super) fn settler(id: &str) -> Option<Settler> {
    match id {
        "persistentvolumeclaims" => Some(claim),
        "services" => Some(service),
        "poddisruptionbudgets.policy" => Some(budget),
        _ => None,
    }
}

fn claim(object: &Value) -> Option<Value> {
    (object["status"]["phase"] != "Bound").then(|| {
        json!({
            "phase": "Bound", "accessModes": object["spec"]["accessModes"],
            "capacity": object["spec"]["resources"]["requests"],
        })
    })
}

fn service(object: &Value) -> Option<Value> {
    (object["spec"]["type"] == "LoadBalancer").then(|| {
        // An address for documentation (RFC 5737): nobody is there.
        let last = meta(object, "name").bytes().map(u64::from).sum::<u64>() % 254 + 1;
        let ingress = json!([{"ip": format!("192.0.2.{last}"), "ipMode": "VIP"}]);
        json!({"loadBalancer": {"ingress": ingress}})
    })
}

fn budget(object: &Value) -> Option<Value> {
    let (status, generation) = (&object["status"], &object["metadata"]["generation"]);
    (status["observedGeneration"] != *generation).then(|| {
        let mut status = match status {
            Value::Object(_) => status.clone(),
            _ => json!({}),
        };
        status["observedGeneration"] = generation.clone();
        status
    })
}
