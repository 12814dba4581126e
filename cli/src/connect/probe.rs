//! A second look at a hub that dropped the connection, to learn why.
//!
//! With TLS 1.3 a server looks at the client's certificate when the client believes the handshake
//! done and is sending already; a server that then closes resets the connection, and its alert is
//! often lost with what was in flight (RFC 8446, 4.4.2 and 6). A probe sends nothing after the
//! handshake, so the alert arrives. Never used for anything but words.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::TlsConnector;

use super::{Error, diagnose};
use crate::config::Context;

/// How long the hub may take; one that accepts us waits for more than a probe says.
const LIMIT: Duration = Duration::from_secs(2);

/// Looks at one hub as one person.
#[derive(Clone)]
pub(super) struct Probe {
    tls: Arc<ClientConfig>,
    host: String,
    port: u16,
}

impl Probe {
    /// A probe, if the context and address can be used at all.
    pub(super) fn new(context: &Context, uri: &http::Uri) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(context.ca_data.as_bytes()) {
            roots.add(certificate.ok()?).ok()?;
        }
        let chain: Vec<_> = CertificateDer::pem_slice_iter(context.certificate_data.as_bytes())
            .collect::<Result<_, _>>()
            .ok()?;
        let key = PrivateKeyDer::from_pem_slice(context.key_data.as_bytes()).ok()?;
        let tls = ClientConfig::builder().with_root_certificates(roots);
        let mut tls = tls.with_client_auth_cert(chain, key).ok()?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        // An address of version 6 stands in brackets in a URL, and nowhere else.
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        Some(Self {
            tls: Arc::new(tls),
            host,
            port: uri.port_u16()?,
        })
    }

    /// What is wrong with the certificates, if that is what is wrong.
    pub(super) async fn look(&self, address: &str, context: &str) -> Option<Error> {
        let failed = tokio::time::timeout(LIMIT, self.handshake()).await.ok()??;
        diagnose::connection(&failed, address, context)
    }

    async fn handshake(&self) -> Option<std::io::Error> {
        let name = ServerName::try_from(self.host.clone()).ok()?;
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .ok()?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        match connector.connect(name, stream).await {
            Ok(mut stream) => stream.read_u8().await.err(),
            Err(error) => Some(error),
        }
    }
}
