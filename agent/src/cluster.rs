//! Calls of the API server: raw objects in and out, each call with a deadline, no hidden retry.
//!
//! Owns the client, discovery and the sorting of failures. Never decides what to apply or delete.
//! The retries that the client library adds by default can hold a call for minutes, so they are
//! off: the next pass of the reconciler is the retry (facts "agent-reconcile" §0 item 10).

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Client, Resource as _,
    api::{
        DeleteParams, DynamicObject, GetParams, ListParams, Patch, PatchParams, PostParams,
        Preconditions, PropagationPolicy, ValidationDirective,
    },
    core::Request,
};
use serde_json::{Value, json};
use tidegate_model::{names::FIELD_MANAGER, object::ObjectId};
use tokio::{sync::Semaphore, time::Instant};

pub use self::{
    discovery::{Discovery, Kind},
    error::{Class, Error},
};
use crate::clock;

mod discovery;
mod error;
mod existence;

/// Objects in one page of a list.
const PAGE: u32 = 500;
/// Calls at the same time, watches left out.
const MOST_CALLS: usize = 32;

/// A client without hidden retries.
pub fn connect(mut config: kube::Config) -> Result<Client, Error> {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    // A watch is quiet for minutes; each other call has its own, shorter deadline.
    config.read_timeout = Some(Duration::from_mins(5));
    config.write_timeout = Some(Duration::from_mins(1));
    Client::try_from(config).map_err(|error| Error::of("connect", error))
}

/// The cluster, as the reconciler uses it. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    limit: Duration,
    discovery: Arc<Mutex<(Arc<Discovery>, Option<Instant>)>>,
    /// Calls in flight, so that many applications at once do not flood the API server.
    calls: Arc<Semaphore>,
    /// Held while discovery is read, so that many waiters cost one read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Calls through `client`, each at most `limit` long.
    pub fn new(client: Client, limit: Duration) -> Self {
        Self {
            client,
            limit,
            discovery: Arc::default(),
            calls: Arc::new(Semaphore::new(MOST_CALLS)),
            reading: Arc::default(),
        }
    }

    /// The client, for watches.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    async fn limited<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        // Never closed, so this waits for its turn and nothing else.
        let _turn = self.calls.acquire().await;
        match tokio::time::timeout(self.limit, call).await {
            Ok(answer) => answer.map_err(|error| Error::of(action, error)),
            Err(_) => Err(Error::Timeout {
                action,
                limit: self.limit,
            }),
        }
    }

    async fn call(
        &self,
        action: &'static str,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Error> {
        let request =
            request.map_err(|error| Error::of(action, kube::Error::BuildRequest(error)))?;
        // Not `request`: that one logs an answer it cannot read, which can be a Secret.
        let text = self
            .limited(action, self.client.request_text(request))
            .await?;
        serde_json::from_str(&text).map_err(|source| Error::Unreadable { action, source })
    }

    /// The live object, or `None` if there is none.
    pub async fn get(&self, kind: &Kind, id: &ObjectId) -> Result<Option<Value>, Error> {
        match self
            .call(
                "read",
                at(kind, &id.namespace).get(&id.name, &GetParams::default()),
            )
            .await
        {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Server-side apply under our manager; conflicts are forced, so adoption must be decided
    /// before. Unknown and duplicate fields are refused.
    pub async fn apply(
        &self,
        kind: &Kind,
        id: &ObjectId,
        body: &Value,
        dry_run: bool,
    ) -> Result<Value, Error> {
        let params = PatchParams {
            dry_run,
            force: true,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let action = if dry_run { "apply (dry run)" } else { "apply" };
        let request = at(kind, &id.namespace).patch(&id.name, &params, &Patch::Apply(body));
        self.call(action, request).await
    }

    /// JSON merge patch (RFC 7386).
    pub async fn merge(&self, kind: &Kind, id: &ObjectId, patch: &Value) -> Result<Value, Error> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = at(kind, &id.namespace).patch(&id.name, &params, &Patch::Merge(patch));
        self.call("patch", request).await
    }

    /// Makes an object that must not be there yet.
    pub async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: &Value,
    ) -> Result<Value, Error> {
        let request = at(kind, namespace).create(&post(), object.to_string().into_bytes());
        self.call("create", request).await
    }

    /// Replaces an object; its `resourceVersion` must be the one in the cluster.
    pub async fn replace(
        &self,
        kind: &Kind,
        id: &ObjectId,
        object: &Value,
    ) -> Result<Value, Error> {
        let request =
            at(kind, &id.namespace).replace(&id.name, &post(), object.to_string().into_bytes());
        self.call("replace", request).await
    }

    /// Asks for the deletion of exactly this object in exactly this version of it; dependents are
    /// collected in the background.
    pub async fn delete(
        &self,
        kind: &Kind,
        id: &ObjectId,
        uid: &str,
        resource_version: &str,
    ) -> Result<(), Error> {
        let exactly = Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: Some(resource_version.to_owned()),
        };
        self.delete_if(kind, id, Some(exactly)).await
    }

    /// Deletes whatever has this name: for names that hold one content only.
    pub async fn delete_named(&self, kind: &Kind, id: &ObjectId) -> Result<(), Error> {
        self.delete_if(kind, id, None).await
    }

    async fn delete_if(
        &self,
        kind: &Kind,
        id: &ObjectId,
        preconditions: Option<Preconditions>,
    ) -> Result<(), Error> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions,
            ..DeleteParams::default()
        };
        self.call("delete", at(kind, &id.namespace).delete(&id.name, &params))
            .await
            .map(drop)
    }

    /// Every object with this label, in all namespaces or one; metadata alone if asked.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: &str,
        selector: &str,
        metadata: bool,
    ) -> Result<Vec<Value>, Error> {
        let mut params = ListParams::default().labels(selector).limit(PAGE);
        let mut all = Vec::new();
        loop {
            let request = at(kind, namespace);
            let request = if metadata {
                request.list_metadata(&params)
            } else {
                request.list(&params)
            };
            let mut page = self.call("list", request).await?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                all.extend(items);
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => params = params.continue_token(token),
                _ => return Ok(all),
            }
        }
    }

    /// Whether more objects of a kind exist than `known`, wherever they are.
    pub async fn has_more_than(&self, kind: &Kind, known: usize) -> Result<bool, Error> {
        let limit = u32::try_from(known + 1).unwrap_or(u32::MAX);
        let page = self
            .call(
                "list",
                at(kind, "").list_metadata(&ListParams::default().limit(limit)),
            )
            .await?;
        Ok(page
            .get("items")
            .and_then(Value::as_array)
            .is_some_and(|items| items.len() > known))
    }

    /// What is known about kinds now, without a call.
    pub fn discovery(&self) -> Arc<Discovery> {
        self.discovery
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// Reads discovery unless it was read less than `age` ago; a failure leaves it stale, and the
    /// next who asks reads again.
    pub async fn discover(&self, age: Duration) -> Arc<Discovery> {
        let asked = clock::monotonic();
        let _reading = self.reading.lock().await;
        let (known, read) = self
            .discovery
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let is_young = |read: Instant| {
            known.is_complete() && asked.saturating_duration_since(read) < age || read > asked
        };
        if read.is_some_and(is_young) {
            return known;
        }
        let lists = async {
            let (core, groups) = futures::future::join(
                self.client.list_core_api_versions_aggregated(),
                self.client.list_api_groups_aggregated(),
            )
            .await;
            Ok([core?, groups?])
        };
        let lists = self.limited("discover", lists).await;
        let mut next = Discovery::clone(&known);
        match lists {
            Ok(lists) => next.update(lists),
            Err(error) => {
                tracing::warn!(%error, "failed to discover kinds; what was known before is used");
                next.fail();
            }
        }
        let next = Arc::new(next);
        let mut kept = self
            .discovery
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = (next.clone(), Some(clock::monotonic()));
        next
    }

    /// The server's version, for example `v1.33.2`.
    pub async fn version(&self) -> Result<String, Error> {
        let info = self
            .limited("read the version", self.client.apiserver_version())
            .await?;
        Ok(info.git_version)
    }
}

