//! A hub whose link, TLS and authoriser are the real ones and whose records are in memory.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tidegate_hub::{
    clock::Clock,
    identity::{
        AuthLayer, Authority, Peer, Standing,
        tls::{ServerKey, handshakes, server_config},
        token,
    },
    link::{
        AgentLinkApi, EnrollmentApi, Options, Sessions, limits,
        port::{
            Ack, AgentFacts, Alarm, BlobKind, BlobRef, Certificate, EnrollBackend, EnrollError,
            Failure, JoinOrder, Joined, Kept, LinkBackend, Refusal,
        },
    },
    records::TokenRecord,
};
use tidegate_model::{
    assignment::Assignment,
    canonical,
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch},
    report::{Report, StatusRow},
};
use tidegate_proto::v1::{
    self as wire,
    agent_link_server::{AgentLink, AgentLinkServer},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};

use super::model::{FIRST, SECOND, content};

/// Short, so that nothing here takes long.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(300);

#[derive(Default)]
pub(crate) struct Records {
    pub(crate) assignments: BTreeMap<AppUid, Assignment>,
    pub(crate) reports: BTreeMap<AppUid, Report>,
    pub(crate) acks: Vec<Ack>,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) hellos: Vec<(ClusterUid, AgentFacts)>,
    pub(crate) blobs: BTreeMap<BlobRef, Vec<u8>>,
    pub(crate) bound: BTreeMap<ClusterUid, String>,
    pub(crate) tokens: BTreeMap<String, TokenRecord>,
    pub(crate) renewals: usize,
    /// Certificates whose life begins before are to be renewed.
    pub(crate) renew_before: Option<Timestamp>,
    /// When the lives of the certificates began with which sessions were opened.
    pub(crate) certificates: Vec<Timestamp>,
    /// How long ago certificates are said to have been made.
    pub(crate) age: SignedDuration,
}

/// What outlives one process of the hub.
#[derive(Clone)]
pub(crate) struct FakeHub {
    records: Arc<Mutex<Records>>,
    pub(crate) nudge: watch::Sender<u64>,
    pub(crate) authority: Arc<Authority>,
    folder: Arc<TempDir>,
}

