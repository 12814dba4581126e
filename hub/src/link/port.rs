//! The seam between the link and the rest of the hub: what a session needs and what it tells.
//!
//! Owns the traits and their words. Never implements them: the hub's assembly does, over its
//! store. Everything here is per cluster, and the cluster always comes from the TLS session
//! (design, decision 8), so an implementation may trust it.

use std::{collections::BTreeMap, future::Future, time::Duration};

use jiff::Timestamp;
use tidegate_model::{
    assignment::Assignment,
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, Generation},
    report::{Report, StatusRow},
};
use tokio::sync::watch;

/// What the link reads from and writes to the hub.
pub trait LinkBackend: Send + Sync + 'static {
    /// The hub's term. Rides on every message; fixed for the life of a process.
    fn epoch(&self) -> Epoch;

    /// The hub's last word on every application of the cluster, tombstones included until their
    /// `Removed` report is stored. At most one an application.
    fn assignments(&self, cluster: ClusterUid) -> Vec<Assignment>;

    /// One row for each stored report on the applications of [`LinkBackend::assignments`], as the
    /// agent gave it.
    fn status_rows(&self, cluster: ClusterUid) -> Vec<StatusRow>;

    /// Changes whenever [`LinkBackend::assignments`] of this cluster may have changed. Only a
    /// nudge: the number means nothing, and one nudge may stand for many changes.
    fn changes(&self, cluster: ClusterUid) -> watch::Receiver<u64>;

    /// The Kubernetes cluster to which this identity was bound when it joined.
    fn kubernetes_uid(&self, cluster: ClusterUid) -> Option<String>;

    /// An agent of this cluster opens a session. Called after version, epoch and Kubernetes uid
    /// were found good; stores what the agent says of itself, and binds the identity to the
    /// Kubernetes uid if it is not bound yet. `certificate` is when the life of its certificate
    /// begins.
    fn hello(
        &self,
        cluster: ClusterUid,
        certificate: Option<Timestamp>,
        facts: AgentFacts,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Stores the latest report on an application, whatever generation it speaks of: whether it
    /// is evidence for anything is decided where it is read. Returns once it is durable.
    fn report(
        &self,
        cluster: ClusterUid,
        report: Report,
    ) -> impl Future<Output = Result<Kept, Failure>> + Send;

    /// The agent's answer to the current assignment of one of its applications. Answers to
    /// assignments that no longer stand are not passed on. May come more than once.
    fn ack(
        &self,
        cluster: ClusterUid,
        ack: Ack,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Where an assignment stands in a trace, as W3C Trace Context; `None` if nobody traces it.
    fn traceparent(&self, assignment: &Assignment) -> Option<String> {
        let _ = assignment;
        None
    }

    /// Certificates of the cluster's agent whose life begins before are to be renewed.
    fn renew_before(&self, cluster: ClusterUid) -> Option<Timestamp> {
        let _ = cluster;
        None
    }

    /// Something that a person must look at. Already logged.
    fn alarm(&self, cluster: ClusterUid, alarm: Alarm) -> impl Future<Output = ()> + Send;

    /// Canonical JSON of a blob; `None` if the hub does not have it. The link has checked that the
    /// caller may have it, and checks the digest of what comes back.
    fn blob(&self, blob: BlobRef) -> impl Future<Output = Result<Option<Vec<u8>>, Failure>> + Send;
}

/// How agents get and renew their certificates.
pub trait EnrollBackend: Send + Sync + 'static {
    /// Trades a join token for a certificate.
    fn join(&self, order: JoinOrder) -> impl Future<Output = Result<Joined, EnrollError>> + Send;

    /// Renews the certificate of the identity that asks; for that identity only.
    fn renew(
        &self,
        cluster: ClusterUid,
        csr: Vec<u8>,
    ) -> impl Future<Output = Result<Certificate, EnrollError>> + Send;
}

