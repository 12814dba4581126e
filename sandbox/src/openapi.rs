//! OpenAPI v3 of what is served: an index, and a document for each group version.
//!
//! Owns the documents, built when they are asked for: types of built-in kinds from the table, those
//! of custom kinds from their definitions. They hold what clients decide by (types, keys, patch
//! strategies, parameters of a patch), not the descriptions of built-in fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::Cluster,
    resources::{DEFINITIONS, Resource, api_version},
    schema::{Field, Kind, Merge, Scalar, Struct, Type, named, table},
};

const PREFIX: &str = "#/components/schemas/";
const OBJECT_META: &str = "meta.ObjectMeta";

/// `/openapi/v3`.
pub(crate) fn index(cluster: &Cluster) -> Value {
    let mut paths: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
    for resource in cluster.resources() {
        for version in &resource.versions {
            let path = place(&resource.group, &version.name);
            paths.entry(path).or_default().push(resource);
        }
    }
    let paths = paths.into_iter().map(|(path, resources)| {
        let mut hash = Sha256::new();
        hash.update(&table().server);
        for resource in resources.iter().filter(|it| it.custom) {
            let definition = cluster.store.get(DEFINITIONS, "", &resource.id);
            hash.update(definition.map_or(&[][..], |it| &it.body));
        }
        let hash = hex::encode_upper(hash.finalize());
        let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")});
        (path, url)
    });
    json!({"paths": paths.collect::<Map<_, _>>()})
}

/// The document of a group version, if it is served.
pub(crate) fn document(cluster: &Cluster, group: &str, version: &str) -> Option<Value> {
    let kinds: Vec<&Arc<Resource>> = cluster
        .resources()
        .filter(|it| it.group == group && it.version(version).is_some())
        .collect();
    if kinds.is_empty() {
        return None;
    }
    let mut schemas = Map::new();
    let mut paths = Map::new();
    let mut open = vec![OBJECT_META.to_owned()];
    for resource in kinds {
        let gvk = json!({"group": group, "version": version, "kind": resource.kind});
        let (name, mut schema) = root(cluster, resource, version, &mut open)?;
        schema["x-kubernetes-group-version-kind"] = json!([gvk]);
        schemas.insert(name.clone(), schema);
        operations(&mut paths, resource, version, &gvk, &name);
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        let full = full(&name);
        if seen.insert(name.clone()) && !schemas.contains_key(&full) {
            let schema = named(&name).map(|ty| schema(ty, &mut open));
            schemas.insert(full, schema.unwrap_or_else(|| json!({})));
        }
    }
    let mut parts = table().server.trim_start_matches('v').split('.');
    let release: Vec<&str> = parts.by_ref().take(2).collect();
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": release.join(".")},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

/// `api/v1`, `apis/apps/v1`.
fn place(group: &str, version: &str) -> String {
    if group.is_empty() {
        return format!("api/{version}");
    }
    format!("apis/{}", api_version(group, version))
}

/// The schema of a kind and its name.
fn root(
    cluster: &Cluster,
    resource: &Resource,
    version: &str,
    open: &mut Vec<String>,
) -> Option<(String, Value)> {
    if !resource.custom {
        let Type::Named(name) = &resource.version(version)?.ty else {
            return None;
        };
        return Some((full(name), schema(named(name)?, open)));
    }
    let definition = cluster.store.get(DEFINITIONS, "", &resource.id)?.value();
    let mut versions = definition["spec"]["versions"].as_array()?.iter();
    let found = versions.find(|it| it["name"] == version)?;
    let mut schema = found["schema"]["openAPIV3Schema"].clone();
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    for field in ["apiVersion", "kind"] {
        schema["properties"][field] = json!({"type": "string"});
    }
    schema["properties"]["metadata"] = json!({"allOf": [reference(OBJECT_META)]});
    let mut parts: Vec<&str> = resource.group.split('.').collect();
    parts.reverse();
    Some((
        format!("{}.{version}.{}", parts.join("."), resource.kind),
        schema,
    ))
}

/// What can be done with a kind: for clients that look up parameters and kinds by path.
fn operations(
    paths: &mut Map<String, Value>,
    resource: &Resource,
    version: &str,
    gvk: &Value,
    schema: &str,
) {
    let base = format!("/{}", place(&resource.group, version));
    let plural = &resource.plural;
    let all = format!("{base}/{plural}");
    let inside = if resource.namespaced {
        format!("{base}/namespaces/{{namespace}}/{plural}")
    } else {
        all.clone()
    };
    let of = |action: &str, parameters: &[&str]| {
        let parameters = parameters.iter().map(|name| {
            let ty = if *name == "force" {
                "boolean"
            } else {
                "string"
            };
            json!({"name": name, "in": "query", "schema": {"type": ty, "uniqueItems": true}})
        });
        let content =
            json!({"application/json": {"schema": {"$ref": format!("{PREFIX}{schema}")}}});
        json!({
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
        })
    };
    let write = ["dryRun", "fieldManager", "fieldValidation"];
    let list = of(
        "list",
        &["labelSelector", "fieldSelector", "limit", "continue"],
    );
    if resource.namespaced {
        paths.insert(all, json!({"get": list}));
    }
    let collection = json!({"get": list, "post": of("post", &write), "delete": of("deletecollection", &["dryRun"])});
    paths.insert(inside.clone(), collection);
    let patch = of(
        "patch",
        &["dryRun", "fieldManager", "fieldValidation", "force"],
    );
    let (get, delete) = (
        of("get", &[]),
        of("delete", &["dryRun", "propagationPolicy"]),
    );
    let one = json!({"get": get, "put": of("put", &write), "patch": patch, "delete": delete});
    paths.insert(format!("{inside}/{{name}}"), one);
}

/// A type's name on the real server, of which the table has the short form.
fn full(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("meta.") {
        return format!("io.k8s.apimachinery.pkg.apis.meta.v1.{rest}");
    }
    let outside = [
        "apiextensions-apiserver.",
        "kube-aggregator.",
        "apimachinery.",
    ];
    if outside.iter().any(|it| name.starts_with(it)) {
        return format!("io.k8s.{name}");
    }
    format!("io.k8s.api.{name}")
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PREFIX}{}", full(name))})
}

