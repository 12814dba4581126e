//! The table of built-in kinds (`sandbox/src/schema/builtin.json`) is what the real server says.
//!
//! Owns the reduction of a server's discovery and OpenAPI v3 to the table. Run with
//! `TIDEGATE_REGENERATE=1`, the test writes the table instead of comparing it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

use kube::core::discovery::v2::{APIResourceDiscovery, APIVersionDiscovery};
use serde_json::{Value, json};
use tidegate_sandbox::{Options, Sandbox};
use tidegate_tests::harness::{Fleet, require_real};

/// What users of Tidegate deliver most, in the version that the sandbox serves.
pub(crate) const SERVED: [(&str, &str); 15] = [
    ("", "v1"),
    ("admissionregistration.k8s.io", "v1"),
    ("apiextensions.k8s.io", "v1"),
    ("apiregistration.k8s.io", "v1"),
    ("apps", "v1"),
    ("autoscaling", "v2"),
    ("batch", "v1"),
    ("coordination.k8s.io", "v1"),
    ("discovery.k8s.io", "v1"),
    ("networking.k8s.io", "v1"),
    ("node.k8s.io", "v1"),
    ("policy", "v1"),
    ("rbac.authorization.k8s.io", "v1"),
    ("scheduling.k8s.io", "v1"),
    ("storage.k8s.io", "v1"),
];

