//! Cases: tables of custom kinds, whose columns are JSON paths.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    lives::gone,
    recorder::{Case, DEFINITIONS, JSON, Recorder},
    tables::{TABLE, plain},
};

pub(crate) const CASES: &[Case] = &[
    ("table_of_custom", table_of_custom),
    ("table_of_no_path", table_of_no_path),
    ("columns_refused", columns_refused),
];

/// Columns of every type, and every form of path.
const COLUMNS: &[(&str, &str)] = &[
    ("integer", ".spec.size"),
    ("integer", ".spec.name"),
    ("integer", ".spec.half"),
    ("number", ".spec.half"),
    ("number", ".spec.size"),
    ("boolean", ".spec.on"),
    ("boolean", ".spec.size"),
    ("string", ".spec.name"),
    ("string", ".spec.size"),
    ("string", ".spec.half"),
    ("string", ".spec.on"),
    ("string", ".spec.tags"),
    ("string", ".spec.map"),
    ("string", ".spec.nothing"),
    ("string", ".spec.none"),
    ("string", ".spec.none.below"),
    ("date", ".spec.since"),
    ("date", ".spec.name"),
    ("date", ".spec.none"),
    ("string", ".spec.some-field"),
    ("string", r".metadata.labels.a\.b/c"),
    ("string", r".metadata.labels['a\.b/c']"),
    ("string", ".spec.tags[0]"),
    ("string", ".spec.tags[-1]"),
    ("string", ".spec.tags[7]"),
    ("string", ".spec.tags[*]"),
    ("string", ".spec.parts[*].id"),
    ("string", ".spec.parts[1:].id"),
    ("string", ".spec.parts[?(@.id==\"b\")].on"),
    ("string", ".spec.parts[?(@.id == 'b')].on"),
    ("integer", ".spec.parts[?(@.count>1)].count"),
    ("integer", ".spec.parts[?(@.on)].count"),
    ("string", ".spec.parts[?(@.id==\"c\")].on"),
    ("string", ".spec.parts[?(@.on==\"True\")].id"),
    ("string", ".spec.parts[?(@.ready==true)].id"),
    ("string", ".spec.parts[?(@.ready>false)].id"),
    ("string", ".spec.parts[?(@.share>1.0)].id"),
    ("string", ".spec.parts[?(@.share>1)].id"),
    ("string", ".spec.parts[?(@.count>=2)].id"),
    ("string", ".spec.parts[?(@.count<>1)].id"),
    ("string", ".spec.parts[?(@.id!='a')].id"),
    ("string", r".spec.parts[?(@.id=='\x62')].id"),
    ("string", ".spec.parts[?(@.count=='2')].id"),
    ("string", ".spec.parts[?(@.on[0])].id"),
    ("string", ".spec.name[?(@.id)]"),
    ("string", ".spec.name[0]"),
    ("string", ".spec.none[0]"),
    ("string", ".spec.tags[]"),
    ("string", ".spec.tags[-7]"),
    ("string", ".spec.tags[0:7]"),
    ("string", ".spec.tags[1:0]"),
    ("string", ".spec.tags[::2]"),
    ("string", ".spec.tags[1::0]"),
    ("string", ".spec.tags[-1:]"),
    ("string", ".spec.tags[1,0]"),
    ("string", ".spec['none','name']"),
    ("string", ".spec['map.k']"),
    ("string", ".spec.map.*"),
    ("string", ".spec.empty[*]"),
    ("string", ".spec.empty"),
    ("string", ".spec.text"),
    ("date", ".spec.text"),
    ("date", ".spec.size"),
    ("string", ".spec.large"),
    ("string", ".spec.small"),
    ("string", ".spec.whole"),
    ("integer", ".spec.whole"),
    ("string", ".spec.marked"),
    ("string", ".spec.name 'x'"),
    ("integer", ".spec.name 7"),
    ("string", ".spec.name word"),
    ("string", "..tags[1]"),
    ("string", ".spec['name']"),
    ("string", "..id"),
    ("string", "."),
];

/// What the server does not read, or reads in its own way.
const NO_PATHS: [&str; 13] = [
    ".spec[",
    ".spec.parts[?(@.id==",
    ".spec.parts[?(@.id=~\"b\")].on",
    ".spec['name",
    ".spec}{.x",
    ".spec}{.spec.name[0]",
    "....id",
    "..*",
    ".spec.tags[0:1:1:1]",
    ".spec.tags[+1]",
    ".spec.tags[a]",
    ".spec.parts[?(@.count=)].id",
    ".spec.parts[?(@.count==)].id",
];

