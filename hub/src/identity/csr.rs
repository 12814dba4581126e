//! Certificate requests: the key in them and the proof that the sender holds it.
//!
//! Nothing else of a request is ever looked at: subject, alternative names, usages and any other
//! extension are the hub's to write (facts/reliability-security.md B3, row 37).

use rcgen::{PublicKeyData as _, SubjectPublicKeyInfo};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

use super::Error;

/// Largest request that is read. One with a key and a name is below 1 KiB.
const MAX_BYTES: usize = 16 * 1024;
/// What keys may be.
const KINDS: &str = "use ECDSA P-256, ECDSA P-384 or Ed25519";

/// The key of a PKCS#10 request in DER, after checking that the request is signed with it.
pub(super) fn key_of(der: &[u8]) -> Result<SubjectPublicKeyInfo, Error> {
    let refuse = |problem: String| Err(Error::Request(problem));
    if der.len() > MAX_BYTES {
        return refuse(format!(
            "it has {} bytes; at most {MAX_BYTES} are read",
            der.len()
        ));
    }
    let (rest, request) = match X509CertificationRequest::from_der(der) {
        Ok(parsed) => parsed,
        Err(error) => return refuse(format!("it is not PKCS#10 in DER: {error}")),
    };
    if !rest.is_empty() {
        return refuse(format!("there are {} bytes after its end", rest.len()));
    }
    let raw = request.certification_request_info.subject_pki.raw;
    let key = match SubjectPublicKeyInfo::from_der(raw) {
        Ok(key) if is_accepted(&key) => key,
        Ok(_) | Err(_) => {
            return refuse(format!(
                "its key is not of a kind that is accepted: {KINDS}"
            ));
        }
    };
    match request.verify_signature() {
        Ok(()) => Ok(key),
        Err(_) => refuse("it is not signed with the key that it holds".to_owned()),
    }
}

fn is_accepted(key: &SubjectPublicKeyInfo) -> bool {
    [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ]
    .contains(&key.algorithm())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn request(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        (request.der().to_vec(), key)
    }

    fn refusal(der: &[u8]) -> String {
        key_of(der).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn the_key_of_a_request_is_found() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ] {
            let (der, key) = request(algorithm);
            assert_eq!(key_of(&der).unwrap().der_bytes(), key.der_bytes());
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused_and_the_good_ones_are_named() {
        let (der, _) = request(&rcgen::PKCS_ECDSA_P521_SHA512);
        assert!(refusal(&der).contains("ECDSA P-256"), "{}", refusal(&der));
    }

    #[test]
    fn a_request_that_its_key_did_not_sign_is_refused() {
        let (mut der, _) = request(&rcgen::PKCS_ED25519);
        // The signature is the end of the request.
        *der.last_mut().unwrap() ^= 1;
        assert!(refusal(&der).contains("not signed"), "{}", refusal(&der));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let (der, _) = request(&rcgen::PKCS_ED25519);
        assert!(refusal(b"").contains("PKCS#10"));
        assert!(refusal(&der[..der.len() - 1]).contains("PKCS#10"));
        assert!(refusal(&[&der[..], b"x"].concat()).contains("after its end"));
        assert!(refusal(&vec![0; MAX_BYTES + 1]).contains("at most"));
    }
}
