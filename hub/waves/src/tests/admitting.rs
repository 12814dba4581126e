//! Pins and denies (invariants 26 and 27).

use std::collections::BTreeSet;

use crate::{
    admit::{Admit, Candidate, admit},
    invariants::{Verdict, i26_sticky_rollback, i27_pin_dominance},
};
use proptest::{
    prelude::{
        Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
    },
    test_runner::TestCaseError,
};
use tidegate_model::{
    deny::{Deny, Pin, PinRelease},
    object::ObjectId,
};

use crate::tests::fixture::{app, at, bundle, run_id};

fn object(name: &str, content: &str) -> Deny {
    let id = ObjectId {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    };
    Deny {
        object: id,
        content: bundle(content),
    }
}

fn pin(release: PinRelease) -> Pin {
    Pin {
        app: app(1),
        bundle: bundle("good"),
        bad: bundle("bad"),
        release,
        reason: "the canary is Degraded".to_owned(),
        actor: "system".to_owned(),
        run: run_id(1),
        created_at: at(0),
    }
}

fn candidate(content: &str, objects: &[Deny]) -> Candidate {
    Candidate {
        app: app(1),
        bundle: bundle(content),
        objects: objects.to_vec(),
    }
}

fn one(candidate: &Candidate, pins: &[Pin], denies: &[Deny]) -> Admit {
    let denies = denies.iter().cloned().collect();
    admit(std::slice::from_ref(candidate), pins, &denies)
        .remove(&app(1))
        .unwrap()
}

#[test]
fn what_opens_which_pin() {
    use PinRelease::{Changed, Converged, Manual};
    let bad = object("web", "image bad");
    let denies = [bad.clone()];
    let good = candidate("good", &[object("web", "image good")]);
    let same = candidate("bad", std::slice::from_ref(&bad));
    let other_file = candidate("bad and a new file", &[bad.clone(), object("db", "new")]);
    let fixed = candidate("fixed", &[object("web", "image fixed")]);
    let gone = candidate("without web", &[object("db", "new")]);
    for (release, opened) in [
        (Changed, [true, false, false, true, true]),
        (Converged, [true, false, false, false, false]),
        (Manual, [false; 5]),
    ] {
        let pins = [pin(release)];
        for (candidate, opens) in [&good, &same, &other_file, &fixed, &gone]
            .into_iter()
            .zip(opened)
        {
            let got = one(candidate, &pins, &denies);
            assert_eq!(
                got == Admit::Go { opens_pin: true },
                opens,
                "{release:?} {candidate:?} {got:?}"
            );
            assert_eq!(got.is_held(), !opens);
        }
    }
}

#[test]
fn a_denied_object_is_held_in_every_application_with_or_without_a_pin() {
    let bad = object("web", "image bad");
    let elsewhere = Candidate {
        app: app(2),
        ..candidate("x", std::slice::from_ref(&bad))
    };
    let denies = [bad].into();
    let Admit::Held { reason, pinned } = &admit(&[elsewhere], &[], &denies)[&app(2)] else {
        panic!("it goes")
    };
    assert!(!pinned);
    assert!(reason.contains("Deployment.apps shop/web"), "{reason}");
}

#[test]
fn bad_content_without_a_denied_object_does_not_open_its_own_pin() {
    // The bad release only removed an object, or changed labels: there is nothing to deny.
    let bad = candidate("bad", &[object("web", "image good")]);
    assert!(one(&bad, &[pin(PinRelease::Changed)], &[]).is_held());
    assert_eq!(one(&bad, &[], &[]), Admit::Go { opens_pin: false });
}

#[test]
fn what_is_held_says_by_whom_and_what_to_do() {
    let bad = object("web", "image bad");
    let candidate = candidate("bad", std::slice::from_ref(&bad));
    let Admit::Held { reason, pinned } = one(&candidate, &[pin(PinRelease::Changed)], &[bad])
    else {
        panic!("it goes")
    };
    assert!(pinned);
    for word in [
        "Deployment.apps shop/web",
        "unpin",
        "system",
        "the canary is Degraded",
    ] {
        assert!(reason.contains(word), "{reason}");
    }
}

fn any_objects() -> impl Strategy<Value = Vec<Deny>> {
    let one =
        (prop_oneof!["web", "db"], 0..4_u8).prop_map(|(name, n)| object(&name, &n.to_string()));
    proptest::collection::vec(one, 0..4)
}

fn holds(verdict: &Verdict) -> Result<(), TestCaseError> {
    prop_assert!(!matches!(verdict, Verdict::Broken(_)), "{verdict:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Invariants 26 and 27, over every mixture of pins, denies and content.
    #[test]
    fn nothing_denied_goes_and_no_pin_opens_by_itself(
        apps in proptest::collection::vec((any_objects(), 0..4_u8), 1..5),
        denies in any_objects(),
        pinned in proptest::collection::vec(any::<bool>(), 5),
        release in prop_oneof![
            Just(PinRelease::Changed), Just(PinRelease::Converged), Just(PinRelease::Manual)
        ],
    ) {
        let denies: BTreeSet<_> = denies.into_iter().collect();
        let name = |n| ["good", "bad", "x", "y"][usize::from(n)];
        let candidates: Vec<_> = (1..).zip(&apps).map(|(n, (objects, content))| Candidate {
            app: app(n),
            bundle: bundle(name(*content)),
            objects: objects.clone(),
        }).collect();
        let pins: Vec<_> = candidates.iter().zip(&pinned).filter(|(_, pinned)| **pinned)
            .map(|(candidate, _)| Pin { app: candidate.app, ..pin(release) }).collect();
        let admitted = admit(&candidates, &pins, &denies);
        prop_assert_eq!(admitted.len(), candidates.len());
        holds(&i26_sticky_rollback(&candidates, &denies, &admitted))?;
        holds(&i27_pin_dominance(&candidates, &pins, &admitted))?;
    }
}
