//! Paths of the API.

use std::sync::Arc;

use crate::{
    answer::Refusal,
    cluster::{Cluster, Target},
    resources::resource_id,
};

/// What a path is about.
pub(super) enum Route {
    Healthy,
    Version,
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/apis/GROUP/VERSION`, `/api/v1`
    Kinds(String, String),
    Collection(Target),
    Object(Target),
}

/// Reads a path.
pub(super) fn route(cluster: &Cluster, path: &str) -> Result<Route, Refusal> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match &*parts {
        ["healthz" | "livez" | "readyz", ..] => return Ok(Route::Healthy),
        ["version"] => return Ok(Route::Version),
        ["api"] => return Ok(Route::Core),
        ["apis"] => return Ok(Route::Groups),
        ["apis", group] => return Ok(Route::Group((*group).to_owned())),
        ["openapi", ..] => return Err(Refusal::unsupported("OpenAPI documents")),
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(Refusal::nowhere()),
    };
    if !cluster.resources().any(|it| it.group == group) {
        return Err(Refusal::nowhere());
    }
    let (namespace, rest) = match rest {
        [] => return Ok(Route::Kinds(group.to_owned(), version.to_owned())),
        // `/namespaces/NAME/status` is about the namespace itself.
        ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", rest),
    };
    let [plural, below @ ..] = rest else {
        return Err(Refusal::unserved());
    };
    let resource = cluster
        .resource(&resource_id(group, plural))
        .filter(|resource| resource.version(version).is_some())
        .ok_or_else(Refusal::unserved)?;
    if !resource.namespaced && !namespace.is_empty() {
        return Err(Refusal::unserved());
    }
    let target = |name: &str, status| Target {
        resource: Arc::clone(resource),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        status,
    };
    let served = |name: &&str| !name.is_empty() && resource.namespaced != namespace.is_empty();
    match below {
        [] => Ok(Route::Collection(target("", false))),
        [name] if served(name) => Ok(Route::Object(target(name, false))),
        [name, "status"] if served(name) => {
            let status = resource.version(version).is_some_and(|it| it.status);
            if !status {
                return Err(Refusal::unserved());
            }
            Ok(Route::Object(target(name, true)))
        }
        [
            _,
            "scale" | "log" | "exec" | "eviction" | "binding" | "finalize" | "token",
        ] => Err(Refusal::unsupported(&format!("{} of {plural}", below[1]))),
        _ => Err(Refusal::unserved()),
    }
}
