//! A hub for tests: the real parts over the store in memory, and records to fill it with.
//!
//! Owns no judgement: tests drive the production functions and look at the store. Its clock stands
//! unless a test winds it, so no test waits for time.

pub(crate) mod fleet;
pub(crate) mod repository;
pub(crate) mod world;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tidegate_model::{
    application::{Application, Provenance},
    assignment::{Assignment, Desired},
    cluster::Cluster,
    digest::Digest,
    health::Health,
    ids::{AppUid, ClusterUid, Epoch, Generation, RunId, SetUid},
    policy::Policy,
    report::{Phase, Report},
    source::{Directory, Source},
};
use tidegate_store::{Memory, Range, Store as _, blob::MemoryBlobs};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    api::FleetApi,
    changes::Changes,
    clock::Clock,
    db::{self, Db},
    events,
    evidence::Evidence,
    git::{Git, Options},
    identity::Authority,
    link::Sessions,
    poller::Poller,
    records::{AppRecord, AuditRecord, ClusterRecord, Record, SetRecord, WavePlanRecord},
    settled::Settled,
};

/// How often agents are heard in these tests.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// The parts of a hub.
pub(crate) struct Hub {
    pub(crate) store: Memory,
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    pub(crate) sessions: Sessions,
    pub(crate) evidence: Evidence,
    pub(crate) authority: Arc<Authority>,
    pub(crate) dir: tempfile::TempDir,
    _running: DropGuard,
}

impl Hub {
    /// A new hub.
    pub(crate) async fn new() -> Self {
        let clock = Clock::default();
        let ahead =
            clock.now().duration_since(Timestamp::UNIX_EPOCH) + SignedDuration::from_hours(1);
        let clock = Clock::default();
        clock.wind(ahead);
        let dir = tempfile::tempdir().unwrap();
        let (path, names) = (dir.path().join("identity"), ["localhost".to_owned()]);
        let authority = Authority::create(&path, "fleet.example.org", &names, clock.now()).unwrap();
        let (store, blobs) = (Memory::new(), Arc::new(MemoryBlobs::new()));
        Self::start(store, blobs, clock, Arc::new(authority), dir).await
    }

    /// The same hub in a new process: nothing but store, blobs and disk is left.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            store,
            blobs,
            clock,
            authority,
            dir,
            ..
        } = self;
        Self::start(store, blobs, clock, authority, dir).await
    }

    async fn start(
        store: Memory,
        blobs: Arc<MemoryBlobs>,
        clock: Clock,
        authority: Arc<Authority>,
        dir: tempfile::TempDir,
    ) -> Self {
        let cancel = CancellationToken::new();
        let db = open(&store, &blobs, &clock, &cancel).await.unwrap();
        let sessions = Sessions::new(clock.clone());
        tokio::spawn(events::record(db.clone(), &sessions, cancel.clone()));
        Self {
            evidence: Evidence::new(sessions.clone(), clock.clone(), HEARTBEAT),
            store,
            blobs,
            clock,
            db,
            sessions,
            authority,
            dir,
            _running: cancel.drop_guard(),
        }
    }

    /// Its sources: those on this machine are allowed.
    pub(crate) fn git(&self) -> Git {
        let mut options = Options::new(self.dir.path().join("repositories"));
        options.allow_file = true;
        Git::new(options).unwrap()
    }

    /// Its Fleet API.
    pub(crate) fn api(&self) -> FleetApi {
        let (_, poller) = Poller::new(self.db.clone(), self.git(), Duration::from_secs(60));
        // No controller works behind it: nobody is kept waiting for one.
        let settled = Settled::default();
        settled.note(u64::MAX);
        FleetApi::new(
            self.db.clone(),
            self.evidence.clone(),
            self.sessions.clone(),
            poller,
            settled,
            Arc::clone(&self.authority),
        )
    }

    /// Writes records as they are.
    pub(crate) async fn write(&self, fill: impl FnOnce(&mut Changes)) {
        let mut changes = Changes::default();
        fill(&mut changes);
        self.db.commit(changes).await.unwrap();
    }

    /// Writes new records, however many.
    pub(crate) async fn create<R: Record>(&self, records: impl IntoIterator<Item = R>) {
        let records: Vec<_> = records.into_iter().collect();
        for some in records.chunks(50) {
            self.write(|changes| some.iter().for_each(|record| changes.create(record)))
                .await;
        }
    }

    /// The store's revision: unchanged means that nothing was written.
    pub(crate) async fn revision(&self) -> u64 {
        self.store.revision().await.unwrap()
    }

    /// A whole audit chain.
    pub(crate) async fn audit(&self, project: &str) -> Vec<AuditRecord> {
        let prefix = format!("/tidegate/v1/{}/{project}/", AuditRecord::KIND);
        let page = self.store.range(Range::prefix(prefix)).await.unwrap();
        let read = |entry: &tidegate_store::Entry| AuditRecord::decode(&entry.key, &entry.value);
        page.entries
            .iter()
            .map(|entry| read(entry).unwrap())
            .collect()
    }

    /// Actor, action and subject of the last decision of a chain.
    pub(crate) async fn last_decision(&self, project: &str) -> (String, String, String) {
        let last = self.audit(project).await.pop().unwrap();
        (last.actor, last.action, last.subject)
    }
}

