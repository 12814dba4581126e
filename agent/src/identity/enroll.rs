//! The two calls that give a certificate: join with a token, renew with the one there is.
//!
//! Owns the check that what comes back is a certificate over the key that was made here. Never
//! keeps anything.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tidegate_proto::v1::{self as wire, enrollment_client::EnrollmentClient};
use tonic::{Code, Request, Status, transport::ClientTlsConfig};

use super::{CertificateError, Identity, token::JoinToken, verify};
use crate::link::{ConnectError, Hub};

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub cannot be reached, or is not the one that made the token.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The hub says no.
    #[error("the hub refused: {}", .0.message())]
    Refused(Status),
    /// The hub did not answer.
    #[error("the hub did not answer: {:?}: {}", .0.code(), .0.message())]
    NoAnswer(Status),
    /// The answer cannot be used.
    #[error("failed to use the hub's answer: {0}")]
    Answer(String),
    /// No key or request could be made.
    #[error("failed to make a key and a certificate request")]
    Request(#[from] rcgen::Error),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::PermissionDenied
            | Code::Unauthenticated
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::NotFound => Self::Refused(status),
            _ => Self::NoAnswer(status),
        }
    }
}

impl From<CertificateError> for Error {
    fn from(error: CertificateError) -> Self {
        Self::Answer(error.to_string())
    }
}

/// A new key and the request for a certificate over it.
fn request() -> Result<(KeyPair, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    // The hub fills in the subject; nothing but the key is used.
    let csr = CertificateParams::default()
        .serialize_request(&key)?
        .der()
        .to_vec();
    Ok((key, csr))
}

/// Trades a token for an identity.
pub(super) async fn join(
    hub: &Hub,
    token: &JoinToken,
    kubernetes_uid: &str,
    agent_uid: &str,
) -> Result<Identity, Error> {
    let verifier = std::sync::Arc::new(verify::PinnedAuthority::new(token.authority()));
    let channel = hub
        .endpoint()
        .tls_config_with_verifier(ClientTlsConfig::new().timeout(CALL_TIMEOUT), verifier)
        .map_err(hub.failed())?
        .connect()
        .await
        .map_err(hub.failed())?;
    let (key, csr) = request()?;
    let mut call = Request::new(wire::JoinRequest {
        token: token.reveal().to_owned(),
        csr,
        kubernetes_uid: kubernetes_uid.to_owned(),
    });
    call.set_timeout(CALL_TIMEOUT);
    let answer = EnrollmentClient::new(channel)
        .join(call)
        .await?
        .into_inner();
    let pinned = CertificateDer::pem_slice_iter(answer.ca_pem.as_bytes())
        .any(|found| found.is_ok_and(|found| verify::is_pinned(&found, token.authority())));
    if !pinned {
        return Err(Error::Answer(
            "it does not hold the authority of the token".to_owned(),
        ));
    }
    check(&answer.certificate_pem, &key)?;
    Ok(Identity {
        cluster: answer.cluster_uid.parse().map_err(|error: uuid::Error| {
            Error::Answer(format!(
                "the cluster's uid {:?}: {error}",
                answer.cluster_uid
            ))
        })?,
        cluster_name: answer.cluster_name,
        agent_uid: agent_uid.to_owned(),
        token_id: token.id().to_owned(),
        key_pem: key.serialize_pem(),
        certificate_pem: answer.certificate_pem,
        ca_pem: answer.ca_pem,
    })
}

/// The same identity with a new key and certificate.
pub(super) async fn renew(hub: &Hub, identity: &Identity) -> Result<Identity, Error> {
    let channel = hub.connect(identity).await?;
    let (key, csr) = request()?;
    let mut call = Request::new(wire::RenewRequest { csr });
    call.set_timeout(CALL_TIMEOUT);
    let answer = EnrollmentClient::new(channel)
        .renew(call)
        .await?
        .into_inner();
    check(&answer.certificate_pem, &key)?;
    Ok(Identity {
        key_pem: key.serialize_pem(),
        certificate_pem: answer.certificate_pem,
        ca_pem: answer.ca_pem,
        ..identity.clone()
    })
}

/// Whether this is a certificate over this key, with a life that can be read.
fn check(certificate_pem: &str, key: &KeyPair) -> Result<(), Error> {
    super::validity(certificate_pem)?;
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
        .map_err(|error| Error::Answer(error.to_string()))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der)
        .map_err(|error| Error::Answer(error.to_string()))?;
    if certificate.public_key().raw == key.subject_public_key_info() {
        Ok(())
    } else {
        Err(Error::Answer(
            "the certificate is over another key".to_owned(),
        ))
    }
}
