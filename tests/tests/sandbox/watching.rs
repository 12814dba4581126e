//! Cases: watches.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::recorder::{Case, DEFINITIONS, JSON, MAPS, MERGE, Recorder};

pub(crate) const CASES: &[Case] = &[
    ("watch_events", watch_events),
    ("watch_initial", watch_initial),
    ("watch_bookmark", watch_bookmark),
];

/// Cases that run after all others.
pub(crate) const LAST: &[Case] = &[("watch_expired", watch_expired)];

/// The lines of a watch that ends by itself, without bookmarks that a server sends when it likes.
async fn lines(r: &mut Recorder, query: &str) -> Value {
    let path = format!("{MAPS}?watch=true&timeoutSeconds=1&{query}");
    let (_, answer) = r.ask("GET", &path, JSON, &Value::Null).await;
    let mut lines = match &answer["lines"] {
        // One line reads as a document.
        Value::Null if answer.is_object() => vec![answer],
        lines => lines.as_array().cloned().unwrap_or_default(),
    };
    lines.retain(|line| {
        let metadata = &line["object"]["metadata"];
        line["type"] != "BOOKMARK" || metadata["annotations"].is_object()
    });
    json!(lines)
}

fn watch_events(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let list = r.ask("GET", MAPS, JSON, &Value::Null).await.1;
        let from = list["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned();
        let label = |value: Value| json!({"metadata": {"labels": {"watched": value}}});
        let mut body = label(json!("yes"));
        body["metadata"]["name"] = json!("a");
        r.ask("POST", MAPS, JSON, &body).await;
        let one = format!("{MAPS}/a?fieldManager=tester");
        r.ask("PATCH", &one, MERGE, &json!({"data": {"k": "v"}}))
            .await;
        r.ask("PATCH", &one, MERGE, &label(Value::Null)).await;
        r.ask("PATCH", &one, MERGE, &label(json!("again"))).await;
        r.ask("DELETE", &format!("{MAPS}/a"), JSON, &Value::Null)
            .await;
        let quiet = json!({"metadata": {"name": "quiet"}});
        r.ask("POST", MAPS, JSON, &quiet).await;
        let seen = lines(r, &format!("resourceVersion={from}&labelSelector=watched")).await;
        r.note("selected", 200, seen);
        let seen = lines(
            r,
            &format!("resourceVersion={from}&fieldSelector=metadata.name%3Dquiet"),
        )
        .await;
        r.note("by name", 200, seen);
        let path = format!(
            "{MAPS}?watch=true&timeoutSeconds=1&resourceVersion={from}&labelSelector=watched"
        );
        let form = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let (code, seen) = r.ask_as("GET", &path, JSON, form, &Value::Null).await;
        r.note("metadata", code, seen);
    })
}

fn watch_initial(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for name in ["b", "a"] {
            let body = json!({"metadata": {"name": name, "labels": {"watched": "yes"}}});
            r.ask("POST", MAPS, JSON, &body).await;
        }
        let seen = lines(r, "labelSelector=watched").await;
        r.note("from nothing", 200, seen);
        let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=watched";
        let seen = lines(r, query).await;
        r.note("streamed list", 200, seen);
    })
}

/// A long watch tells where it stands before it ends, though nothing happens to its objects.
fn watch_bookmark(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let list = r.ask("GET", MAPS, JSON, &Value::Null).await.1;
        let from = list["metadata"]["resourceVersion"].as_str().unwrap();
        for marks in ["true", "false"] {
            let path = format!(
                "{MAPS}?watch=true&timeoutSeconds=5&resourceVersion={from}&labelSelector=none&allowWatchBookmarks={marks}"
            );
            let (code, seen) = r.ask("GET", &path, JSON, &Value::Null).await;
            let bookmark = seen["type"] == "BOOKMARK"
                || seen["lines"]
                    .as_array()
                    .is_some_and(|it| it.iter().all(|it| it["type"] == "BOOKMARK"));
            let seen = if seen["lines"].is_array() {
                seen["lines"][0].clone()
            } else {
                seen
            };
            r.note(marks, code, json!([bookmark, seen["object"]]));
        }
    })
}

/// What the server no longer remembers: the kind is younger than the revision that is asked for,
/// and on the sandbox much has happened since.
fn watch_expired(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let definition = json!({
            "metadata": {"name": "relics.expired.example"},
            "spec": {"group": "expired.example", "scope": "Namespaced",
                "names": {"plural": "relics", "kind": "Relic"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}]},
        });
        r.ask("POST", DEFINITIONS, JSON, &definition).await;
        let relics = "/apis/expired.example/v1/namespaces/NS/relics";
        r.wait("served", relics, |code, _| code == 200).await;
        for name in ["a", "b", "c"] {
            let body = json!({"metadata": {"name": name}, "data": {"k": "x".repeat(300_000)}});
            let (code, _) = r.ask("POST", MAPS, JSON, &body).await;
            r.note(name, code, Value::Null);
        }
        let path = format!("{relics}?watch=true&timeoutSeconds=1&resourceVersion=1");
        let (code, answer) = r.ask("GET", &path, JSON, &Value::Null).await;
        let status = &answer["object"];
        let words = status["message"].as_str().unwrap_or_default();
        let words = words.split('(').next().unwrap_or_default();
        let said = json!([
            answer["type"],
            status["kind"],
            status["code"],
            status["reason"],
            words
        ]);
        r.note("watch", code, said);
    })
}
