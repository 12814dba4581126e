//! Paths of the API.

use std::sync::Arc;

use crate::{
    answer::Refusal,
    cluster::{Cluster, Target},
    resources::{Resource, resource_id},
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
    /// `/openapi/v3`
    OpenApi,
    /// `/openapi/v3/apis/GROUP/VERSION`, `/openapi/v3/api/v1`
    Schemas(String, String),
    Collection(Target),
    Object(Target),
    /// The `scale` of an object.
    Scale(Target),
}

fn open_api(group: &str, version: &str) -> Route {
    Route::Schemas(group.to_owned(), version.to_owned())
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
        ["openapi", "v3"] => return Ok(Route::OpenApi),
        ["openapi", "v3", "api", version] => return Ok(open_api("", version)),
        ["openapi", "v3", "apis", group, version] => return Ok(open_api(group, version)),
        ["openapi", "v2"] => return Err(Refusal::unsupported("OpenAPI v2 documents")),
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(Refusal::nowhere()),
    };
    let served = |it: &Arc<Resource>| it.group == group && it.version(version).is_some();
    if !cluster.resources().any(served) {
        let known = cluster
            .resources()
            .any(|it| it.group == group && !it.custom);
        if known && rest.is_empty() {
            return Err(Refusal::unserved());
        }
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
    if resource.only.as_deref().is_some_and(|it| it != version) {
        let what = format!("conversion of {} by a webhook", resource.qualified());
        return Err(Refusal::unsupported(&what));
    }
    let target = Target {
        resource: Arc::clone(resource),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        name: String::new(),
        status: false,
    };
    objects(target, below)
}

/// What is below the plural name.
fn objects(mut target: Target, below: &[&str]) -> Result<Route, Refusal> {
    let [name, below @ ..] = below else {
        return Ok(Route::Collection(target));
    };
    if name.is_empty() || target.resource.namespaced == target.namespace.is_empty() {
        return Err(Refusal::unserved());
    }
    (*name).clone_into(&mut target.name);
    let (has_status, has_scale) = {
        let version = target.served()?;
        (version.status, version.scale.is_some())
    };
    match below {
        [] => Ok(Route::Object(target)),
        ["status"] if has_status => {
            target.status = true;
            Ok(Route::Object(target))
        }
        ["scale"] if has_scale => Ok(Route::Scale(target)),
        [
            what @ ("log"
            | "exec"
            | "attach"
            | "portforward"
            | "eviction"
            | "binding"
            | "finalize"
            | "token"
            | "ephemeralcontainers"
            | "resize"
            | "proxy"
            | "approval"),
            ..,
        ] => {
            let what = format!("{what} of {}", target.resource.plural);
            Err(Refusal::unsupported(&what))
        }
        _ => Err(Refusal::unserved()),
    }
}
