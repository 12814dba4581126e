//! Identities: which SPIFFE id stands for whom, and how strictly it is read.
//!
//! The rules are those of the SPIFFE ID and X.509-SVID specifications: exactly one URI among the
//! alternative names, at most 2048 bytes, the trust domain in lower case, a path of plain segments
//! without `.`, `..`, percent encoding, query or fragment. Anything else is nobody. Never checks a
//! signature or a date: TLS has done so.

use std::{fmt, str::FromStr};

use tidegate_model::{dns, ids::ClusterUid};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// The scheme of every identity.
const SCHEME: &str = "spiffe://";
/// Longest id (SPIFFE ID, section 2.3).
const MAX_ID: usize = 2048;
/// Longest trust domain (SPIFFE ID, section 2.1).
const MAX_TRUST_DOMAIN: usize = 255;
/// Actors in the audit log that are no person.
const RESERVED_NAMES: [&str; 3] = ["anonymous", "init", "system"];

/// Why a certificate or a name is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("failed to read the certificate: {0}")]
    Unreadable(String),
    /// The certificate is not one of a cluster or person.
    #[error("failed to find an identity in the certificate: {0}")]
    NoIdentity(String),
    /// A person's name cannot be part of an identity.
    #[error("failed to use {name:?} as a person's name: use {problem}")]
    UserName {
        /// The name, cut if long.
        name: String,
        /// What a name may be.
        problem: &'static str,
    },
    /// A trust domain that is none.
    #[error(
        "failed to use {0:?} as a trust domain: expected 1 to 255 lower-case letters, digits, \
         dots, dashes and underscores"
    )]
    TrustDomain(String),
}

/// The namespace of a hub's identities, for example `fleet.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(String);

impl FromStr for TrustDomain {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if (1..=MAX_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentityError::TrustDomain(cut(text)))
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TrustDomain {
    /// The id of the trust domain itself: what its authority's certificate carries.
    pub fn id(&self) -> String {
        format!("{SCHEME}{self}")
    }

    /// The hub's own id: what its listener's certificate carries.
    pub fn hub_id(&self) -> String {
        format!("{SCHEME}{self}/hub")
    }

    /// The id of a cluster or person.
    pub fn id_of(&self, peer: &Peer) -> String {
        match peer {
            Peer::Cluster(uid) => format!("{SCHEME}{self}/cluster/{uid}"),
            Peer::User(name) => format!("{SCHEME}{self}/user/{name}"),
        }
    }

    /// The trust domain whose authority's certificate this is.
    pub(super) fn of_authority(certificate: &X509Certificate<'_>) -> Result<Self, IdentityError> {
        let id = only_uri(certificate)?;
        let domain = id.strip_prefix(SCHEME).ok_or_else(|| not_spiffe(id))?;
        domain.parse()
    }
}

/// Who is at the other end of a TLS session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The agent of a cluster.
    Cluster(ClusterUid),
    /// A person or a program that acts for one.
    User(String),
}

impl Peer {
    /// Who the holder of a certificate is, in `trust_domain`. The certificate's signature and dates
    /// must have been checked.
    pub fn from_der(der: &[u8], trust_domain: &TrustDomain) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der)
            .map_err(|error| IdentityError::Unreadable(error.to_string()))?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable(
                "there are bytes after its end".to_owned(),
            ));
        }
        if certificate.is_ca() {
            return Err(IdentityError::NoIdentity(
                "it is one of an authority".to_owned(),
            ));
        }
        Self::from_id(only_uri(&certificate)?, trust_domain)
    }

    /// Who a SPIFFE id stands for.
    fn from_id(id: &str, trust_domain: &TrustDomain) -> Result<Self, IdentityError> {
        let refuse =
            |problem: &str| IdentityError::NoIdentity(format!("the id {:?} {problem}", cut(id)));
        if id.len() > MAX_ID {
            return Err(refuse("is longer than 2048 bytes"));
        }
        let rest = id.strip_prefix(SCHEME).ok_or_else(|| not_spiffe(id))?;
        let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
        if domain != trust_domain.0 {
            let problem = format!("is not of the trust domain {trust_domain}");
            return Err(refuse(&problem));
        }
        let segments: Vec<_> = path.split('/').collect();
        if !segments.iter().all(|segment| is_segment(segment)) {
            return Err(refuse(
                "has a path that is not made of letters, digits, dots, dashes and underscores",
            ));
        }
        match segments.as_slice() {
            ["cluster", text] => {
                let uid = text.parse().map_err(|_| refuse("names no cluster uid"))?;
                let peer = Self::Cluster(uid);
                // UUIDs have several spellings; an identity has one.
                if trust_domain.id_of(&peer) == id {
                    Ok(peer)
                } else {
                    Err(refuse(
                        "spells its cluster uid in another way than the hub does",
                    ))
                }
            }
            ["user", name] => {
                check_user_name(name)?;
                Ok(Self::User((*name).to_owned()))
            }
            _ => Err(refuse("is neither one of a cluster nor of a person")),
        }
    }
}

