//! How the hub's listener speaks TLS: version 1.3 only, a client certificate wherever there is one.
//!
//! Owns the settings, the place where a renewed server certificate is swapped in, and the
//! handshakes of connections that others accept. Never listens.
//!
//! A client without a certificate gets in, because an agent that joins has none yet; the authoriser
//! lets it do nothing else. Sessions are not resumed: a resumed one would go on with a client
//! certificate that has expired since.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::TLS13,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Authority, Error, ServerCertificate};

/// Handshakes under way at a time; the others wait in the socket's backlog.
const HANDSHAKES: usize = 256;
/// How long a handshake may take, so that silent connections do not use up all of them.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The server certificate in use. Cheap to clone; clones share it.
///
/// The authority's certificate is shown with it: an agent that joins knows the authority only by the
/// digest in its token.
#[derive(Clone)]
pub struct ServerKey {
    authority: CertificateDer<'static>,
    current: Arc<RwLock<Arc<CertifiedKey>>>,
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey").finish_non_exhaustive()
    }
}

impl ServerKey {
    /// Begins with this certificate, which `authority` signed.
    pub fn new(authority: &Authority, certificate: &ServerCertificate) -> Result<Self, Error> {
        let authority = authority.certificate().clone();
        let key = certified(certificate, &authority)?;
        Ok(Self {
            authority,
            current: Arc::new(RwLock::new(Arc::new(key))),
        })
    }

    /// Uses this certificate from the next connection on.
    pub fn replace(&self, certificate: &ServerCertificate) -> Result<(), Error> {
        let key = Arc::new(certified(certificate, &self.authority)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

impl ResolvesServerCert for ServerKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

/// The listener's settings: clients are trusted when `authority` signed their certificate.
pub fn server_config(authority: &Authority, key: &ServerKey) -> Result<ServerConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.certificate().clone())
        .map_err(refused)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(refused)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(refused)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(key.clone()));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The connections of a listener after their handshake, for a server to serve. Those whose
/// handshake fails are dropped and logged at debug; a connection that could not be accepted is
/// passed on as its error.
pub fn handshakes<C>(
    connections: impl Stream<Item = io::Result<C>>,
    config: ServerConfig,
) -> impl Stream<Item = io::Result<TlsStream<C>>>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    connections
        .map(move |connection| {
            let acceptor = acceptor.clone();
            async move {
                let connection = match connection {
                    Ok(connection) => connection,
                    Err(error) => return Some(Err(error)),
                };
                match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
                    Ok(Ok(stream)) => return Some(Ok(stream)),
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
                None
            }
        })
        .buffer_unordered(HANDSHAKES)
        .filter_map(std::future::ready)
}

fn certified(
    certificate: &ServerCertificate,
    authority: &CertificateDer<'static>,
) -> Result<CertifiedKey, Error> {
    let mut chain = CertificateDer::pem_slice_iter(certificate.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    chain.push(authority.clone());
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).map_err(refused)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(refused)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn refused(error: impl fmt::Display) -> Error {
    Error::Tls(error.to_string())
}
