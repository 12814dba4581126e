//! The connection to the hub: its address, TLS with the agent's certificate, keepalive.
//!
//! One connection a session, so that a new certificate is used from the next session on. Never
//! speaks on it.

use std::{str::FromStr, time::Duration};

use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity, Uri,
};

use crate::identity::Identity;

/// How long TCP and TLS may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pings on a silent connection: below the 60 s after which common load balancers forget it.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Address of the hub: `https://host:port`, port 443 unless it says another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub(Uri);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error("failed to read the hub's address {text:?}: {problem}; write it as https://host:port")]
    Address {
        /// As it was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The connection could not be made.
    #[error("failed to connect to the hub at {hub}")]
    Transport {
        /// Its address.
        hub: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

impl FromStr for Hub {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem| Error::Address {
            text: text.chars().take(200).collect(),
            problem,
        };
        let uri: Uri = text.trim().parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("only https is spoken"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(wrong("it names no host"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(wrong("it has a path"));
        }
        Ok(Self(uri))
    }
}

impl std::fmt::Display for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

impl Hub {
    /// An endpoint with everything set but TLS.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from(self.0.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
    }

    pub(crate) fn failed(&self) -> impl Fn(tonic::transport::Error) -> Error {
        let hub = self.to_string();
        move |source| Error::Transport {
            hub: hub.clone(),
            source,
        }
    }

    /// A connection with this identity, to a hub that the identity's authority vouches for.
    pub(crate) async fn connect(&self, identity: &Identity) -> Result<Channel, Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&identity.ca_pem))
            .identity(TlsIdentity::from_pem(
                &identity.certificate_pem,
                &identity.key_pem,
            ))
            .timeout(CONNECT_TIMEOUT);
        let endpoint = self.endpoint().tls_config(tls).map_err(self.failed())?;
        endpoint.connect().await.map_err(self.failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_a_host() {
        for good in [
            "https://hub.example:8443",
            "https://127.0.0.1:1",
            "https://[::1]:8443/",
        ] {
            assert!(good.parse::<Hub>().is_ok(), "{good}");
        }
        assert_eq!(
            "https://hub:1/".parse::<Hub>().unwrap().to_string(),
            "https://hub:1"
        );
        for (bad, why) in [
            ("http://hub:1", "only https"),
            ("hub:8443", "only https"),
            ("", "not a URL"),
            ("https://hub:1/x", "path"),
            ("https://hub:1?a=b", "path"),
        ] {
            let error = bad.parse::<Hub>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
