//! The rules of a session, one by one. That both sides together converge is shown in the
//! whole-system tests, where both sides may be used.

mod renewing;
mod time;

use tidegate_model::{
    assignment::{Desired, state_root},
    health::Health,
    ids::{ClusterUid, Generation},
};
use uuid::Uuid;

use super::*;

const HEARTBEAT: Duration = Duration::from_secs(10);
const NOW: Duration = Duration::from_secs(1000);

#[derive(Clone, Default)]
struct World {
    assignments: Vec<Assignment>,
    status: Vec<StatusRow>,
    renew_before: Option<Timestamp>,
}

impl Facts for World {
    fn assignments(&self) -> Vec<Assignment> {
        self.assignments.clone()
    }

    fn status_rows(&self) -> Vec<StatusRow> {
        self.status.clone()
    }

    fn renew_before(&self) -> Option<Timestamp> {
        self.renew_before
    }
}

fn app(n: u128) -> AppUid {
    AppUid(Uuid::from_u128(n))
}

fn wants(n: u128, generation: u64) -> Assignment {
    Assignment {
        cluster: ClusterUid(Uuid::from_u128(1)),
        app: app(n),
        app_name: format!("default/{n}"),
        generation: Generation(generation),
        epoch: Epoch(4),
        // The generation rides in the content, so that each has another digest.
        desired: Desired::Run {
            bundle: Digest::of("bundle", &generation.into()),
            policy: tidegate_model::policy::Policy::default(),
            namespace: "web".into(),
            run: tidegate_model::ids::RunId(Uuid::nil()),
            prune_approved: false,
        },
    }
}

fn row(assignment: &Assignment) -> StateRow {
    StateRow {
        app: assignment.app,
        generation: assignment.generation,
        digest: assignment.digest(),
    }
}

fn status(assignment: &Assignment, phase: Phase, health: Health) -> StatusRow {
    let StateRow {
        app,
        generation,
        digest,
    } = row(assignment);
    StatusRow {
        app,
        generation,
        digest,
        phase,
        health,
    }
}

fn world(assignments: &[Assignment]) -> World {
    World {
        assignments: assignments.to_vec(),
        ..World::default()
    }
}

fn root(assignments: &[Assignment]) -> Digest {
    state_root(assignments.iter().map(row))
}

fn hello(state_root: Digest) -> Hello {
    Hello {
        versions: 1..=1,
        highest_epoch: Epoch(5),
        state_root,
        facts: AgentFacts {
            kubernetes_uid: "k1".into(),
            version: "0.1.0".into(),
            agent_uid: "a".into(),
            boot_id: "b".into(),
            capabilities: Vec::new(),
            labels: BTreeMap::new(),
        },
    }
}

fn fresh() -> Session {
    let config = Config {
        session_id: "s".into(),
        epoch: Epoch(5),
        versions: PROTOCOL,
        heartbeat: HEARTBEAT,
        bound_kubernetes_uid: Some("k1".into()),
        certificate: Timestamp::from_second(100).ok(),
    };
    Session::new(config, NOW)
}

fn sent(session: &mut Session, now: Duration) -> Vec<ToAgent> {
    std::iter::from_fn(|| session.next_message(now)).collect()
}

fn desired(messages: &[ToAgent]) -> Vec<(AppUid, u64)> {
    let desired = |message: &ToAgent| match message {
        ToAgent::Desired(assignment) => Some((assignment.app, assignment.generation.0)),
        _ => None,
    };
    messages.iter().filter_map(desired).collect()
}

/// A session whose agent holds `held`; what it sent first comes with it.
fn open(world: &World, held: &[Assignment]) -> (Session, Vec<ToAgent>) {
    let mut session = fresh();
    let actions = session
        .take(FromAgent::Hello(hello(root(held))), world, NOW)
        .unwrap();
    assert!(
        matches!(actions.as_slice(), [Action::Admit(_)]),
        "{actions:?}"
    );
    assert!(
        sent(&mut session, NOW).is_empty(),
        "it spoke before the agent was admitted"
    );
    session.admitted(world, NOW);
    let messages = sent(&mut session, NOW);
    if messages.contains(&ToAgent::SummaryRequest) {
        let rows = held.iter().map(row).collect();
        session
            .take(
                FromAgent::Summary {
                    rows,
                    complete: true,
                },
                world,
                NOW,
            )
            .unwrap();
    }
    (session, messages)
}

fn heartbeat(held: &[Assignment], statuses: &[StatusRow]) -> FromAgent {
    FromAgent::Heartbeat {
        state_root: root(held),
        status_root: status_root(statuses.to_vec()),
    }
}

