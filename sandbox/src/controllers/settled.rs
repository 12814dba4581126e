//! Kinds that a controller settles at once: claims are bound, balancers get an address, budgets are
//! observed.

use serde_json::{Value, json};

use crate::{object::meta, resources::Resource};

const SETTLED: [&str; 3] = [
    "persistentvolumeclaims",
    "services",
    "poddisruptionbudgets.policy",
];

/// Whether objects of a kind are settled.
pub(super) fn settles(id: &str) -> bool {
    SETTLED.contains(&id)
}

/// Settles an object; whether something changed.
pub(super) fn settle(resource: &Resource, object: &mut Value) -> bool {
    let before = object["status"].clone();
    match &*resource.id {
        "persistentvolumeclaims" if before["phase"] != "Bound" => {
            object["status"] = json!({
                "phase": "Bound", "accessModes": object["spec"]["accessModes"],
                "capacity": object["spec"]["resources"]["requests"],
            });
        }
        "services" if object["spec"]["type"] == "LoadBalancer" => {
            // An address for documentation (RFC 5737): nobody is there.
            let last = meta(object, "name").bytes().map(u64::from).sum::<u64>() % 254 + 1;
            let ingress = json!([{"ip": format!("192.0.2.{last}"), "ipMode": "VIP"}]);
            object["status"] = json!({"loadBalancer": {"ingress": ingress}});
        }
        "poddisruptionbudgets.policy" => {
            let mut status = if before.is_object() {
                before.clone()
            } else {
                json!({})
            };
            status["observedGeneration"] = object["metadata"]["generation"].clone();
            object["status"] = status;
        }
        _ => return false,
    }
    object["status"] != before
}
