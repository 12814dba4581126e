//! The rules of a session, one by one. That both sides together converge is shown in the
//! whole-system tests, where both sides may be used.

mod said;

use std::cell::RefCell;

use tidegate_model::{
    assignment::Desired,
    digest::Digest,
    duration::Span,
    health::Health,
    ids::ClusterUid,
    report::{DriftItem, Phase, StatusRow, status_root},
};
use uuid::Uuid;

use super::*;
use crate::link::message::Unreadable;

const HEARTBEAT: Duration = Duration::from_secs(10);
const NOW: Duration = Duration::from_secs(1000);

#[derive(Default)]
struct Cluster {
    held: RefCell<Vec<StateRow>>,
    reports: RefCell<Vec<Report>>,
}

impl Local for Cluster {
    fn held(&self) -> Vec<StateRow> {
        self.held.borrow().clone()
    }

    fn reports(&self) -> Vec<Report> {
        self.reports.borrow().clone()
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

fn report(assignment: &Assignment, phase: Phase, health: Health) -> Report {
    let StateRow {
        app,
        generation,
        digest,
    } = row(assignment);
    Report {
        app,
        generation,
        digest,
        phase,
        health,
        healthy_for: Span::default(),
        drift: Vec::new(),
        problems: Vec::new(),
        held_prune: None,
    }
}

fn cluster(held: &[Assignment]) -> Cluster {
    let cluster = Cluster::default();
    *cluster.held.borrow_mut() = held.iter().map(row).collect();
    cluster
}

fn introduction() -> Introduction {
    Introduction {
        versions: PROTOCOL,
        capabilities: Vec::new(),
        agent_uid: "a".into(),
        boot_id: "b".into(),
        kubernetes_uid: "k".into(),
        facts: BTreeMap::new(),
        version: "0.1.0".into(),
    }
}

fn hub(body: Body) -> FromHub {
    FromHub {
        epoch: Epoch(5),
        body,
    }
}

fn desired(assignment: Assignment) -> FromHub {
    hub(Body::Desired(Ok(assignment)))
}

fn welcome(in_sync: bool) -> FromHub {
    let session_id = "s".into();
    hub(Body::Welcome {
        protocol: 1,
        session_id,
        heartbeat: HEARTBEAT,
        in_sync,
    })
}

fn sent(session: &mut Session, cluster: &Cluster, now: Duration) -> Vec<ToHub> {
    std::iter::from_fn(|| session.next_message(cluster, now)).collect()
}

fn greeted(cluster: &Cluster) -> (Session, Hello) {
    let mut session = Session::new(introduction(), Epoch(5), [], cluster, NOW);
    let first = session.next_message(cluster, NOW);
    let Some(ToHub::Hello(hello)) = first else {
        panic!("{first:?}")
    };
    assert_eq!(
        session.next_message(cluster, NOW),
        None,
        "it spoke before the welcome"
    );
    (session, hello)
}

/// An open session that has sent its first heartbeat.
fn open(cluster: &Cluster) -> Session {
    let (mut session, _) = greeted(cluster);
    session.take(welcome(false), cluster, NOW).unwrap();
    let first = sent(&mut session, cluster, NOW);
    assert!(
        matches!(first.as_slice(), [ToHub::Heartbeat { .. }]),
        "{first:?}"
    );
    session
}

fn acks(messages: &[ToHub]) -> Vec<(AppUid, u64, Option<&str>)> {
    let mut acks = Vec::new();
    for message in messages {
        if let ToHub::Ack(ack) = message {
            acks.push((ack.app, ack.generation.0, ack.rejected.as_deref()));
        }
    }
    acks
}

fn accepted(assignment: &Assignment) -> Outcome {
    let StateRow {
        generation, digest, ..
    } = row(assignment);
    Outcome::Accepted {
        generation,
        digest,
        repeated: false,
    }
}

fn rejected(reason: &str, retryable: bool) -> Outcome {
    Outcome::Rejected {
        reason: reason.into(),
        retryable,
    }
}

#[test]
fn a_lower_epoch_is_refused_an_equal_one_accepted_a_higher_one_kept_first() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    let stale = FromHub {
        epoch: Epoch(4),
        body: Body::Desired(Ok(wants(1, 1))),
    };
    let end = session.take(stale, &cluster, NOW).unwrap_err();
    assert_eq!(
        end,
        End::StaleHub {
            given: Epoch(4),
            highest: Epoch(5)
        }
    );

    let mut session = open(&cluster);
    let actions = session.take(desired(wants(1, 1)), &cluster, NOW).unwrap();
    assert!(
        matches!(
            actions.as_slice(),
            [Action::Accept {
                epoch: Epoch(5),
                ..
            }]
        ),
        "{actions:?}"
    );

    let later = FromHub {
        epoch: Epoch(7),
        body: Body::Desired(Ok(wants(2, 1))),
    };
    let actions = session.take(later, &cluster, NOW).unwrap();
    assert!(
        matches!(
            actions.as_slice(),
            [
                Action::RaiseEpoch(Epoch(7)),
                Action::Accept {
                    epoch: Epoch(7),
                    ..
                }
            ]
        ),
        "{actions:?}"
    );
    let end = session
        .take(hub(Body::Heartbeat), &cluster, NOW)
        .unwrap_err();
    assert_eq!(
        end,
        End::StaleHub {
            given: Epoch(5),
            highest: Epoch(7)
        }
    );
}

#[test]
fn even_a_welcome_of_a_stale_hub_is_refused() {
    let cluster = Cluster::default();
    let (mut session, hello) = greeted(&cluster);
    assert_eq!(hello.highest_epoch, Epoch(5));
    let welcome = FromHub {
        epoch: Epoch(1),
        ..welcome(true)
    };
    assert!(matches!(
        session.take(welcome, &cluster, NOW),
        Err(End::StaleHub { .. })
    ));
}

#[test]
fn nothing_is_obeyed_before_the_welcome_or_in_a_version_that_was_not_offered() {
    let cluster = Cluster::default();
    let (mut session, _) = greeted(&cluster);
    let early = session
        .take(desired(wants(1, 1)), &cluster, NOW)
        .unwrap_err();
    assert!(
        matches!(&early, End::Protocol(why) if why.contains("before the welcome")),
        "{early:?}"
    );
    let (mut session, _) = greeted(&cluster);
    let session_id = "s".to_owned();
    let other = hub(Body::Welcome {
        protocol: 9,
        session_id,
        heartbeat: HEARTBEAT,
        in_sync: true,
    });
    assert!(matches!(
        session.take(other, &cluster, NOW),
        Err(End::Protocol(_))
    ));
}

#[test]
fn refusal_and_drain_end_the_session_with_the_hubs_words() {
    let cluster = Cluster::default();
    let (mut session, _) = greeted(&cluster);
    let retry_after = Duration::from_secs(7);
    let reason = "upgrade the agent".to_owned();
    let refused = hub(Body::Refused {
        reason: reason.clone(),
        retry_after,
    });
    let end = session.take(refused, &cluster, NOW).unwrap_err();
    assert_eq!(
        end,
        End::Refused {
            reason,
            retry_after
        }
    );
    assert!(end.to_string().contains("upgrade the agent"));
    let drain = hub(Body::Drain { retry_after });
    assert_eq!(
        open(&cluster).take(drain, &cluster, NOW),
        Err(End::Drained { retry_after })
    );
}

#[test]
fn a_summary_comes_in_messages_of_bounded_size_and_is_complete_at_the_end() {
    let held: Vec<_> = (0..4500).map(|n| wants(n, 1)).collect();
    let cluster = cluster(&held);
    let mut session = open(&cluster);
    session
        .take(hub(Body::SummaryRequest), &cluster, NOW)
        .unwrap();
    let sizes: Vec<_> = sent(&mut session, &cluster, NOW)
        .iter()
        .map(|message| match message {
            ToHub::Summary { rows, complete } => (rows.len(), *complete),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        sizes,
        [(2000, false), (2000, false), (500, false), (0, true)]
    );
}

#[test]
fn an_old_generation_is_refused_whatever_is_known_of_a_newer_one() {
    let cluster = cluster(&[wants(1, 5)]);
    let mut session = open(&cluster);
    // Held.
    assert_eq!(
        session.take(desired(wants(1, 4)), &cluster, NOW),
        Ok(vec![])
    );
    let messages = sent(&mut session, &cluster, NOW);
    assert!(
        matches!(acks(&messages).as_slice(), [(_, 4, Some(why))] if why.contains("older than generation 5")),
        "{messages:?}"
    );
    // In work.
    session.take(desired(wants(1, 7)), &cluster, NOW).unwrap();
    assert_eq!(
        session.take(desired(wants(1, 6)), &cluster, NOW),
        Ok(vec![])
    );
    assert!(matches!(
        acks(&sent(&mut session, &cluster, NOW)).as_slice(),
        [(_, 6, Some(_))]
    ));
    // Waiting for the one in work.
    session.take(desired(wants(1, 9)), &cluster, NOW).unwrap();
    assert_eq!(
        session.take(desired(wants(1, 8)), &cluster, NOW),
        Ok(vec![])
    );
    assert!(matches!(
        acks(&sent(&mut session, &cluster, NOW)).as_slice(),
        [(_, 8, Some(_))]
    ));
    // The same generation with other content.
    let mut other = wants(1, 5);
    other.desired = Desired::Tombstone { cascade: true };
    assert_eq!(session.take(desired(other), &cluster, NOW), Ok(vec![]));
    // An assignment from the future of its hub.
    let future = Assignment {
        epoch: Epoch(6),
        ..wants(3, 1)
    };
    assert_eq!(session.take(desired(future), &cluster, NOW), Ok(vec![]));
    let messages = sent(&mut session, &cluster, NOW);
    let reasons: Vec<_> = acks(&messages)
        .into_iter()
        .filter_map(|(_, _, why)| why)
        .collect();
    assert!(
        reasons[0].contains("older") || reasons[0].contains("other content"),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("issued in epoch 6"), "{reasons:?}");
}

#[test]
fn what_is_held_already_is_answered_and_its_report_repeated() {
    let held = wants(1, 5);
    let cluster = cluster(std::slice::from_ref(&held));
    cluster
        .reports
        .borrow_mut()
        .push(report(&held, Phase::Applied, Health::Healthy));
    let mut session = open(&cluster);
    assert_eq!(
        session.take(desired(held.clone()), &cluster, NOW),
        Ok(vec![])
    );
    let messages = sent(&mut session, &cluster, NOW);
    assert!(
        matches!(
            messages.as_slice(),
            [ToHub::Ack(Ack { rejected: None, .. }), ToHub::Report(_)]
        ),
        "{messages:?}"
    );
}

#[test]
fn the_latest_of_many_assignments_is_worked_on_and_one_at_a_time() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    let first = session.take(desired(wants(1, 1)), &cluster, NOW).unwrap();
    assert_eq!(first.len(), 1);
    for generation in 2..=50 {
        let more = session
            .take(desired(wants(1, generation)), &cluster, NOW)
            .unwrap();
        assert_eq!(more, [], "two of one application at a time");
    }
    assert_eq!(
        session.take(desired(wants(1, 50)), &cluster, NOW),
        Ok(vec![]),
        "a repeat"
    );
    let next = session.worked(app(1), accepted(&wants(1, 1)), NOW);
    let generation = |action: &Action| match action {
        Action::Accept { assignment, .. } => assignment.generation.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(next.iter().map(generation).collect::<Vec<_>>(), [50]);
    session.worked(app(1), accepted(&wants(1, 50)), NOW);
    let messages = sent(&mut session, &cluster, NOW);
    assert_eq!(
        acks(&messages),
        [(app(1), 50, None)],
        "answers are coalesced too"
    );
}

#[test]
fn one_bad_application_holds_up_no_other() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    let unreadable = Unreadable {
        app: app(1),
        generation: Generation(1),
        digest: Digest::from_bytes([1; 32]),
        problem: "policy: missing".into(),
    };
    session
        .take(hub(Body::Desired(Err(unreadable))), &cluster, NOW)
        .unwrap();
    session.take(desired(wants(2, 1)), &cluster, NOW).unwrap();
    session.worked(app(2), rejected("too large", false), NOW);
    let actions = session.take(desired(wants(3, 1)), &cluster, NOW).unwrap();
    assert!(
        matches!(actions.as_slice(), [Action::Accept { .. }]),
        "{actions:?}"
    );
    session.worked(app(3), accepted(&wants(3, 1)), NOW);
    let messages = sent(&mut session, &cluster, NOW);
    assert_eq!(
        acks(&messages),
        [
            (app(1), 1, Some("policy: missing")),
            (app(2), 1, Some("too large")),
            (app(3), 1, None)
        ]
    );
    // What cannot get better is not tried again.
    assert_eq!(session.due_work(NOW + Duration::from_secs(9999)), []);
}

#[test]
fn what_can_get_better_is_tried_again_ever_more_rarely_and_a_newer_one_at_once() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    session.take(desired(wants(1, 1)), &cluster, NOW).unwrap();
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(session.worked(app(1), rejected("hub away", true), now), []);
        assert!(
            acks(&sent(&mut session, &cluster, now))[0].2.is_some(),
            "the hub is told"
        );
        let due = (1..1000).find(|second| {
            !session
                .due_work(now + Duration::from_secs(*second))
                .is_empty()
        });
        pauses.push(due.unwrap());
        now += Duration::from_secs(due.unwrap());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 120, 120]);
    session.worked(app(1), rejected("hub away", true), now);
    let newer = session.take(desired(wants(1, 2)), &cluster, now).unwrap();
    assert!(
        matches!(newer.as_slice(), [Action::Accept { .. }]),
        "{newer:?}"
    );
}

#[test]
fn only_so_many_are_worked_on_at_a_time_and_none_is_forgotten() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    let mut working: VecDeque<_> = VecDeque::new();
    for n in 0..20 {
        working.extend(session.take(desired(wants(n, 1)), &cluster, NOW).unwrap());
    }
    assert_eq!(working.len(), 8);
    let mut done = 0;
    while let Some(Action::Accept { assignment, .. }) = working.pop_front() {
        done += 1;
        working.extend(session.worked(assignment.app, accepted(&assignment), NOW));
    }
    assert_eq!(done, 20);
}
