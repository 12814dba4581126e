//! Which cluster a request comes from: the one in its certificate, as the identity layer found it.
//!
//! Never looks into a message for it (design, decision 8).

use jiff::Timestamp;
use tidegate_model::ids::ClusterUid;
use tonic::{Request, Status};

use crate::identity::Caller;

/// The caller's cluster.
pub(super) fn cluster<T>(request: &Request<T>) -> Result<ClusterUid, Status> {
    let caller = request
        .extensions()
        .get::<Caller>()
        .ok_or_else(|| Status::unauthenticated("this call needs the certificate of an agent"))?;
    caller
        .cluster()
        .ok_or_else(|| Status::permission_denied(format!("{} is not an agent", caller.name)))
}

/// When the life of the caller's certificate begins.
pub(super) fn certificate<T>(request: &Request<T>) -> Option<Timestamp> {
    request.extensions().get::<Caller>()?.since
}
