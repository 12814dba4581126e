//! From an agent's no to what a person and a run see.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidegate_model::{
    application::{Application, Provenance},
    assignment::{Assignment, Desired},
    cluster::Cluster,
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, Generation, ReleaseId, RunId, SetUid},
    policy::Policy,
    release::EntryContent,
    run::{
        Member, MemberApp, MemberId, MemberState, Plan, PlannedWave, ProgressClock, Run, RunClock,
        RunState, SoakClock,
    },
    source::{Directory, Source},
    strategy::Strategy,
};
use tidegate_proto::v1 as wire;
use tidegate_store::{Memory, blob::MemoryBlobs};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::{
    api::convert,
    backend::Backend,
    changes::Changes,
    clock::Clock,
    db::Db,
    evidence::Evidence,
    link::{
        Sessions,
        port::{AckOutcome, LinkBackend as _},
    },
    promote,
    records::{ClusterRecord, MemberRecord, RunRecord, SetRecord},
};

const OWN: ClusterUid = ClusterUid(Uuid::from_u128(1));
const OTHER: ClusterUid = ClusterUid(Uuid::from_u128(2));

/// A hub with one application at generation 2, and its backend.
struct World {
    db: Db,
    backend: Backend,
}

fn application() -> AppRecord {
    let uid = AppUid(Uuid::from_u128(3));
    let assignment = Assignment {
        cluster: OWN,
        app: uid,
        app_name: "default/app".to_owned(),
        generation: Generation(2),
        epoch: Epoch(1),
        desired: Desired::Run {
            bundle: Digest::from_bytes([1; 32]),
            policy: Policy::default(),
            namespace: String::new(),
            run: RunId(Uuid::nil()),
            prune_approved: false,
        },
    };
    AppRecord {
        uid,
        set: SetUid(Uuid::from_u128(4)),
        app: Application {
            project: "default".to_owned(),
            set: "web".to_owned(),
            name: "app".to_owned(),
            cluster: OWN,
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
        },
        generation: Generation(2),
        assignment: Some(assignment),
        release: 1,
        last_good: None,
        vanished: false,
        rejection: None,
    }
}

/// An ack of the application's assignment.
fn ack(reason: Option<&str>) -> Ack {
    let app = application();
    let assignment = app.assignment.unwrap();
    Ack {
        app: app.uid,
        generation: assignment.generation,
        digest: assignment.digest(),
        outcome: match reason {
            None => AckOutcome::Accepted,
            Some(reason) => AckOutcome::Rejected {
                reason: reason.to_owned(),
            },
        },
    }
}

/// A report on the application's assignment, or on the generation before it.
fn report(last_word: bool) -> Report {
    let app = application();
    let assignment = app.assignment.unwrap();
    Report {
        app: app.uid,
        generation: if last_word {
            Generation(2)
        } else {
            Generation(1)
        },
        digest: if last_word {
            assignment.digest()
        } else {
            Digest::from_bytes([9; 32])
        },
        phase: Phase::Applied,
        health: Health::Healthy,
        healthy_for: Span::default(),
        drift: Vec::new(),
        problems: Vec::new(),
        held_prune: None,
    }
}

impl World {
    async fn new() -> Self {
        let db = Db::open(
            Arc::new(Memory::new()),
            Arc::new(MemoryBlobs::new()),
            Clock::default(),
            "test".to_owned(),
            CancellationToken::new(),
        )
        .await
        .unwrap();
        let mut changes = Changes::default();
        changes.create(&application());
        db.commit(changes).await.unwrap();
        let backend = Backend::new(db.clone());
        Self { db, backend }
    }

    fn shown(&self) -> wire::Application {
        let clock = Clock::default();
        let sessions = Sessions::new(clock.clone());
        let evidence = Evidence::new(sessions, clock, Duration::from_secs(10));
        let state = self.db.read();
        convert::application(&state, &evidence, state.app(application().uid).unwrap())
    }

    fn problems(&self) -> Vec<String> {
        let report = self.shown().report.unwrap_or_default();
        let problems = report.problems.into_iter();
        problems.map(|problem| problem.message).collect()
    }

