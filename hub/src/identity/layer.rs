//! The layer that every call passes: certificate → identity → role → authoriser → [`Caller`].
//!
//! Owns the passage from the TLS session to a decision, which is made anew while a call goes on, and
//! the log of denials. Never decides itself ([`authorize`] does) and never reads a message.

mod denials;
mod recheck;

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::Either;
use jiff::Timestamp;
use tidegate_model::ids::ClusterUid;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tower::{Layer, Service};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

pub use self::recheck::Rechecked;
use self::{denials::Denials, recheck::Guard};
use super::{
    Caller, Peer, TrustDomain,
    authorize::{Denied, Requirement, authorize, requirement},
};
use crate::records::Role;

/// The role of a person; `None` for one who was never added or was removed.
pub type RoleOf = Arc<dyn Fn(&str) -> Option<Role> + Send + Sync>;

/// How a cluster stands, as far as its agent's certificates are concerned; `None` for one that is not
/// registered.
pub type StandingOf = Arc<dyn Fn(ClusterUid) -> Option<Standing> + Send + Sync>;

/// What is known of the certificates of a registered cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Those whose life begins before are refused.
    pub refused_before: Option<Timestamp>,
}

/// Puts the authoriser in front of a service. Cheap to clone.
#[derive(Clone)]
pub struct AuthLayer {
    gate: Arc<Gate>,
}

struct Gate {
    trust_domain: TrustDomain,
    role_of: RoleOf,
    standing_of: StandingOf,
    recheck: Duration,
    denials: Denials,
}

/// How long a call goes on before its caller is asked about again. Short, because it is how long
/// somebody who was removed still sees what happens; asking costs a look into a table.
const RECHECK: Duration = Duration::from_secs(2);

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("trust_domain", &self.gate.trust_domain)
            .finish_non_exhaustive()
    }
}

impl AuthLayer {
    /// A layer for identities of `trust_domain`. The two questions are asked for every call, and
    /// every 2 s of one that goes on, so whoever is removed is denied from then on.
    pub fn new(trust_domain: TrustDomain, role_of: RoleOf, standing_of: StandingOf) -> Self {
        let denials = Denials::default();
        Self {
            gate: Arc::new(Gate {
                trust_domain,
                role_of,
                standing_of,
                recheck: RECHECK,
                denials,
            }),
        }
    }

    /// The same with another time between two questions about a call that goes on.
    #[must_use]
    pub fn rechecking(self, recheck: Duration) -> Self {
        let gate = &self.gate;
        Self {
            gate: Arc::new(Gate {
                trust_domain: gate.trust_domain.clone(),
                role_of: Arc::clone(&gate.role_of),
                standing_of: Arc::clone(&gate.standing_of),
                recheck,
                denials: Denials::default(),
            }),
        }
    }

    /// Decides about the call at `path` by the holder of `certificate` (DER, checked by TLS).
    pub fn decide(&self, path: &str, certificate: Option<&[u8]>) -> Result<Caller, Denied> {
        let identity = certificate.map(|der| Peer::from_der(der, &self.gate.trust_domain));
        let peer = match identity.transpose() {
            Ok(peer) => peer,
            // Whom nobody is asked for, nobody needs to be.
            Err(_) if is_open(path) => None,
            Err(error) => return Err(error.into()),
        };
        // Only an agent's certificate is replaced by order.
        let agents = certificate.filter(|_| matches!(peer, Some(Peer::Cluster(_))));
        let since = agents.and_then(beginning);
        self.decide_for(path, peer, since)
    }

    /// Decides anew about a caller whose call goes on.
    pub fn recheck(&self, path: &str, caller: &Caller) -> Result<(), Denied> {
        self.decide_for(path, caller.peer.clone(), caller.since)
            .map(|_| ())
    }

    fn decide_for(
        &self,
        path: &str,
        peer: Option<Peer>,
        since: Option<Timestamp>,
    ) -> Result<Caller, Denied> {
        let role = match &peer {
            Some(Peer::User(name)) => (self.gate.role_of)(name),
            Some(Peer::Cluster(_)) | None => None,
        };
        authorize(path, peer.as_ref(), role)?;
        if let Some(Peer::Cluster(cluster)) = peer
            && !is_open(path)
        {
            self.check_certificate(cluster, since)?;
        }
        Ok(Caller::new(peer, role, since))
    }

    /// Whether the agent of a cluster is heard with a certificate whose life begins then.
    fn check_certificate(
        &self,
        cluster: ClusterUid,
        since: Option<Timestamp>,
    ) -> Result<(), Denied> {
        let standing = (self.gate.standing_of)(cluster);
        let standing = standing.ok_or(Denied::NotRegistered { cluster })?;
        match standing.refused_before {
            // One without a beginning that can be read is older than any.
            Some(least) if since.is_none_or(|since| since < least) => {
                Err(Denied::Replaced { cluster })
            }
            _ => Ok(()),
        }
    }
}

/// When the life of a certificate begins.
fn beginning(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()
}

/// Whether the call asks for no identity.
fn is_open(path: &str) -> bool {
    matches!(
        requirement(path),
        Some(Requirement::Anonymous | Requirement::JoinToken)
    )
}

impl<S> Layer<S> for AuthLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize {
            layer: self.clone(),
            inner,
        }
    }
}

/// A service behind the authoriser.
#[derive(Clone, Debug)]
pub struct Authorize<S> {
    layer: AuthLayer,
    inner: S,
}

/// The answer of a service whose caller got through.
#[derive(Debug)]
pub struct Answering<F> {
    answer: Pin<Box<F>>,
    guard: Option<Guard>,
}

impl<F, R, E> Future for Answering<F>
where
    F: Future<Output = Result<http::Response<R>, E>>,
{
    type Output = Result<http::Response<Rechecked<R>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(self.answer.as_mut().poll(cx))?;
        let guard = self.guard.take();
        Poll::Ready(Ok(answer.map(|body| Rechecked::new(body, guard))))
    }
}

impl<S, B, R> Service<http::Request<B>> for Authorize<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    R: Default,
{
    type Response = http::Response<Rechecked<R>>;
    type Error = S::Error;
    type Future = Either<Answering<S::Future>, Ready<Result<Self::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // Only this layer says who calls.
        request.extensions_mut().remove::<Caller>();
        let session = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        let certificates = session.and_then(TlsConnectInfo::peer_certs);
        let leaf = certificates
            .as_deref()
            .and_then(|chain| chain.first())
            .map(AsRef::as_ref);
        let from = session.and_then(|session| session.get_ref().remote_addr());
        let path = request.uri().path();
        match self.layer.decide(path, leaf) {
            Ok(caller) => {
                let guard = Guard::new(self.layer.clone(), path, caller.clone(), from);
                request.extensions_mut().insert(caller);
                Either::Left(Answering {
                    answer: Box::pin(self.inner.call(request)),
                    guard: Some(guard),
                })
            }
            Err(denied) => {
                self.layer.gate.denials.log(&denied, from);
                Either::Right(ready(Ok(denied.to_status().into_http())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
