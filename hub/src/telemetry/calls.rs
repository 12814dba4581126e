//! The layer that every gRPC call passes first: counted with its code and time, told as a span.
//!
//! Owns nothing of a call: it looks at the path, the trailers and the end. Before the authoriser, so
//! that what is denied counts too.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tidegate_telemetry::{place, tracer, tracer::under};
use tokio::time::Instant;
use tonic::Code;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::metrics::Metrics;
use crate::identity::authorize::known_call;

/// Counts calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallLayer {
    metrics: Metrics,
}

impl CallLayer {
    /// A layer that counts there.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting {
            metrics: self.metrics.clone(),
            inner,
        }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub struct Counting<S> {
    metrics: Metrics,
    inner: S,
}

impl<S, B, R> Service<http::Request<B>> for Counting<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = http::Response<Counted<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = known_call(request.uri().path()).unwrap_or("other");
        let mut call = Call {
            metrics: self.metrics.clone(),
            method,
            begun: Instant::now(),
            code: None,
        };
        let span = span(method, request.headers());
        let answer = self.inner.call(request).instrument(span);
        Box::pin(async move {
            let answer = answer.await?;
            // An answer that is only an error has its code here, others in their trailers.
            call.code = code(answer.headers());
            Ok(answer.map(|body| Counted {
                body,
                call: Some(call),
            }))
        })
    }
}

/// The span of a person's call, below the one that the caller names; none if nobody traces it.
fn span(method: &'static str, headers: &http::HeaderMap) -> tracing::Span {
    // Agents hold one stream for days.
    if tracer().is_none() || !method.starts_with("tidegate.v1.Fleet/") {
        return tracing::Span::none();
    }
    let span = tracing::info_span!("call", rpc.system = "grpc", rpc.method = method);
    let parent = headers
        .get(place::TRACEPARENT)
        .and_then(|value| place::read(value.to_str().ok()?));
    if let Some(parent) = parent {
        under(&span, &parent);
    }
    span
}

fn code(headers: &http::HeaderMap) -> Option<Code> {
    headers
        .get("grpc-status")
        .map(|value| Code::from_bytes(value.as_bytes()))
}

/// A call that is counted when it is over, however that comes.
#[derive(Debug)]
struct Call {
    metrics: Metrics,
    method: &'static str,
    begun: Instant,
    code: Option<Code>,
}

impl Drop for Call {
    fn drop(&mut self) {
        // Whoever leaves before the end sees no code.
        let code = self.code.unwrap_or(Code::Cancelled);
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics.called(self.method, word(code), seconds);
    }
}

/// The code as the gRPC specification writes it.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The body of an answer whose end is noticed.
#[derive(Debug)]
pub struct Counted<B> {
    body: B,
    call: Option<Call>,
}

impl<B: Default> Default for Counted<B> {
    fn default() -> Self {
        Self {
            body: B::default(),
            call: None,
        }
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let trailers = match &frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            _ => None,
        };
        if let (Some(call), Some(trailers)) = (&mut this.call, trailers) {
            call.code = code(trailers).or(call.code);
        }
        if trailers.is_some() || frame.is_none() {
            this.call = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use tower::ServiceExt as _;

    use super::*;

    /// A body with these trailers.
    #[derive(Debug, Default)]
    struct Trailing(Option<&'static str>);

    impl Body for Trailing {
        type Data = &'static [u8];
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            Poll::Ready(self.0.take().map(|code| {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", code.parse().unwrap());
                Ok(Frame::trailers(trailers))
            }))
        }
    }

    async fn call(
        metrics: &Metrics,
        path: &str,
        header: Option<&'static str>,
        trailer: &'static str,
        read: bool,
    ) {
        let answer = |_: http::Request<()>| async move {
            let mut answer = http::Response::new(Trailing(Some(trailer)));
            if let Some(code) = header {
                answer
                    .headers_mut()
                    .insert("grpc-status", code.parse().unwrap());
            }
            Ok::<_, std::convert::Infallible>(answer)
        };
        let layer = CallLayer::new(metrics.clone());
        let request = http::Request::get(path).body(()).unwrap();
        let service = layer.layer(tower::service_fn(answer));
        let mut body = service.oneshot(request).await.unwrap().into_body();
        let mut context = Context::from_waker(std::task::Waker::noop());
        while read
            && Pin::new(&mut body)
                .poll_frame(&mut context)
                .map(|f| f.is_some())
                == Poll::Ready(true)
        {}
    }

    #[test]
    fn a_call_is_no_span_where_nothing_is_traced() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = span("tidegate.v1.Fleet/Apply", &http::HeaderMap::new());
            assert!(span.is_none());
        });
    }

    #[tokio::test]
    async fn a_call_is_counted_once_with_its_code_however_it_ends() {
        let metrics = Metrics::default();
        let method = "tidegate.v1.Fleet/Apply";
        let path = format!("/{method}");
        call(&metrics, &path, None, "0", true).await;
        call(&metrics, &path, Some("7"), "7", false).await;
        call(&metrics, &path, None, "0", false).await;
        call(&metrics, "/no.such.Service/Call", None, "12", true).await;
        let text = metrics.text(None).unwrap();
        for (method, code) in [
            (method, "OK"),
            (method, "PERMISSION_DENIED"),
            (method, "CANCELLED"),
            ("other", "UNIMPLEMENTED"),
        ] {
            let sample =
                format!("tidegate_hub_api_requests_total{{method=\"{method}\",code=\"{code}\"}} 1");
            assert!(text.contains(&sample), "{sample} in\n{text}");
        }
        assert!(!text.contains("no.such.Service"));
        let timed =
            format!("tidegate_hub_api_request_duration_seconds_count{{method=\"{method}\"}} 3");
        assert!(text.contains(&timed), "{text}");
    }
}
