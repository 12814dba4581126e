//! What a sweep takes and what it leaves.

mod releases;

use std::collections::BTreeMap;

use futures::poll;
use jiff::Timestamp;
use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tidegate_model::{
    application::{Application, Provenance},
    assignment::{Assignment, Desired},
    bundle::{BUNDLE_TAG, Bundle, BundleEntry, OBJECT_TAG},
    canonical,
    deny::{Pin, PinRelease},
    duration::Span,
    ids::{AppUid, ClusterUid, Epoch, Generation, ReleaseId, RunId, SetUid},
    object::ObjectKey,
    policy::Policy,
    release::{EntryContent, ReleaseEntry},
    run::{
        LastGood, Member, MemberApp, MemberId, MemberState, Plan, ProgressClock, Run, RunClock,
        RunState, SoakClock,
    },
    source::{Directory, Source},
    strategy::Strategy,
};
use tidegate_proto::v1::{self as wire, fleet_server::Fleet as _};
use tidegate_store::{Blob, BlobId, BlobStore as _, Memory, blob::MemoryBlobs};
use uuid::Uuid;

use super::*;
use crate::{
    api::FleetApi,
    changes::Changes,
    clock::Clock,
    evidence::Evidence,
    git::{self, Git},
    identity::Authority,
    link::Sessions,
    poller::Poller,
    publish::pass::ENTRIES_TAG,
    records::{AppRecord, MemberRecord, PinRecord, Record, ReleaseRecord, RunRecord, SetRecord},
};

const PROJECT: &str = "default";

