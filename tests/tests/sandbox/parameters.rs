//! Cases: parameters of requests that are no numbers, or no plain yes or no.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::recorder::{APPLY, Case, JSON, MAPS, Recorder};

pub(crate) const CASES: &[Case] = &[
    ("parameters_of_reads", parameters_of_reads),
    ("parameters_of_writes", parameters_of_writes),
];

/// Whether a good answer is a list or a watch, and of how many; a refusal as it is.
fn form(code: u16, answer: Value) -> Value {
    if code != 200 {
        return answer;
    }
    match answer["items"].as_array() {
        Some(items) => json!(["list", items.len()]),
        None => json!(["watch", answer["type"]]),
    }
}

fn parameters_of_reads(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for name in ["a", "kube-root-ca.crt"] {
            let body = json!({"metadata": {"name": name, "labels": {"of": "case"}}});
            r.ask("POST", MAPS, JSON, &body).await;
        }
        let mine = "fieldSelector=metadata.name%3Da";
        for query in [
            "limit=x",
            "limit=",
            "limit=-1",
            "limit=1.5",
            "limit=%201",
            "limit=%2B1",
            "limit=0x1",
            "limit=007",
            "limit=99999999999999999999",
            "limit=x&timeoutSeconds=y",
            "timeoutSeconds=y",
            "timeoutSeconds=",
            "timeoutSeconds=1s",
            "timeoutSeconds=-1",
            "continue=x&limit=y",
            "labelSelector=%3D%3D&limit=y",
            "watch=true&timeoutSeconds=y",
            "watch=true&limit=y&timeoutSeconds=1",
            "watch=true&timeoutSeconds=1",
            "watch=yes&timeoutSeconds=1",
            "watch=&timeoutSeconds=1",
            "watch=TRUE&timeoutSeconds=1",
            "watch=1&timeoutSeconds=1",
            "watch=0&timeoutSeconds=1",
            "watch=False&timeoutSeconds=1",
            "watch=f&timeoutSeconds=1",
            "resourceVersion=x",
            "resourceVersion=-1",
            "watch=true&timeoutSeconds=1&resourceVersion=x",
        ] {
            let (code, answer) = r
                .ask("GET", &format!("{MAPS}?{mine}&{query}"), JSON, &Value::Null)
                .await;
            r.note(query, code, form(code, answer));
        }
        let (code, answer) = r
            .ask(
                "GET",
                "/api/v1/namespaces/NS/nones?limit=x",
                JSON,
                &Value::Null,
            )
            .await;
        r.note("no kind", code, answer);
    })
}

fn parameters_of_writes(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        r.ask("POST", &format!("{MAPS}?fieldManager=one"), JSON, &body)
            .await;
        let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "w"}});
        for force in ["false", "0", "no", "", "1"] {
            let path = format!("{MAPS}/a?fieldManager=two&dryRun=All&force={force}");
            let (code, _) = r.ask("PATCH", &path, APPLY, &applied).await;
            r.note(force, code, Value::Null);
        }
        for query in [
            "gracePeriodSeconds=x",
            "gracePeriodSeconds=-1",
            "gracePeriodSeconds=0",
            "gracePeriodSeconds=",
            "orphanDependents=x",
            "orphanDependents=x&propagationPolicy=Orphan",
            "propagationPolicy=x",
            "limit=x",
            "timeoutSeconds=x",
        ] {
            let (code, answer) = r
                .ask(
                    "DELETE",
                    &format!("{MAPS}/a?dryRun=All&{query}"),
                    JSON,
                    &Value::Null,
                )
                .await;
            r.note(query, code, answer);
            let (code, answer) = r
                .ask(
                    "DELETE",
                    &format!("{MAPS}?labelSelector=none&dryRun=All&{query}"),
                    JSON,
                    &Value::Null,
                )
                .await;
            r.note(&format!("{query} of all"), code, answer);
        }
    })
}
