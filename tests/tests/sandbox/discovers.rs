//! Cases: what a server says about itself. What the sandbox serves must be served alike; it need
//! not serve everything.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{Case, JSON, Recorder},
    table::SERVED,
};

pub(crate) const CASES: &[Case] = &[
    ("version", version),
    ("discovery", discovery),
    ("aggregated", aggregated),
];

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
fn version(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (code, answer) = r.ask("GET", "/version", JSON, &Value::Null).await;
        let said = json!([answer["major"], answer["minor"], answer["gitVersion"]]);
        r.note("version", code, said);
        let (code, answer) = r.ask("GET", "/readyz", JSON, &Value::Null).await;
        r.note("ready", code, answer);
    })
}

/// Subresources that belong to nodes are not the sandbox's.
pub(crate) fn main_resources(rows: &Value, name: &str) -> Vec<Value> {
    let rows = rows.as_array().into_iter().flatten();
    let rows = rows.filter(|row| {
        let name = row[name].as_str().unwrap_or_default();
        !name.contains('/') || name.ends_with("/status") || name.ends_with("/scale")
    });
    let mut rows: Vec<Value> = rows.cloned().collect();
    for row in &mut rows {
        let map = row.as_object_mut().unwrap();
        map.remove("storageVersionHash");
        if let Some(Value::Array(below)) = map.get_mut("subresources") {
            below.retain(|it| it["subresource"] == "status" || it["subresource"] == "scale");
            if below.is_empty() {
                map.remove("subresources");
            }
        }
    }
    rows.retain(|row| {
        let verbs = row["verbs"].as_array().unwrap();
        let status = row["name"].as_str().is_some_and(|it| it.contains('/'));
        status || verbs.iter().any(|verb| verb == "delete")
    });
    rows
}

fn discovery(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (code, answer) = r.ask("GET", "/api", JSON, &Value::Null).await;
        r.note("core versions", code, answer["versions"].clone());
        for path in SERVED.map(|(group, version)| match group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        }) {
            let (code, mut answer) = r.ask("GET", &path, JSON, &Value::Null).await;
            answer["resources"] = json!(main_resources(&answer["resources"], "name"));
            r.note(&path, code, answer);
        }
        r.get("one group", "/apis/apps").await;
        r.get("no group", "/apis/none.example").await;
        r.get("no version", "/apis/apps/v9").await;
        let (code, answer) = r.ask("GET", "/apis", JSON, &Value::Null).await;
        let mut groups = answer["groups"].as_array().unwrap().iter();
        r.note(
            "groups",
            code,
            groups.find(|it| it["name"] == "apps").unwrap().clone(),
        );
    })
}

fn aggregated(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for path in ["/api", "/apis"] {
            let kind = r.kind_of(path, &format!("{AGGREGATED},{JSON}")).await;
            r.note(&format!("kind of {path}"), 200, json!(kind));
            let kind = r.kind_of(path, JSON).await;
            r.note(&format!("kind of plain {path}"), 200, json!(kind));
            let (code, answer) = r.ask_as("GET", path, JSON, AGGREGATED, &Value::Null).await;
            r.note(
                path,
                code,
                json!([answer["kind"], answer["apiVersion"], answer["metadata"]]),
            );
            // By name, because the order of groups is the server's own.
            let mut said = BTreeMap::new();
            for group in answer["items"].as_array().unwrap() {
                let name = group["metadata"]["name"].as_str().unwrap_or_default();
                for version in group["versions"].as_array().unwrap() {
                    let at = version["version"].as_str().unwrap();
                    if SERVED.contains(&(name, at)) {
                        let place = format!("{name}/{at}");
                        let rows = main_resources(&version["resources"], "resource");
                        let row = json!([group["metadata"], version["freshness"], rows]);
                        said.insert(place, row);
                    }
                }
            }
            for (place, row) in said {
                r.note(&place, code, row);
            }
        }
    })
}
