//! What the cluster says about itself: version, groups, kinds.
//!
//! Owns the documents of discovery, aggregated and not. Never says more than is served.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    resources::{Resource, api_version},
    schema::table,
};

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];

/// In the order in which the server of custom kinds tells them.
const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

fn verbs(resource: &Resource) -> Vec<&'static str> {
    if resource.custom {
        return CUSTOM_VERBS.to_vec();
    }
    // Namespaces are deleted one at a time.
    let all = VERBS.into_iter();
    all.filter(|verb| &*resource.id != "namespaces" || *verb != "deletecollection")
        .collect()
}

/// The groups with their versions and the kinds of each, in the order in which they are served.
fn groups(cluster: &Cluster) -> BTreeMap<&str, BTreeMap<&str, Vec<&Arc<Resource>>>> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<&Arc<Resource>>>> = BTreeMap::new();
    for resource in cluster.resources() {
        for version in &resource.versions {
            let group = groups.entry(&resource.group).or_default();
            group.entry(&version.name).or_default().push(resource);
        }
    }
    groups
}

/// `/version`.
pub(crate) fn version() -> Value {
    let server = &table().server;
    let mut parts = server.trim_start_matches('v').split('.');
    let mut part = || parts.next().unwrap_or_default();
    json!({
        "major": part(), "minor": part(), "gitVersion": server, "gitCommit": "",
        "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "", "platform": "sandbox",
    })
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(crate) fn group_list(cluster: &Cluster) -> Value {
    let all = groups(cluster);
    let all = all.keys().filter(|name| !name.is_empty());
    let all: Vec<Value> = all.filter_map(|name| group(cluster, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": all})
}

/// `/apis/GROUP`, without the frame of its own.
pub(crate) fn group(cluster: &Cluster, name: &str) -> Option<Value> {
    let all = groups(cluster);
    let versions: Vec<Value> = preferred(all.get(name)?)
        .into_iter()
        .map(|version| json!({"groupVersion": api_version(name, version), "version": version}))
        .collect();
    let first = versions.first()?.clone();
    Some(json!({"name": name, "versions": versions, "preferredVersion": first}))
}

/// Stable before beta before alpha, later ones first.
fn preferred<'a>(versions: &BTreeMap<&'a str, Vec<&Arc<Resource>>>) -> Vec<&'a str> {
    let rank = |name: &str| {
        let mut numbers = name.split(|c: char| !c.is_ascii_digit());
        let mut number = || {
            let found = numbers.find(|it| !it.is_empty());
            found.and_then(|it| it.parse::<u32>().ok()).unwrap_or(0)
        };
        let stage = match name {
            _ if name.contains("alpha") => 0,
            _ if name.contains("beta") => 1,
            _ => 2,
        };
        (stage, number(), number())
    };
    let mut names: Vec<&str> = versions.keys().copied().collect();
    names.sort_by_key(|name| std::cmp::Reverse(rank(name)));
    names
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub(crate) fn resource_list(cluster: &Cluster, group: &str, version: &str) -> Option<Value> {
    let all = groups(cluster);
    let kinds = all.get(group)?.get(version)?;
    let mut rows = Vec::new();
    for resource in kinds {
        let mut row = json!({
            "name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs(resource),
        });
        names(&mut row, resource);
        rows.push(row);
        if resource
            .version(version)
            .is_some_and(|version| version.scale.is_some())
        {
            rows.push(json!({
                "name": format!("{}/scale", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": "Scale", "verbs": STATUS_VERBS,
                "group": "autoscaling", "version": "v1",
            }));
        }
        if resource
            .version(version)
            .is_some_and(|version| version.status)
        {
            rows.push(json!({
                "name": format!("{}/status", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": resource.kind, "verbs": STATUS_VERBS,
            }));
        }
    }
    let mut list = json!({
        "kind": "APIResourceList", "groupVersion": api_version(group, version), "resources": rows,
    });
    // The real server leaves it out for the core group.
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    Some(list)
}

fn names(row: &mut Value, resource: &Resource) {
    if !resource.short.is_empty() {
        row["shortNames"] = json!(resource.short);
    }
    if !resource.categories.is_empty() {
        row["categories"] = json!(resource.categories);
    }
}

/// Aggregated discovery, of the core group or of all others.
pub(crate) fn aggregated(cluster: &Cluster, core: bool) -> Value {
    let all = groups(cluster);
    let items = all.iter().filter(|(name, _)| name.is_empty() == core);
    let items: Vec<Value> = items
        .map(|(name, versions)| {
            let rows: Vec<Value> = preferred(versions)
                .into_iter()
                .map(|version| aggregated_version(name, version, &versions[version]))
                .collect();
            let metadata = if core {
                json!({})
            } else {
                json!({"name": name})
            };
            json!({"metadata": metadata, "versions": rows})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items,
    })
}

fn aggregated_version(group: &str, version: &str, kinds: &[&Arc<Resource>]) -> Value {
    let rows = kinds.iter().map(|resource| {
        // The server leaves group and version of the built-in kinds to the frame.
        let (group, at) = if resource.custom {
            (group, version)
        } else {
            ("", "")
        };
        let kind = json!({"group": group, "version": at, "kind": resource.kind});
        let mut row = json!({
            "resource": resource.plural, "responseKind": kind,
            "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": resource.singular, "verbs": verbs(resource),
        });
        names(&mut row, resource);
        let at = resource.version(version);
        let mut below = Vec::new();
        if at.is_some_and(|it| it.scale.is_some()) {
            let kind = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
            below
                .push(json!({"subresource": "scale", "responseKind": kind, "verbs": STATUS_VERBS}));
        }
        if at.is_some_and(|it| it.status) {
            below.push(
                json!({"subresource": "status", "responseKind": kind, "verbs": STATUS_VERBS}),
            );
        }
        if !below.is_empty() {
            row["subresources"] = below.into();
        }
        row
    });
    let rows: Vec<Value> = rows.collect();
    json!({"version": version, "resources": rows, "freshness": "Current"})
}