fn accepted(assignment: &Assignment) -> Ack {
    let StateRow {
        app,
        generation,
        digest,
    } = row(assignment);
    Ack {
        app,
        generation,
        digest,
        outcome: AckOutcome::Accepted,
    }
}

fn rejected(assignment: &Assignment) -> Ack {
    let outcome = AckOutcome::Rejected {
        reason: "no".into(),
    };
    Ack {
        outcome,
        ..accepted(assignment)
    }
}

#[test]
fn who_must_not_open_a_session_is_told_why_and_the_grave_ones_are_alarmed() {
    let refuse = |change: fn(&mut Hello)| {
        let mut hello = hello(root(&[]));
        change(&mut hello);
        fresh()
            .take(FromAgent::Hello(hello), &World::default(), NOW)
            .unwrap_err()
    };
    let end = refuse(|hello| hello.highest_epoch = Epoch(6));
    assert!(
        matches!(&end, End::Refused(refusal, Some(Alarm::StaleHub { seen: Epoch(6), own: Epoch(5) })) if refusal.reason.contains("epoch 5")),
        "{end:?}"
    );
    let end = refuse(|hello| hello.facts.kubernetes_uid = "k2".into());
    assert!(
        matches!(&end, End::Refused(_, Some(Alarm::SecondCluster { bound, given })) if bound == "k1" && given == "k2"),
        "{end:?}"
    );
    let end = refuse(|hello| hello.facts.kubernetes_uid.clear());
    assert!(matches!(end, End::Protocol(_)), "{end:?}");
    let end = refuse(|hello| hello.versions = 8..=9);
    assert!(
        matches!(&end, End::Refused(refusal, None) if refusal.reason.contains("upgrade the hub")),
        "{end:?}"
    );
    // An equal epoch, and an identity that is not bound yet, are good.
    let mut session = fresh();
    session.config.bound_kubernetes_uid = None;
    let hello = FromAgent::Hello(hello(root(&[])));
    assert!(session.take(hello, &World::default(), NOW).is_ok());
}

#[test]
fn a_session_begins_with_one_hello() {
    let world = World::default();
    let early = fresh().take(heartbeat(&[], &[]), &world, NOW);
    assert!(matches!(early, Err(End::Protocol(_))), "{early:?}");
    let (mut session, _) = open(&world, &[]);
    let second = session.take(FromAgent::Hello(hello(root(&[]))), &world, NOW);
    assert!(matches!(second, Err(End::Protocol(_))), "{second:?}");
}