/// A hub's store and blobs, written by hand.
struct World {
    db: Db,
    blobs: Arc<MemoryBlobs>,
    content: Arc<Gatherer>,
    git: Git,
    dir: tempfile::TempDir,
    ids: u128,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::new(git::Options::new(dir.path().join("mirrors"))).unwrap();
        let blobs = Arc::new(MemoryBlobs::new());
        let db = Db::open(
            Arc::new(Memory::new()),
            Arc::clone(&blobs) as _,
            Clock::default(),
            "test".to_owned(),
            CancellationToken::new(),
        )
        .await
        .unwrap();
        let content = Arc::new(Gatherer::new(git.clone(), Arc::clone(&blobs) as _));
        Self {
            db,
            blobs,
            content,
            git,
            dir,
            ids: 0,
        }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper::new(
            self.db.clone(),
            Arc::clone(&self.content),
            Duration::from_hours(1),
        )
    }

    async fn store(&self, record: &(impl Record + PartialEq)) {
        let mut changes = Changes::default();
        changes.create(record);
        self.db.commit(changes).await.unwrap();
    }

    /// Writes bundle number `n`: an object of its own and one that all share.
    async fn bundle(&self, n: u64) -> Digest {
        let (bundle, blobs) = bundle(n);
        self.blobs.put(blobs).await.unwrap();
        bundle
    }

    fn set(&mut self, name: &str, last_release: u64) -> SetRecord {
        let document = json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
            "metadata": {"name": name},
            "spec": {"generators": [{"clusters": {}}], "template": {"metadata": {"name": "x"},
                "spec": {"source": {"repoURL": "https://git"}, "destination": {"name": "x"}}}}});
        SetRecord {
            uid: SetUid(self.id()),
            project: PROJECT.to_owned(),
            name: name.to_owned(),
            version: 1,
            document: serde_json::from_value(document).unwrap(),
            last_release,
            deleting: false,
            problems: Vec::new(),
            managed_by: "api".to_owned(),
            latest_run: None,
            last_succeeded: None,
            warnings: Vec::new(),
            applied_by: "ada".to_owned(),
            void_through: 0,
        }
    }

    async fn release(&mut self, set: &SetRecord, number: u64, bundles: &[Digest]) {
        let mut entries = Vec::new();
        for bundle in bundles {
            entries.push(ReleaseEntry {
                app: AppUid(self.id()),
                name: "app".to_owned(),
                cluster: ClusterUid(Uuid::from_u128(1)),
                content: EntryContent::Bundle(*bundle),
                policy: Policy::default(),
                namespace: String::new(),
                prune_approved: false,
            });
        }
        let value = serde_json::to_value(&entries).unwrap();
        let blob = Blob::new(ENTRIES_TAG, canonical::to_vec(&value)).unwrap();
        let digest = blob.id().digest();
        self.blobs.put(vec![blob]).await.unwrap();
        let id = ReleaseId(self.id());
        self.store(&ReleaseRecord {
            project: set.project.clone(),
            id,
            set: set.uid,
            number,
            content: digest,
            entries: digest,
            sources: Vec::new(),
            set_version: 1,
            cause: String::new(),
            authors: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
        })
        .await;
    }

    /// A run of one member that brings `target` and would go back to `good`.
    async fn run(
        &mut self,
        set: &SetRecord,
        release: u64,
        state: RunState,
        target: Digest,
        good: Digest,
    ) -> RunId {
        let run = run(RunId(self.id()), set.uid, release, state);
        let id = run.id;
        let member = member(AppUid(self.id()), target, good);
        let project = set.project.clone();
        self.store(&RunRecord {
            project: project.clone(),
            run,
        })
        .await;
        self.store(&MemberRecord {
            project,
            set: set.uid,
            run: id,
            member,
        })
        .await;
        id
    }

    async fn app(&mut self, set: &SetRecord, assigned: Option<Digest>, good: Option<Digest>) {
        let (uid, run) = (AppUid(self.id()), RunId(self.id()));
        let cluster = ClusterUid(Uuid::from_u128(1));
        let assignment = assigned.map(|bundle| Assignment {
            cluster,
            app: uid,
            app_name: "default/app".to_owned(),
            generation: Generation(1),
            epoch: Epoch(1),
            desired: Desired::Run {
                bundle,
                policy: Policy::default(),
                namespace: String::new(),
                run,
                prune_approved: false,
            },
        });
        self.store(&AppRecord {
            uid,
            set: set.uid,
            app: application(set, cluster),
            generation: Generation(1),
            assignment,
            release: 1,
            last_good: good.map(last_good),
            vanished: false,
            rejection: None,
        })
        .await;
    }

    async fn pin(&mut self, set: &SetRecord, bundle: Digest, bad: Digest) {
        let pin = Pin {
            app: AppUid(self.id()),
            bundle,
            bad,
            release: PinRelease::Manual,
            reason: String::new(),
            actor: "ada".to_owned(),
            run: RunId(self.id()),
            created_at: Timestamp::UNIX_EPOCH,
        };
        self.store(&PinRecord {
            project: set.project.clone(),
            set: set.uid,
            pin,
        })
        .await;
    }

    async fn there(&self) -> BTreeSet<BlobId> {
        self.blobs.list().await.unwrap().into_iter().collect()
    }

    async fn has_bundle(&self, digest: Digest) -> bool {
        let id = BlobId::new(BUNDLE_TAG, digest).unwrap();
        self.blobs.has(&id).await.unwrap()
    }
}

fn application(set: &SetRecord, cluster: ClusterUid) -> Application {
    Application {
        project: set.project.clone(),
        set: set.name.clone(),
        name: "app".to_owned(),
        cluster,
        cluster_name: "c1".to_owned(),
        namespace: String::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        source: Source {
            repo_url: "https://git".to_owned(),
            target_revision: "main".to_owned(),
            path: ".".to_owned(),
            directory: Directory::default(),
        },
        policy: Policy::default(),
        provenance: Provenance::default(),
    }
}

fn last_good(bundle: Digest) -> LastGood {
    LastGood {
        bundle,
        policy: Policy::default(),
        namespace: String::new(),
        release: 1,
    }
}

fn run(id: RunId, set: SetUid, release_number: u64, state: RunState) -> Run {
    let at = Timestamp::UNIX_EPOCH;
    Run {
        id,
        set,
        release: ReleaseId(Uuid::nil()),
        release_number,
        content: Digest::from_bytes([0; 32]),
        epoch: Epoch(1),
        started_at: at,
        finished_at: None,
        strategy: Strategy::default(),
        plan: Plan {
            waves: Vec::new(),
            excluded: Vec::new(),
        },
        state,
        cause: None,
        wave: 0,
        gate: None,
        paused: None,
        request: None,
        soak: SoakClock {
            done: Span::default(),
            running_since: None,
        },
        analysing: None,
        approvals: Vec::new(),
        broken_glass: Vec::new(),
        authors: Vec::new(),
        rollback: None,
        retry: None,
        clock: RunClock { shows: at, hub: at },
        owes: false,
    }
}

