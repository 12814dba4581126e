//! The layer over real TLS: who gets through, and what everybody else is told.

mod streams;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Mutex,
};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    codegen::http::uri::PathAndQuery,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server},
};
use tonic_health::pb::HealthCheckRequest;
use tonic_prost::ProstCodec;

use super::*;
use crate::{
    clock::Clock,
    identity::{
        Authority,
        tls::{ServerKey, handshakes, server_config},
    },
};

const CLUSTER: &str = "0190a0b0-c0d0-7000-8000-000000000001";
const REMOVED: &str = "0190a0b0-c0d0-7000-8000-000000000002";
const APPLY: &str = "/tidegate.v1.Fleet/Apply";
const LIST: &str = "/tidegate.v1.Fleet/ListRuns";
const SESSION: &str = "/tidegate.v1.AgentLink/Session";
const RENEW: &str = "/tidegate.v1.Enrollment/Renew";
const ADD_USER: &str = "/tidegate.v1.Fleet/CreateUser";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const JOIN: &str = "/tidegate.v1.Enrollment/Join";

/// A hub with nothing behind its authoriser but a service that says who called.
struct Hub {
    address: SocketAddr,
    authority: Authority,
    roles: Arc<Mutex<BTreeMap<String, Role>>>,
    clusters: Arc<Mutex<BTreeSet<ClusterUid>>>,
    refused_before: Arc<Mutex<Option<Timestamp>>>,
    key: ServerKey,
    layer: AuthLayer,
    now: Timestamp,
    server: JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers every call with ABORTED and the caller's name: it got through.
fn echo() -> tonic::service::Routes {
    let answer = |request: http::Request<axum::body::Body>| async move {
        let caller = request.extensions().get::<Caller>().cloned();
        let name = caller.map_or_else(|| "no caller".to_owned(), |caller| caller.name);
        Status::aborted(name).into_http::<axum::body::Body>()
    };
    axum::Router::new().fallback(answer).into()
}

async fn start() -> Hub {
    start_with(echo(), RECHECK).await
}

async fn start_with(routes: tonic::service::Routes, recheck: Duration) -> Hub {
    // TLS compares certificates with the real clock.
    let now = Clock::default().now();
    let dir = tempfile::tempdir().unwrap();
    // Old enough to have signed certificates that are over by now.
    let made = now - SignedDuration::from_hours(60 * 24);
    let names = ["localhost".to_owned()];
    let authority = Authority::create(dir.path(), "fleet.example.org", &names, made).unwrap();
    let key = ServerKey::new(
        &authority,
        &authority.server_certificate(dir.path(), now).unwrap(),
    )
    .unwrap();
    let people = [
        ("vera", Role::Viewer),
        ("otto", Role::Operator),
        ("ada", Role::Admin),
    ];
    let people = people.map(|(name, role)| (name.to_owned(), role));
    let roles = Arc::new(Mutex::new(BTreeMap::from(people)));
    let known = Arc::clone(&roles);
    let clusters = Arc::new(Mutex::new(BTreeSet::from([CLUSTER.parse().unwrap()])));
    let registered = Arc::clone(&clusters);
    let refused_before = Arc::new(Mutex::new(None));
    let replaced = Arc::clone(&refused_before);
    let layer = AuthLayer::new(
        authority.trust_domain().clone(),
        Arc::new(move |name: &str| known.lock().unwrap().get(name).copied()),
        Arc::new(move |uid| {
            let refused_before = *replaced.lock().unwrap();
            let known = registered.lock().unwrap().contains(&uid);
            known.then_some(Standing { refused_before })
        }),
    )
    .rechecking(recheck);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = server_config(&authority, &key).unwrap();
    let serving = Server::builder()
        .layer(layer.clone())
        .add_routes(routes)
        .serve_with_incoming(handshakes(TcpListenerStream::new(listener), config));
    let server = tokio::spawn(async move { serving.await.unwrap() });
    Hub {
        address,
        authority,
        roles,
        clusters,
        refused_before,
        key,
        layer,
        now,
        server,
        dir,
    }
}

fn request() -> (Vec<u8>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    (request.der().to_vec(), key)
}

impl Hub {
    fn person(&self, name: &str) -> Identity {
        let made = self.authority.new_user(name, self.now).unwrap();
        Identity::from_pem(made.certificate_pem, made.key_pem)
    }

    fn agent(&self, cluster: &str) -> Identity {
        let (csr, key) = request();
        let signed = self
            .authority
            .sign_agent(&csr, cluster.parse().unwrap(), self.now, None)
            .unwrap();
        Identity::from_pem(signed.certificate_pem, key.serialize_pem())
    }

    /// Calls and says how it ended: ABORTED with the caller's name if it got through.
    async fn call(&self, identity: Option<&Identity>, path: &'static str) -> (Code, String) {
        match self.try_call(identity, path).await {
            Ok(status) => (status.code(), status.message().to_owned()),
            Err(error) => panic!("no connection: {error:?}"),
        }
    }

