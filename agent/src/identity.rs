//! The agent's identity: a key that never leaves it, and the hub's certificate over it.
//!
//! Owns getting, keeping and renewing it. Never speaks for it: `link` does. Nothing here prints a
//! key or a token.

mod enroll;
mod keep;
mod store;
mod token;
mod verify;

use std::fmt;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use tidegate_model::ids::ClusterUid;

pub use self::{
    enroll::Error as EnrollError,
    keep::{Keeper, KeeperHandle, Options, TokenSource},
    store::{DiskAndCluster, DiskStore, Error as StoreError, IdentityStore},
    token::{JoinToken, ParseTokenError},
};

/// What the agent is to its hub.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The cluster that it speaks for.
    pub cluster: ClusterUid,
    /// The cluster's name, for people.
    pub cluster_name: String,
    /// One per installation of the agent.
    pub agent_uid: String,
    /// Public part of the token that it was made with.
    pub token_id: String,
    /// The private key, PKCS#8 PEM. Made here, and known here only.
    pub key_pem: String,
    /// The hub's certificate over it, PEM.
    pub certificate_pem: String,
    /// The certificates that the hub is trusted by, PEM.
    pub ca_pem: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("cluster", &self.cluster)
            .field("cluster_name", &self.cluster_name)
            .finish_non_exhaustive()
    }
}

/// A certificate that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the agent's certificate: {0}")]
pub struct CertificateError(String);

/// The life of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Good from then on.
    pub not_before: Timestamp,
    /// Good until then.
    pub not_after: Timestamp,
}

impl Validity {
    /// When it should be renewed: after two thirds of its life, which leaves a third for a hub
    /// that is away.
    pub fn renew_at(&self) -> Timestamp {
        let life = self.not_before.duration_until(self.not_after);
        self.not_before
            .saturating_add(life * 2 / 3)
            .unwrap_or(self.not_after)
    }
}

impl Identity {
    /// The life of the certificate.
    pub fn validity(&self) -> Result<Validity, CertificateError> {
        validity(&self.certificate_pem)
    }
}

fn validity(pem: &str) -> Result<Validity, CertificateError> {
    let wrong = |problem: String| CertificateError(problem);
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| wrong(e.to_string()))?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&der).map_err(|e| wrong(e.to_string()))?;
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|e| wrong(e.to_string()))
    };
    Ok(Validity {
        not_before: time(certificate.validity().not_before)?,
        not_after: time(certificate.validity().not_after)?,
    })
}

/// A random UUID, for what is told apart and never ordered.
pub(crate) fn random_id() -> String {
    uuid::Builder::from_random_bytes(rand::random())
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let life = Validity {
            not_before: at(1_000_000),
            not_after: at(1_000_000 + 86_400),
        };
        assert_eq!(life.renew_at(), at(1_000_000 + 57_600));
    }

    #[test]
    fn the_life_is_read_from_the_certificate_and_a_broken_one_is_an_error() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2030, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 31);
        let pem = params.self_signed(&key).unwrap().pem();
        let life = validity(&pem).unwrap();
        assert_eq!(life.not_before.to_string(), "2030-01-01T00:00:00Z");
        assert_eq!(life.renew_at().to_string(), "2030-01-21T00:00:00Z");
        assert!(validity("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").is_err());
        assert!(validity("").is_err());
    }
}
