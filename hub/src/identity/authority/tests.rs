//! What the authority writes into certificates, and that nobody else can write into them.

use std::{fs, os::unix::fs::PermissionsExt as _};

use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension},
};

use super::*;

const CLUSTER: &str = "0190a0b0-c0d0-7000-8000-000000000001";

fn now() -> Timestamp {
    "2026-03-04T05:06:07.891Z".parse().unwrap()
}

fn domain() -> TrustDomain {
    "fleet.example.org".parse().unwrap()
}

fn names() -> Vec<String> {
    vec!["hub.example.org".to_owned()]
}

fn authority() -> Authority {
    Authority::generate(&domain(), now()).unwrap().0
}

fn request(params: &CertificateParams) -> (Vec<u8>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (params.serialize_request(&key).unwrap().der().to_vec(), key)
}

/// A request that asks for everything that it must not get.
fn greedy() -> CertificateParams {
    let mut params =
        CertificateParams::new(vec!["hub.example.org".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = subject("admin");
    params
        .subject_alt_names
        .push(uri("spiffe://fleet.example.org/user/admin".into()).unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::Any,
    ];
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
        &[1, 2, 3, 4],
        vec![5, 0],
    )];
    params
}

/// Checks everything that a client's certificate says.
fn check_client(signed: &Signed, authority: &Authority, key: &KeyPair, name: &str, id: &str) {
    let (_, certificate) = X509Certificate::from_der(&signed.certificate_der).unwrap();
    let (_, ca) = X509Certificate::from_der(&authority.certificate).unwrap();
    certificate.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(certificate.issuer(), ca.subject());
    assert_eq!(
        certificate.subject().to_string(),
        format!("O=Tidegate, CN={name}")
    );
    assert_eq!(certificate.public_key().raw, key.subject_public_key_info());

    let names = certificate
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value;
    assert_eq!(names.general_names, [GeneralName::URI(id)]);
    assert!(!certificate.is_ca());
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any);
    assert!(extended.other.is_empty());
    for extension in certificate.extensions() {
        let unknown = matches!(
            extension.parsed_extension(),
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
        );
        assert!(!unknown, "{extension:?}");
    }
}

#[test]
fn an_agent_gets_one_identity_for_a_day() {
    let authority = authority();
    let cluster: ClusterUid = CLUSTER.parse().unwrap();
    let (csr, key) = request(&CertificateParams::default());
    let signed = authority.sign_agent(&csr, cluster, now(), None).unwrap();
    let id = format!("spiffe://fleet.example.org/cluster/{CLUSTER}");
    check_client(&signed, &authority, &key, CLUSTER, &id);
    assert_eq!(
        Peer::from_der(&signed.certificate_der, &domain()),
        Ok(Peer::Cluster(cluster))
    );

    let (_, certificate) = X509Certificate::from_der(&signed.certificate_der).unwrap();
    let (from, to) = life_of(&certificate).unwrap();
    assert_eq!(from, "2026-03-04T05:01:07Z".parse().unwrap());
    assert_eq!(to, "2026-03-05T05:06:07Z".parse().unwrap());
    assert_eq!(signed.not_after, to);
    assert!(
        signed
            .certificate_pem
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
}

#[test]
fn a_person_gets_one_identity_for_thirty_days() {
    let authority = authority();
    let (csr, key) = request(&CertificateParams::default());
    let signed = authority.sign_user(&csr, "ada", now()).unwrap();
    check_client(
        &signed,
        &authority,
        &key,
        "ada",
        "spiffe://fleet.example.org/user/ada",
    );
    assert_eq!(
        Peer::from_der(&signed.certificate_der, &domain()),
        Ok(Peer::User("ada".to_owned()))
    );
    assert_eq!(signed.not_after, "2026-04-03T05:06:07Z".parse().unwrap());
}

#[test]
fn a_request_gets_nothing_that_it_asks_for() {
    let authority = authority();
    let (csr, key) = request(&greedy());
    let asked = X509CertificationRequest::from_der(&csr).unwrap().1;
    assert!(
        asked.requested_extensions().unwrap().count() >= 4,
        "the request asks for too little"
    );

    let signed = authority.sign_user(&csr, "ada", now()).unwrap();
    check_client(
        &signed,
        &authority,
        &key,
        "ada",
        "spiffe://fleet.example.org/user/ada",
    );
    let signed = authority
        .sign_agent(&csr, CLUSTER.parse().unwrap(), now(), None)
        .unwrap();
    let id = format!("spiffe://fleet.example.org/cluster/{CLUSTER}");
    check_client(&signed, &authority, &key, CLUSTER, &id);
}

#[test]
fn two_certificates_for_one_key_differ_in_their_serial_number() {
    let authority = authority();
    let (csr, _) = request(&CertificateParams::default());
    let serial = || {
        let signed = authority.sign_user(&csr, "ada", now()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&signed.certificate_der).unwrap();
        certificate.raw_serial().to_vec()
    };
    let (one, two) = (serial(), serial());
    assert_ne!(one, two);
    assert!(one.len() == 16 && one[0] < 0x80, "{one:?}");
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_signed() {
    let (csr, _) = request(&CertificateParams::default());
    for name in ["", "..", "a/b", "Ada", "system", "ada\u{0}"] {
        let error = authority().sign_user(&csr, name, now()).unwrap_err();
        assert!(error.is_callers_fault(), "{name}: {error}");
    }
}

#[test]
fn nothing_outlives_the_authority_and_nothing_is_signed_after_its_end() {
    let authority = authority();
    let (csr, _) = request(&CertificateParams::default());
    let end = authority.not_after();
    assert_eq!(end, "2036-03-01T05:06:07Z".parse().unwrap());
    let signed = authority
        .sign_user(&csr, "ada", end - SignedDuration::from_hours(1))
        .unwrap();
    assert_eq!(signed.not_after, end);
    for wrong in [
        end + SignedDuration::from_secs(1),
        now() - SignedDuration::from_hours(1),
    ] {
        let error = authority.sign_user(&csr, "ada", wrong).unwrap_err();
        assert!(matches!(error, Error::OutOfTime { .. }), "{error}");
        assert!(!error.is_callers_fault());
    }
}

#[test]
fn an_authority_survives_its_process_and_only_its_owner_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let made = Authority::create(&state, "fleet.example.org", &names(), now()).unwrap();
    let bits = fs::metadata(state.join(FILE)).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits, 0o600);

    let loaded = Authority::load(&state, now()).unwrap();
    assert_eq!(loaded.trust_domain(), &domain());
    assert_eq!(loaded.fingerprint(), made.fingerprint());
    assert_eq!(loaded.ca_pem(), made.ca_pem());
    assert_eq!(
        (loaded.not_before, loaded.not_after),
        (made.not_before, made.not_after)
    );
    assert!(!loaded.ca_pem().contains("PRIVATE"));
    assert!(!format!("{loaded:?}").contains("issuer"));

    let (csr, key) = request(&CertificateParams::default());
    let signed = loaded.sign_user(&csr, "ada", now()).unwrap();
    check_client(
        &signed,
        &made,
        &key,
        "ada",
        "spiffe://fleet.example.org/user/ada",
    );
}