    async fn channel(
        &self,
        identity: Option<&Identity>,
    ) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.authority.ca_pem()))
            .domain_name("localhost");
        if let Some(identity) = identity {
            tls = tls.identity(identity.clone());
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls)?.connect().await
    }

    async fn try_call(
        &self,
        identity: Option<&Identity>,
        path: &'static str,
    ) -> Result<Status, tonic::transport::Error> {
        let mut client = tonic::client::Grpc::new(self.channel(identity).await?);
        client.ready().await?;
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
        let request = Request::new(HealthCheckRequest::default());
        let answer = client
            .unary(request, PathAndQuery::from_static(path), codec)
            .await;
        Ok(answer.map(|_| ()).unwrap_err())
    }

    /// A TLS session without a certificate, after the first bytes of the server.
    async fn session(&self, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let connector = TlsConnector::from(Arc::clone(config));
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, tcp).await.unwrap();
        // What the server says first comes after the tickets that it might have sent.
        stream.read_u8().await.unwrap();
        stream
    }

    fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

fn through(name: &str) -> (Code, String) {
    (Code::Aborted, name.to_owned())
}

#[tokio::test]
async fn people_get_through_as_far_as_their_role_goes() {
    let hub = start().await;
    let (vera, otto, ada) = (hub.person("vera"), hub.person("otto"), hub.person("ada"));
    assert_eq!(hub.call(Some(&vera), LIST).await, through("vera"));
    assert_eq!(hub.call(Some(&otto), APPLY).await, through("otto"));
    assert_eq!(hub.call(Some(&ada), ADD_USER).await, through("ada"));

    let (code, text) = hub.call(Some(&vera), APPLY).await;
    assert_eq!(code, Code::PermissionDenied);
    assert!(
        text.contains("needs the role Operator, vera has the role Viewer"),
        "{text}"
    );
    let (code, text) = hub.call(Some(&otto), ADD_USER).await;
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("needs the role Admin"), "{text}");
}

#[tokio::test]
async fn a_removed_person_is_denied_from_the_next_call_on() {
    let hub = start().await;
    let vera = hub.person("vera");
    assert_eq!(hub.call(Some(&vera), LIST).await, through("vera"));
    let caller = Caller::new(
        Some(Peer::User("vera".to_owned())),
        Some(Role::Viewer),
        None,
    );
    assert_eq!(hub.layer.recheck(LIST, &caller), Ok(()));

    hub.roles.lock().unwrap().remove("vera");
    let (code, text) = hub.call(Some(&vera), LIST).await;
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("vera has no role here"), "{text}");
    assert!(
        hub.layer.recheck(LIST, &caller).is_err(),
        "a stream would go on"
    );
}

