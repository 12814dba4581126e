//! Who the hub is, before there is anything to know it by but a join token.
//!
//! The hub sends the certificate of its authority with its own. If its SHA-256 is the one in the
//! token, it is the one trust anchor, and the hub's certificate is checked against it as any other:
//! signature, dates, name. Never trusts on first use.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest as _, Sha256};

/// Accepts servers whose chain ends in the one authority with this hash.
pub(super) struct PinnedAuthority {
    hash: [u8; 32],
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedAuthority {
    pub(super) fn new(hash: [u8; 32]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        Self {
            hash,
            provider,
            algorithms,
        }
    }
}

impl fmt::Debug for PinnedAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedAuthority")
            .field("hash", &hex::encode(self.hash))
            .finish_non_exhaustive()
    }
}

/// Whether this certificate is the one with the hash.
pub(super) fn is_pinned(certificate: &CertificateDer<'_>, hash: [u8; 32]) -> bool {
    <[u8; 32]>::from(Sha256::digest(certificate)) == hash
}

/// What a person reads who has the wrong hub or the wrong token: rustls would say `UnknownIssuer`.
const STRANGER: &str = "no certificate of the hub is the authority in the join token; check the \
    hub's address and what is between it and this agent, or make a token at this hub";

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| is_pinned(certificate, self.hash))
            .ok_or_else(|| Error::General(STRANGER.to_owned()))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    struct Hub {
        authority: CertificateDer<'static>,
        server: CertificateDer<'static>,
    }

    fn hub(name: &str) -> Hub {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let server = params
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        Hub {
            authority,
            server: server.der().clone(),
        }
    }

    #[test]
    fn only_a_hub_of_the_pinned_authority_is_believed() {
        let (ours, theirs) = (hub("hub.test"), hub("hub.test"));
        let verifier = PinnedAuthority::new(Sha256::digest(&ours.authority).into());
        // Within the dates of every certificate here.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
        let verify = |server: &CertificateDer<'_>, chain: &[CertificateDer<'_>], name: &str| {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            verifier
                .verify_server_cert(server, chain, &name, &[], now)
                .is_ok()
        };
        let authority = || ours.authority.clone();
        assert!(verify(&ours.server, &[authority()], "hub.test"));
        assert!(
            !verify(&ours.server, &[], "hub.test"),
            "the authority was not shown"
        );
        assert!(
            !verify(&ours.server, &[authority()], "other.test"),
            "another name"
        );
        assert!(
            !verify(
                &theirs.server,
                std::slice::from_ref(&theirs.authority),
                "hub.test"
            ),
            "another hub"
        );
        // Showing the right authority proves nothing if it did not sign.
        assert!(
            !verify(&theirs.server, &[authority()], "hub.test"),
            "not signed by it"
        );
    }
}
