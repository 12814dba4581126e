//! The way to the hub: one mutually authenticated channel, and words for each way it can fail.
//!
//! Owns addresses, TLS, timeouts. Never knows what is asked over the channel.

mod diagnose;
mod probe;

use std::{path::Path, time::Duration};

use tidegate_proto::v1::fleet_client::FleetClient;
use tonic::{
    Response, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem};

use self::probe::Probe;
use crate::{config::Context, error, exit::Exit};

/// How long a hub may take to answer the connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an idle channel is probed, so that a watch notices a hub that vanished.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The largest answer that is read, bytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// Why the hub cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error(
        "failed to use the server address {server:?}: {problem}; write it as https://HOST:PORT"
    )]
    Address {
        /// What was written.
        server: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The context's certificates or key cannot be used.
    #[error("failed to use {field} of context {context:?}: {problem}")]
    Identity {
        /// The context.
        context: String,
        /// Its field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The user's certificate is over.
    #[error(
        "failed to use the certificate of context {context:?}: it expired on {at}; ask an \
         administrator for a new one (`tidegate user create`), and take it over with `tidegate config \
         add FILE --as {context} --overwrite`"
    )]
    Expired {
        /// The context.
        context: String,
        /// When, in words.
        at: String,
    },
    /// Nobody answers.
    #[error(
        "failed to reach the hub at {address}: {cause}; is `tidegate-hub serve` running there, \
         and is the address right? (--server, or server in the configuration)"
    )]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// What answers is not the hub that the context knows.
    #[error("failed to trust what answers at {address}: {cause}")]
    Untrusted {
        /// Where it is.
        address: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The hub does not accept the user's certificate.
    #[error(
        "the hub at {address} does not accept the certificate of context {context:?}: {cause}; \
         ask an administrator for a new one (`tidegate user create`)"
    )]
    Refused {
        /// Where it is.
        address: String,
        /// The context.
        context: String,
        /// What it said.
        cause: String,
    },
    /// The hub took the request and did not answer in time.
    #[error(
        "the hub at {address} did not answer within {seconds} s; it may have done what was asked; \
         --request-timeout waits longer"
    )]
    Silent {
        /// Where it is.
        address: String,
        /// How long we waited.
        seconds: u64,
    },
}

impl Error {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Address { .. } | Self::Identity { .. } => Exit::Usage,
            Self::Expired { .. } | Self::Refused { .. } => Exit::Refused,
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::Silent { .. } => {
                Exit::Unreachable
            }
        }
    }

    /// Whether it may go away by itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. })
    }
}

/// A hub that answers.
#[derive(Clone)]
pub struct Hub {
    client: FleetClient<Channel>,
    probe: Option<Probe>,
    address: String,
    context: String,
    timeout: Duration,
}

impl Hub {
    /// Connects. `server` goes before the context's address; one answer may take `timeout`.
    pub async fn connect(
        context: &Context,
        server: Option<&str>,
        timeout: Duration,
        now_ms: i64,
    ) -> Result<Self, Error> {
        let address = server
            .unwrap_or(&context.server)
            .trim_end_matches('/')
            .to_owned();
        let endpoint = endpoint(context, &address, now_ms)?;
        let probe = Probe::new(context, endpoint.uri());
        let unreachable = |cause: String| Error::Unreachable {
            address: address.clone(),
            cause,
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect()).await;
        let channel = match connected {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => {
                let seen = match diagnose::connection(&error, &address, &context.name) {
                    Some(seen) => Some(seen),
                    None => look(probe.as_ref(), &address, &context.name).await,
                };
                return Err(seen.unwrap_or_else(|| unreachable(diagnose::innermost(&error))));
            }
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                return Err(unreachable(format!("no answer within {seconds} s")));
            }
        };
        let client = FleetClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self {
            client,
            probe,
            address,
            context: context.name.clone(),
            timeout,
        })
    }

    /// Where it answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks one thing and waits for the answer, or for a stream of answers to begin.
    pub async fn call<T>(
        &self,
        ask: impl AsyncFnOnce(&mut FleetClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, error::Error> {
        let mut client = self.client.clone();
        match tokio::time::timeout(self.timeout, ask(&mut client)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => match self.refusal(status) {
                error::Error::Connect(dropped @ Error::Unreachable { .. }) => {
                    let seen = look(self.probe.as_ref(), &self.address, &self.context).await;
                    Err(seen.unwrap_or(dropped).into())
                }
                refusal => Err(refusal),
            },
            Err(_) => {
                let (address, seconds) = (self.address.clone(), self.timeout.as_secs());
                Err(Error::Silent { address, seconds }.into())
            }
        }
    }

    /// What a failed call means: an answer of the hub, or the end of the way to it.
    pub fn refusal(&self, status: Status) -> error::Error {
        if std::error::Error::source(&status).is_none() {
            return status.into();
        }
        if let Some(error) = diagnose::connection(&status, &self.address, &self.context) {
            return error.into();
        }
        let cause = diagnose::innermost(&status);
        Error::Unreachable {
            address: self.address.clone(),
            cause,
        }
        .into()
    }
}

async fn look(probe: Option<&Probe>, address: &str, context: &str) -> Option<Error> {
    probe?.look(address, context).await
}

fn endpoint(context: &Context, address: &str, now_ms: i64) -> Result<Endpoint, Error> {
    let wrong = |problem: &str| Error::Address {
        server: address.to_owned(),
        problem: problem.to_owned(),
    };
    let uri: http::Uri = address.parse().map_err(|_| wrong("it is no URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("the hub speaks TLS only"));
    }
    if uri.port().is_none() {
        return Err(wrong("it names no port"));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("it has a path"));
    }
    check_identity(context, now_ms)?;
    let unusable = |error: tonic::transport::Error| Error::Identity {
        context: context.name.clone(),
        field: "certificateData, keyData or caData",
        problem: diagnose::innermost(&error),
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&context.ca_data))
        .identity(Identity::from_pem(
            &context.certificate_data,
            &context.key_data,
        ));
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .map_err(unusable)?;
    endpoint.tls_config(tls).map_err(unusable)
}

