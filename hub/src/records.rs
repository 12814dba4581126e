//! What the hub stores and why: one Rust type per record, and its key.
//!
//! Owns keys and the passage to and from `tidegate.storage.v1`. Never decides anything.
//!
//! Everything that must survive a restart is here, because a restarted hub may know nothing else:
//! who may speak (users, clusters, tokens), what was asked (sets, wave plans), what it became (applications,
//! releases), how far it got (runs, members), on which evidence (reports), what is held back and
//! why (pins, denies, holds), and the record of every decision (audit). Sessions, last-seen times
//! and the freshness of evidence live in memory: after a restart they are unknown until the agents
//! have spoken again, and unknown is never healthy.

mod application;
mod audit;
mod cluster;
mod people;
mod report;
mod restored;
mod rollback;
mod run;
mod set;
mod source;
mod wave_plan;
pub(crate) mod wire;

use jiff::Timestamp;
use tidegate_model::{
    application::Application,
    application_set::ApplicationSet,
    assignment::Assignment,
    cluster::Cluster,
    deny::{Deny, Pin},
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, Generation, ReleaseId, RunId, SetUid},
    release::SourceCommit,
    report::Report,
    run::{LastGood, Member, Run},
    source::RepoRevision,
    wave_plan::WavePlan,
};

/// The end of a chain. Key: `<project>/head`.
pub use tidegate_model::audit::Head as AuditHead;
/// One decision. Key: `<project>/<sequence, 20 digits>`. Hash-chained per project.
pub use tidegate_model::audit::Record as AuditRecord;

/// Why a stored record could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the record {key}: {field}: {problem}")]
pub struct Error {
    /// The record's key.
    pub key: String,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// A record with a key of its own.
pub trait Record: Sized {
    /// First element of the key after `/tidegate/v1/`.
    const KIND: &'static str;

    /// The rest of the key: `<project>/<name…>`.
    fn path(&self) -> String;

    /// The stored bytes: a message of `tidegate.storage.v1`.
    fn encode(&self) -> Vec<u8>;

    /// Reads stored bytes.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error>;

    /// The whole key.
    fn key(&self) -> String {
        format!("/tidegate/v1/{}/{}", Self::KIND, self.path())
    }
}

/// Stands for the project in keys of records that belong to the whole fleet.
pub const FLEET: &str = "_";

/// The hub's term. Every transaction compares it, so that a hub that lost its term writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    /// The term.
    pub epoch: Epoch,
    /// Who took it.
    pub holder: String,
    /// When.
    pub taken_at: Timestamp,
}

/// A registered cluster. Key: `_/<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// The cluster.
    pub cluster: Cluster,
    /// Set by the first join: its identity belongs to this Kubernetes cluster alone.
    pub kubernetes_uid: Option<String>,
    /// Version of the agent that spoke last.
    pub agent_version: String,
    /// An agent has joined.
    pub joined: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Certificates of its agent whose life begins before are refused: they were replaced.
    pub refused_before: Option<Timestamp>,
    /// Certificates whose life begins before are to be renewed; see `rotation`.
    pub renew_before: Option<Timestamp>,
}

/// A join token. Key: `_/<id>`; the id is the public half of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Public half of the token.
    pub id: String,
    /// SHA-256 of the secret half.
    pub secret_hash: [u8; 32],
    /// The one cluster that it lets in.
    pub cluster: ClusterUid,
    /// No longer good from then on.
    pub expires_at: Timestamp,
    /// When it was traded in; it is good once.
    pub used_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read everything but secrets, which the hub does not have.
    Viewer,
    /// Also change sets, runs and pins.
    Operator,
    /// Also clusters and people.
    Admin,
}

/// A person. Key: `_/<name>`. Without a record a certificate opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The name in the certificate.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// The groups they are in: what gates name. Sorted, each once.
    pub groups: Vec<String>,
}

/// A set as accepted. Key: `<project>/<name>`.
#[derive(Clone, Debug, PartialEq)]
pub struct SetRecord {
    /// Its id.
    pub uid: SetUid,
    /// Its project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Rises with every accepted change of the document.
    pub version: u64,
    /// The document.
    pub document: ApplicationSet,
    /// Number of its latest release.
    pub last_release: u64,
    /// It was deleted; its applications are on their way out.
    pub deleting: bool,
    /// What went wrong in the last expansion or rendering, with places.
    pub problems: Vec<String>,
    /// The front door that owns it, for example `api`.
    pub managed_by: String,
    /// Its latest run.
    pub latest_run: Option<RunId>,
    /// Number of the last release that reached everybody.
    pub last_succeeded: Option<u64>,
    /// What renders but should be looked at; bounded by `publish::warn`. Holds nothing back.
    pub warnings: Vec<String>,
    /// Who applied the document as it is; empty if that is not known.
    pub applied_by: String,
    /// Number of the newest release that there was when the last rollback ended. Those that waited for
    /// their run then were made before its denies and pins, so they never get one: what they bring is
    /// looked at again, and is another release if nothing holds it.
    pub void_through: u64,
}

/// A strategy that many sets name. Key: `<project>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavePlanRecord {
    /// Its project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Rises with every accepted change of the document.
    pub version: u64,
    /// The document.
    pub document: WavePlan,
    /// Who applied the document as it is.
    pub applied_by: String,
}

