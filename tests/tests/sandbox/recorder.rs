//! One run of one case on one server: requests through a `kube::Client`, answers written down.
//!
//! Owns what two servers may choose freely (uids, versions, times) and takes it out, so that what
//! is left must be the same: equal uids stay equal, different ones different.

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;
use http::Request;
use kube::client::Body;
use serde_json::{Value, json};
use tidegate_tests::harness::eventually;

/// A case: what is asked, in order.
pub(crate) type Case = (
    &'static str,
    for<'a> fn(&'a mut Recorder) -> BoxFuture<'a, ()>,
);

/// How long a consequence may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const PATCH: &str = "application/json-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

// Where objects are; `NS` stands for the namespace of the case.
pub(crate) const MAPS: &str = "/api/v1/namespaces/NS/configmaps";
pub(crate) const SECRETS: &str = "/api/v1/namespaces/NS/secrets";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/NS/services";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/NS/deployments";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A server and what it answered.
pub(crate) struct Recorder {
    client: kube::Client,
    /// A namespace of this case's own.
    pub(crate) namespace: String,
    answers: Vec<(String, u16, Value)>,
}

impl Recorder {
    /// Makes the case's namespace.
    pub(crate) async fn new(client: kube::Client, case: &str) -> Self {
        let namespace = format!("case-{}", case.replace('_', "-"));
        let recorder = Self {
            client,
            namespace,
            answers: Vec::new(),
        };
        let body = json!({"metadata": {"name": recorder.namespace}});
        let (code, answer) = recorder
            .ask("POST", "/api/v1/namespaces", JSON, &body)
            .await;
        assert_eq!(code, 201, "{answer}");
        recorder
    }

    /// The same case on another server, which has its namespace already.
    pub(crate) fn on(self, client: kube::Client) -> Self {
        Self { client, ..self }
    }

    /// The same case on another server too.
    pub(crate) fn also_on(&self, client: kube::Client) -> Self {
        let (namespace, answers) = (self.namespace.clone(), Vec::new());
        Self {
            client,
            namespace,
            answers,
        }
    }

    /// Asks without writing down.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> (u16, Value) {
        self.ask_as(method, path, kind, "application/json", body)
            .await
    }

    /// The content type of an answer.
    pub(crate) async fn kind_of(&self, path: &str, accept: &str) -> String {
        let path = path.replace("NS", &self.namespace);
        let request = Request::get(path).header("accept", accept);
        let request = request.body(Body::empty()).unwrap();
        let response = self.client.send(request).await.unwrap();
        let kind = response.headers().get("content-type");
        kind.unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) async fn ask_as(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        accept: &str,
        body: &Value,
    ) -> (u16, Value) {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string().into_bytes())
        };
        let request = Request::builder()
            .method(method)
            .uri(path.replace("NS", &self.namespace))
            .header("content-type", kind)
            .header("accept", accept)
            .body(body)
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let answer = serde_json::from_str(&text).unwrap_or_else(|_| {
            // The lines of a watch, or plain words.
            let lines = text.lines().map(serde_json::from_str);
            let lines: Result<Vec<Value>, _> = lines.collect();
            lines.map_or_else(|_| json!(text), |lines| json!({ "lines": lines }))
        });
        (code, answer)
    }

    /// Asks and writes the answer down under a name.
    pub(crate) async fn step(
        &mut self,
        name: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: Value,
    ) -> Value {
        let (code, answer) = self.ask(method, path, kind, &body).await;
        self.note(name, code, answer.clone());
        answer
    }

    pub(crate) async fn get(&mut self, name: &str, path: &str) -> Value {
        self.step(name, "GET", path, JSON, Value::Null).await
    }

    /// Writes something down.
    pub(crate) fn note(&mut self, name: &str, code: u16, answer: Value) {
        self.answers.push((name.to_owned(), code, answer));
    }

    /// Waits until an object is as `ready` says, and writes it down.
    pub(crate) async fn until(
        &mut self,
        name: &str,
        path: &str,
        ready: impl Fn(u16, &Value) -> bool,
    ) -> Value {
        let (code, answer) = self.wait(name, path, ready).await;
        self.note(name, code, answer.clone());
        answer
    }

    /// Waits until an object is as `ready` says.
    pub(crate) async fn wait(
        &self,
        name: &str,
        path: &str,
        ready: impl Fn(u16, &Value) -> bool,
    ) -> (u16, Value) {
        let seen = eventually(name, PATIENCE, || async {
            let (code, answer) = self.ask("GET", path, JSON, &Value::Null).await;
            if ready(code, &answer) {
                Ok((code, answer))
            } else {
                Err(format!("{code} {answer}"))
            }
        });
        seen.await.unwrap()
    }

    /// The answers without what a server chooses freely.
    pub(crate) fn finish(self) -> BTreeMap<String, Value> {
        let mut names = Names::default();
        let mut all = BTreeMap::new();
        for (index, (name, code, mut answer)) in self.answers.into_iter().enumerate() {
            names.collect(&answer);
            names.replace(&mut answer);
            let step = format!("{index:02} {name}");
            all.insert(step, json!({"code": code, "body": answer}));
        }
        all
    }
}

/// Names for what was seen, in the order in which it was seen.
#[derive(Default)]
struct Names {
    uids: Vec<String>,
    versions: Vec<String>,
}

impl Names {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let into = match (&**key, value) {
                        ("uid", Value::String(_)) => &mut self.uids,
                        // A list's version is the whole server's.
                        ("resourceVersion", Value::String(_)) if map.contains_key("uid") => {
                            &mut self.versions
                        }
                        _ => {
                            self.collect(value);
                            continue;
                        }
                    };
                    let text = value.as_str().unwrap_or_default();
                    if !text.is_empty() && !into.iter().any(|it| it == text) {
                        into.push(text.to_owned());
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                let named = map.contains_key("uid");
                // Owners are named by uid in the sets of fields.
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| (self.renamed(&key), value))
                    .collect();
                for (key, value) in map.iter_mut() {
                    if let ("managedFields", Value::Array(entries)) = (&**key, &mut *value) {
                        // The order of entries follows the second in which each was written.
                        entries.sort_by_key(|it| {
                            ["manager", "operation", "subresource"]
                                .map(|field| it[field].to_string())
                        });
                    }
                    if let ("causes", Value::Array(causes)) = (&**key, &mut *value) {
                        // A real server writes them in the order of a Go map.
                        causes.sort_by_key(Value::to_string);
                    }
                    if key == "resourceVersion" && value.is_string() {
                        let text = value.as_str().unwrap_or_default();
                        let known = self.versions.iter().position(|it| it == text);
                        *value = match known {
                            Some(known) if named => json!(format!("<version {known}>")),
                            _ => json!("<version>"),
                        };
                    } else {
                        self.replace(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::String(text) => *text = self.renamed(text),
            _ => {}
        }
    }

    fn renamed(&self, text: &str) -> String {
        if text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T' {
            return "<time>".to_owned();
        }
        let mut text = text.to_owned();
        for (number, uid) in self.uids.iter().enumerate() {
            text = text.replace(uid, &format!("<uid {number}>"));
        }
        for (number, version) in self.versions.iter().enumerate() {
            text = text.replace(&format!("({version})"), &format!("(<version {number}>)"));
        }
        text
    }
}
