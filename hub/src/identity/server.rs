//! The certificate of the hub's own listener.
//!
//! Owns its file, and when it is made anew: when less than a third of its life is left. Its names
//! live in it and nowhere else. Never listens.

use std::{fmt, net::IpAddr, path::Path};

use jiff::{SignedDuration, Timestamp};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SanType};
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::{
    Authority, Error,
    authority::{Profile, life_of, uri},
    files::{self, IfThere},
};

/// The file: certificate and key in one, so that the two always match.
const FILE: &str = "server.pem";
/// What begins the second part of the file.
const KEY_HEADER: &str = "-----BEGIN PRIVATE KEY-----";
/// Life of the certificate.
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Certificate and key of the hub's listener.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The key, PEM. Never printed.
    pub key_pem: String,
    /// Last moment at which it is good.
    pub not_after: Timestamp,
    /// From then on, asking again gives a new one.
    pub renew_at: Timestamp,
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("not_after", &self.not_after)
            .field("renew_at", &self.renew_at)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// The certificate of the listener: the one in `dir`, or, from its `renew_at` on, a new one for
    /// the same names, which is stored there.
    pub fn server_certificate(
        &self,
        dir: &Path,
        now: Timestamp,
    ) -> Result<ServerCertificate, Error> {
        let path = dir.join(FILE);
        let content =
            files::read_private(&path)?.ok_or_else(|| Error::Missing { path: path.clone() })?;
        let (stored, names) = self
            .read_server(&content)
            .map_err(|problem| Error::Damaged {
                path: path.clone(),
                problem,
            })?;
        if now < stored.renew_at {
            return Ok(stored);
        }
        let made = self.write_server(&path, names, now)?;
        tracing::info!(not_after = %made.not_after, "renewed the server certificate");
        Ok(made)
    }

    /// Makes the certificate of the listener for these DNS names and addresses anew, in place of
    /// the one in `dir`.
    pub fn make_server_certificate(
        &self,
        dir: &Path,
        names: &[String],
        now: Timestamp,
    ) -> Result<ServerCertificate, Error> {
        let mut all = vec![uri(self.trust_domain().hub_id())?];
        for name in names {
            all.push(server_name(name)?);
        }
        self.write_server(&dir.join(FILE), all, now)
    }

    fn write_server(
        &self,
        path: &Path,
        names: Vec<SanType>,
        now: Timestamp,
    ) -> Result<ServerCertificate, Error> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let profile = Profile {
            common_name: "hub".to_owned(),
            names,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
            life: LIFE,
        };
        let signed = self.sign(&key, profile, now)?;
        let content = format!("{}{}", signed.certificate_pem, key.serialize_pem());
        files::write_private(path, &content, IfThere::Replace)?;
        let damaged = |problem| Error::Damaged {
            path: path.to_owned(),
            problem,
        };
        self.read_server(&content)
            .map(|(made, _)| made)
            .map_err(damaged)
    }

    /// The certificate in a file and its names.
    fn read_server(&self, content: &str) -> Result<(ServerCertificate, Vec<SanType>), String> {
        let der = CertificateDer::from_pem_slice(content.as_bytes())
            .map_err(|error| format!("it holds no certificate: {error}"))?;
        let (certificate_pem, key_pem) = content
            .split_once(KEY_HEADER)
            .map(|(certificate, key)| (certificate.to_owned(), format!("{KEY_HEADER}{key}")))
            .ok_or_else(|| "it holds no private key".to_owned())?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| format!("its private key: {error}"))?;
        let key = KeyPair::try_from(&key).map_err(|error| format!("its private key: {error}"))?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|error| format!("its certificate: {error}"))?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err("its certificate and its private key do not belong together".to_owned());
        }
        let (_, ca) = X509Certificate::from_der(self.certificate())
            .map_err(|error| format!("the authority's certificate: {error}"))?;
        certificate
            .verify_signature(Some(ca.public_key()))
            .map_err(|_| "its certificate was signed by another authority".to_owned())?;
        let (not_before, not_after) = life_of(&certificate)?;
        let renew_at = renew_at(not_before, not_after);
        let names = names_of(&certificate)?;
        Ok((
            ServerCertificate {
                certificate_pem,
                key_pem,
                not_after,
                renew_at,
            },
            names,
        ))
    }
}

/// When a third of the life is left.
fn renew_at(from: Timestamp, to: Timestamp) -> Timestamp {
    to - to.duration_since(from) / 3
}

/// A DNS name or an address.
fn server_name(name: &str) -> Result<SanType, Error> {
    let wrong = || Error::ServerName {
        name: name.chars().take(100).collect(),
    };
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    DnsName::try_from(name).map_err(|_| wrong())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| wrong())?))
}