/// An application of a set. Key: `<project>/<set uid>/<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRecord {
    /// Its id.
    pub uid: AppUid,
    /// Its set.
    pub set: SetUid,
    /// As last expanded.
    pub app: Application,
    /// The highest generation ever given out for it.
    pub generation: Generation,
    /// The hub's last word.
    pub assignment: Option<Assignment>,
    /// Release that the assignment came from; 0 before the first.
    pub release: u64,
    /// What it last ran through a whole wave, healthy.
    pub last_good: Option<LastGood>,
    /// Its row is gone.
    pub vanished: bool,
    /// Its agent's last no to an assignment; whether it still counts is `rejection`'s to say.
    pub rejection: Option<Rejection>,
}

/// An agent's no to an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Generation of the assignment.
    pub generation: Generation,
    /// Digest of the assignment.
    pub digest: Digest,
    /// Why, in the agent's words, cut.
    pub reason: String,
    /// When the hub first got it.
    pub at: Timestamp,
}

/// An agent's last report on an application. Key: `<project>/<set uid>/<app uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRecord {
    /// Project of the application, for the key.
    pub project: String,
    /// Set of the application, for the key.
    pub set: SetUid,
    /// The report.
    pub report: Report,
    /// When the hub got it.
    pub received_at: Timestamp,
    /// Hub time of the first report of this unbroken healthy stretch at this generation.
    pub first_healthy_at: Option<Timestamp>,
}

/// A source and the commit it was last seen at. Key: `_/<digest of url and revision>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// What is followed.
    pub source: RepoRevision,
    /// The last commit that was fetched; kept when a later fetch fails.
    pub commit: Option<String>,
    /// When that changed or failed last.
    pub checked_at: Timestamp,
    /// Why the last fetch failed.
    pub error: Option<String>,
}

/// Header of a release; its entries are a blob. Key: `<project>/<set uid>/<number, 20 digits>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// Its id.
    pub id: ReleaseId,
    /// Its set.
    pub set: SetUid,
    /// Its number.
    pub number: u64,
    /// Its content id.
    pub content: Digest,
    /// Digest of the blob (tag `entries`) with its entries.
    pub entries: Digest,
    /// Commits it pinned.
    pub sources: Vec<SourceCommit>,
    /// Version of the set's document.
    pub set_version: u64,
    /// What asked for it.
    pub cause: String,
    /// Who made it, as far as is known: e-mail addresses of the authors of its commits, and who
    /// applied the set where its document is what is new.
    pub authors: Vec<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Header of a run. Key: `<project>/<set uid>/<run id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// The header.
    pub run: Run,
}

/// A member of a run. Key: `<project>/<set uid>/<run id>/<wave, 10 digits>-<cluster uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// The set, for the key.
    pub set: SetUid,
    /// The run, for the key.
    pub run: RunId,
    /// The member.
    pub member: Member,
}

/// A pinned application. Key: `<project>/<set uid>/<app uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// The set, for the key.
    pub set: SetUid,
    /// The pin.
    pub pin: Pin,
}

/// Denied content. Key: `<project>/<set uid>/<digest of object and content, hexadecimal>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// The set it belongs to.
    pub set: SetUid,
    /// What is denied.
    pub deny: Deny,
}

/// Why a result is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldKind {
    /// An application that ran something renders to nothing.
    EmptyBundle,
    /// An application would lose more objects than the brake allows, or a protected one.
    ShrunkBundle,
    /// More applications would go than the brake allows.
    ApplicationsVanish,
    /// A candidate holds denied content.
    DeniedContent,
    /// The application is pinned.
    Pinned,
}

/// A result that waits. Key: `<project>/<set uid>/<id>`; the id is derived from kind, subject and
/// content, so that the same result is the same hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRecord {
    /// Its id.
    pub id: String,
    /// Project of the set, for the key.
    pub project: String,
    /// The set.
    pub set: SetUid,
    /// Why.
    pub kind: HoldKind,
    /// For people: what, which, how many.
    pub message: String,
    /// The content an approval is bound to.
    pub content: Digest,
    /// Since when.
    pub since: Timestamp,
    /// Whether an approval lets it through.
    pub approvable: bool,
    /// Who let it through.
    pub approved_by: Option<String>,
}

/// An application whose last word came out of a backup. Key: `<project>/<set uid>/<app uid>`; what it
/// means is `restored`'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// The set, for the key.
    pub set: SetUid,
    /// The application.
    pub app: AppUid,
    /// The term of the restore: a word given from then on is the hub's own.
    pub term: Epoch,
    /// Its agent was heard and holds something else.
    pub astray: bool,
}

/// A set that needs another release although nothing of it changed. Key: `<project>/<set uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReissueRecord {
    /// Project of the set, for the key.
    pub project: String,
    /// The set.
    pub set: SetUid,
    /// Why; becomes the release's cause.
    pub reason: String,
}

/// Where the files are that the records refer to. Key: `_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HomeRecord {
    /// Id of the state directory.
    pub directory: String,
    /// SHA-256 of the authority's certificate, hexadecimal.
    pub authority: String,
}

impl HoldKind {
    /// Its name, stored and shown.
    pub fn as_str(self) -> &'static str {
        wire::Named::stored(self)
    }
}

impl Role {
    /// Its name, stored and shown.
    pub fn as_str(self) -> &'static str {
        wire::Named::stored(self)
    }
}
