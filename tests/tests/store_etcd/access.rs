//! Who may use an etcd: TLS both ways, users and passwords.

use std::{net::SocketAddr, sync::Arc};

use etcd_client::{Client, ConnectOptions};
use futures::StreamExt as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tidegate_store::{
    Error, Etcd, Store as _, Txn,
    etcd::{Fault, Options},
};
use tidegate_tests::harness::{self, require_servers};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::cases::{A, commit};

/// A certificate for the loopback address by this authority, and its key.
fn signed(issuer: &Issuer<'_, KeyPair>) -> (String, String) {
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

/// Serves TLS as an etcd with `--client-cert-auth` does, in front of one that speaks none: the
/// etcd of the test bed knows no certificates.
async fn tls_before(etcd: &str, ca: &str, identity: (String, String)) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .build()
        .unwrap();
    let (certificate, key) = identity;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let etcd = etcd.trim_start_matches("http://").to_owned();
    // Ends with the test's runtime.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, etcd) = (acceptor.clone(), etcd.clone());
            tokio::spawn(async move {
                // A client that is refused learns it by the alert, and the test by the client.
                let mut client = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(etcd).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    address
}

#[tokio::test]
async fn both_ends_prove_who_they_are() {
    let Some(binaries) = require_servers("both_ends_prove_who_they_are") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let (ca, issuer) = authority();
    let address = tls_before(server.url(), &ca, signed(&issuer)).await;
    let options = |ca: &str, identity| Options {
        ca_pem: Some(ca.to_owned()),
        identity,
        ..Options::new([format!("https://{address}")])
    };
    let store = Etcd::open(options(&ca, Some(signed(&issuer))))
        .await
        .unwrap();
    assert_eq!(commit(&store, Txn::new().put(A, "1")).await, 1);

    let (other_ca, other_issuer) = authority();
    let stranger = Etcd::open(options(&other_ca, Some(signed(&issuer)))).await;
    let error = stranger.unwrap_err();
    assert!(
        matches!(error, Error::Etcd(Fault::Unreachable { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("certificate"), "{error}");
    // The server says no only after the handshake, as TLS 1.3 has it.
    for wrong in [None, Some(signed(&other_issuer))] {
        let error = Etcd::open(options(&ca, wrong)).await.unwrap_err();
        assert!(error.to_string().contains("fatal alert"), "{error}");
    }
}

#[tokio::test]
async fn a_user_needs_the_password_and_the_rights() {
    let Some(binaries) = require_servers("a_user_needs_the_password") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let url = server.url().to_owned();
    let admin = Client::connect([server.url()], None).await.unwrap();
    let mut auth = admin.auth_client();
    auth.user_add("root", "secret", None).await.unwrap();
    auth.user_grant_role("root", "root").await.unwrap();
    auth.user_add("nobody", "secret", None).await.unwrap();
    auth.auth_enable().await.unwrap();
    let open = async |user: Option<(&str, &str)>| {
        Etcd::open(Options {
            user: user.map(|(name, password)| (name.to_owned(), password.to_owned())),
            ..Options::new([url.as_str()])
        })
        .await
    };
    let store = open(Some(("root", "secret"))).await.unwrap();
    assert_eq!(store.get(A).await.unwrap(), None);
    commit(&store, Txn::new().put(A, "1")).await;
    // etcd forgets a token when it is old, and when the user's password is set.
    let root = ConnectOptions::new().with_user("root", "secret");
    let admin = Client::connect([server.url()], Some(root)).await.unwrap();
    let mut auth = admin.auth_client();
    auth.user_change_password("root", "secret").await.unwrap();
    let watched = store.watch("/tidegate/v1/", 0).next().await.unwrap();
    assert_eq!(watched.unwrap().revision, 1);
    for wrong in [None, Some(("root", "wrong")), Some(("nobody", "secret"))] {
        let error = open(wrong).await.unwrap_err();
        assert!(
            matches!(error, Error::Etcd(Fault::Refused { .. })),
            "{wrong:?}: {error:?}"
        );
        assert!(!error.is_retryable() && !error.is_outcome_unknown());
    }
}

#[tokio::test]
async fn a_token_that_is_older_than_the_users_is_replaced_and_nothing_is_lost() {
    let Some(binaries) = require_servers("a_token_that_is_older_than_the_users") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "a secret of 32 bytes, or of more").unwrap();
    // Tokens that etcd signs and does not keep: they name the revision of its users and roles.
    let flag = format!(
        "--auth-token=jwt,priv-key={},sign-method=HS256",
        key.display()
    );
    let server = harness::Etcd::alone_with(&binaries, &[flag]).await.unwrap();
    let admin = Client::connect([server.url()], None).await.unwrap();
    let mut auth = admin.auth_client();
    auth.user_add("root", "secret", None).await.unwrap();
    auth.user_grant_role("root", "root").await.unwrap();
    auth.auth_enable().await.unwrap();
    let root = ("root".to_owned(), "secret".to_owned());
    let store = Etcd::open(Options {
        user: Some(root),
        ..Options::new([server.url()])
    })
    .await
    .unwrap();
    commit(&store, Txn::new().put(A, "1")).await;
    let mut changes = store.watch("/tidegate/v1/", 0);
    assert_eq!(changes.next().await.unwrap().unwrap().revision, 1);
    for (user, value) in [("one", "2"), ("two", "3")] {
        let root = ConnectOptions::new().with_user("root", "secret");
        let admin = Client::connect([server.url()], Some(root)).await.unwrap();
        let mut auth = admin.auth_client();
        auth.user_add(user, "secret", None).await.unwrap();
        let revision = commit(&store, Txn::new().put(A, value)).await;
        assert_eq!(store.get(A).await.unwrap().unwrap().value, value);
        // Each change once: none was done twice, and a new watch can be opened.
        let mut again = store.watch("/tidegate/v1/", revision - 1);
        assert_eq!(again.next().await.unwrap().unwrap().revision, revision);
    }
    let leader = tokio::sync::watch::Sender::new(None);
    let lead = store.lead("hub/1", &leader).await.unwrap();
    lead.resign().await.unwrap();
}
