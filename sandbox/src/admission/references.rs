//! Rules of what must name something: the role of a binding, the target of an autoscaler.

use serde_json::{Value, json};

use super::pods::text;
use crate::answer::Cause;

/// The group of roles.
const ROLES: &str = "rbac.authorization.k8s.io";

/// A binding names a role of one of these kinds.
pub(super) fn role(binding: &Value, kinds: &[&str]) -> Vec<Cause> {
    let (at, reference) = ("roleRef", &binding["roleRef"]);
    let mut causes = Vec::new();
    for (field, known) in [("apiGroup", &[ROLES][..]), ("kind", kinds)] {
        let found = text(reference, field);
        if !known.contains(&found) {
            let at = format!("{at}.{field}");
            causes.push(Cause::unsupported(&at, &json!(found), known));
        }
    }
    causes.extend(named(at, reference, "name"));
    causes
}

/// An autoscaler names what it scales, and its group.
pub(super) fn scaled(spec: &Value) -> Vec<Cause> {
    let (at, reference) = ("spec.scaleTargetRef", &spec["scaleTargetRef"]);
    let mut causes = Vec::new();
    causes.extend(named(at, reference, "kind"));
    causes.extend(named(at, reference, "name"));
    let version = text(reference, "apiVersion");
    let core = text(reference, "kind") == "ReplicationController";
    if !version.contains('/') && !core {
        let words = "apiVersion must specify API group";
        let at = format!("{at}.apiVersion");
        causes.push(Cause::invalid(&at, &json!(version), words));
    }
    causes
}

fn named(at: &str, reference: &Value, field: &str) -> Option<Cause> {
    let missing = text(reference, field).is_empty();
    missing.then(|| Cause::required(&format!("{at}.{field}"), ""))
}
