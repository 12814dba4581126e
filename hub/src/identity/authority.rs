//! The certificate authority: made once by `init`, it signs every identity of a hub.
//!
//! Owns its key and its file. Fills every certificate itself: of a request nothing but the key is
//! used. Never decides who may have a certificate.

use std::{fmt, path::Path};

use jiff::{SignedDuration, Timestamp};
use rand::{TryRngCore as _, rngs::OsRng};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use tidegate_model::ids::ClusterUid;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{
    Error, Peer, TrustDomain, check_user_name, csr,
    files::{self, IfThere, Written},
};

/// The authority's file: its certificate and its key in one, so that the two always match.
const FILE: &str = "ca.pem";
/// Life of the authority: ten years.
const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// Life of an agent's certificate. Short, because it renews itself and nobody can take it back.
const AGENT_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// Life of a person's certificate.
const USER_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Certificates are good from a little before they are made, for clocks that are behind.
pub(super) const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The certificate authority of a hub. Its key never leaves it.
pub struct Authority {
    trust_domain: TrustDomain,
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// A certificate that the authority has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The certificate, DER.
    pub certificate_der: Vec<u8>,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Last moment at which it is good, in whole seconds.
    pub not_after: Timestamp,
}

/// A person's certificate with its key: for the one person whom `init` adds before anybody can send
/// a request.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The key, PEM (PKCS#8). Never printed, never kept.
    pub key_pem: String,
    /// Last moment at which the certificate is good.
    pub not_after: Timestamp,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// What the authority writes into a certificate.
pub(super) struct Profile {
    pub(super) common_name: String,
    pub(super) names: Vec<SanType>,
    pub(super) usage: ExtendedKeyUsagePurpose,
    pub(super) life: SignedDuration,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes the authority of a new hub in `dir`, good for ten years from `now`, and the
    /// certificate of its listener for these DNS names and addresses.
    ///
    /// An authority is never replaced: one that is there already, as an interrupted `init` leaves
    /// it, is taken up if it is of the same trust domain.
    pub fn create(
        dir: &Path,
        trust_domain: &str,
        names: &[String],
        now: Timestamp,
    ) -> Result<Self, Error> {
        let trust_domain: TrustDomain = trust_domain.parse()?;
        let (made, key) = Self::generate(&trust_domain, now)?;
        files::make_dir(dir)?;
        let path = dir.join(FILE);
        let content = format!("{}{key}", made.pem);
        let authority = match files::write_private(&path, &content, IfThere::Keep)? {
            Written::Written => made,
            Written::Kept => Self::load(dir, now)?,
        };
        if authority.trust_domain != trust_domain {
            let found = authority.trust_domain;
            return Err(Error::Exists {
                path,
                wanted: trust_domain,
                found,
            });
        }
        authority.make_server_certificate(dir, names, now)?;
        Ok(authority)
    }

