//! What an agent says: reports, heartbeats, answers; and when silence ends a session.

use super::*;

#[test]
fn reports_are_coalesced_but_a_change_of_health_goes_at_once() {
    let held = wants(1, 1);
    let cluster = cluster(std::slice::from_ref(&held));
    let mut session = open(&cluster);
    let drifted = |n: usize, health| Report {
        drift: vec![
            DriftItem {
                object: tidegate_model::object::ObjectId {
                    group: String::new(),
                    kind: "ConfigMap".into(),
                    namespace: "web".into(),
                    name: n.to_string(),
                },
                fields: vec![],
                healed: false,
            };
            n
        ],
        ..report(&held, Phase::Applied, health)
    };
    let put = |session: &mut Session, report: Report| {
        *cluster.reports.borrow_mut() = vec![report.clone()];
        session.reported(vec![report]);
    };
    put(&mut session, drifted(0, Health::Healthy));
    assert_eq!(sent(&mut session, &cluster, NOW).len(), 1);
    for n in 1..=30 {
        put(&mut session, drifted(n, Health::Healthy));
    }
    let soon = NOW + Duration::from_millis(100);
    assert_eq!(sent(&mut session, &cluster, soon), [], "details wait");
    assert_eq!(session.wake_at(), NOW + Duration::from_millis(500));
    let at = session.wake_at();
    let due = sent(&mut session, &cluster, at);
    assert!(
        matches!(due.as_slice(), [ToHub::Report(r)] if r.drift.len() == 30),
        "{due:?}"
    );
    put(&mut session, drifted(30, Health::Degraded));
    assert_eq!(
        sent(&mut session, &cluster, NOW + Duration::from_millis(501)).len(),
        1
    );
    // Time that passes is no news.
    let mut older = drifted(30, Health::Degraded);
    older.healthy_for = Span::secs(9);
    put(&mut session, older);
    assert_eq!(
        sent(&mut session, &cluster, NOW + Duration::from_secs(5)),
        []
    );
}

#[test]
fn a_heartbeat_speaks_of_what_was_sent_and_is_not_suppressed_for_long() {
    let held = [wants(1, 1), wants(2, 1)];
    let cluster = cluster(&held);
    let mut session = open(&cluster);
    // A report that no event told of is found, and goes before the root that speaks of it.
    *cluster.reports.borrow_mut() = vec![report(&held[0], Phase::Applied, Health::Healthy)];
    let messages = sent(&mut session, &cluster, NOW + HEARTBEAT);
    let [ToHub::Report(_), rest @ ..] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(rest, [], "suppressed by the report");
    // One application that flaps must not keep the others from being confirmed.
    let mut beats = Vec::new();
    for second in 11..=60 {
        let now = NOW + Duration::from_secs(second);
        let health = if second % 2 == 0 {
            Health::Healthy
        } else {
            Health::Degraded
        };
        let flapping = report(&held[0], Phase::Applied, health);
        *cluster.reports.borrow_mut() = vec![flapping.clone()];
        session.reported(vec![flapping.clone()]);
        for message in sent(&mut session, &cluster, now) {
            if let ToHub::Heartbeat {
                state_root: state,
                status_root: status,
            } = message
            {
                assert_eq!(state, state_root(held.iter().map(row)));
                assert_eq!(status, status_root([StatusRow::from(&flapping)]));
                beats.push(second);
            }
        }
    }
    assert_eq!(beats, [20, 40, 60]);
}

#[test]
fn report_all_sends_everything_and_then_a_heartbeat() {
    let held = [wants(1, 1), wants(2, 1)];
    let cluster = cluster(&held);
    *cluster.reports.borrow_mut() = held
        .iter()
        .map(|held| report(held, Phase::Applied, Health::Healthy))
        .collect();
    let mut session = open(&cluster);
    let command = Body::Command {
        id: "c".into(),
        command: Some(Command::ReportAll),
    };
    session.take(hub(command), &cluster, NOW).unwrap();
    let messages = sent(&mut session, &cluster, NOW);
    assert!(
        matches!(
            messages.as_slice(),
            [
                ToHub::CommandResult(_),
                ToHub::Report(_),
                ToHub::Report(_),
                ToHub::Heartbeat { .. }
            ]
        ),
        "{messages:?}"
    );
}