fn at(kind: &Kind, namespace: &str) -> Request {
    let namespace = (!namespace.is_empty()).then_some(namespace);
    Request::new(DynamicObject::url_path(&kind.resource, namespace))
}

fn post() -> PostParams {
    PostParams {
        dry_run: false,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}

/// A Secret of the agent itself: the one kind it needs before discovery.
pub(crate) fn core_kind(kind: &str, plural: &str, scope: crate::manifest::Scope) -> Kind {
    Kind {
        resource: kube::api::ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        },
        scope,
        watchable: true,
    }
}

/// `metadata.<field>` as text.
pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    let value = object
        .get("metadata")
        .and_then(|metadata| metadata.get(field));
    value.and_then(Value::as_str).unwrap_or_default()
}

/// A body that applies only onto exactly this live object, unchanged since it was read.
pub(crate) fn guarded(body: &Value, live: &Value) -> Value {
    let mut guarded = body.clone();
    if let Some(metadata) = guarded.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion"] {
            metadata.insert(field.to_owned(), json!(meta(live, field)));
        }
    }
    guarded
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::{Request, Response, StatusCode};
    use kube::client::Body;

    use super::*;

    #[tokio::test]
    async fn discovery_that_failed_is_read_again_by_the_next_who_asks() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let server = tower::service_fn(move |_: Request<Body>| {
            let is_down = counted.fetch_add(1, Ordering::Relaxed) < 2;
            let status = if is_down {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            };
            let list = json!({"items": [{"metadata": {"name": "g"}, "versions": []}]});
            let mut answer = Response::new(Body::from(list.to_string().into_bytes()));
            *answer.status_mut() = status;
            async move { Ok::<_, std::io::Error>(answer) }
        });
        let cluster = Cluster::new(Client::new(server, "default"), Duration::from_secs(5));
        let age = Duration::from_mins(1);
        assert!(!cluster.discover(age).await.is_complete());
        assert!(cluster.discover(age).await.is_complete());
        let after_two = calls.load(Ordering::Relaxed);
        assert!(cluster.discover(age).await.is_complete());
        assert_eq!(calls.load(Ordering::Relaxed), after_two, "it was young");
        cluster.discover(Duration::ZERO).await;
        assert!(calls.load(Ordering::Relaxed) > after_two);
    }
}