    /// Steps the only run a few times; then what it says is wrong with its member.
    async fn cause(&self) -> String {
        let clock = Clock::default();
        let now = clock.now();
        let sessions = Sessions::new(clock.clone());
        let evidence = Evidence::new(sessions, clock, Duration::from_secs(10));
        for _ in 0..4 {
            let pass = {
                let state = self.db.read();
                let view = promote::View {
                    state: &state,
                    evidence: &evidence,
                    set: state.set("default", "web").unwrap(),
                    entries: &[],
                    release: None,
                    epoch: self.db.epoch(),
                    now,
                };
                promote::pass(&view, &mut Uuid::nil)
            };
            self.db.commit(pass.changes).await.unwrap();
        }
        let state = self.db.read();
        let member = state.members.iter().next().unwrap();
        let cause = member.member.cause.as_ref();
        cause.map(|cause| cause.message.clone()).unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        self.db.read().revision
    }
}

const SAID: &str = "generation 2 was rejected by its agent: its digest is wrong";
const REASON: &str = "its digest is wrong";

#[tokio::test]
async fn a_rejection_is_shown_until_the_agent_takes_the_assignment() {
    let world = World::new().await;
    assert_eq!(world.shown().report, None);
    world.backend.ack(OWN, ack(Some(REASON))).await.unwrap();
    assert_eq!(world.problems(), [SAID]);
    let shown = world.shown().report.unwrap();
    assert_eq!(shown.phase(), wire::Phase::Failed);
    assert_eq!(shown.health(), wire::Health::Unknown);
    assert!(world.shown().report_at_ms > 0);

    // What runs meanwhile is shown beside it, and not taken for the new one.
    world.backend.report(OWN, report(false)).await.unwrap();
    assert_eq!(world.problems(), [SAID]);
    let shown = world.shown();
    let said = shown.report.clone().unwrap();
    assert_eq!((said.generation, said.phase()), (1, wire::Phase::Applied));
    assert!(!shown.synced);

    world.backend.ack(OWN, ack(None)).await.unwrap();
    world.backend.report(OWN, report(true)).await.unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rejection_does_not_touch_what_the_two_sides_compare() {
    let world = World::new().await;
    world.backend.report(OWN, report(false)).await.unwrap();
    let rows = world.backend.status_rows(OWN);
    world.backend.ack(OWN, ack(Some(REASON))).await.unwrap();
    assert_eq!(world.problems(), [SAID]);
    assert_eq!(world.backend.status_rows(OWN), rows);
}

#[tokio::test]
async fn the_same_no_again_costs_no_write_and_another_reason_is_news() {
    let world = World::new().await;
    world.backend.ack(OWN, ack(Some(REASON))).await.unwrap();
    let revision = world.revision();
    world.backend.ack(OWN, ack(Some(REASON))).await.unwrap();
    assert_eq!(world.revision(), revision);
    let long = "x".repeat(10_000);
    world.backend.ack(OWN, ack(Some(&long))).await.unwrap();
    assert_eq!(
        world.problems()[0].matches('x').count(),
        LENGTH,
        "as much as is kept"
    );
}

#[tokio::test]
async fn what_comes_from_elsewhere_too_late_or_of_something_else_is_not_kept() {
    let world = World::new().await;
    let revision = world.revision();
    world.backend.ack(OTHER, ack(Some(REASON))).await.unwrap();
    let mut older = ack(Some(REASON));
    older.generation = Generation(1);
    world.backend.ack(OWN, older).await.unwrap();
    let mut other = ack(Some(REASON));
    other.digest = Digest::from_bytes([7; 32]);
    world.backend.ack(OWN, other).await.unwrap();
    assert_eq!(world.revision(), revision);

    world.backend.report(OWN, report(true)).await.unwrap();
    let revision = world.revision();
    world.backend.ack(OWN, ack(Some(REASON))).await.unwrap();
    assert_eq!(world.revision(), revision, "it was taken already");
}

#[test]
fn a_rejection_of_an_assignment_that_was_replaced_no_longer_counts() {
    let app = application();
    let now = Timestamp::UNIX_EPOCH;
    let mut noted = noted(&app, None, &ack(Some(REASON)), REASON, now).unwrap();
    assert!(current(&noted, None).is_some());
    noted.assignment.as_mut().unwrap().generation = Generation(3);
    assert_eq!(current(&noted, None), None);
}

#[tokio::test]
async fn a_run_that_waits_for_it_says_so_and_does_not_take_it_for_health() {
    let world = World::new().await;
    world.backend.report(OWN, report(false)).await.unwrap();
    let run = run();
    let mut changes = Changes::default();
    changes.create(&set(&run));
    changes.create(&cluster());
    changes.create(&run);
    changes.create(&member(&run));
    world.db.commit(changes).await.unwrap();
    assert_eq!(world.cause().await, "");
    world.backend.ack(OWN, ack(Some(REASON))).await.unwrap();
    let cause = world.cause().await;
    assert!(cause.contains(SAID), "{cause}");
    let state = world.db.read();
    let run = state.runs.iter().next().unwrap();
    assert_eq!(run.run.state, RunState::Rolling, "it may yet be taken");
}

fn set(run: &RunRecord) -> SetRecord {
    let document = serde_json::json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"name": "web"},
        "spec": {"generators": [{"clusters": {}}], "template": {"metadata": {"name": "x"},
            "spec": {"source": {"repoURL": "https://git"}, "destination": {"name": "x"}}}}});
    SetRecord {
        uid: run.run.set,
        project: run.project.clone(),
        name: "web".to_owned(),
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        last_release: 1,
        deleting: false,
        problems: Vec::new(),
        managed_by: "api".to_owned(),
        latest_run: Some(run.run.id),
        last_succeeded: None,
        warnings: Vec::new(),
        applied_by: "ada".to_owned(),
        void_through: 0,
    }
}