#[test]
fn an_agent_writes_no_label_but_its_own() {
    let mut hello = hello(root(&[]));
    hello.facts.labels = [
        ("fact.tidegate.dev/version", "1.34"),
        ("env", "prod"),
        ("wave", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let actions = fresh()
        .take(FromAgent::Hello(hello), &World::default(), NOW)
        .unwrap();
    let [Action::Admit(facts)] = actions.as_slice() else {
        panic!("{actions:?}")
    };
    assert_eq!(
        facts.labels.keys().collect::<Vec<_>>(),
        ["fact.tidegate.dev/version"]
    );
}

#[test]
fn equal_roots_end_the_resync_in_one_round_trip() {
    let held = [wants(1, 3), wants(2, 1)];
    let (session, messages) = open(&world(&held), &held);
    assert!(
        matches!(
            messages.as_slice(),
            [ToAgent::Welcome {
                in_sync: true,
                protocol: 1,
                ..
            }]
        ),
        "{messages:?}"
    );
    assert!(!session.is_opening());
}

#[test]
fn only_what_differs_or_is_missing_is_sent_and_strangers_are_left_alone() {
    let world = world(&[wants(1, 3), wants(2, 2), wants(3, 1)]);
    let held = [wants(1, 3), wants(2, 1), wants(9, 7)];
    let mut session = fresh();
    session
        .take(FromAgent::Hello(hello(root(&held))), &world, NOW)
        .unwrap();
    session.admitted(&world, NOW);
    let messages = sent(&mut session, NOW);
    assert!(
        matches!(
            messages.as_slice(),
            [
                ToAgent::Welcome { in_sync: false, .. },
                ToAgent::SummaryRequest
            ]
        ),
        "nothing is sent before it is known what is missing: {messages:?}"
    );
    for (i, held) in held.iter().enumerate() {
        assert!(session.is_opening() && sent(&mut session, NOW).is_empty());
        let summary = FromAgent::Summary {
            rows: vec![row(held)],
            complete: i == 2,
        };
        session.take(summary, &world, NOW).unwrap();
    }
    assert_eq!(
        desired(&sent(&mut session, NOW)),
        [(app(2), 2), (app(3), 1)]
    );
    assert_eq!(session.unknown_apps(), 1);
    assert!(!session.is_opening());
}

#[test]
fn a_hub_with_an_empty_store_orders_nothing() {
    let (mut session, _) = open(&World::default(), &[wants(1, 3), wants(2, 1)]);
    assert_eq!(desired(&sent(&mut session, NOW)), []);
    assert_eq!(session.unknown_apps(), 2);
}

#[test]
fn of_many_changes_only_the_last_is_sent() {
    let (mut session, _) = open(&World::default(), &[]);
    for generation in 1..=50 {
        session.nudge(&world(&[wants(1, generation), wants(2, 1)]));
    }
    assert_eq!(
        desired(&sent(&mut session, NOW)),
        [(app(1), 50), (app(2), 1)]
    );
    session.nudge(&world(&[wants(1, 50), wants(2, 1)]));
    assert_eq!(desired(&sent(&mut session, NOW)), [], "it was sent already");
}

#[test]
fn a_tombstone_stands_until_its_removal_is_stored() {
    let tombstone = Assignment {
        desired: Desired::Tombstone { cascade: true },
        ..wants(1, 4)
    };
    let mut world = world(&[tombstone.clone(), wants(2, 1)]);
    let (mut session, _) = open(&world, &[wants(1, 3), wants(2, 1)]);
    assert_eq!(desired(&sent(&mut session, NOW)), [(app(1), 4)]);
    // The session broke before the report of the removal: the next one says it again.
    let (mut session, _) = open(&world, &[wants(2, 1)]);
    assert_eq!(desired(&sent(&mut session, NOW)), [(app(1), 4)]);
    // Stored: the agent no longer counts it, and neither does the hub.
    world
        .status
        .push(status(&tombstone, Phase::Removed, Health::Missing));
    let (_, messages) = open(&world, &[wants(2, 1)]);
    assert!(
        matches!(
            messages.as_slice(),
            [ToAgent::Welcome { in_sync: true, .. }]
        ),
        "{messages:?}"
    );
    // A removal of an older generation proves nothing.
    world.status[0].generation = Generation(2);
    let (mut session, _) = open(&world, &[wants(2, 1)]);
    assert_eq!(desired(&sent(&mut session, NOW)), [(app(1), 4)]);
}

#[test]
fn an_answer_counts_only_for_what_is_wanted_now() {
    let world = world(&[wants(1, 3)]);
    let (mut session, _) = open(&world, &[]);
    sent(&mut session, NOW);
    let old = session
        .take(FromAgent::Ack(accepted(&wants(1, 2))), &world, NOW)
        .unwrap();
    assert_eq!(old, []);
    let unknown = session
        .take(FromAgent::Ack(accepted(&wants(8, 3))), &world, NOW)
        .unwrap();
    assert_eq!(unknown, []);
    let now = session
        .take(FromAgent::Ack(accepted(&wants(1, 3))), &world, NOW)
        .unwrap();
    assert_eq!(now, [Action::Ack(accepted(&wants(1, 3)))]);
}

#[test]
fn an_assignment_that_got_lost_is_found_and_one_that_was_refused_is_not_repeated() {
    let world = world(&[wants(1, 3), wants(2, 1)]);
    let (mut session, _) = open(&world, &[]);
    assert_eq!(sent(&mut session, NOW).len(), 2);
    session
        .take(FromAgent::Ack(rejected(&wants(2, 1))), &world, NOW)
        .unwrap();
    // It may still be fetching.
    let soon = NOW + HEARTBEAT / 2;
    session.take(heartbeat(&[], &[]), &world, soon).unwrap();
    assert_eq!(sent(&mut session, soon), []);
    let late = NOW + HEARTBEAT * 3;
    session.take(heartbeat(&[], &[]), &world, late).unwrap();
    assert_eq!(sent(&mut session, late), [ToAgent::SummaryRequest]);
    session
        .take(
            FromAgent::Summary {
                rows: vec![],
                complete: true,
            },
            &world,
            late,
        )
        .unwrap();
    assert_eq!(desired(&sent(&mut session, late)), [(app(1), 3)]);
}

#[test]
fn an_agent_that_lost_what_it_accepted_gets_it_again() {
    let world = world(&[wants(1, 3)]);
    let (mut session, _) = open(&world, &[]);
    sent(&mut session, NOW);
    session
        .take(FromAgent::Ack(accepted(&wants(1, 3))), &world, NOW)
        .unwrap();
    let late = NOW + HEARTBEAT * 4;
    session.take(heartbeat(&[], &[]), &world, late).unwrap();
    assert_eq!(sent(&mut session, late), [ToAgent::SummaryRequest]);
    session
        .take(
            FromAgent::Summary {
                rows: vec![],
                complete: true,
            },
            &world,
            late,
        )
        .unwrap();
    assert_eq!(desired(&sent(&mut session, late)), [(app(1), 3)]);
}

#[test]
fn equal_status_roots_confirm_and_others_bring_all_reports_but_not_in_a_flood() {
    let held = [wants(1, 3)];
    let healthy = status(&held[0], Phase::Applied, Health::Healthy);
    let world = World {
        status: vec![healthy],
        ..world(&held)
    };
    let (mut session, _) = open(&world, &held);
    let same = session
        .take(heartbeat(&held, &[healthy]), &world, NOW)
        .unwrap();
    assert_eq!(same, [Action::Confirmed]);

    let degraded = StatusRow {
        health: Health::Degraded,
        ..healthy
    };
    let mut asked = Vec::new();
    for second in 0..120 {
        let now = NOW + Duration::from_secs(second);
        let actions = session
            .take(heartbeat(&held, &[degraded]), &world, now)
            .unwrap();
        assert_eq!(actions, [Action::Differs]);
        let all = |message: &ToAgent| {
            matches!(
                message,
                ToAgent::Command {
                    command: Command::ReportAll,
                    ..
                }
            )
        };
        if sent(&mut session, now).iter().any(all) {
            asked.push(second);
        }
    }
    assert_eq!(asked, [0, 10, 30, 70], "pauses double");
}

#[test]
fn an_application_that_the_hub_does_not_know_does_not_spoil_the_evidence_of_the_others() {
    let held = [wants(1, 3), wants(9, 7)];
    let mine = status(&held[0], Phase::Applied, Health::Healthy);
    let strange = status(&held[1], Phase::Applied, Health::Degraded);
    let mut world = World {
        status: vec![mine],
        ..world(&held[..1])
    };
    let (mut session, _) = open(&world, &held);
    let both = heartbeat(&held, &[mine, strange]);
    assert_eq!(
        session.take(both.clone(), &world, NOW).unwrap(),
        [Action::Differs]
    );
    session.stranger(strange);
    assert_eq!(
        session.take(both.clone(), &world, NOW).unwrap(),
        [Action::Confirmed]
    );
    // Once the hub wants it, its report has to be stored as any other.
    world.assignments.push(wants(9, 7));
    session.nudge(&world);
    assert_eq!(session.take(both, &world, NOW).unwrap(), [Action::Differs]);
}

#[test]
fn what_was_said_of_a_stranger_does_not_outlive_it() {
    let held = [wants(1, 3), wants(9, 7)];
    let mine = status(&held[0], Phase::Applied, Health::Healthy);
    let strange = status(&held[1], Phase::Applied, Health::Degraded);
    let mut world = World {
        status: vec![mine],
        ..world(&held[..1])
    };
    // It was lost with its report: all reports are asked for, and it is not among them.
    let (mut session, _) = open(&world, &held);
    session.stranger(strange);
    let without = heartbeat(&held[..1], &[mine]);
    let differs = session.take(without.clone(), &world, NOW).unwrap();
    assert_eq!(differs, [Action::Differs]);
    let right = session.take(without, &world, NOW).unwrap();
    assert_eq!(right, [Action::Confirmed]);

    // The hub removed it: what is stored now says all there is to say.
    session.stranger(strange);
    let tombstone = Assignment {
        desired: Desired::Tombstone { cascade: true },
        ..wants(9, 8)
    };
    let removed = tidegate_model::report::Report {
        app: tombstone.app,
        generation: tombstone.generation,
        digest: tombstone.digest(),
        phase: Phase::Removed,
        health: Health::Missing,
        healthy_for: tidegate_model::duration::Span::default(),
        drift: Vec::new(),
        problems: Vec::new(),
        held_prune: None,
    };
    world.status.push(StatusRow::from(&removed));
    world.assignments.push(tombstone);
    session.nudge(&world);
    session
        .take(FromAgent::Report(removed), &world, NOW)
        .unwrap();
    let beat = heartbeat(&held[..1], &[mine]);
    assert_eq!(
        session.take(beat, &world, NOW).unwrap(),
        [Action::Confirmed]
    );
}
