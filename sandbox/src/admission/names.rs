//! Names of objects: which characters they may have.

use serde_json::json;

use super::syntax;
use crate::{answer::Cause, resources::Resource};

/// What is wrong with the name of an object.
pub(super) fn causes(resource: &Resource, name: &str) -> Vec<Cause> {
    let at = "metadata.name";
    if name.is_empty() {
        let words = "name or generateName is required";
        return vec![Cause::required(at, words)];
    }
    syntax::all(at, &json!(name), wrong(resource, name))
}

/// What is wrong with a name, or with the beginning of one.
pub(super) fn wrong(resource: &Resource, name: &str) -> Vec<String> {
    let path = match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ if name.contains('/') => Some("may not contain '/'".to_owned()),
        _ if name.contains('%') => Some("may not contain '%'".to_owned()),
        _ => None,
    };
    match &*resource.kind {
        _ if resource.custom => syntax::subdomain(name),
        _ if resource.group == "rbac.authorization.k8s.io" => path.into_iter().collect(),
        "Namespace" | "Service" if name.contains('.') => {
            vec!["must not contain dots".to_owned()]
        }
        "Namespace" | "Service" => syntax::label(name),
        _ => syntax::subdomain(name),
    }
}