#[test]
fn commands_are_answered_even_unknown_ones() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    let command = |id: &str, command| {
        hub(Body::Command {
            id: id.into(),
            command,
        })
    };
    let sync = command("1", Some(Command::SyncNow(app(1))));
    let actions = session.take(sync, &cluster, NOW).unwrap();
    assert_eq!(
        actions,
        [Action::SyncNow {
            id: "1".into(),
            app: app(1)
        }]
    );
    session.answer("1".into(), false, "no such application here".into());
    session.take(command("2", None), &cluster, NOW).unwrap();
    let messages = sent(&mut session, &cluster, NOW);
    let answers: Vec<_> = messages
        .iter()
        .map(|message| match message {
            ToHub::CommandResult(result) => (result.id.as_str(), result.ok),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, [("1", false), ("2", false)]);
}

#[test]
fn objects_are_looked_up_and_answered_or_said_not_to_be_there() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    let after = ObjectId {
        group: String::new(),
        kind: "ConfigMap".into(),
        namespace: "shop".into(),
        name: "a".into(),
    };
    let list = hub(Body::Command {
        id: "1".into(),
        command: Some(Command::ListObjects {
            app: app(1),
            after: Some(after.clone()),
        }),
    });
    assert_eq!(
        session.take(list, &cluster, NOW).unwrap(),
        [Action::ListObjects {
            id: "1".into(),
            app: app(1),
            after: Some(after)
        }]
    );
    let page = ObjectPage {
        generation: Generation(3),
        items: Vec::new(),
        total: 7,
        more: false,
    };
    session.answer_objects("1".into(), Some(page.clone()));
    session.answer_objects("2".into(), None);
    let messages = sent(&mut session, &cluster, NOW);
    let answers: Vec<_> = messages
        .into_iter()
        .map(|message| match message {
            ToHub::CommandResult(result) => (result.ok, result.objects),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, [(true, Some(page)), (false, None)]);
}

#[test]
fn a_tombstone_is_forgotten_only_when_the_hub_is_known_to_have_stored_its_removal() {
    let tombstone = Assignment {
        desired: Desired::Tombstone { cascade: true },
        ..wants(1, 4)
    };
    let other = wants(2, 1);
    let cluster = cluster(&[tombstone.clone(), other.clone()]);
    let (_, hello) = greeted(&cluster);
    assert_eq!(
        hello.state_root,
        state_root([row(&tombstone), row(&other)]),
        "not carried out yet"
    );

    *cluster.reports.borrow_mut() = vec![report(&tombstone, Phase::Removed, Health::Missing)];
    let (mut session, hello) = greeted(&cluster);
    assert_eq!(hello.state_root, state_root([row(&other)]));
    assert_eq!(
        session.take(welcome(false), &cluster, NOW),
        Ok(vec![]),
        "the hub may not know"
    );

    let (mut session, _) = greeted(&cluster);
    let forget = Action::Forget {
        app: app(1),
        generation: Generation(4),
    };
    assert_eq!(session.take(welcome(true), &cluster, NOW), Ok(vec![forget]));
}

#[test]
fn silence_ends_a_session_and_a_heartbeat_of_the_hub_is_bounded() {
    let cluster = Cluster::default();
    let mut session = open(&cluster);
    session
        .check(NOW + (HEARTBEAT * 3).saturating_sub(Duration::from_millis(1)))
        .unwrap();
    session
        .take(hub(Body::Unknown), &cluster, NOW + HEARTBEAT)
        .unwrap();
    session.check(NOW + HEARTBEAT * 3).unwrap();
    assert!(matches!(
        session.check(NOW + HEARTBEAT * 4),
        Err(End::Silent(_))
    ));

    let (mut session, _) = greeted(&cluster);
    assert_eq!(
        session.check(NOW + OPENING_TIMEOUT),
        Err(End::Silent(OPENING_TIMEOUT))
    );
    let zero = Body::Welcome {
        protocol: 1,
        session_id: "s".into(),
        heartbeat: Duration::ZERO,
        in_sync: true,
    };
    session.take(hub(zero), &cluster, NOW).unwrap();
    session.check(NOW).unwrap();
}

#[test]
fn what_did_not_get_out_is_for_the_next_session() {
    let held = wants(1, 1);
    let cluster = cluster(std::slice::from_ref(&held));
    let (mut session, _) = greeted(&cluster);
    let news = report(&held, Phase::Applied, Health::Degraded);
    *cluster.reports.borrow_mut() = vec![news.clone()];
    session.reported(vec![news]);
    let unsent = session.unsent();
    assert_eq!(unsent, [app(1)]);
    let mut next = Session::new(introduction(), Epoch(5), unsent, &cluster, NOW);
    next.next_message(&cluster, NOW);
    next.take(welcome(true), &cluster, NOW).unwrap();
    let messages = sent(&mut next, &cluster, NOW);
    assert!(
        matches!(
            messages.as_slice(),
            [ToHub::Report(_), ToHub::Heartbeat { .. }]
        ),
        "{messages:?}"
    );
}