fn member(app: AppUid, target: Digest, good: Digest) -> Member {
    let app_state = MemberApp {
        name: "default/app".to_owned(),
        target: EntryContent::Bundle(target),
        policy: Policy::default(),
        namespace: String::new(),
        prune_approved: false,
        last_good: Some(last_good(good)),
        generation: None,
        assignment: None,
        touched: false,
        revert: None,
        revert_assignment: None,
    };
    Member {
        id: MemberId {
            wave: 0,
            cluster: ClusterUid(Uuid::from_u128(1)),
        },
        cluster_name: "c1".to_owned(),
        apps: BTreeMap::from([(app, app_state)]),
        state: MemberState::Queued,
        cause: None,
        healthy_since: None,
        reached: false,
        progress: ProgressClock::default(),
        unreachable_since: None,
        deferred: false,
    }
}

fn bundle(n: u64) -> (Digest, Vec<Blob>) {
    let manifest =
        |name: String| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let manifests = [manifest("shared".to_owned()), manifest(format!("own-{n}"))];
    let entries = manifests.iter().map(|manifest| BundleEntry {
        key: ObjectKey::of(manifest).unwrap(),
        digest: Digest::of(OBJECT_TAG, manifest),
    });
    let bundle = Bundle::new(entries.collect());
    let objects = manifests
        .iter()
        .map(|manifest| Blob::new(OBJECT_TAG, canonical::to_vec(manifest)).unwrap());
    let mut blobs: Vec<_> = objects.collect();
    blobs.push(Blob::new(BUNDLE_TAG, canonical::to_vec(&bundle.to_value())).unwrap());
    (bundle.digest(), blobs)
}

/// Everything of a hub that must be served, read as the link, the controller and the API do.
/// Returns the names of all blobs that were needed.
async fn serve_everything(world: &World) -> BTreeSet<BlobId> {
    let state = world.db.read().clone();
    let mut bundles = BTreeSet::new();
    let mut needed = BTreeSet::new();
    for app in state.apps.iter() {
        bundles.extend(app.assignment.as_ref().and_then(Assignment::bundle));
        bundles.extend(app.last_good.as_ref().map(|good| good.bundle));
    }
    for pin in state.pins.iter() {
        bundles.extend([pin.pin.bundle, pin.pin.bad]);
    }
    for run in state.runs.iter() {
        let set = state.set_by_uid(run.run.set).unwrap();
        if run.run.state.is_terminal() && set.latest_run != Some(run.run.id) {
            continue;
        }
        for member in state.members_of(run) {
            for app in member.record.member.apps.values() {
                bundles.extend(app.target.bundle());
                bundles.extend(app.last_good.as_ref().map(|good| good.bundle));
            }
        }
    }
    for set in state.sets.iter() {
        let releases: Vec<_> = state.releases_of(set).map(|row| &row.record).collect();
        let under_way = |number| {
            let mut runs = state.runs_of(set).map(|row| &row.record.run);
            runs.any(|run| !run.state.is_terminal() && run.release_number == number)
        };
        for (newer, release) in releases.iter().rev().enumerate() {
            if newer < 10 || under_way(release.number) {
                let entries = world.content.entries(release.entries).await.unwrap();
                bundles.extend(entries.iter().filter_map(|entry| entry.content.bundle()));
                needed.insert(BlobId::new(ENTRIES_TAG, release.entries).unwrap());
            }
        }
    }
    for digest in bundles {
        let bundle = world.content.bundle(digest).await.unwrap();
        needed.insert(BlobId::new(BUNDLE_TAG, digest).unwrap());
        for object in bundle.objects() {
            let id = BlobId::new(OBJECT_TAG, object.digest).unwrap();
            assert!(world.blobs.get(&id).await.unwrap().is_some(), "{id}");
            needed.insert(id);
        }
    }
    needed
}