/// What an agent says of itself when it opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFacts {
    /// UID of the kube-system namespace.
    pub kubernetes_uid: String,
    /// Version of the agent's binary.
    pub version: String,
    /// One per installation of the agent.
    pub agent_uid: String,
    /// One per process.
    pub boot_id: String,
    /// What it can do beyond its protocol version.
    pub capabilities: Vec<String>,
    /// Labels under `fact.tidegate.dev/`; every other label that it sent was dropped.
    pub labels: BTreeMap<String, String>,
}

/// A session that the hub does not want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, and what to do; shown where the agent runs.
    pub reason: String,
    /// How long the agent should stay away.
    pub retry_after: Duration,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is durable.
    Stored,
    /// The hub knows no such application in this cluster; left alone.
    NotOurs,
}

/// The hub could not do what was asked, and the session cannot go on: it ends, the agent comes
/// back and says it again.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What failed and what it means, for a person.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure with its cause.
    pub fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            what: what.into(),
            source: Some(source.into()),
        }
    }
}

/// An agent's answer to an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The application.
    pub app: AppUid,
    /// Generation of the assignment.
    pub generation: Generation,
    /// Digest of the assignment.
    pub digest: Digest,
    /// What became of it.
    pub outcome: AckOutcome,
}

/// What became of an assignment in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    /// It is durable with the agent.
    Accepted,
    /// The agent does not take it.
    Rejected {
        /// Why.
        reason: String,
    },
}

/// Something that a person must look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// This hub lost its term: an agent has seen a later one.
    #[error(
        "the agent has seen hub epoch {seen}, this hub has {own}: another hub took over, or this one was restored from an old copy of its store"
    )]
    StaleHub {
        /// The agent's highest.
        seen: Epoch,
        /// This hub's.
        own: Epoch,
    },
    /// A second Kubernetes cluster uses an identity.
    #[error(
        "the identity belongs to the Kubernetes cluster {bound} and was used by {given}: its key was copied; make a join token for the second cluster"
    )]
    SecondCluster {
        /// Uid that the identity is bound to.
        bound: String,
        /// Uid that used it.
        given: String,
    },
    /// An agent asked for content that is not its own.
    #[error("the agent asked for {blob}, which no assignment of its cluster names")]
    ForeignBlob {
        /// What it asked for.
        blob: BlobRef,
    },
}

/// Kind of a blob: the tag of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlobKind {
    /// A bundle.
    Bundle,
    /// A manifest.
    Object,
}

/// Names a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobRef {
    /// What it is.
    pub kind: BlobKind,
    /// Its digest, made with the tag of its kind.
    pub digest: Digest,
}

impl std::fmt::Display for BlobRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            BlobKind::Bundle => "bundle",
            BlobKind::Object => "object",
        };
        write!(f, "{kind} {}", self.digest)
    }
}

/// A request to join.
#[derive(Clone)]
pub struct JoinOrder {
    /// The token's text, as it came.
    pub token: String,
    /// PKCS#10, DER. Nothing of it but the key may be used.
    pub csr: Vec<u8>,
    /// UID of the kube-system namespace: binds the identity.
    pub kubernetes_uid: String,
}

impl std::fmt::Debug for JoinOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token is a secret.
        f.debug_struct("JoinOrder")
            .field("kubernetes_uid", &self.kubernetes_uid)
            .finish_non_exhaustive()
    }
}

/// A certificate for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate with its intermediates, PEM.
    pub certificate_pem: String,
    /// Certificates that the agent trusts the hub by, PEM.
    pub ca_pem: String,
    /// End of its life.
    pub not_after: Timestamp,
}

/// The answer to a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The identity that was made.
    pub cluster: ClusterUid,
    /// Name of the cluster.
    pub name: String,
    /// Its certificate.
    pub certificate: Certificate,
}

/// Why there is no certificate. Each text says what to do, and is shown where the agent runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrollError {
    /// The token is wrong, used or expired, or the identity may not renew. Asking again is no use.
    #[error("{0}")]
    Refused(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The hub cannot answer now.
    #[error("{0}")]
    Unavailable(String),
}