#[test]
fn an_authority_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let create = |domain: &str| Authority::create(dir.path(), domain, &names(), now());
    let made = create("fleet.example.org").unwrap();
    let again = create("fleet.example.org").unwrap();
    assert_eq!(again.fingerprint(), made.fingerprint());
    let error = create("other.example.org").unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    let loaded = Authority::load(dir.path(), now()).unwrap();
    assert_eq!(loaded.fingerprint(), made.fingerprint());
    assert!(matches!(create("Fleet").unwrap_err(), Error::Identity(_)));
}

#[test]
fn the_first_person_gets_a_key_with_the_certificate() {
    let authority = authority();
    let made = authority.new_user("ada", now()).unwrap();
    let key = KeyPair::from_pem(&made.key_pem).unwrap();
    let der = CertificateDer::from_pem_slice(made.certificate_pem.as_bytes()).unwrap();
    let signed = Signed {
        certificate_der: der.to_vec(),
        certificate_pem: made.certificate_pem.clone(),
        not_after: made.not_after,
    };
    check_client(
        &signed,
        &authority,
        &key,
        "ada",
        "spiffe://fleet.example.org/user/ada",
    );
    assert!(!format!("{made:?}").contains("PRIVATE"));
    assert!(authority.new_user("system", now()).is_err());
}

#[test]
fn a_missing_damaged_or_expired_authority_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let load = |now| Authority::load(dir.path(), now).unwrap_err().to_string();
    assert!(load(now()).contains("tidegate-hub init"), "{}", load(now()));

    let (one, one_key) = Authority::generate(&domain(), now()).unwrap();
    let (_, other_key) = Authority::generate(&domain(), now()).unwrap();
    let (csr, leaf_key) = request(&CertificateParams::default());
    let leaf = one.sign_user(&csr, "ada", now()).unwrap();
    for (content, expected) in [
        (String::new(), "no certificate"),
        (one.pem.clone(), "no private key"),
        (one_key.clone(), "no certificate"),
        (format!("{}{other_key}", one.pem), "do not belong together"),
        (
            format!("{}{}", leaf.certificate_pem, leaf_key.serialize_pem()),
            "not one of an authority",
        ),
    ] {
        files::write_private(&dir.path().join(FILE), &content, IfThere::Replace).unwrap();
        let error = load(now());
        assert!(
            error.contains(expected) && error.contains(FILE),
            "{expected}: {error}"
        );
    }
    let good = format!("{}{one_key}", one.pem);
    files::write_private(&dir.path().join(FILE), &good, IfThere::Replace).unwrap();
    let late = now() + SignedDuration::from_hours(11 * 365 * 24);
    assert!(load(late).contains("good from"), "{}", load(late));
}

#[test]
fn certificates_made_before_and_after_a_moment_are_told_apart_within_its_second() {
    let authority = authority();
    let cluster: ClusterUid = CLUSTER.parse().unwrap();
    let begins = |now, least| {
        let (csr, _) = request(&CertificateParams::default());
        let signed = authority.sign_agent(&csr, cluster, now, least).unwrap();
        let (_, certificate) = X509Certificate::from_der(&signed.certificate_der).unwrap();
        life_of(&certificate).unwrap().0
    };
    for milli in [0, 1, 999] {
        let now = now() + SignedDuration::from_millis(milli);
        let least = Authority::after(now);
        assert!(begins(now, None) < least, "{milli}");
        assert!(begins(now, Some(least)) >= least, "{milli}");
        let later = now + SignedDuration::from_secs(1);
        assert!(begins(later, None) >= least, "{milli}");
    }
}