/// A hub with a past, as the dice fall.
async fn past(seed: u64) -> World {
    const STATES: [RunState; 6] = [
        RunState::Rolling,
        RunState::Paused,
        RunState::RollingBack,
        RunState::Succeeded,
        RunState::RolledBack,
        RunState::Superseded,
    ];
    let mut dice = StdRng::seed_from_u64(seed);
    let mut world = World::new().await;
    let mut bundles = Vec::new();
    for n in 0..60 {
        bundles.push(world.bundle(n).await);
    }
    for name in ["api", "web"] {
        let releases = dice.random_range(0..14);
        let mut set = world.set(name, releases);
        for number in 1..=releases {
            let held: Vec<_> = (0..2).map(|_| bundles[dice.random_range(0..60)]).collect();
            world.release(&set, number, &held).await;
        }
        for _ in 0..dice.random_range(0..4) {
            let release = dice.random_range(1..=releases.max(1));
            let state = STATES[dice.random_range(0..STATES.len())];
            let (target, good) = (
                bundles[dice.random_range(0..60)],
                bundles[dice.random_range(0..60)],
            );
            set.latest_run = Some(world.run(&set, release, state, target, good).await);
        }
        for _ in 0..dice.random_range(0..3) {
            let mut pick = || {
                dice.random::<bool>()
                    .then(|| bundles[dice.random_range(0..60)])
            };
            let (assigned, good) = (pick(), pick());
            world.app(&set, assigned, good).await;
        }
        if dice.random() {
            let (good, bad) = (
                bundles[dice.random_range(0..60)],
                bundles[dice.random_range(0..60)],
            );
            world.pin(&set, good, bad).await;
        }
        world.store(&set).await;
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_must_be_served_is_and_nothing_else_stays(seed in any::<u64>()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let world = past(seed).await;
            let before = world.there().await;
            let sweeper = world.sweeper();
            let first = sweeper.sweep().await.unwrap();
            let second = sweeper.sweep().await.unwrap();
            let (needed, there) = (serve_everything(&world).await, world.there().await);
            prop_assert_eq!(&there, &needed);
            prop_assert_eq!((first.deleted, first.pending), (0, second.deleted));
            prop_assert_eq!(before.len() - there.len(), second.deleted);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn nothing_goes_while_it_is_not_known_what_must_stay() {
    let mut world = World::new().await;
    let set = world.set("web", 0);
    world.store(&set).await;
    let garbage = world.bundle(1).await;
    let (lost, _) = bundle(2);
    world.app(&set, Some(lost), None).await;
    let sweeper = world.sweeper();
    for _ in 0..3 {
        let error = sweeper.sweep().await.unwrap_err().to_string();
        assert!(
            error.contains("nothing was swept") && error.contains(&lost.to_string()),
            "{error}"
        );
    }
    assert!(world.has_bundle(garbage).await);

    // Found again, the sweep goes on.
    world.bundle(2).await;
    sweeper.sweep().await.unwrap();
    sweeper.sweep().await.unwrap();
    assert!(!world.has_bundle(garbage).await && world.has_bundle(lost).await);
}

#[tokio::test]
async fn a_sweep_waits_for_a_pass_that_has_put_content_and_not_yet_committed() {
    let mut world = World::new().await;
    let set = world.set("web", 1);
    world.store(&set).await;
    let sweeper = world.sweeper();
    let content = Arc::clone(&world.content);
    let pass = content.pass().await;
    let bundle = world.bundle(1).await;
    let mut sweep = std::pin::pin!(sweeper.sweep());
    assert!(poll!(&mut sweep).is_pending());
    world.release(&set, 1, &[bundle]).await;
    drop(pass);
    let swept = sweep.await.unwrap();
    assert_eq!(swept, Swept::default(), "all of it is referred to by now");
}

#[tokio::test]
async fn the_component_sweeps_by_itself_until_it_is_cancelled() {
    let world = World::new().await;
    let garbage = world.bundle(1).await;
    let cancel = CancellationToken::new();
    let (db, content) = (world.db.clone(), Arc::clone(&world.content));
    let sweeper = Sweeper::new(db, content, Duration::from_millis(20));
    let running = tokio::spawn(sweeper.run(cancel.clone()));
    let metrics = world.db.metrics().clone();
    let gone = async {
        let told = || {
            !metrics
                .text(None)
                .unwrap()
                .contains("deleted_blobs_total 0\n")
        };
        while world.has_bundle(garbage).await || !told() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), gone).await;
    assert!(
        waited.is_ok(),
        "nothing is swept:\n{}",
        metrics.text(None).unwrap()
    );
    cancel.cancel();
    running.await.unwrap();
}
