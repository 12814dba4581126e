//! The way of spans to an OTLP receiver over gRPC.
//!
//! Owns batches, the bounded queue, the connection and what is said when it fails. A receiver that
//! is away costs spans, never anything else.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{
    SpanExporter as OtlpExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span,
        SpanData, SpanExporter, SpanProcessor,
    },
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tokio::{runtime::Handle, time::Instant};
use tonic::{
    metadata::{MetadataKey, MetadataMap},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::tracer::{Tracer, tracer};

/// How long the end may take.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(2);
/// Spans that wait to be sent; more are lost.
const QUEUE: usize = 8192;
/// Spans in one message.
const BATCH: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long a receiver may take for one message.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a receiver that is away is spoken of.
const QUIET: Duration = Duration::from_mins(1);

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The receiver, `http://host:4317` or `https://host:4317`.
    pub endpoint: String,
    /// A file of headers, one `name: value` a line.
    pub headers_file: Option<PathBuf>,
    /// A PEM file of certificate authorities; without it the system's are trusted.
    pub ca_file: Option<PathBuf>,
    /// Which share of traces is kept, 0 to 1.
    pub sample_ratio: f64,
}

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint.
    #[error(
        "failed to use {endpoint:?} (--otlp-endpoint): write http://host:port or https://host:port"
    )]
    Endpoint {
        /// As it was given.
        endpoint: String,
    },
    /// The ratio.
    #[error("failed to use {ratio} (--otlp-sample-ratio): write a number from 0 to 1")]
    Ratio {
        /// As it was given.
        ratio: f64,
    },
    /// A file.
    #[error("failed to read {path} ({flag})")]
    File {
        /// The file.
        path: PathBuf,
        /// The flag that named it.
        flag: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the headers file.
    #[error(
        "failed to read line {line} of {path} (--otlp-headers-file): write name: value, in ASCII"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// Which line, from 1. What it holds may be secret.
        line: usize,
    },
    /// TLS.
    #[error("failed to prepare TLS for {endpoint}")]
    Tls {
        /// The receiver.
        endpoint: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The exporter.
    #[error("failed to make the exporter")]
    Build(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What is sent and what was lost.
#[derive(Debug, Default)]
struct Told {
    sent: AtomicU64,
    lost: AtomicU64,
    complained: Mutex<Option<Instant>>,
}

/// Collects how many spans this process sent and how many a receiver did not take; to be registered
/// under the prefix of the process. Those that found the queue full are not among them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans;

impl Collector for Spans {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (sent, lost) = tracer().map_or((0, 0), Tracer::told);
        let mut family = encoder.encode_descriptor(
            "trace_spans",
            "Spans, by whether the OTLP receiver took them",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in [("sent", sent), ("lost", lost)] {
            let labels = [("outcome", outcome)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The one exporter of a process.
#[derive(Debug)]
pub(crate) struct Exporter {
    processor: Shared,
    provider: SdkTracerProvider,
    told: Arc<Told>,
    ratio: f64,
}

impl Exporter {
    /// Must be called inside the runtime that will carry the connection.
    pub(crate) fn new(
        otlp: &Otlp,
        service: &'static str,
        version: &'static str,
    ) -> Result<Self, Error> {
        let ratio = otlp.sample_ratio;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(Error::Ratio { ratio });
        }
        let exporter = OtlpExporter::builder()
            .with_tonic()
            .with_channel(channel(otlp)?)
            .with_timeout(TIMEOUT)
            .with_metadata(headers(otlp.headers_file.as_deref())?)
            .build()?;
        let told = Arc::new(Told::default());
        let reporting = Reporting {
            inner: Arc::new(exporter),
            told: Arc::clone(&told),
            endpoint: otlp.endpoint.clone(),
            runtime: Handle::current(),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        // What the environment says of the resource (OTEL_RESOURCE_ATTRIBUTES) is in it too.
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        let mut processor = BatchSpanProcessor::builder(reporting)
            .with_batch_config(config)
            .build();
        processor.set_resource(&resource);
        let processor = Shared(Arc::new(processor));
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler)
            .with_span_processor(processor.clone())
            .build();
        Ok(Self {
            processor,
            provider,
            told,
            ratio,
        })
    }

    /// The tracer behind `tracing` spans.
    pub(crate) fn live(&self) -> SdkTracer {
        self.provider.tracer("tidegate")
    }

    pub(crate) fn processor(&self) -> &impl SpanProcessor {
        &self.processor
    }

    pub(crate) fn ratio(&self) -> f64 {
        self.ratio
    }

    pub(crate) fn told(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.told.sent), read(&self.told.lost))
    }

    /// Sends what waits. Blocks.
    pub(crate) fn end(&self) {
        // What cannot be sent in time is lost, as it is said.
        self.provider.shutdown_with_timeout(END_WITHIN).ok();
    }
}

fn channel(otlp: &Otlp) -> Result<Channel, Error> {
    let wrong = || Error::Endpoint {
        endpoint: otlp.endpoint.clone(),
    };
    let endpoint = Endpoint::from_shared(otlp.endpoint.clone()).map_err(|_| wrong())?;
    let scheme = endpoint.uri().scheme_str().map(str::to_owned);
    if endpoint.uri().host().is_none() {
        return Err(wrong());
    }
    let endpoint = endpoint.connect_timeout(TIMEOUT).timeout(TIMEOUT);
    let endpoint = match scheme.as_deref() {
        Some("http") => endpoint,
        Some("https") => {
            let tls = match &otlp.ca_file {
                Some(path) => ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(read(path, "--otlp-ca-file")?)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint.tls_config(tls).map_err(|source| Error::Tls {
                endpoint: otlp.endpoint.clone(),
                source,
            })?
        }
        _ => return Err(wrong()),
    };
    Ok(endpoint.connect_lazy())
}

fn read(path: &Path, flag: &'static str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        flag,
        source,
    })
}

fn headers(path: Option<&Path>) -> Result<MetadataMap, Error> {
    let mut headers = MetadataMap::new();
    let Some(path) = path else {
        return Ok(headers);
    };
    for (number, line) in read(path, "--otlp-headers-file")?.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = name.trim().to_ascii_lowercase();
            let name = MetadataKey::from_bytes(name.as_bytes()).ok()?;
            Some((name, value.trim().parse().ok()?))
        });
        let (name, value) = header.ok_or_else(|| Error::Header {
            path: path.to_owned(),
            line: number + 1,
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The queue, for `tracing` spans and finished ones alike.
#[derive(Clone, Debug)]
struct Shared(Arc<BatchSpanProcessor>);

impl SpanProcessor for Shared {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
}

/// An exporter that counts, and says once in a while what it lost.
#[derive(Debug)]
struct Reporting {
    inner: Arc<OtlpExporter>,
    told: Arc<Told>,
    endpoint: String,
    runtime: Handle,
}

impl SpanExporter for Reporting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (inner, count) = (Arc::clone(&self.inner), batch.len() as u64);
        // The thread that batches has no timer and no reactor.
        let sending = self.runtime.spawn(async move { inner.export(batch).await });
        let outcome = match sending.await {
            Ok(outcome) => outcome,
            Err(_) => Err(OTelSdkError::AlreadyShutdown),
        };
        match &outcome {
            Ok(()) => {
                self.told.sent.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => self.complain(count, error),
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called once, before there is a second owner.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}

impl Reporting {
    fn complain(&self, count: u64, error: &OTelSdkError) {
        let lost = self.told.lost.fetch_add(count, Ordering::Relaxed) + count;
        let now = Instant::now();
        let mut last = self
            .told
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < QUIET) {
            return;
        }
        *last = Some(now);
        tracing::warn!(endpoint = self.endpoint, lost, %error, "traces are lost: the OTLP receiver does not take them; nothing else is concerned");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otlp(endpoint: &str) -> Otlp {
        Otlp {
            endpoint: endpoint.to_owned(),
            headers_file: None,
            ca_file: None,
            sample_ratio: 1.0,
        }
    }

    fn refused(otlp: &Otlp) -> String {
        match Exporter::new(otlp, "test", "0") {
            Ok(_) => panic!("{otlp:?} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_with_its_flag() {
        for endpoint in ["", "collector:4317", "ftp://collector:4317", "http://"] {
            let text = refused(&otlp(endpoint));
            assert!(text.contains("--otlp-endpoint"), "{text}");
        }
        let ratio = Otlp {
            sample_ratio: 1.5,
            ..otlp("http://127.0.0.1:1")
        };
        assert!(refused(&ratio).contains("--otlp-sample-ratio"));
        let missing = Otlp {
            ca_file: Some("/nowhere".into()),
            ..otlp("https://127.0.0.1:1")
        };
        assert!(refused(&missing).contains("/nowhere (--otlp-ca-file)"));
    }

    #[test]
    fn headers_are_read_and_a_wrong_line_is_named_without_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        fs::write(&path, "# for the collector\n\nAuthorization: Bearer x:y\n").unwrap();
        let read = headers(Some(&path)).unwrap();
        assert_eq!(read.get("authorization").unwrap(), "Bearer x:y");
        fs::write(&path, "a: b\nhush hush\n").unwrap();
        let error = headers(Some(&path)).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && !error.contains("hush"),
            "{error}"
        );
    }
}
