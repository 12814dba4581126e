//! Invariants 26 and 27: whatever the sources bring again, denied and pinned content stays out.

use tidegate_model::digest::Digest;

use crate::{
    admit::{Candidate, admit},
    invariants::{i26_sticky_rollback, i27_pin_dominance},
    tests::{
        fixture::{bundle, objects},
        world::World,
    },
};

/// Puts the release's content, what ran before and new content before `admit`. Denies are those
/// that the engine wrote; what must stay out is what its reverts took back.
pub(crate) fn judge(world: &mut World) {
    let denies = world.denied.clone();
    for content in contents(world) {
        let admitted = admit(&content, &world.pins, &denies);
        let sticky = i26_sticky_rollback(&content, &world.taken_back, &admitted);
        let pinned = i27_pin_dominance(&content, &world.pins, &admitted);
        world.note("i26_sticky_rollback", sticky);
        world.note("i27_pin_dominance", pinned);
    }
}

fn contents(world: &World) -> [Vec<Candidate>; 3] {
    let apps = || world.members.values().flat_map(|member| &member.apps);
    let candidate = |app, bundle: Option<Digest>| {
        let bundle = bundle?;
        Some(Candidate {
            app,
            bundle,
            objects: objects(bundle),
        })
    };
    [
        apps()
            .filter_map(|(uid, app)| candidate(*uid, app.target.bundle()))
            .collect(),
        apps()
            .filter_map(|(uid, app)| {
                candidate(*uid, app.last_good.as_ref().map(|good| good.bundle))
            })
            .collect(),
        apps()
            .filter_map(|(uid, _)| candidate(*uid, Some(bundle("new"))))
            .collect(),
    ]
}
