//! The service `Enrollment`: certificates for agents.
//!
//! Owns the passage to the backend and the rate of calls that come without a certificate. Never
//! looks into tokens or requests: the identity layer does.

use std::{sync::Arc, time::Duration};

use tidegate_model::ids::ClusterUid;
use tidegate_proto::v1::{
    self as wire,
    enrollment_server::{Enrollment, EnrollmentServer},
};
use tonic::{Request, Response, Status};

use super::{
    admission::Rates,
    limits,
    pace::Pace,
    peer,
    port::{EnrollBackend, EnrollError, JoinOrder},
};

/// Largest request: a certificate request is about a kilobyte.
const MESSAGE_BYTES: usize = 64 << 10;

/// The service.
#[derive(Debug)]
pub struct EnrollmentApi<B> {
    backend: Arc<B>,
    pace: Pace,
    /// Callers without a certificate cannot be told apart, so they share one bucket.
    joins: Rates<()>,
    renewals: Rates<ClusterUid>,
}

impl<B: EnrollBackend> EnrollmentApi<B> {
    /// The service over this backend.
    pub fn new(backend: Arc<B>) -> Self {
        Self {
            backend,
            pace: Pace::new(),
            joins: Rates::new(limits::REQUEST_BURST, limits::JOINS_A_SECOND),
            renewals: Rates::new(limits::REQUEST_BURST, limits::REQUESTS_A_SECOND),
        }
    }

    /// The service as tonic serves it, with the limits of a message set.
    pub fn into_server(self) -> EnrollmentServer<Self> {
        EnrollmentServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl<B: EnrollBackend> Enrollment for EnrollmentApi<B> {
    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinResponse>, Status> {
        self.joins.take((), self.pace.now()).map_err(too_many)?;
        let request = request.into_inner();
        if request.kubernetes_uid.is_empty() {
            return Err(Status::invalid_argument(
                "the request names no Kubernetes cluster: kubernetes_uid is the uid of its kube-system namespace",
            ));
        }
        let order = JoinOrder {
            token: request.token,
            csr: request.csr,
            kubernetes_uid: request.kubernetes_uid,
        };
        let joined = self
            .backend
            .join(order)
            .await
            .map_err(|error| refuse(&error))?;
        tracing::info!(cluster = %joined.cluster, name = %joined.name, "an agent joined");
        Ok(Response::new(wire::JoinResponse {
            certificate_pem: joined.certificate.certificate_pem,
            ca_pem: joined.certificate.ca_pem,
            cluster_uid: joined.cluster.to_string(),
            cluster_name: joined.name,
            not_after_ms: joined.certificate.not_after.as_millisecond(),
        }))
    }

    async fn renew(
        &self,
        request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewResponse>, Status> {
        let cluster = peer::cluster(&request)?;
        self.renewals
            .take(cluster, self.pace.now())
            .map_err(too_many)?;
        let csr = request.into_inner().csr;
        let certificate = self
            .backend
            .renew(cluster, csr)
            .await
            .map_err(|error| refuse(&error))?;
        tracing::info!(%cluster, not_after = %certificate.not_after, "a certificate was renewed");
        Ok(Response::new(wire::RenewResponse {
            certificate_pem: certificate.certificate_pem,
            ca_pem: certificate.ca_pem,
            not_after_ms: certificate.not_after.as_millisecond(),
        }))
    }
}

fn too_many(wait: Duration) -> Status {
    Status::resource_exhausted(format!(
        "too many requests for certificates; try again in {} ms",
        wait.as_millis()
    ))
}

fn refuse(error: &EnrollError) -> Status {
    tracing::warn!(%error, "no certificate was given");
    match error {
        EnrollError::Refused(reason) => Status::permission_denied(reason),
        EnrollError::Invalid(reason) => Status::invalid_argument(reason),
        EnrollError::Unavailable(reason) => Status::unavailable(reason),
    }
}