impl fmt::Display for Peer {
    /// As in the audit log: a person's name, or `cluster/<uid>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(uid) => write!(f, "cluster/{uid}"),
            Self::User(name) => f.write_str(name),
        }
    }
}

/// Checks a person's name: a DNS label that the audit log does not use for what no person did.
pub fn check_user_name(name: &str) -> Result<(), IdentityError> {
    let refuse = |problem| {
        Err(IdentityError::UserName {
            name: cut(name),
            problem,
        })
    };
    if !dns::is_label(name) {
        return refuse(dns::LABEL_RULE);
    }
    if RESERVED_NAMES.contains(&name) {
        return refuse("another name: the audit log uses this one for what no person did");
    }
    Ok(())
}

/// A path segment (SPIFFE ID, section 2.2).
fn is_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// The one URI among a certificate's alternative names (X.509-SVID, section 2).
fn only_uri<'a>(certificate: &X509Certificate<'a>) -> Result<&'a str, IdentityError> {
    let no = |problem: &str| IdentityError::NoIdentity(problem.to_owned());
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| IdentityError::NoIdentity(format!("its alternative names: {error}")))?
        .ok_or_else(|| no("it has no alternative names"))?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        (None, _) => Err(no("it has no URI among its alternative names")),
        (Some(_), Some(_)) => Err(no("it has more than one URI among its alternative names")),
    }
}

fn not_spiffe(id: &str) -> IdentityError {
    IdentityError::NoIdentity(format!(
        "the id {:?} does not begin with spiffe://",
        cut(id)
    ))
}

