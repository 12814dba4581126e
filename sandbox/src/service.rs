//! HTTP in, HTTP out: paths, parameters, bodies, and the stream of a watch.
//!
//! Owns the mapping of a request to the core and of its answer to a response. Never decides.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::{
    call::{Call, read, version},
    route::{Route, route},
};
use crate::{
    answer::Refusal,
    cluster::{Cluster, Target},
    discovery,
    lists::{Page, list, shown},
    openapi,
    sandbox::Sandbox,
    watches::Watch,
    writes::{self, WriteOptions},
};

mod call;
mod route;
mod stream;

/// Tells clients which of the two forms of discovery they got.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The content type of a server-side apply.
const APPLY: &str = "application/apply-patch+yaml";

/// A good answer.
enum Answer {
    Document(u16, Value),
    Aggregated(Value),
    Text(&'static str),
    Watch(Box<Watch>, Vec<u8>, Option<Duration>),
}

/// Answers one request.
pub(crate) async fn answer(sandbox: &Sandbox, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let mut warning = None;
    let result = match read(request).await {
        Ok(call) => {
            warning = unjudged(&path, &call);
            sandbox.with(|cluster, now| dispatch(cluster, &path, &call, now))
        }
        Err(refusal) => Err(refusal),
    };
    let mut response = respond(sandbox, result);
    if let Some(warning) = warning.filter(|_| response.status().is_success()) {
        let warning = header::HeaderValue::from_static(warning);
        response.headers_mut().insert(header::WARNING, warning);
    }
    response
}

/// What a good answer does not tell: rules of a definition that the sandbox does not judge by.
fn unjudged(path: &str, call: &Call) -> Option<&'static str> {
    let definition = path.contains("/customresourcedefinitions") && call.method != Method::GET;
    let said = |what: &str| {
        let mut parts = call.body.windows(what.len());
        parts.any(|part| part == what.as_bytes())
    };
    (definition && said("x-kubernetes-validations"))
        .then_some("299 - \"the sandbox does not evaluate x-kubernetes-validations\"")
}

fn respond(sandbox: &Sandbox, result: Result<Answer, Refusal>) -> Response<Body> {
    match result {
        Ok(Answer::Document(code, document)) => json_response(code, &document),
        Ok(Answer::Aggregated(document)) => {
            response(200, AGGREGATED, Body::from(document.to_string()))
        }
        Ok(Answer::Text(text)) => response(200, "text/plain; charset=utf-8", Body::from(text)),
        Ok(Answer::Watch(watch, first, timeout)) => {
            let lines = stream::lines(sandbox.clone(), *watch, first, timeout);
            response(200, "application/json", Body::from_stream(lines))
        }
        Err(refusal) => match refusal.plain() {
            Some(text) => response(
                refusal.code,
                "text/plain; charset=utf-8",
                Body::from(text.to_owned()),
            ),
            None => json_response(refusal.code, &refusal.status()),
        },
    }
}

fn json_response(code: u16, document: &Value) -> Response<Body> {
    response(code, "application/json", Body::from(document.to_string()))
}