fn cluster() -> ClusterRecord {
    ClusterRecord {
        cluster: Cluster {
            uid: OWN,
            name: "c1".to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
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

fn run() -> RunRecord {
    let at = Timestamp::UNIX_EPOCH;
    let member = MemberId {
        wave: 0,
        cluster: OWN,
    };
    let wave = PlannedWave {
        name: "all".to_owned(),
        members: vec![member],
        concurrency: 1,
    };
    let run = Run {
        id: RunId(Uuid::nil()),
        set: application().set,
        release: ReleaseId(Uuid::nil()),
        release_number: 1,
        content: Digest::from_bytes([0; 32]),
        epoch: Epoch(1),
        started_at: at,
        finished_at: None,
        strategy: Strategy::default(),
        plan: Plan {
            waves: vec![wave],
            excluded: Vec::new(),
        },
        state: RunState::Rolling,
        cause: None,
        wave: 0,
        gate: None,
        paused: None,
        request: None,
        soak: SoakClock::default(),
        analysing: None,
        approvals: Vec::new(),
        broken_glass: Vec::new(),
        authors: Vec::new(),
        rollback: None,
        retry: None,
        clock: RunClock { shows: at, hub: at },
        owes: false,
    };
    RunRecord {
        project: "default".to_owned(),
        run,
    }
}

/// The application as a member of the run, which has assigned it.
fn member(run: &RunRecord) -> MemberRecord {
    let app = application();
    let assignment = app.assignment.unwrap();
    let of_run = MemberApp {
        name: "default/app".to_owned(),
        target: EntryContent::Bundle(assignment.bundle().unwrap()),
        policy: Policy::default(),
        namespace: String::new(),
        prune_approved: false,
        last_good: None,
        generation: Some(assignment.generation),
        assignment: Some(assignment.digest()),
        touched: true,
        revert: None,
        revert_assignment: None,
    };
    MemberRecord {
        project: run.project.clone(),
        set: run.run.set,
        run: run.run.id,
        member: Member {
            id: MemberId {
                wave: 0,
                cluster: OWN,
            },
            cluster_name: "c1".to_owned(),
            apps: BTreeMap::from([(app.uid, of_run)]),
            state: MemberState::Assigned,
            cause: None,
            healthy_since: None,
            reached: false,
            progress: ProgressClock::default(),
            unreachable_since: None,
            deferred: false,
        },
    }
}
