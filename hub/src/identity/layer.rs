//! The layer that every call passes: certificate → identity → role → authoriser → [`Caller`].
//!
//! Owns the passage from the TLS session to a decision, and the log of denials. Never decides
//! itself ([`authorize`] does) and never reads a message.

mod denials;

use std::{
    fmt,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use tidegate_model::ids::ClusterUid;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tower::{Layer, Service};

use self::denials::Denials;
use super::{
    Caller, Peer, TrustDomain,
    authorize::{Denied, Requirement, authorize, requirement},
};
use crate::records::Role;

/// The role of a person; `None` for one who was never added or was removed.
pub type RoleOf = Arc<dyn Fn(&str) -> Option<Role> + Send + Sync>;

/// Whether a cluster is registered.
pub type IsRegistered = Arc<dyn Fn(ClusterUid) -> bool + Send + Sync>;

/// Puts the authoriser in front of a service. Cheap to clone.
#[derive(Clone)]
pub struct AuthLayer {
    gate: Arc<Gate>,
}

struct Gate {
    trust_domain: TrustDomain,
    role_of: RoleOf,
    is_registered: IsRegistered,
    denials: Denials,
}

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("trust_domain", &self.gate.trust_domain)
            .finish_non_exhaustive()
    }
}

impl AuthLayer {
    /// A layer for identities of `trust_domain`. The two questions are asked for every call, so
    /// whoever is removed is denied from the next one on.
    pub fn new(trust_domain: TrustDomain, role_of: RoleOf, is_registered: IsRegistered) -> Self {
        let denials = Denials::default();
        Self {
            gate: Arc::new(Gate {
                trust_domain,
                role_of,
                is_registered,
                denials,
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
        self.decide_for(path, peer)
    }

    /// Decides anew about a caller whose call goes on: long streams ask from time to time, so that
    /// they end when their caller is removed.
    pub fn recheck(&self, path: &str, caller: &Caller) -> Result<(), Denied> {
        self.decide_for(path, caller.peer.clone()).map(|_| ())
    }

    fn decide_for(&self, path: &str, peer: Option<Peer>) -> Result<Caller, Denied> {
        let role = match &peer {
            Some(Peer::User(name)) => (self.gate.role_of)(name),
            Some(Peer::Cluster(_)) | None => None,
        };
        authorize(path, peer.as_ref(), role)?;
        match peer {
            Some(Peer::Cluster(cluster))
                if !is_open(path) && !(self.gate.is_registered)(cluster) =>
            {
                Err(Denied::NotRegistered { cluster })
            }
            peer => Ok(Caller::new(peer, role)),
        }
    }
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

impl<S, B, R> Service<http::Request<B>> for Authorize<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

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
        match self.layer.decide(request.uri().path(), leaf) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(denied) => {
                let from = session.and_then(|session| session.get_ref().remote_addr());
                self.layer.gate.denials.log(&denied, from);
                Either::Right(ready(Ok(denied.to_status().into_http())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