type Columns<'a> = &'a [(&'a str, &'a str)];

/// A kind whose versions have columns: type and path each.
fn with_columns(group: &str, versions: &[Columns<'_>]) -> Value {
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({"type": "object", "properties": {"spec": free}});
    let versions = versions.iter().enumerate().map(|(index, columns)| {
        let columns = columns.iter().map(
            |(ty, path)| json!({"name": format!("{ty} {path}"), "type": ty, "jsonPath": path}),
        );
        json!({
            "name": format!("v{}", index + 1), "served": true, "storage": index == 0,
            "additionalPrinterColumns": columns.collect::<Vec<_>>(),
            "schema": {"openAPIV3Schema": schema},
        })
    });
    json!({
        "metadata": {"name": format!("things.{group}.example")},
        "spec": {"group": format!("{group}.example"), "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": versions.collect::<Vec<_>>()},
    })
}

/// The tables of one object of a kind with columns, in each version.
async fn custom_tables(r: &mut Recorder, group: &str, versions: &[Columns<'_>]) {
    let definition = with_columns(group, versions);
    let (code, answer) = r.ask("POST", DEFINITIONS, JSON, &definition).await;
    assert_eq!(code, 201, "{answer}");
    let things = |version: usize| format!("/apis/{group}.example/v{version}/namespaces/NS/things");
    r.wait("served", &things(1), |code, _| code == 200).await;
    let body = json!({
        "apiVersion": format!("{group}.example/v1"), "kind": "Thing",
        "metadata": {"name": "a", "labels": {"a.b/c": "dotted"}},
        "spec": {"size": 3, "half": 0.5, "name": "n", "on": true, "some-field": "dashed", "since": "2020-01-01T00:00:00Z",
            "tags": ["x", "y"], "map": {"k": 1}, "nothing": null,
            "large": 1e21, "small": -0.00001, "whole": 2.0, "marked": ["a<b>&c"], "empty": [], "text": "",
            "parts": [{"id": "a", "count": 1, "ready": false, "share": 0.5},
                {"id": "b", "count": 2, "on": "True", "ready": true, "share": 1.5}]},
    });
    let (code, answer) = r.ask("POST", &things(1), JSON, &body).await;
    assert_eq!(code, 201, "{answer}");
    for (index, columns) in versions.iter().enumerate() {
        let things = things(index + 1);
        let (code, table) = r.ask_as("GET", &things, JSON, TABLE, &Value::Null).await;
        r.note(columns[columns.len() / 2].1, code, plain(table));
    }
    let one = format!("{DEFINITIONS}/things.{group}.example");
    r.ask("DELETE", &one, JSON, &Value::Null).await;
    r.wait("the kind goes", &one, gone).await;
}

/// Columns of a definition are JSON paths as kubectl knows them.
fn table_of_custom(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        custom_tables(r, "columns", &[COLUMNS]).await;
    })
}

/// What is no path ends the columns.
fn table_of_no_path(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let columns = NO_PATHS.map(|path| {
            [
                ("string", ".spec.name"),
                ("string", path),
                ("integer", ".spec.size"),
            ]
        });
        let versions = columns.each_ref().map(|columns| &columns[..]);
        custom_tables(r, "paths", &versions).await;
    })
}

/// Columns that no definition may have, above the versions and in them.
fn columns_refused(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{DEFINITIONS}?dryRun=All&fieldManager=tester");
        let mut wrong: Vec<(&str, Value)> = ["spec.size", "{.spec.size}", "$.spec.size", ""]
            .map(|path| (path, with_columns("refused", &[&[("string", path)]])))
            .to_vec();
        let two = [("text", ".a"), ("", ".a"), ("string", "a")];
        wrong.push(("types", with_columns("refused", &[&two])));
        let mut unnamed = with_columns("refused", &[&[("string", ".a")]]);
        unnamed["spec"]["versions"][0]["additionalPrinterColumns"][0]["name"] = json!("");
        wrong.push(("unnamed", unnamed));
        let same: Columns<'_> = &[("string", "b")];
        let mut other = with_columns("refused", &[same, same]);
        wrong.push(("same", other.clone()));
        other["spec"]["versions"][0]["additionalPrinterColumns"][0]["jsonPath"] = json!("c");
        wrong.push(("other", other));
        for (name, definition) in wrong {
            let (code, answer) = r.ask("POST", &path, JSON, &definition).await;
            let told = if code == 201 { Value::Null } else { answer };
            r.note(name, code, told);
        }
    })
}