#[tokio::test]
async fn the_table_of_built_in_kinds_is_what_the_server_says() {
    let Some(binaries) = require_real("table::the_table_of_built_in_kinds_is_what_the_server_says")
    else {
        return;
    };
    let fleet = Fleet::start(&binaries, 1).await.unwrap();
    let client = fleet.clusters()[0].kube_client().unwrap();
    let table = rendered(&reduced(&client).await);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/src/schema/builtin.json");
    if env::var_os("TIDEGATE_REGENERATE").is_some_and(|value| value == "1") {
        fs::write(&path, &table).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    let differs = table
        .lines()
        .zip(kept.lines())
        .find(|(new, old)| new != old);
    assert!(
        table == kept,
        "the server's table differs; look at it, then run with TIDEGATE_REGENERATE=1: {differs:?}"
    );
}

/// The sandbox's own documents say what the table says: nothing is lost or made up on the way.
#[tokio::test]
async fn the_documents_of_a_sandbox_reduce_to_the_table_they_are_made_of() {
    let sandbox = Sandbox::new(Options::named("documents"));
    let client = kube::Client::new(sandbox, "default");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/src/schema/builtin.json");
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut found = reduced(&client).await;
    for table in [&mut kept, &mut found] {
        // Groups are listed in an order of the server's own.
        let rows = table["resources"].as_array_mut().unwrap();
        rows.sort_by_key(|row| [row["group"].to_string(), row["plural"].to_string()]);
    }
    for part in ["server", "resources"] {
        assert_eq!(found[part], kept[part]);
    }
    let kept = kept["types"].as_object().unwrap();
    let found = found["types"].as_object().unwrap();
    for (name, ty) in kept {
        assert_eq!(found.get(name), Some(ty), "{name}");
    }
    assert_eq!(found.len(), kept.len());
}

async fn reduced(client: &kube::Client) -> Value {
    let lists = [
        client.list_core_api_versions_aggregated().await.unwrap(),
        client.list_api_groups_aggregated().await.unwrap(),
    ];
    let mut resources = Vec::new();
    let mut types = BTreeMap::new();
    let mut roots = BTreeSet::new();
    let mut schemas = BTreeMap::new();
    for group in lists.into_iter().flat_map(|list| list.items) {
        let name = group
            .metadata
            .and_then(|meta| meta.name)
            .unwrap_or_default();
        for version in group.versions {
            let at = version.version.clone().unwrap_or_default();
            if SERVED.contains(&(&*name, &*at)) {
                schemas.extend(documents(client, &name, &at).await);
                resources.extend(kinds(&name, version, &schemas, &mut roots));
            }
        }
    }
    let mut open: Vec<String> = roots.into_iter().collect();
    while let Some(name) = open.pop() {
        let schema = &schemas[&name];
        types
            .entry(name)
            .or_insert_with(|| definition(schema, &mut open));
    }
    let types: BTreeMap<String, Value> = types
        .into_iter()
        .map(|(name, reduced)| (short(&name), reduced))
        .collect();
    let version = client.apiserver_version().await.unwrap().git_version;
    json!({"server": version, "resources": resources, "types": types})
}

async fn documents(client: &kube::Client, group: &str, version: &str) -> BTreeMap<String, Value> {
    let path = if group.is_empty() {
        format!("/openapi/v3/api/{version}")
    } else {
        format!("/openapi/v3/apis/{group}/{version}")
    };
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let document: Value = client.request(request).await.unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    schemas.clone().into_iter().collect()
}

/// The kinds of a version whose objects are stored, each with the name of its type.
fn kinds(
    group: &str,
    version: APIVersionDiscovery,
    schemas: &BTreeMap<String, Value>,
    roots: &mut BTreeSet<String>,
) -> Vec<Value> {
    let at = version.version.unwrap_or_default();
    let mut kinds = Vec::new();
    for resource in version.resources {
        let can = |verb: &str| resource.verbs.iter().any(|it| it == verb);
        if !["create", "delete", "list", "patch", "watch"]
            .into_iter()
            .all(can)
        {
            continue;
        }
        let kind = resource.response_kind.clone().unwrap().kind.unwrap();
        let wanted = json!([{"group": group, "kind": kind, "version": at}]);
        let root = schemas
            .iter()
            .find(|(_, schema)| schema["x-kubernetes-group-version-kind"] == wanted)
            .unwrap_or_else(|| panic!("no schema of {wanted}"))
            .0;
        roots.insert(root.clone());
        kinds.push(resource_row(group, &at, &kind, root, &resource));
    }
    kinds
}

fn resource_row(
    group: &str,
    version: &str,
    kind: &str,
    root: &str,
    resource: &APIResourceDiscovery,
) -> Value {
    let has = |wanted: &str| {
        let mut all = resource.subresources.iter();
        all.any(|it| it.subresource.as_deref() == Some(wanted))
    };
    json!({
        "group": group, "version": version, "kind": kind, "type": short(root),
        "plural": resource.resource, "singular": resource.singular_resource,
        "namespaced": resource.scope.as_deref() == Some("Namespaced"),
        "status": has("status"), "scale": has("scale"), "short": resource.short_names, "categories": resource.categories,
    })
}

fn short(name: &str) -> String {
    let name = name.trim_start_matches("io.k8s.");
    name.trim_start_matches("api.")
        .replace("apimachinery.pkg.apis.meta.v1.", "meta.")
}

/// A named type: its fields in the grammar of `sandbox/src/schema/read.rs`, or what it is instead.
fn definition(schema: &Value, open: &mut Vec<String>) -> Value {
    let Some(fields) = schema["properties"].as_object() else {
        return json!(expression(schema, open));
    };
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let atomic = schema["x-kubernetes-map-type"] == "atomic";
    let mut reduced = BTreeMap::new();
    for (name, field) in fields {
        let mut text = expression(field, open);
        let says = |what: &str| field[format!("x-kubernetes-patch-{what}")].as_str();
        if let Some(strategy) = says("strategy") {
            let key = says("merge-key").map(|key| format!(" {key}"));
            text = format!("{text} @{strategy}{}", key.unwrap_or_default());
        }
        match &field["default"] {
            // What Go has for "not set".
            Value::String(text) if text.is_empty() => {}
            Value::Number(number) if number.as_f64() == Some(0.0) => {}
            Value::Null | Value::Bool(false) => {}
            default => text = format!("{text} = {default}"),
        }
        let mark = if required.contains(&&**name) { "!" } else { "" };
        reduced.insert(format!("{name}{mark}"), json!(text));
    }
    if atomic {
        reduced.insert("=".to_owned(), json!("atomic"));
    }
    json!(reduced)
}

fn expression(schema: &Value, open: &mut Vec<String>) -> String {
    let atomic = schema["x-kubernetes-map-type"] == "atomic";
    let atomic = if atomic { "atomic " } else { "" };
    let reference = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        let name = reference.trim_start_matches("#/components/schemas/");
        open.push(name.to_owned());
        return format!("{atomic}#{}", short(name));
    }
    if schema["format"] == "int-or-string" {
        return "intstr".to_owned();
    }
    if schema["oneOf"].is_array() {
        return "quantity".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => {
            let item = expression(&schema["items"], open);
            match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => {
                    let keys = schema["x-kubernetes-list-map-keys"].as_array().unwrap();
                    let keys: Vec<_> = keys.iter().filter_map(Value::as_str).collect();
                    format!("[map {}] {item}", keys.join(","))
                }
                Some("set") => format!("[set] {item}"),
                _ => format!("[] {item}"),
            }
        }
        Some("object") if schema["additionalProperties"].is_object() => {
            let value = expression(&schema["additionalProperties"], open);
            format!("{atomic}{{}} {value}")
        }
        Some("object") | None => "any".to_owned(),
        Some(scalar) => scalar.to_owned(),
    }
}

/// One line for each row, so that a change reads well.
fn rendered(table: &Value) -> String {
    let rows = |rows: Vec<String>| rows.join(",\n");
    let resources = table["resources"].as_array().unwrap();
    let resources = rows(resources.iter().map(Value::to_string).collect());
    let types = table["types"].as_object().unwrap();
    let types = types
        .iter()
        .map(|(name, it)| format!("{}: {it}", json!(name)));
    format!(
        "{{\"server\": {},\n\"resources\": [\n{resources}\n],\n\"types\": {{\n{}\n}}}}\n",
        table["server"],
        rows(types.collect())
    )
}
