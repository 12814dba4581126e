//! Cases: tables, as `kubectl get` asks for them.

use std::net::IpAddr;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{Case, DEPLOYMENTS, JSON, MAPS, MERGE, Recorder, SERVICES},
    writes::{deployment, kinds},
};

pub(crate) const CASES: &[Case] = &[
    ("tables", tables),
    ("table_of_one", table_of_one),
    ("table_of_services", table_of_services),
];

/// Cases that read the history.
pub(crate) const WATCHED: &[Case] = &[("table_watched", table_watched)];

pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Without prose; ages and addresses are each server's own.
pub(crate) fn plain(mut table: Value) -> Value {
    let heads = table["columnDefinitions"].take();
    let heads: Vec<Value> = heads.as_array().cloned().unwrap_or_default();
    let rows = table["rows"].as_array().cloned().unwrap_or_default();
    let rows = rows.into_iter().map(|row| {
        let mut cells = row["cells"].clone();
        for (head, cell) in heads.iter().zip(cells.as_array_mut().unwrap()) {
            let text = cell.as_str().unwrap_or_default();
            match head["name"].as_str().unwrap() {
                "Age" | "Created At" => {
                    assert!(!text.is_empty() && text != "<unknown>", "{row}");
                    *cell = json!("<own>");
                }
                "Cluster-IP" if text.parse::<IpAddr>().is_ok() => *cell = json!("<own>"),
                _ => {}
            }
        }
        json!([
            cells,
            row["object"]["kind"],
            row["object"]["metadata"]["name"]
        ])
    });
    let rows: Vec<Value> = rows.collect();
    let heads = heads
        .iter()
        .map(|head| json!([head["name"], head["type"], head["format"], head["priority"]]));
    json!({"heads": heads.collect::<Vec<_>>(), "rows": rows, "kind": table["kind"], "apiVersion": table["apiVersion"]})
}

fn tables(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for (path, mut body) in kinds() {
            body["metadata"] = json!({"name": "a"});
            let (code, answer) = r.ask("POST", path, JSON, &body).await;
            assert_eq!(code, 201, "{answer}");
            let path = format!("{path}?fieldSelector=metadata.name%3Da");
            let (code, table) = r.ask_as("GET", &path, JSON, TABLE, &Value::Null).await;
            let mut table = plain(table);
            // Their status is written in each server's own time.
            if ["statefulsets", "daemonsets", "persistentvolumeclaims"]
                .iter()
                .any(|it| path.contains(it))
            {
                table.as_object_mut().unwrap().remove("rows");
            }
            r.note(&path, code, table);
        }
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v", "m": "w"}, "binaryData": {"l": "AA=="}});
        r.ask("POST", MAPS, JSON, &body).await;
        r.ask("POST", DEPLOYMENTS, JSON, &deployment("a", "nginx:1"))
            .await;
        let done =
            |_: u16, it: &Value| it["status"]["observedGeneration"] == it["metadata"]["generation"];
        r.wait("it is seen", &format!("{DEPLOYMENTS}/a"), done)
            .await;
        for path in [MAPS, DEPLOYMENTS, "/api/v1/namespaces"] {
            let name = if path == "/api/v1/namespaces" {
                "default"
            } else {
                "a"
            };
            let path = format!("{path}?fieldSelector=metadata.name%3D{name}");
            let (code, table) = r.ask_as("GET", &path, JSON, TABLE, &Value::Null).await;
            r.note(&path, code, plain(table));
        }
    })
}

fn table_of_one(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        r.ask("POST", MAPS, JSON, &body).await;
        let one = format!("{MAPS}/a");
        for include in ["", "None", "Metadata", "Object"] {
            let path = format!("{one}?includeObject={include}");
            let (code, table) = r.ask_as("GET", &path, JSON, TABLE, &Value::Null).await;
            r.note(include, code, plain(table.clone()));
            r.note("row", code, table["rows"][0]["object"]["data"].clone());
        }
        let path = format!("{MAPS}/none");
        let (code, answer) = r.ask_as("GET", &path, JSON, TABLE, &Value::Null).await;
        r.note("absent", code, answer);
        let path = format!("{MAPS}?labelSelector=none");
        let (code, table) = r.ask_as("GET", &path, JSON, TABLE, &Value::Null).await;
        r.note("none", code, plain(table));
    })
}

/// Only the first part of a watch names its columns.
fn table_watched(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let list = r.ask("GET", MAPS, JSON, &Value::Null).await.1;
        let from = list["metadata"]["resourceVersion"].as_str().unwrap();
        let body = json!({"metadata": {"name": "a", "labels": {"watched": "yes"}}});
        r.ask("POST", MAPS, JSON, &body).await;
        let patch = json!({"data": {"k": "v"}});
        r.ask("PATCH", &format!("{MAPS}/a"), MERGE, &patch).await;
        r.ask("DELETE", &format!("{MAPS}/a"), JSON, &Value::Null)
            .await;
        let path = format!(
            "{MAPS}?watch=true&timeoutSeconds=1&labelSelector=watched&resourceVersion={from}"
        );
        let (code, seen) = r.ask_as("GET", &path, JSON, TABLE, &Value::Null).await;
        let lines = seen["lines"].as_array().unwrap().iter();
        let lines: Value = lines
            .map(|line| {
                let table = &line["object"];
                let heads = table["columnDefinitions"].as_array().map(Vec::len);
                let cells = &table["rows"][0]["cells"];
                json!([line["type"], heads, cells[0], cells[1]])
            })
            .collect();
        r.note("lines", code, lines);
    })
}

fn table_of_services(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let ports =
            json!([{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]);
        for (name, spec) in [
            (
                "internal",
                json!({"ports": ports, "selector": {"a": "b", "c": "d"}}),
            ),
            ("headless", json!({"clusterIP": "None", "ports": ports})),
            (
                "external",
                json!({"type": "ExternalName", "externalName": "a.example"}),
            ),
            (
                "addresses",
                json!({"ports": ports, "externalIPs": ["192.0.2.1", "192.0.2.2"]}),
            ),
        ] {
            let body = json!({"metadata": {"name": name}, "spec": spec});
            let (code, answer) = r.ask("POST", SERVICES, JSON, &body).await;
            assert_eq!(code, 201, "{answer}");
        }
        let (code, table) = r.ask_as("GET", SERVICES, JSON, TABLE, &Value::Null).await;
        r.note("services", code, plain(table));
    })
}
