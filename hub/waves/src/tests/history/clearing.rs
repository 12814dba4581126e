//! Invariant 41, second half: clearing exactly what `explain` names lets a step happen.

use crate::{BlockCode, Blocking};
use tidegate_model::{
    duration::Span,
    health::Health,
    report::{Phase, Report},
    run::{BrokenGlass, GatePosition, MemberId, RequestVerb},
};

use crate::tests::world::{Doorman, Meter, World};

/// Clears every named cause in a copy of the world; it must move.
pub(crate) fn check(world: &World) {
    let said = world.explain();
    assert_eq!(
        said.is_empty(),
        !world.run.is_live() && world.run.request.is_none(),
        "clearing: {said:?}"
    );
    if said.is_empty() {
        return;
    }
    let mut copy = world.clone();
    copy.strict_truth = false;
    let pending = said
        .iter()
        .any(|blocking| blocking.code == BlockCode::StepPending);
    for blocking in &said {
        clear(&mut copy, blocking);
    }
    let measured = said
        .iter()
        .any(|blocking| blocking.code == BlockCode::Analysis);
    for _ in 0..20 {
        if measured {
            copy.measure(Meter::Good);
        }
        if copy.step() {
            return;
        }
        assert!(
            !pending,
            "clearing: a step was said to be pending, and nothing moves"
        );
        // Time is what soaks and windows name; whoever is connected goes on vouching.
        let clusters: Vec<_> = copy.sessions.keys().copied().collect();
        copy.tick(15);
        for cluster in clusters {
            let session = copy.sessions.get_mut(&cluster).unwrap();
            if session.confirmed.is_some() {
                session.confirmed = Some(copy.now);
            }
        }
    }
    panic!(
        "clearing: nothing moves although these were cleared: {said:#?}\n{:#?}",
        copy.explain()
    );
}

fn clear(world: &mut World, blocking: &Blocking) {
    match blocking.code {
        BlockCode::StepPending | BlockCode::Soak | BlockCode::Turn | BlockCode::NoFacts => {}
        // In a soak it is measured while time passes.
        BlockCode::Analysis => {
            if blocking.position.is_some() {
                world.answer(Doorman::Yes, 0);
            }
        }
        BlockCode::PausedByPerson => world.ask(RequestVerb::Resume),
        BlockCode::Approval => {
            let position = blocking.position.unwrap_or(GatePosition::Before);
            world.approve(blocking.wave, position, world.run.content);
        }
        BlockCode::Unreachable | BlockCode::Deferred => {
            world.reconnect(blocking.cluster_uid().unwrap());
        }
        BlockCode::Alarm | BlockCode::Webhook => world.answer(Doorman::Yes, 0),
        BlockCode::Debt => {
            let cluster = blocking.cluster_uid();
            let apps = world.apps.values_mut();
            apps.filter(|app| app.cluster == cluster)
                .for_each(|app| app.owed = None);
        }
        BlockCode::Window => {
            let broken = BrokenGlass {
                wave: blocking.wave,
                actor: "ada".to_owned(),
                reason: "because".to_owned(),
                at: world.now,
            };
            world.run.broken_glass.push(broken);
        }
        BlockCode::NotConfirmed | BlockCode::HealthWindow => {
            let cluster = blocking.cluster_uid().unwrap();
            world.sessions.get_mut(&cluster).unwrap().confirmed = Some(world.now);
        }
        BlockCode::Regression | BlockCode::NotHealthy | BlockCode::PruneHeld => {
            let id = blocking.member.as_ref().unwrap();
            world.reconnect(id.cluster);
            report_healthy(world, id);
        }
    }
}

/// The member's agent reports that everything is well, and has been for long.
fn report_healthy(world: &mut World, id: &MemberId) {
    let apps = world.members[id].apps.clone();
    for (uid, app) in apps {
        let expected = app
            .revert
            .zip(app.revert_assignment)
            .or(app.generation.zip(app.assignment));
        let Some((generation, digest)) = expected else {
            continue;
        };
        world.ingest(Report {
            app: uid,
            generation,
            digest,
            phase: Phase::Applied,
            health: Health::Healthy,
            healthy_for: Span::secs(86_400),
            drift: Vec::new(),
            problems: Vec::new(),
            held_prune: None,
        });
    }
    world.sessions.get_mut(&id.cluster).unwrap().confirmed = Some(world.now);
}