/// The names in a certificate that this module has written.
fn names_of(certificate: &X509Certificate<'_>) -> Result<Vec<SanType>, String> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| format!("its alternative names: {error}"))?
        .ok_or_else(|| "it has no alternative names".to_owned())?;
    let read = |name: &GeneralName<'_>| match name {
        GeneralName::URI(id) => (*id).try_into().ok().map(SanType::URI),
        GeneralName::DNSName(dns) => (*dns).try_into().ok().map(SanType::DnsName),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| v6()).ok().map(SanType::IpAddress)
        }
        _ => None,
    };
    let unknown = |name| format!("it has a name of a kind that it should not: {name:?}");
    let all = names.value.general_names.iter();
    all.map(|name| read(name).ok_or_else(|| unknown(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::identity::Peer;

    fn now() -> Timestamp {
        "2026-03-04T05:06:07Z".parse().unwrap()
    }

    fn names() -> Vec<String> {
        ["hub.example.org", "localhost", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .to_vec()
    }

    fn authority(dir: &Path) -> Authority {
        Authority::create(dir, "fleet.example.org", &names(), now()).unwrap()
    }

    fn certificate(made: &ServerCertificate) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(made.certificate_pem.as_bytes()).unwrap()
    }

    fn names_in(made: &ServerCertificate) -> Vec<SanType> {
        names_of(&X509Certificate::from_der(&certificate(made)).unwrap().1).unwrap()
    }

    #[test]
    fn the_listener_is_named_signed_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let authority = authority(dir.path());
        let made = authority.server_certificate(dir.path(), now()).unwrap();
        assert_eq!(made.not_after, "2026-06-02T05:06:07Z".parse().unwrap());
        let bits = fs::metadata(dir.path().join(FILE))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(bits, 0o600);

        let expected = [
            SanType::URI("spiffe://fleet.example.org/hub".try_into().unwrap()),
            SanType::DnsName("hub.example.org".try_into().unwrap()),
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress("127.0.0.1".parse().unwrap()),
            SanType::IpAddress("::1".parse().unwrap()),
        ];
        assert_eq!(names_in(&made), expected);
        let der = certificate(&made);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth);
        assert!(!certificate.is_ca());
        assert!(Peer::from_der(&der, authority.trust_domain()).is_err());
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn it_is_kept_until_a_third_of_its_life_is_left_and_then_renewed_for_the_same_names() {
        let dir = tempfile::tempdir().unwrap();
        let authority = authority(dir.path());
        let at = |time| authority.server_certificate(dir.path(), time).unwrap();
        let made = at(now());
        // Thirty of ninety days, give or take the minutes for clocks that are behind.
        let left = made.not_after.duration_since(made.renew_at);
        assert_eq!(left.as_hours(), 30 * 24);
        assert_eq!(at(made.renew_at - SignedDuration::from_secs(1)), made);

        let renewed = at(made.renew_at);
        assert_ne!(renewed.key_pem, made.key_pem);
        assert_eq!(names_in(&renewed), names_in(&made));
        assert_eq!(at(made.renew_at).certificate_pem, renewed.certificate_pem);
        // Even long after it ended.
        let late = renewed.not_after + SignedDuration::from_hours(24);
        assert!(at(late).not_after > late);
    }

    #[test]
    fn other_names_make_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let authority = authority(dir.path());
        let made = authority.server_certificate(dir.path(), now()).unwrap();
        let other = ["hub2.example.org".to_owned()];
        let renamed = authority
            .make_server_certificate(dir.path(), &other, now())
            .unwrap();
        let stored = authority.server_certificate(dir.path(), now()).unwrap();
        assert_eq!(stored.certificate_pem, renamed.certificate_pem);
        assert_ne!(names_in(&renamed), names_in(&made));
    }

    #[test]
    fn a_missing_strange_or_damaged_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let ours = authority(dir.path());
        let path = dir.path().join(FILE);
        let load = || {
            ours.server_certificate(dir.path(), now())
                .unwrap_err()
                .to_string()
        };

        let elsewhere = tempfile::tempdir().unwrap();
        authority(elsewhere.path());
        let strange = fs::read_to_string(elsewhere.path().join(FILE)).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let (good_certificate, _) = good.split_once(KEY_HEADER).unwrap();
        let (_, strange_key) = strange.split_once(KEY_HEADER).unwrap();
        for (content, expected) in [
            (String::new(), "no certificate"),
            (good_certificate.to_owned(), "no private key"),
            (
                format!("{good_certificate}{KEY_HEADER}{strange_key}"),
                "do not belong together",
            ),
            (strange.clone(), "another authority"),
        ] {
            files::write_private(&path, &content, IfThere::Replace).unwrap();
            let error = load();
            assert!(
                error.contains(expected) && error.contains(FILE),
                "{expected}: {error}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load().contains("0644"), "{}", load());
        fs::remove_file(&path).unwrap();
        assert!(load().contains("init"), "{}", load());
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let authority = authority(dir.path());
        for bad in ["", "a b", "https://hub", "hub:8443", "*."] {
            let made = authority.make_server_certificate(dir.path(), &[bad.to_owned()], now());
            assert!(
                matches!(made, Err(Error::ServerName { .. })),
                "{bad}: {made:?}"
            );
        }
    }
}