impl FakeHub {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["127.0.0.1".to_owned()];
        // Older than any certificate that a test has it sign.
        let now = Clock::default().now() - SignedDuration::from_hours(5 * 24);
        let authority = Authority::create(folder.path(), "tidegate.test", &names, now).unwrap();
        Self {
            records: Arc::default(),
            nudge: watch::Sender::new(0),
            authority: Arc::new(authority),
            folder: Arc::new(folder),
        }
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap()
    }

    /// Makes this the last word on its application.
    pub(crate) fn assign(&self, assignment: Assignment) {
        self.records()
            .assignments
            .insert(assignment.app, assignment);
        self.nudge.send_modify(|change| *change += 1);
    }

    /// Stores the content of one text; with the names of its bundle and its object.
    pub(crate) fn store(&self, text: &str) -> [BlobRef; 2] {
        let (bundle, object) = content(text);
        let value = bundle.to_value();
        let names = [
            BlobRef {
                kind: BlobKind::Bundle,
                digest: bundle.digest(),
            },
            BlobRef {
                kind: BlobKind::Object,
                digest: bundle.objects()[0].digest,
            },
        ];
        let mut records = self.records();
        records.blobs.insert(names[0], canonical::to_vec(&value));
        records.blobs.insert(names[1], canonical::to_vec(&object));
        names
    }

    pub(crate) fn token(&self, expires_in: SignedDuration) -> String {
        let secrets = token::Secrets::random().unwrap();
        let expires = Clock::default().now() + expires_in;
        let (text, record) = token::mint(
            &secrets,
            &self.authority.fingerprint(),
            FIRST,
            expires,
            "ada",
        );
        self.records().tokens.insert(record.id.clone(), record);
        text
    }

    /// A certificate over the key of `csr`.
    fn sign(&self, csr: &[u8], cluster: ClusterUid) -> Certificate {
        let made = Clock::default().now() - self.records().age;
        let signed = self.authority.sign_agent(csr, cluster, made, None).unwrap();
        Certificate {
            certificate_pem: signed.certificate_pem,
            ca_pem: self.authority.ca_pem().to_owned(),
            not_after: signed.not_after,
        }
    }

    /// An identity without the way to it.
    pub(crate) fn identity(&self, cluster: ClusterUid) -> tidegate_agent::identity::Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let certificate = self.sign(csr.der(), cluster);
        tidegate_agent::identity::Identity {
            cluster,
            cluster_name: "test".into(),
            agent_uid: "agent".into(),
            token_id: "token".into(),
            key_pem: key.serialize_pem(),
            certificate_pem: certificate.certificate_pem,
            ca_pem: certificate.ca_pem,
        }
    }

    /// Serves with this term until it is dropped.
    pub(crate) async fn serve(&self, epoch: u64) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.serve_on(listener, epoch, false)
    }

    /// Serves on the address of a hub that has ended.
    pub(crate) async fn serve_again(&self, address: SocketAddr, epoch: u64) -> Serving {
        let listener = super::model::eventually("the address to be free", || {
            let socket = tokio::net::TcpSocket::new_v4().ok()?;
            socket.set_reuseaddr(true).ok()?;
            socket.bind(address).ok()?;
            socket.listen(64).ok()
        });
        self.serve_on(listener.await, epoch, false)
    }

    /// Serves content that is not what its name says.
    pub(crate) async fn serve_lies(&self, epoch: u64) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.serve_on(listener, epoch, true)
    }

    fn serve_on(&self, listener: TcpListener, epoch: u64, lies: bool) -> Serving {
        let address = listener.local_addr().unwrap();
        let sessions = Sessions::new(Clock::default());
        let cancel = CancellationToken::new();
        let backend = Arc::new(Backend {
            hub: self.clone(),
            epoch: Epoch(epoch),
        });
        let options = Options {
            heartbeat: HEARTBEAT,
        };
        let link = AgentLinkApi::new(
            Arc::clone(&backend),
            sessions.clone(),
            options,
            cancel.clone(),
        );
        let enroll = EnrollmentApi::new(backend).into_server();
        let routes = if lies {
            Routes::new(enroll).add_service(AgentLinkServer::new(Liar(link)))
        } else {
            Routes::new(enroll).add_service(link.into_server())
        };
        let now = Clock::default().now();
        let certificate = self
            .authority
            .server_certificate(self.folder.path(), now)
            .unwrap();
        let key = ServerKey::new(&self.authority, &certificate).unwrap();
        let tls = server_config(&self.authority, &key).unwrap();
        let layer = AuthLayer::new(
            self.authority.trust_domain().clone(),
            Arc::new(|_| None),
            Arc::new(|uid| [FIRST, SECOND].contains(&uid).then(Standing::default)),
        );
        let server = limits::server().layer(layer).add_routes(routes);
        let task = tokio::spawn(async move {
            server
                .serve_with_incoming(handshakes(TcpListenerStream::new(listener), tls))
                .await
                .unwrap();
        });
        Serving {
            address,
            sessions,
            cancel,
            task,
        }
    }
}

/// One process of the hub.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Sessions,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Dies at once, as by kill -9: no goodbye.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.task.abort();
    }
}

struct Backend {
    hub: FakeHub,
    epoch: Epoch,
}

impl LinkBackend for Backend {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn assignments(&self, cluster: ClusterUid) -> Vec<Assignment> {
        let records = self.hub.records();
        records
            .assignments
            .values()
            .filter(|a| a.cluster == cluster)
            .cloned()
            .collect()
    }

    fn status_rows(&self, cluster: ClusterUid) -> Vec<StatusRow> {
        let records = self.hub.records();
        let own = records
            .assignments
            .values()
            .filter(|a| a.cluster == cluster);
        own.filter_map(|a| records.reports.get(&a.app))
            .map(StatusRow::from)
            .collect()
    }

