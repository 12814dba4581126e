//! A certificate that is to be renewed: told in every session, once, for as long as it is so.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn renewals(messages: &[ToAgent]) -> Vec<Timestamp> {
    let renewal = |message: &ToAgent| match message {
        ToAgent::Renewal { not_before } => Some(*not_before),
        _ => None,
    };
    messages.iter().filter_map(renewal).collect()
}

/// The agents of these tests have a certificate whose life begins at second 100.
fn wanting(least: i64) -> World {
    World {
        renew_before: Some(at(least)),
        ..World::default()
    }
}

#[test]
fn an_agent_with_an_older_certificate_is_told_in_every_session_and_once() {
    let world = wanting(101);
    for _ in 0..2 {
        let (mut session, messages) = open(&world, &[]);
        assert!(
            matches!(messages[0], ToAgent::Welcome { .. }),
            "{messages:?}"
        );
        assert_eq!(renewals(&messages), [at(101)]);
        session.nudge(&world);
        assert_eq!(renewals(&sent(&mut session, NOW)), []);
    }
}

#[test]
fn one_with_a_newer_certificate_is_told_nothing() {
    let (mut session, messages) = open(&wanting(100), &[]);
    assert_eq!(renewals(&messages), []);
    session.nudge(&wanting(100));
    assert_eq!(renewals(&sent(&mut session, NOW)), []);
}

#[test]
fn an_order_that_is_given_during_a_session_is_told_at_once() {
    let (mut session, messages) = open(&World::default(), &[]);
    assert_eq!(renewals(&messages), []);
    session.nudge(&wanting(200));
    assert_eq!(renewals(&sent(&mut session, NOW)), [at(200)]);
    // Ordered again after it was done: another moment, told again.
    session.nudge(&wanting(300));
    assert_eq!(renewals(&sent(&mut session, NOW)), [at(300)]);
}