fn response(code: u16, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn dispatch(
    cluster: &mut Cluster,
    path: &str,
    call: &Call,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let accept = &call.accept;
    if !(accept.is_empty() || accept.contains("json") || accept.contains("*/*")) {
        return Err(Refusal::not_acceptable(accept));
    }
    let aggregated = accept.contains("g=apidiscovery.k8s.io;v=v2;");
    let found = |document: Option<Value>| document.ok_or_else(Refusal::unserved);
    let document = match route(cluster, path)? {
        Route::Healthy => return Ok(Answer::Text("ok")),
        Route::Object(target) => return object(cluster, &target, call, now),
        Route::Scale(target) => return scale(cluster, &target, call, now),
        Route::Collection(target) => return collection(cluster, &target, call, now),
        _ if call.method != Method::GET => return Err(Refusal::method_not_allowed()),
        Route::Version => discovery::version(),
        Route::Core if aggregated => {
            return Ok(Answer::Aggregated(discovery::aggregated(cluster, true)));
        }
        Route::Core => discovery::core_versions(),
        Route::Groups if aggregated => {
            return Ok(Answer::Aggregated(discovery::aggregated(cluster, false)));
        }
        Route::Groups => discovery::group_list(cluster),
        Route::Group(name) => {
            let mut group = discovery::group(cluster, &name).ok_or_else(Refusal::nowhere)?;
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
        Route::OpenApi => openapi::index(cluster),
        Route::Schemas(group, version) => {
            let document = openapi::document(cluster, &group, &version);
            document.ok_or_else(Refusal::nowhere)?
        }
        Route::Kinds(group, version) => found(discovery::resource_list(cluster, &group, &version))?,
    };
    Ok(Answer::Document(200, document))
}

/// Requests about one object.
fn object(
    cluster: &mut Cluster,
    target: &Target,
    call: &Call,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let options = call.write_options(now)?;
    let (code, object) = match call.method {
        Method::GET => {
            let stored = cluster
                .store
                .get(&target.resource.id, &target.namespace, &target.name)
                .ok_or_else(|| Refusal::not_found(&target.resource, &target.name))?;
            (200, shown(target, call.form(target, now)?, stored))
        }
        Method::PUT => {
            let object = call.document()?;
            (200, writes::replace(cluster, target, object, &options)?)
        }
        Method::PATCH => patch(cluster, target, call, &options)?,
        Method::DELETE if !target.status => {
            let (delete, options) = call.delete_options(options)?;
            (200, writes::delete(cluster, target, &delete, &options)?)
        }
        _ => return Err(Refusal::method_not_allowed()),
    };
    Ok(Answer::Document(code, object))
}

fn patch(
    cluster: &mut Cluster,
    target: &Target,
    call: &Call,
    options: &WriteOptions,
) -> Result<(u16, Value), Refusal> {
    if call.content == APPLY {
        if call.says("fieldManager").is_empty() {
            return Err(Refusal::unmanaged());
        }
        let (object, new) = writes::apply(cluster, target, call.document()?, options)?;
        return Ok((if new { 201 } else { 200 }, object));
    }
    let patch = call.patch(target)?;
    Ok((200, writes::patch(cluster, target, &patch, options)?))
}

/// Requests about the replicas of one object.
fn scale(
    cluster: &mut Cluster,
    target: &Target,
    call: &Call,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let options = call.write_options(now)?;
    let scale = match call.method {
        Method::GET => writes::scale::read(cluster, target)?,
        Method::PUT => {
            let scale = call.document()?;
            writes::scale::write(cluster, target, |_| Ok(scale), &options)?
        }
        Method::PATCH if call.content == APPLY => {
            return Err(Refusal::unsupported("server-side apply of a scale"));
        }
        Method::PATCH => {
            let patch = call.patch(target)?;
            let change = |scale| writes::scale::patched(scale, &patch);
            writes::scale::write(cluster, target, change, &options)?
        }
        _ => return Err(Refusal::method_not_allowed()),
    };
    Ok(Answer::Document(200, scale))
}

/// Requests about the objects of a kind.
fn collection(
    cluster: &mut Cluster,
    target: &Target,
    call: &Call,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    match call.method {
        Method::GET if call.yes("watch") => watch(cluster, target, call, now),
        Method::GET => {
            let (_, limit) = call.bounds()?;
            version(call.says("resourceVersion")).map_err(|error| {
                Refusal::bad_request(format!("invalid resource version: {error}"))
            })?;
            let selection = call.selection(target)?;
            let page = Page {
                limit,
                after: call.says("continue").to_owned(),
            };
            let list = list(cluster, target, &selection, call.form(target, now)?, &page)?;
            Ok(Answer::Document(200, list))
        }
        Method::POST => {
            if target.resource.namespaced && target.namespace.is_empty() {
                return Err(Refusal::method_not_allowed());
            }
            let options = call.write_options(now)?;
            let object = writes::create(cluster, target, call.document()?, &options)?;
            Ok(Answer::Document(201, object))
        }
        Method::DELETE => {
            let everywhere = target.resource.namespaced && target.namespace.is_empty();
            if everywhere || &*target.resource.id == "namespaces" {
                return Err(Refusal::method_not_allowed());
            }
            call.bounds()?;
            let (how, options) = call.delete_options(call.write_options(now)?)?;
            let selection = call.selection(target)?;
            let list = writes::collection(cluster, target, &selection, &how, &options)?;
            Ok(Answer::Document(200, list))
        }
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn watch(
    cluster: &Cluster,
    target: &Target,
    call: &Call,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let (timeout, _) = call.bounds()?;
    let mut watch = Watch {
        target: target.clone(),
        selection: call.selection(target)?,
        form: call.form(target, now)?,
        bookmarks: call.yes("allowWatchBookmarks"),
        position: 0,
    };
    let from = call.says("resourceVersion");
    let initial = call.says("sendInitialEvents");
    let first = if from.is_empty() || from == "0" || initial == "true" {
        watch.begin(cluster, watch.bookmarks)
    } else {
        let position = version(from).map_err(Refusal::untyped)?;
        let latest = cluster.store.revision();
        if position > latest {
            // Of an earlier life of this cluster: the client must list again.
            return Err(Refusal::expired(position, latest));
        }
        watch.position = position;
        Vec::new()
    };
    Ok(Answer::Watch(Box::new(watch), first, timeout))
}
