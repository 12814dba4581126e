//! An OTLP receiver: the gRPC service that a collector serves, keeping what it is sent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tidegate_tests::harness::eventually;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

/// A span that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `service.name` of who sent it.
    pub(crate) service: String,
    pub(crate) span: Span,
}

impl Seen {
    pub(crate) fn name(&self) -> &str {
        &self.span.name
    }

    pub(crate) fn attribute(&self, key: &str) -> String {
        text(&self.span.attributes, key)
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let value = attributes.iter().find(|pair| pair.key == key);
    match value.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Seen>,
    /// Values of the header `x-tenant`.
    tenants: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Service(Arc<Mutex<Kept>>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let tenant = request.metadata().get("x-tenant");
        let tenant = tenant.and_then(|value| value.to_str().ok());
        let tenant = tenant.unwrap_or_default().to_owned();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.tenants.push(tenant);
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let service = text(&attributes, "service.name");
            let spans = resource.scope_spans.into_iter().flat_map(|s| s.spans);
            kept.spans.extend(spans.map(|span| Seen {
                service: service.clone(),
                span,
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The receiver; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Receiver {
    service: Service,
    endpoint: String,
    _stop: DropGuard,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = Service::default();
        let stop = CancellationToken::new();
        let (serving, stopped) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(serving))
                .serve_with_incoming_shutdown(
                    TcpListenerStream::new(listener),
                    stopped.cancelled_owned(),
                )
                .await
        });
        Self {
            service,
            endpoint,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn tenants(&self) -> Vec<String> {
        let kept = self.service.0.lock();
        kept.unwrap_or_else(PoisonError::into_inner).tenants.clone()
    }

    pub(crate) fn spans(&self) -> Vec<Seen> {
        let kept = self.service.0.lock();
        kept.unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// The trace of the root span `commit` about this commit, once it has all of these spans.
    pub(crate) async fn trace(&self, commit: &str, names: &[&str]) -> Trace {
        let look = || async {
            let spans = self.spans();
            let root = spans.iter().find(|seen| {
                seen.name() == "commit" && seen.attribute("tidegate.source.commit") == commit
            });
            let Some(root) = root else {
                return Err(format!("no root for {commit} in {:?}", count(&spans)));
            };
            let id = root.span.trace_id.clone();
            let all = spans.into_iter().filter(|seen| seen.span.trace_id == id);
            let trace = Trace(all.collect());
            let missing = names.iter().find(|name| trace.named(name).is_empty());
            match missing {
                Some(name) => Err(format!("no {name} in {:?}", count(&trace.0))),
                None => Ok(trace),
            }
        };
        eventually("the trace", Duration::from_secs(30), look)
            .await
            .unwrap()
    }
}

fn count(spans: &[Seen]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for seen in spans {
        *counts.entry(seen.name()).or_default() += 1;
    }
    counts
}

/// The spans of one trace.
#[derive(Clone, Debug)]
pub(crate) struct Trace(pub(crate) Vec<Seen>);

impl Trace {
    /// Its id as logs write it.
    pub(crate) fn id(&self) -> String {
        let id = self.0[0].span.trace_id.as_slice().try_into();
        format!("{:032x}", u128::from_be_bytes(id.unwrap()))
    }

    pub(crate) fn named(&self, name: &str) -> Vec<&Seen> {
        self.0.iter().filter(|seen| seen.name() == name).collect()
    }

    /// The one span of this name.
    pub(crate) fn one(&self, name: &str) -> &Seen {
        let all = self.named(name);
        assert_eq!(all.len(), 1, "{name}: {all:#?}");
        all[0]
    }

    /// The name of the span above this one; empty for a root.
    pub(crate) fn above(&self, seen: &Seen) -> &str {
        if seen.span.parent_span_id.is_empty() {
            return "";
        }
        let parent = &seen.span.parent_span_id;
        let mut found = self.0.iter().filter(|other| other.span.span_id == *parent);
        let first = found.next();
        assert!(
            first.is_some(),
            "{} has a parent that is nowhere",
            seen.name()
        );
        assert!(found.next().is_none(), "two spans have one id");
        first.map_or("", Seen::name)
    }

    /// Holds that every span is below what is said here, and begins no later than it ends.
    pub(crate) fn stands(&self, parents: &[(&str, &str)]) {
        let parents: BTreeMap<_, _> = parents.iter().copied().collect();
        for seen in &self.0 {
            let expected = parents.get(seen.name());
            assert_eq!(expected, Some(&self.above(seen)), "{}", seen.name());
            let span = &seen.span;
            assert!(
                span.start_time_unix_nano <= span.end_time_unix_nano,
                "{span:?}"
            );
        }
    }
}
