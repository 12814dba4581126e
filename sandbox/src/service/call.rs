//! What a request says: its body, and its parameters as a server reads them.
//!
//! Owns forms and words of what cannot be read. Never looks at a cluster.

use std::{
    collections::BTreeMap,
    num::{IntErrorKind, ParseIntError},
    time::Duration,
};

use axum::{body::Body, extract::Query};
use bytes::Bytes;
use http::{Method, Request, header};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    answer::Refusal,
    cluster::Target,
    lists::{Form, Selection, With},
    tables,
    writes::{DeleteOptions, Patch, Validation, WriteOptions},
};

/// Bytes of a body; the real server's limit.
const LARGEST: usize = 3 * 1024 * 1024;

/// A request, read.
pub(super) struct Call {
    pub(super) method: Method,
    query: BTreeMap<String, String>,
    pub(super) accept: String,
    /// The content type without its parameters.
    pub(super) content: String,
    agent: String,
    pub(super) body: Bytes,
}

pub(super) async fn read(request: Request<Body>) -> Result<Call, Refusal> {
    let (parts, body) = request.into_parts();
    let text = |name: header::HeaderName| {
        let value = parts.headers.get(name).and_then(|it| it.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let query = Query::<BTreeMap<String, String>>::try_from_uri(&parts.uri)
        .map_err(|error| Refusal::bad_request(format!("the query cannot be read: {error}")))?;
    let body = axum::body::to_bytes(body, LARGEST).await.map_err(|error| {
        Refusal::bad_request(format!(
            "the body cannot be read or is above 3 MiB: {error}"
        ))
    })?;
    let kind = text(header::CONTENT_TYPE);
    Ok(Call {
        accept: text(header::ACCEPT),
        content: kind.split(';').next().unwrap_or_default().to_owned(),
        agent: text(header::USER_AGENT),
        method: parts.method,
        query: query.0,
        body,
    })
}

impl Call {
    pub(super) fn says(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// As a server reads it: whatever is said and does not say no.
    pub(super) fn yes(&self, name: &str) -> bool {
        let said = self.query.get(name);
        said.is_some_and(|it| it != "0" && !it.eq_ignore_ascii_case("false"))
    }

    /// A number, in the server's words if it is none.
    fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(said) = self.query.get(name) else {
            return Ok(None);
        };
        said.parse().map(Some).map_err(|error: ParseIntError| {
            let why = unreadable(&error);
            Refusal::bad_request(format!("strconv.ParseInt: parsing {said:?}: {why}"))
        })
    }

    /// How long a watch lasts and how much of a list is wanted; both are read of every request about
    /// a collection.
    pub(super) fn bounds(&self) -> Result<(Option<Duration>, usize), Refusal> {
        let (seconds, limit) = (self.number("timeoutSeconds")?, self.number("limit")?);
        let timeout = seconds.filter(|it| *it != 0);
        let timeout = timeout.map(|it| Duration::from_secs(it.try_into().unwrap_or(0)));
        let limit = limit.and_then(|it| it.try_into().ok());
        Ok((timeout, limit.unwrap_or(0)))
    }

    /// The first form of `accept` that the kind has.
    pub(super) fn form(&self, target: &Target, now: Timestamp) -> Result<Form, Refusal> {
        for kind in self.accept.split(',') {
            if kind.contains("as=PartialObjectMetadata") {
                return Ok(Form::Metadata);
            }
            if !kind.contains("as=Table") {
                return Ok(Form::Whole);
            }
            let version = target.served()?;
            if tables::columns(&target.resource, version).is_some() {
                let with = match self.says("includeObject") {
                    "None" => With::Nothing,
                    "Object" => With::Object,
                    _ => With::Metadata,
                };
                return Ok(Form::Table {
                    now,
                    heads: true,
                    with,
                });
            }
        }
        let id = &target.resource.id;
        Err(Refusal::unsupported(&format!("tables of {id}")))
    }

    pub(super) fn selection(&self, target: &Target) -> Result<Selection, Refusal> {
        let (labels, fields) = (self.says("labelSelector"), self.says("fieldSelector"));
        Selection::read(target, labels, fields)
    }

    /// The body, which is JSON or YAML.
    pub(super) fn document(&self) -> Result<Value, Refusal> {
        if self.content.ends_with("protobuf") {
            return Err(Refusal::protobuf());
        }
        if self.content.ends_with("cbor") {
            return Err(Refusal::unsupported_media(&self.content));
        }
        if let Ok(value) = serde_json::from_slice(&self.body) {
            return Ok(value);
        }
        serde_yaml::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("the body cannot be read: {error}")))
    }

    /// A patch that is no apply.
    pub(super) fn patch(&self, target: &Target) -> Result<Patch, Refusal> {
        Ok(match &*self.content {
            "application/merge-patch+json" => Patch::Merge(self.document()?),
            "application/strategic-merge-patch+json" if !target.resource.custom => {
                Patch::Strategic(self.document()?)
            }
            "application/json-patch+json" => {
                let patch = serde_json::from_slice(&self.body);
                let patch = patch.map_err(|error| Refusal::bad_request(error.to_string()))?;
                Patch::Json(patch)
            }
            other => return Err(Refusal::unsupported_media(other)),
        })
    }

    /// How to delete: in the body, or in the query.
    pub(super) fn delete_options(
        &self,
        mut options: WriteOptions,
    ) -> Result<(DeleteOptions, WriteOptions), Refusal> {
        let body = if self.body.is_empty() {
            Value::Null
        } else {
            self.document()?
        };
        self.number("gracePeriodSeconds")?;
        let orphans = self.query.get("orphanDependents");
        let orphans = orphans.map(|_| self.yes("orphanDependents"));
        let delete = DeleteOptions::read(&body, orphans, self.says("propagationPolicy"))?;
        options.dry_run |= body["dryRun"][0] == "All";
        Ok((delete, options))
    }

    pub(super) fn write_options(&self, now: Timestamp) -> Result<WriteOptions, Refusal> {
        let dry_run = match self.says("dryRun") {
            "" => false,
            "All" => true,
            other => {
                let message = format!("Invalid value: {other:?}: dryRun must be All");
                return Err(Refusal::bad_request(message));
            }
        };
        let validation = match self.says("fieldValidation") {
            "Strict" => Validation::Strict,
            "" | "Warn" | "Ignore" => Validation::Lenient,
            other => {
                let message = format!("Invalid value: {other:?}: fieldValidation");
                return Err(Refusal::bad_request(message));
            }
        };
        let agent = self.agent.split('/').next().unwrap_or_default();
        let agent = if agent.is_empty() { "unknown" } else { agent };
        let manager = self.query.get("fieldManager").filter(|it| !it.is_empty());
        Ok(WriteOptions {
            dry_run,
            manager: manager.map_or(agent, String::as_str).to_owned(),
            force: self.yes("force"),
            validation,
            now,
        })
    }
}

/// A `resourceVersion`, 0 if none is said; why it is none, in the server's words.
pub(super) fn version(said: &str) -> Result<u64, String> {
    if said.is_empty() {
        return Ok(0);
    }
    said.parse().map_err(|error: ParseIntError| {
        let why = unreadable(&error);
        let words = format!("strconv.ParseUint: parsing {said:?}: {why}");
        format!("resourceVersion: Invalid value: {said:?}: {words}")
    })
}

/// Why Go reads no number.
fn unreadable(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}