#[tokio::test]
async fn agents_and_people_do_not_make_each_others_calls() {
    let hub = start().await;
    let (agent, ada) = (hub.agent(CLUSTER), hub.person("ada"));
    for path in [SESSION, RENEW] {
        assert_eq!(
            hub.call(Some(&agent), path).await,
            through(&format!("cluster/{CLUSTER}"))
        );
        let (code, text) = hub.call(Some(&ada), path).await;
        assert_eq!(code, Code::PermissionDenied);
        assert!(text.contains("is for agents"), "{text}");
    }
    for path in [LIST, APPLY] {
        let (code, text) = hub.call(Some(&agent), path).await;
        assert_eq!(code, Code::PermissionDenied);
        assert!(
            text.contains("is for people") && text.contains(CLUSTER),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_agent_of_a_removed_cluster_is_denied_but_may_join_anew() {
    let hub = start().await;
    let agent = hub.agent(REMOVED);
    for path in [SESSION, RENEW] {
        let (code, text) = hub.call(Some(&agent), path).await;
        assert_eq!(code, Code::PermissionDenied);
        assert!(
            text.contains("is not registered") && text.contains(REMOVED),
            "{text}"
        );
    }
    assert_eq!(
        hub.call(Some(&agent), JOIN).await,
        through(&format!("cluster/{REMOVED}"))
    );
}

#[tokio::test]
async fn without_a_certificate_only_joining_and_health_are_open() {
    let hub = start().await;
    for path in [JOIN, HEALTH] {
        assert_eq!(hub.call(None, path).await, through("anonymous"), "{path}");
    }
    for path in [
        LIST,
        APPLY,
        ADD_USER,
        SESSION,
        RENEW,
        REFLECTION,
        "/no.Such/Call",
    ] {
        let (code, text) = hub.call(None, path).await;
        assert_eq!(code, Code::Unauthenticated, "{path}");
        assert!(text.contains("needs a client certificate"), "{text}");
    }
    let (code, text) = hub.call(Some(&hub.person("ada")), "/no.Such/Call").await;
    assert_eq!(
        (code, text.contains("not a call of this hub")),
        (Code::PermissionDenied, true)
    );
}

#[tokio::test]
async fn a_certificate_of_the_hub_that_stands_for_nobody_is_denied() {
    let hub = start().await;
    // The only one that the authority signs without an identity in it is the hub's own.
    let certificate = hub
        .authority
        .server_certificate(hub.dir.path(), hub.now)
        .unwrap();
    let der = CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap();
    let denied = hub.layer.decide(LIST, Some(&der)).unwrap_err();
    assert_eq!(denied.code(), Code::Unauthenticated);
    assert!(denied.to_string().contains("stands for nobody"), "{denied}");
    assert!(hub.layer.decide(HEALTH, Some(&der)).is_ok());
    // As a client, TLS does not let it in at all: it is for servers.
    let identity = Identity::from_pem(certificate.certificate_pem, certificate.key_pem);
    assert!(!is_through(hub.try_call(Some(&identity), HEALTH).await));
}

fn is_through(outcome: Result<Status, tonic::transport::Error>) -> bool {
    outcome.is_ok_and(|status| status.code() == Code::Aborted)
}

#[tokio::test]
async fn expired_and_foreign_certificates_do_not_get_past_tls() {
    let hub = start().await;
    let before = hub.now - SignedDuration::from_hours(40 * 24);
    let old = hub.authority.new_user("ada", before).unwrap();
    assert!(old.not_after < hub.now);
    let old = Identity::from_pem(old.certificate_pem, old.key_pem);
    let elsewhere = start().await;
    for (identity, what) in [(old, "expired"), (elsewhere.person("ada"), "foreign")] {
        // Not even where nobody needs to be known.
        for path in [LIST, HEALTH] {
            assert!(
                !is_through(hub.try_call(Some(&identity), path).await),
                "{what}"
            );
        }
    }
    assert!(is_through(
        hub.try_call(Some(&hub.person("ada")), LIST).await
    ));
}

#[tokio::test]
async fn sessions_are_never_resumed() {
    // A resumed session would keep a client certificate alive that has expired since.
    let hub = start().await;
    let config = hub.client_config();
    for _ in 0..2 {
        let session = hub.session(&config).await;
        assert_eq!(
            session.get_ref().1.handshake_kind(),
            Some(HandshakeKind::Full)
        );
    }
}

#[tokio::test]
async fn a_renewed_server_certificate_is_used_from_the_next_connection_on() {
    let hub = start().await;
    let config = hub.client_config();
    let presented = async || {
        let session = hub.session(&config).await;
        session.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let before = presented().await;
    let names = ["localhost".to_owned()];
    let renewed = hub
        .authority
        .make_server_certificate(hub.dir.path(), &names, hub.now)
        .unwrap();
    hub.key.replace(&renewed).unwrap();
    let after = presented().await;
    assert_ne!(after, before);
    assert_eq!(
        after,
        CertificateDer::from_pem_slice(renewed.certificate_pem.as_bytes()).unwrap()
    );
}

#[tokio::test]
async fn a_caller_cannot_be_smuggled_in() {
    // Without a TLS session nobody is known, whatever else is in the request.
    let hub = start().await;
    let mut service = hub.layer.layer(echo().prepare());
    let mut request = http::Request::new(tonic::body::Body::empty());
    *request.uri_mut() = LIST.parse().unwrap();
    let admin = Caller::new(Some(Peer::User("ada".to_owned())), Some(Role::Admin), None);
    request.extensions_mut().insert(admin);
    let answer = service.call(request).await.unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_denied_and_its_successor_is_not() {
    let hub = start().await;
    let path = SESSION;
    let former = hub.agent(CLUSTER);
    let fine = through(&format!("cluster/{CLUSTER}"));
    assert_eq!(hub.call(Some(&former), path).await, fine);
    let least = Authority::after(hub.now);
    *hub.refused_before.lock().unwrap() = Some(least);
    for path in [SESSION, RENEW] {
        let (code, text) = hub.call(Some(&former), path).await;
        assert_eq!(code, Code::PermissionDenied);
        assert!(text.contains("was replaced by a newer one"), "{text}");
    }
    let (csr, key) = request();
    let cluster = CLUSTER.parse().unwrap();
    let signed = hub
        .authority
        .sign_agent(&csr, cluster, hub.now, Some(least));
    let successor = Identity::from_pem(signed.unwrap().certificate_pem, key.serialize_pem());
    assert_eq!(hub.call(Some(&successor), path).await, fine);
    // People have no such rule, and whoever joins anew is asked for a token alone.
    assert_eq!(
        hub.call(Some(&hub.person("vera")), LIST).await,
        through("vera")
    );
    assert_eq!(hub.call(Some(&former), JOIN).await, fine);
}