/// A handle on this store, which takes the term.
pub(crate) async fn open(
    store: &Memory,
    blobs: &Arc<MemoryBlobs>,
    clock: &Clock,
    cancel: &CancellationToken,
) -> Result<Db, db::Error> {
    let store = Arc::new(store.clone());
    let blobs = Arc::clone(blobs);
    Db::open(
        store,
        blobs,
        clock.clone(),
        "hub".to_owned(),
        cancel.clone(),
    )
    .await
}

pub(crate) fn cluster_uid(n: u128) -> ClusterUid {
    ClusterUid(Uuid::from_u128(n))
}

/// Cluster `c<n>` with the label `rank`.
pub(crate) fn cluster(n: u128) -> ClusterRecord {
    ClusterRecord {
        cluster: Cluster {
            uid: cluster_uid(n),
            name: format!("c{n}"),
            labels: [("rank".to_owned(), n.to_string())].into(),
            annotations: std::collections::BTreeMap::new(),
            servers: Vec::new(),
        },
        kubernetes_uid: None,
        agent_version: String::new(),
        joined: true,
        created_at: Timestamp::UNIX_EPOCH,
        refused_before: None,
        renew_before: None,
    }
}

/// Set `name` of project `default` with this strategy.
pub(crate) fn set(n: u128, name: &str, strategy: &Value) -> SetRecord {
    let document = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"name": name},
        "spec": {"generators": [{"clusters": {}}], "strategy": strategy,
            "template": {"metadata": {"name": "{{name}}"},
                "spec": {"source": {"repoURL": "https://git.example.org/a"},
                    "destination": {"name": "{{name}}"}}}}});
    SetRecord {
        uid: SetUid(Uuid::from_u128(n)),
        project: "default".to_owned(),
        name: name.to_owned(),
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        last_release: 0,
        deleting: false,
        problems: Vec::new(),
        warnings: Vec::new(),
        applied_by: "ada".to_owned(),
        void_through: 0,
        managed_by: "api".to_owned(),
        latest_run: None,
        last_succeeded: None,
    }
}

/// A wave plan of the default project.
pub(crate) fn wave_plan(name: &str, strategy: &Value) -> WavePlanRecord {
    let document = json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "WavePlan",
        "metadata": {"name": name}, "spec": {"strategy": strategy}});
    WavePlanRecord {
        project: "default".to_owned(),
        name: name.to_owned(),
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        applied_by: "ada".to_owned(),
    }
}

/// Application `<set>-<n>` of that set in cluster `c<cluster>`, never assigned.
pub(crate) fn app(set: &SetRecord, n: u128, cluster: u128) -> AppRecord {
    AppRecord {
        uid: AppUid(Uuid::from_u128(set.uid.0.as_u128() << 32 | n)),
        set: set.uid,
        app: Application {
            project: set.project.clone(),
            set: set.name.clone(),
            name: format!("{}-{n}", set.name),
            cluster: cluster_uid(cluster),
            cluster_name: format!("c{cluster}"),
            namespace: String::new(),
            labels: std::collections::BTreeMap::new(),
            annotations: std::collections::BTreeMap::new(),
            source: Source {
                repo_url: "https://git.example.org/a".to_owned(),
                target_revision: "main".to_owned(),
                path: ".".to_owned(),
                directory: Directory::default(),
            },
            policy: Policy::default(),
            provenance: Provenance::default(),
        },
        generation: Generation(0),
        assignment: None,
        release: 0,
        last_good: None,
        vanished: false,
        rejection: None,
    }
}

/// A bundle's digest.
pub(crate) fn bundle(name: &str) -> Digest {
    Digest::of("bundle", &json!([name]))
}

/// The same application told to run that bundle.
pub(crate) fn assigned(mut app: AppRecord, generation: u64, bundle: Digest) -> AppRecord {
    app.generation = Generation(generation);
    app.assignment = Some(Assignment {
        cluster: app.app.cluster,
        app: app.uid,
        app_name: format!("{}/{}", app.app.project, app.app.name),
        generation: app.generation,
        epoch: Epoch(1),
        desired: Desired::Run {
            bundle,
            policy: Policy::default(),
            namespace: String::new(),
            run: RunId(Uuid::nil()),
            prune_approved: false,
        },
    });
    app
}

/// What an agent says once it has carried out the hub's last word.
pub(crate) fn report(app: &AppRecord, health: Health) -> Report {
    let assignment = app.assignment.as_ref().unwrap();
    Report {
        app: app.uid,
        generation: assignment.generation,
        digest: assignment.digest(),
        phase: Phase::Applied,
        health,
        healthy_for: tidegate_model::duration::Span::secs(if health.is_healthy() { 5 } else { 0 }),
        drift: Vec::new(),
        problems: Vec::new(),
        held_prune: None,
    }
}

/// A certificate request, DER.
pub(crate) fn csr() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    request.der().to_vec()
}

/// Waits for something that comes for certain: a test that would wait for ever fails instead.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, what).await.unwrap()
}