/// Looks at the certificates before they are used: the TLS library would skip what it cannot read,
/// and a hub tells little about a certificate that it refuses.
fn check_identity(context: &Context, now_ms: i64) -> Result<(), Error> {
    let identity = |field, problem: String| Error::Identity {
        context: context.name.clone(),
        field,
        problem,
    };
    for (field, text) in [
        ("caData", &context.ca_data),
        ("certificateData", &context.certificate_data),
    ] {
        let (_, pem) = parse_x509_pem(text.as_bytes())
            .map_err(|_| identity(field, "it holds no PEM certificate".to_owned()))?;
        let (_, certificate) = parse_x509_certificate(&pem.contents)
            .map_err(|error| identity(field, format!("it is no certificate: {error}")))?;
        let end = certificate.validity().not_after;
        if field == "certificateData" && end.timestamp().saturating_mul(1000) < now_ms {
            return Err(Error::Expired {
                context: context.name.clone(),
                at: diagnose::moment(end.timestamp()),
            });
        }
    }
    if !context.key_data.contains("-----BEGIN") {
        return Err(identity("keyData", "it holds no PEM key".to_owned()));
    }
    Ok(())
}

/// Reads the configuration and connects as it and the options say.
pub async fn hub(
    global: &crate::args::Global,
    now_ms: i64,
    warn: impl FnOnce(&str),
) -> Result<Hub, error::Error> {
    let path = crate::config::path(global.config.as_deref())?;
    let config = crate::config::Config::load(&path)?;
    warn_if_exposed(&path, warn);
    let context = config.context(global.context.as_deref(), &path)?;
    Ok(Hub::connect(
        context,
        global.server.as_deref(),
        global.request_timeout.0,
        now_ms,
    )
    .await?)
}

fn warn_if_exposed(path: &Path, warn: impl FnOnce(&str)) {
    if crate::config::is_exposed(path) {
        let path = path.display();
        warn(&format!(
            "warning: {path} holds a private key that others may read: chmod 600 {path}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(server: &str) -> Context {
        Context {
            name: "test".to_owned(),
            server: server.to_owned(),
            ca_data: String::new(),
            certificate_data: String::new(),
            key_data: String::new(),
        }
    }

    #[test]
    fn addresses_are_checked_before_anything_else() {
        for (address, problem) in [
            ("hub:8443", "TLS only"),
            ("http://hub:8443", "TLS only"),
            ("https://hub", "no port"),
            ("https://hub:8443/fleet", "path"),
            ("https://a b:1", "no URL"),
        ] {
            let error = endpoint(&context(address), address, 0).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().contains(problem), "{address}: {error}");
        }
    }

    #[test]
    fn a_context_without_certificates_says_which_field_is_wrong() {
        let error = endpoint(&context(""), "https://hub:8443", 0).unwrap_err();
        assert!(error.to_string().contains("caData"), "{error}");
    }
}