    /// Loads the authority of `dir`.
    pub fn load(dir: &Path, now: Timestamp) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let content =
            files::read_private(&path)?.ok_or_else(|| Error::Missing { path: path.clone() })?;
        let authority =
            Self::from_pem(&content).map_err(|problem| Error::Damaged { path, problem })?;
        authority.check_time(now)?;
        Ok(authority)
    }

    /// A new authority and its key in PEM.
    fn generate(trust_domain: &TrustDomain, now: Timestamp) -> Result<(Self, String), Error> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let key_pem = key.serialize_pem();
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial()?);
        params.distinguished_name = subject("Tidegate hub CA");
        params.subject_alt_names = vec![uri(trust_domain.id())?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let (not_before, not_after) = (whole(now - SKEW), whole(now + AUTHORITY_LIFE));
        set_life(&mut params, not_before, not_after);
        let certificate = params.self_signed(&key)?;
        let authority = Self {
            trust_domain: trust_domain.clone(),
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            not_before,
            not_after,
        };
        Ok((authority, key_pem))
    }

    fn from_pem(content: &str) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(content.as_bytes())
            .map_err(|error| format!("it holds no certificate: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(content.as_bytes())
            .map_err(|error| format!("it holds no private key: {error}"))?;
        let key = KeyPair::try_from(&key).map_err(|error| format!("its private key: {error}"))?;
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|error| format!("its certificate: {error}"))?;
        if !parsed.is_ca() {
            return Err("its certificate is not one of an authority".to_owned());
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err("its certificate and its private key do not belong together".to_owned());
        }
        let trust_domain = TrustDomain::of_authority(&parsed).map_err(|error| error.to_string())?;
        let (not_before, not_after) = life_of(&parsed)?;
        let pem = content
            .split_inclusive("-----END CERTIFICATE-----")
            .next()
            .map(|pem| format!("{}\n", pem.trim()))
            .unwrap_or_default();
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| format!("its certificate: {error}"))?;
        Ok(Self {
            trust_domain,
            certificate,
            pem,
            issuer,
            not_before,
            not_after,
        })
    }

    /// The trust domain of every identity that it signs.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Its certificate, DER: what clients trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.pem
    }

    /// Last moment at which it is good.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 of its certificate in DER: by this, join tokens name the hub.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// Signs a certificate for the agent of `cluster`, good for a day. `csr` is PKCS#10 in DER;
    /// nothing of it but the key is used. Its life begins no earlier than `least`, which
    /// [`Self::after`] gave.
    pub fn sign_agent(
        &self,
        csr: &[u8],
        cluster: ClusterUid,
        now: Timestamp,
        least: Option<Timestamp>,
    ) -> Result<Signed, Error> {
        let key = csr::key_of(csr)?;
        let made = least.map_or(now, |least| now.max(least + SKEW));
        self.sign(&key, self.client(&Peer::Cluster(cluster))?, made)
    }

    /// The least beginning of a life that no certificate has which was made until `now`: this tells
    /// those made before from those made later, also within the second that certificates know.
    pub fn after(now: Timestamp) -> Timestamp {
        whole(now - SKEW) + SignedDuration::from_secs(1)
    }

    /// Signs a certificate for a person, good for thirty days. `csr` is PKCS#10 in DER; nothing of
    /// it but the key is used.
    pub fn sign_user(&self, csr: &[u8], name: &str, now: Timestamp) -> Result<Signed, Error> {
        check_user_name(name)?;
        let key = csr::key_of(csr)?;
        self.sign(&key, self.client(&Peer::User(name.to_owned()))?, now)
    }

    /// Makes a key and a certificate for a person, good for thirty days.
    pub fn new_user(&self, name: &str, now: Timestamp) -> Result<NewUser, Error> {
        check_user_name(name)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let peer = Peer::User(name.to_owned());
        let signed = self.sign(&key, self.client(&peer)?, now)?;
        Ok(NewUser {
            certificate_pem: signed.certificate_pem,
            key_pem: key.serialize_pem(),
            not_after: signed.not_after,
        })
    }

    /// What a client's certificate says.
    fn client(&self, peer: &Peer) -> Result<Profile, Error> {
        let (common_name, life) = match peer {
            Peer::Cluster(uid) => (uid.to_string(), AGENT_LIFE),
            Peer::User(name) => (name.clone(), USER_LIFE),
        };
        let names = vec![uri(self.trust_domain.id_of(peer))?];
        Ok(Profile {
            common_name,
            names,
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            life,
        })
    }

    /// Signs a certificate that signs nothing itself and ends no later than the authority does.
    pub(super) fn sign(
        &self,
        key: &impl PublicKeyData,
        profile: Profile,
        now: Timestamp,
    ) -> Result<Signed, Error> {
        self.check_time(now)?;
        let Profile {
            common_name,
            names,
            usage,
            life,
        } = profile;
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial()?);
        params.distinguished_name = subject(&common_name);
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let not_before = whole(now - SKEW).max(self.not_before);
        let not_after = whole(now + life).min(self.not_after);
        set_life(&mut params, not_before, not_after);
        let certificate: Certificate = params.signed_by(key, &self.issuer)?;
        Ok(Signed {
            certificate_der: certificate.der().to_vec(),
            certificate_pem: certificate.pem(),
            not_after,
        })
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Error> {
        let (from, to) = (self.not_before, self.not_after);
        if (from..=to).contains(&now) {
            Ok(())
        } else {
            Err(Error::OutOfTime { from, to, now })
        }
    }
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Tidegate");
    name.push(DnType::CommonName, common_name);
    name
}

pub(super) fn uri(id: String) -> Result<SanType, Error> {
    Ok(SanType::URI(id.try_into()?))
}

/// A serial number of 126 random bits (RFC 5280, section 4.1.2.2: positive and unique).
fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::Random)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// Certificates know whole seconds.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn set_life(params: &mut CertificateParams, from: Timestamp, to: Timestamp) {
    let at = |time: Timestamp| {
        let since = u64::try_from(time.as_second()).unwrap_or_default();
        date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(since)
    };
    params.not_before = at(from);
    params.not_after = at(to);
}

/// First and last moment of a certificate.
pub(super) fn life_of(certificate: &X509Certificate<'_>) -> Result<(Timestamp, Timestamp), String> {
    let validity = certificate.validity();
    let at = |seconds| {
        Timestamp::from_second(seconds)
            .map_err(|error| format!("the dates of its certificate: {error}"))
    };
    Ok((
        at(validity.not_before.timestamp())?,
        at(validity.not_after.timestamp())?,
    ))
}

#[cfg(test)]
mod tests;