/// What of a text goes into a message.
fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};

    use super::*;

    const UID: &str = "0190a0b0-c0d0-7000-8000-000000000001";

    fn domain() -> TrustDomain {
        "fleet.example.org".parse().unwrap()
    }

    fn read(id: &str) -> Result<Peer, IdentityError> {
        Peer::from_id(id, &domain())
    }

    #[test]
    fn ids_of_clusters_and_people_read_back() {
        for peer in [
            Peer::Cluster(UID.parse().unwrap()),
            Peer::User("ada-2".to_owned()),
        ] {
            assert_eq!(read(&domain().id_of(&peer)), Ok(peer));
        }
    }

    #[test]
    fn everything_else_is_nobody() {
        let long = format!("spiffe://fleet.example.org/user/{}", "a".repeat(2048));
        let upper = UID.to_uppercase();
        let bare = UID.replace('-', "");
        for id in [
            "",
            "spiffe://",
            "spiffe://fleet.example.org",
            "spiffe://fleet.example.org/",
            "spiffe://fleet.example.org/hub",
            "spiffe://fleet.example.org/user",
            "spiffe://fleet.example.org/user/",
            "spiffe://fleet.example.org/user//ada",
            "spiffe://fleet.example.org/user/ada/",
            "spiffe://fleet.example.org//user/ada",
            "spiffe://fleet.example.org/user/ada/more",
            "spiffe://fleet.example.org/user/.",
            "spiffe://fleet.example.org/user/..",
            "spiffe://fleet.example.org/cluster/../user/ada",
            "spiffe://fleet.example.org/user/%61da",
            "spiffe://fleet.example.org/user/ada?role=admin",
            "spiffe://fleet.example.org/user/ada#x",
            "spiffe://fleet.example.org/user/Ada",
            "spiffe://fleet.example.org/user/a da",
            "spiffe://fleet.example.org/user/system",
            "spiffe://fleet.example.org/USER/ada",
            "spiffe://other.example.org/user/ada",
            "spiffe://fleet.example.org.evil/user/ada",
            "spiffe://ada@fleet.example.org/user/ada",
            "spiffe://fleet.example.org:443/user/ada",
            "spiffe://FLEET.example.org/user/ada",
            "SPIFFE://fleet.example.org/user/ada",
            "https://fleet.example.org/user/ada",
            " spiffe://fleet.example.org/user/ada",
            "spiffe://fleet.example.org/cluster/",
            "spiffe://fleet.example.org/cluster/dev",
            &format!("spiffe://fleet.example.org/cluster/{upper}x"),
            &format!("spiffe://fleet.example.org/cluster/{bare}"),
            &format!("spiffe://fleet.example.org/cluster/urn:uuid:{UID}"),
            &long,
        ] {
            assert!(read(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_cluster_uid_has_one_spelling() {
        let upper = "0190A0B0-c0d0-7000-8000-000000000001";
        let error = read(&format!("spiffe://fleet.example.org/cluster/{upper}")).unwrap_err();
        assert!(error.to_string().contains("another way"), "{error}");
    }

    /// A certificate with these alternative names.
    fn certificate(names: Vec<SanType>, is_ca: IsCa) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn uri(id: &str) -> SanType {
        SanType::URI(id.try_into().unwrap())
    }

    #[test]
    fn a_certificate_has_exactly_one_uri_and_is_none_of_an_authority() {
        let ada = "spiffe://fleet.example.org/user/ada";
        let bob = "spiffe://fleet.example.org/user/bob";
        let dns = SanType::DnsName("ada.example.org".try_into().unwrap());
        let ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let read = |names, is_ca| Peer::from_der(&certificate(names, is_ca), &domain());
        let expected = Ok(Peer::User("ada".to_owned()));
        assert_eq!(read(vec![uri(ada)], IsCa::NoCa), expected);
        assert_eq!(
            read(vec![dns.clone(), uri(ada)], IsCa::ExplicitNoCa),
            expected
        );
        for (names, is_ca, problem) in [
            (vec![], IsCa::NoCa, "no alternative names"),
            (vec![dns], IsCa::NoCa, "no URI"),
            (vec![uri(ada), uri(bob)], IsCa::NoCa, "more than one URI"),
            (vec![uri(ada), uri(ada)], IsCa::NoCa, "more than one URI"),
            (
                vec![uri(ada), uri("https://ada.example.org")],
                IsCa::NoCa,
                "more than one URI",
            ),
            (vec![uri(ada)], ca, "authority"),
        ] {
            let error = read(names, is_ca).unwrap_err().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
        let mut long = certificate(vec![uri(ada)], IsCa::NoCa);
        long.push(0);
        let error = Peer::from_der(&long, &domain()).unwrap_err();
        assert!(matches!(error, IdentityError::Unreadable(_)), "{error}");
    }

    #[test]
    fn names_of_people_follow_one_grammar() {
        for good in ["a", "ada", "ci-bot-7", &"a".repeat(63)] {
            assert_eq!(check_user_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "a-",
            "a/b",
            "Ada",
            "a@b",
            "a.b",
            "é",
            "a\0",
            "system",
            "init",
            "anonymous",
            &long,
        ] {
            assert!(check_user_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn trust_domains_follow_the_grammar_of_spiffe() {
        for bad in ["", "Fleet", "a/b", "a b", "a:1", "a%2e", &"a".repeat(256)] {
            assert!(bad.parse::<TrustDomain>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_accepted_is_exactly_an_id(
            path in "[a-z0-9./%_-]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let id = format!("spiffe://fleet.example.org/{path}");
            if let Ok(peer) = read(&id) {
                prop_assert_eq!(domain().id_of(&peer), id);
            }
            prop_assert!(Peer::from_der(&bytes, &domain()).is_err());
        }
    }
}