    fn changes(&self, _: ClusterUid) -> watch::Receiver<u64> {
        self.hub.nudge.subscribe()
    }

    fn kubernetes_uid(&self, cluster: ClusterUid) -> Option<String> {
        self.hub.records().bound.get(&cluster).cloned()
    }

    fn renew_before(&self, _: ClusterUid) -> Option<Timestamp> {
        self.hub.records().renew_before
    }

    async fn hello(
        &self,
        cluster: ClusterUid,
        certificate: Option<Timestamp>,
        facts: AgentFacts,
    ) -> Result<(), Refusal> {
        let mut records = self.hub.records();
        records
            .bound
            .entry(cluster)
            .or_insert_with(|| facts.kubernetes_uid.clone());
        records.hellos.push((cluster, facts));
        records.certificates.push(certificate.unwrap());
        Ok(())
    }

    async fn report(&self, cluster: ClusterUid, report: Report) -> Result<Kept, Failure> {
        let mut records = self.hub.records();
        if records
            .assignments
            .get(&report.app)
            .is_none_or(|a| a.cluster != cluster)
        {
            return Ok(Kept::NotOurs);
        }
        records.reports.insert(report.app, report);
        Ok(Kept::Stored)
    }

    async fn ack(&self, _: ClusterUid, ack: Ack) -> Result<(), Failure> {
        self.hub.records().acks.push(ack);
        Ok(())
    }

    async fn alarm(&self, _: ClusterUid, alarm: Alarm) {
        self.hub.records().alarms.push(alarm);
    }

    async fn blob(&self, blob: BlobRef) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.hub.records().blobs.get(&blob).cloned())
    }
}

impl EnrollBackend for Backend {
    async fn join(&self, order: JoinOrder) -> Result<Joined, EnrollError> {
        let refused = |refusal: token::Refusal| EnrollError::Refused(refusal.to_string());
        let now: Timestamp = Clock::default().now();
        let presented = token::parse(&order.token).map_err(refused)?;
        let cluster = {
            let mut records = self.hub.records();
            let record = records.tokens.get(&presented.id);
            let cluster = token::verify(&presented, record, now).map_err(refused)?;
            records.tokens.get_mut(&presented.id).unwrap().used_at = Some(now);
            records.bound.insert(cluster, order.kubernetes_uid.clone());
            cluster
        };
        let certificate = self.hub.sign(&order.csr, cluster);
        Ok(Joined {
            cluster,
            name: "prod-1".into(),
            certificate,
        })
    }

    async fn renew(&self, cluster: ClusterUid, csr: Vec<u8>) -> Result<Certificate, EnrollError> {
        {
            let mut records = self.hub.records();
            records.renewals += 1;
            records.age = SignedDuration::ZERO;
        }
        assert_eq!(cluster, FIRST, "{}", Peer::Cluster(cluster));
        Ok(self.hub.sign(&csr, cluster))
    }
}

/// A hub that sends other content than it was asked for.
struct Liar(AgentLinkApi<Backend>);

type Stream<T> = std::pin::Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AgentLink for Liar {
    type SessionStream = Stream<wire::HubMessage>;
    type FetchBlobsStream = Stream<wire::BlobChunk>;

    async fn session(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.0.session(request).await
    }

    async fn fetch_blobs(
        &self,
        request: Request<wire::FetchBlobsRequest>,
    ) -> Result<Response<Self::FetchBlobsStream>, Status> {
        let blobs = request.into_inner().blobs;
        let lie = zstd::encode_all(&b"[]"[..], 1).unwrap();
        let chunks = blobs.into_iter().map(move |blob| {
            let digest: Result<Digest, _> = blob.digest.parse();
            assert!(digest.is_ok(), "{digest:?}");
            Ok(wire::BlobChunk {
                blob: Some(blob),
                data: lie.clone(),
                last: true,
            })
        });
        Ok(Response::new(Box::pin(futures::stream::iter(chunks))))
    }
}