fn schema(ty: &Type, open: &mut Vec<String>) -> Value {
    match ty {
        Type::Scalar(scalar) => match scalar {
            Scalar::String => json!({"type": "string"}),
            Scalar::Integer => json!({"type": "integer"}),
            Scalar::Number => json!({"type": "number"}),
            Scalar::Boolean => json!({"type": "boolean"}),
            Scalar::IntOrString => json!({
                "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}],
            }),
            Scalar::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        },
        Type::Any => json!({"type": "object"}),
        Type::List(kind, item) => list(kind, &schema(item, open)),
        Type::Map(below) => {
            json!({"type": "object", "additionalProperties": schema(below, open)})
        }
        Type::Struct(it) => structure(it, open),
        Type::Named(name) => {
            open.push(name.to_string());
            json!({"allOf": [reference(name)]})
        }
        Type::Atomic(inner) => {
            let mut schema = schema(inner, open);
            schema["x-kubernetes-map-type"] = json!("atomic");
            schema
        }
    }
}

fn list(kind: &Kind, items: &Value) -> Value {
    let mut schema = json!({"type": "array", "items": items});
    let (name, keys) = match kind {
        Kind::Atomic => ("atomic", None),
        Kind::Set => ("set", None),
        Kind::Map(keys) => ("map", Some(keys)),
    };
    schema["x-kubernetes-list-type"] = json!(name);
    if let Some(keys) = keys {
        let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
        schema["x-kubernetes-list-map-keys"] = json!(keys);
    }
    schema
}

fn structure(it: &Struct, open: &mut Vec<String>) -> Value {
    let mut schema = json!({"type": "object"});
    let properties = it.fields.iter();
    let properties: Map<String, Value> = properties
        .map(|(name, it)| (name.to_string(), field(it, open)))
        .collect();
    let required = it.fields.iter().filter(|(_, it)| it.required);
    let required: Vec<&str> = required.map(|(name, _)| &**name).collect();
    schema["properties"] = Value::Object(properties);
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if it.atomic {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    schema
}

fn field(field: &Field, open: &mut Vec<String>) -> Value {
    let mut schema = schema(&field.ty, open);
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    if let Some(merge) = field.merge.as_deref() {
        schema["x-kubernetes-patch-strategy"] = json!(strategy(merge));
        if let Some(key) = &merge.key {
            schema["x-kubernetes-patch-merge-key"] = json!(key);
        }
    }
    schema
}

fn strategy(merge: &Merge) -> String {
    let parts = [
        ("merge", merge.merges),
        ("retainKeys", merge.retains),
        ("replace", merge.replaces),
    ];
    let parts = parts.iter().filter(|(_, yes)| *yes);
    let parts: Vec<&str> = parts.map(|(name, _)| *name).collect();
    parts.join(",")
}
