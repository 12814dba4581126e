//! What time does to a session: heartbeats, silence, floods.

use super::*;

#[test]
fn heartbeats_are_sent_only_when_nothing_else_was() {
    let (mut session, _) = open(&World::default(), &[]);
    assert_eq!(sent(&mut session, NOW + HEARTBEAT / 2), []);
    session.nudge(&world(&[wants(1, 1)]));
    assert_eq!(sent(&mut session, NOW + HEARTBEAT / 2).len(), 1);
    assert_eq!(
        sent(&mut session, NOW + HEARTBEAT),
        [],
        "suppressed by the assignment"
    );
    let due = session.next_heartbeat().unwrap();
    assert_eq!(due, NOW + HEARTBEAT / 2 + HEARTBEAT);
    assert_eq!(sent(&mut session, due), [ToAgent::Heartbeat]);
}

#[test]
fn silence_ends_a_session_and_any_word_counts() {
    let world = World::default();
    let (mut session, _) = open(&world, &[]);
    let almost = NOW + (HEARTBEAT * 3).saturating_sub(Duration::from_millis(1));
    session.check(almost).unwrap();
    session.take(FromAgent::Unknown, &world, almost).unwrap();
    session.check(NOW + HEARTBEAT * 3).unwrap();
    let end = session.check(almost + HEARTBEAT * 3).unwrap_err();
    assert_eq!(end, End::Silent(HEARTBEAT * 3));
}

#[test]
fn an_agent_that_never_says_what_it_holds_does_not_keep_its_place() {
    let world = world(&[wants(1, 1)]);
    let mut session = fresh();
    session
        .take(FromAgent::Hello(hello(root(&[]))), &world, NOW)
        .unwrap();
    session.admitted(&world, NOW);
    let late = NOW + OPENING_TIMEOUT;
    session.take(heartbeat(&[], &[]), &world, late).unwrap();
    assert!(matches!(session.check(late), Err(End::Protocol(_))));
}

#[test]
fn commands_are_answered_one_by_one_and_too_many_are_refused() {
    let world = World::default();
    let (mut session, _) = open(&world, &[]);
    for n in 0..64 {
        session
            .command(n.to_string(), Command::SyncNow(app(1)))
            .unwrap();
    }
    assert_eq!(
        session.command("x".into(), Command::SyncNow(app(1))),
        Err(Busy)
    );
    assert_eq!(
        sent(&mut session, NOW).len(),
        64,
        "equal commands are not merged"
    );
    let result = CommandResult {
        id: "7".into(),
        ok: true,
        message: String::new(),
        objects: None,
    };
    let answer = FromAgent::CommandResult(result.clone());
    assert_eq!(
        session.take(answer.clone(), &world, NOW).unwrap(),
        [Action::Answer(result)]
    );
    assert_eq!(
        session.take(answer, &world, NOW).unwrap(),
        [],
        "a repeated answer is none"
    );
    session
        .command("x".into(), Command::SyncNow(app(1)))
        .unwrap();
}

#[test]
fn a_summary_without_end_is_cut_off() {
    let world = world(&[wants(1, 1)]);
    let mut session = fresh();
    session
        .take(FromAgent::Hello(hello(root(&[]))), &world, NOW)
        .unwrap();
    session.admitted(&world, NOW);
    let rows = vec![row(&wants(1, 1)); MAX_ROWS];
    session
        .take(
            FromAgent::Summary {
                rows,
                complete: false,
            },
            &world,
            NOW,
        )
        .unwrap();
    let more = FromAgent::Summary {
        rows: vec![row(&wants(1, 1))],
        complete: false,
    };
    assert!(matches!(
        session.take(more, &world, NOW),
        Err(End::Protocol(_))
    ));
}
