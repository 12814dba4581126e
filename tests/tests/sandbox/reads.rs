//! Cases: values whose JSON type is right and that still cannot be read, and the one form in which
//! those that can be read are kept.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{APPLY, Case, DEPLOYMENTS, JSON, MAPS, MERGE, PATCH, Recorder, SECRETS, STRATEGIC},
    refuses::without_names,
    writes::deployment,
};

pub(crate) const CASES: &[Case] = &[("base64", base64), ("quantities", quantities)];

/// The object that a refusal quotes is written by each server in its own order.
fn without_value(answer: &Value) -> Value {
    let words = answer["message"].as_str().unwrap();
    let (before, rest) = words
        .split_once("\"{")
        .or(words.split_once("\"map["))
        .unwrap();
    let (_, after) = rest.rsplit_once("\": ").unwrap();
    let causes = answer["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes.iter().map(|it| &it["field"]).collect();
    json!([before, after, answer["reason"], fields])
}

/// Made and applied, new and over what is there.
fn base64(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for (kind, plural, field) in [
            ("Secret", SECRETS, "data"),
            ("ConfigMap", MAPS, "binaryData"),
        ] {
            for text in [
                "not base64!",
                "AAA",
                "AA=A",
                "A=",
                "AA=",
                "AA==\nAA==",
                "A\nAA",
            ] {
                let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
                body[field] = json!({ "k": text });
                let path = format!("{plural}?dryRun=All&fieldManager=tester");
                let (code, answer) = r.ask("POST", &path, JSON, &body).await;
                r.note(&format!("{kind} {text:?}"), code, without_names(r, answer));
                let path = format!("{plural}/a?dryRun=All&fieldManager=tester");
                let (code, answer) = r.ask("PATCH", &path, APPLY, &body).await;
                r.note(
                    &format!("{kind} {text:?} applied"),
                    code,
                    without_names(r, answer),
                );
            }
            for text in ["AB==", "A\nA=\r\n=\n"] {
                let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
                body[field] = json!({ "k": text });
                let path = format!("{plural}/a?dryRun=All&fieldManager=tester");
                let (code, answer) = r.ask("PATCH", &path, APPLY, &body).await;
                r.note(
                    &format!("{kind} {text:?} kept"),
                    code,
                    answer[field].clone(),
                );
            }
            let good = json!({"metadata": {"name": "there"}});
            r.ask("POST", plural, JSON, &good).await;
            let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "there"}});
            body[field] = json!({"k": "not base64!"});
            let path = format!("{plural}/there?fieldManager=tester");
            r.step("applied over", "PATCH", &path, APPLY, body.clone())
                .await;
            let add = json!([{"op": "add", "path": format!("/{field}"), "value": {"k": "AAA"}}]);
            for (name, kind, patch) in [
                ("merged", MERGE, &body),
                ("merged by type", STRATEGIC, &body),
                ("patched", PATCH, &add),
            ] {
                let (code, answer) = r.ask("PATCH", &path, kind, patch).await;
                r.note(name, code, without_value(&answer));
            }
        }
    })
}

/// Quantities are kept in one form.
fn quantities(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{DEPLOYMENTS}?dryRun=All");
        for (cpu, memory) in [
            (json!("1000m"), json!("1024Mi")),
            (json!("0.5"), json!("1.5Gi")),
            (json!(2), json!("1000k")),
            (json!("1500m"), json!("0.5Ki")),
            (json!("1e3"), json!("12e6")),
            (json!("0.1"), json!("100M")),
            (json!("0"), json!("1000000")),
        ] {
            let mut body = deployment("a", "nginx:1");
            let amounts = json!({"limits": {"cpu": cpu, "memory": memory}});
            body["spec"]["template"]["spec"]["containers"][0]["resources"] = amounts.clone();
            let (code, answer) = r.ask("POST", &path, JSON, &body).await;
            let at = "/spec/template/spec/containers/0/resources";
            r.note(
                &amounts.to_string(),
                code,
                answer.pointer(at).unwrap().clone(),
            );
        }
        let applied = format!("{DEPLOYMENTS}/a?dryRun=All&fieldManager=tester");
        for cpu in [json!("abc"), json!(""), json!("1x"), json!(1.5)] {
            let mut body = deployment("a", "nginx:1");
            let amounts = json!({"limits": {"cpu": cpu}});
            body["spec"]["template"]["spec"]["containers"][0]["resources"] = amounts.clone();
            for (method, path, kind) in [("POST", &path, JSON), ("PATCH", &applied, APPLY)] {
                let (code, answer) = r.ask(method, path, kind, &body).await;
                let name = format!("{method} {amounts}");
                r.note(&name, code, without_names(r, answer));
            }
        }
        let there = format!("{DEPLOYMENTS}/there");
        r.ask("POST", DEPLOYMENTS, JSON, &deployment("there", "nginx:1"))
            .await;
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "main", "image": "x", "resources": {"limits": {"cpu": "abc"}}}]}}}});
        for kind in [MERGE, STRATEGIC] {
            let (code, answer) = r.ask("PATCH", &there, kind, &patch).await;
            r.note(kind, code, without_value(&answer));
        }
    })
}
