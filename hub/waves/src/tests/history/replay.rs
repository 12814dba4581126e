//! Invariant 40, second half: what was recorded, read from the beginning, gives the run as it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidegate_model::{
    audit::{self, Context, Decided, Outcome, Record, Replay},
    digest::Digest,
    ids::AppUid,
};

use super::setup::Setup;
use crate::{Action, Audit, Effect, tests::world::World};

/// Reads what was written in a history, as a chain of records, and compares.
pub(crate) fn check(setup: &Setup, world: &World) {
    let genesis = setup.world();
    let mut replay = Replay::default();
    let mut head = audit::genesis("shop");
    let begun = Record {
        context: Context {
            outcome: Some(Outcome::of(&genesis.run)),
            ..Context::default()
        },
        action: "run.create".to_owned(),
        ..blank(world.run.started_at)
    };
    let told = audits(world).map(|audit| record(audit, world.now));
    for record in std::iter::once(begun).chain(told) {
        let record = Record {
            sequence: head.sequence + 1,
            ..record
        }
        .seal(head.hash);
        head = audit::follow(&head, &record).unwrap();
        replay.take(&record);
    }
    let held = Decided::of(&world.run, world.members.values());
    assert_eq!(
        replay.runs().get(&world.run.id),
        Some(&held),
        "replay: the records tell something else of {setup:?}"
    );
    assert_eq!(
        pinned(audits(world)),
        world.pins.iter().map(|pin| pin.app).collect(),
        "replay: pins"
    );
    goods(&genesis, world);
}

fn audits(world: &World) -> impl Iterator<Item = &Audit> {
    world.log.iter().filter_map(|effect| match effect {
        Effect::Audit(audit) => Some(audit),
        _ => None,
    })
}

fn blank(at: Timestamp) -> Record {
    Record {
        project: "shop".to_owned(),
        sequence: 0,
        at,
        actor: String::new(),
        action: String::new(),
        subject: String::new(),
        reason: String::new(),
        before: String::new(),
        after: String::new(),
        context: Context::default(),
        hash: Digest::from_bytes([0; 32]),
        previous: Digest::from_bytes([0; 32]),
    }
}

fn record(audit: &Audit, at: Timestamp) -> Record {
    let text = |digest: Option<Digest>| digest.map(|it| it.to_string()).unwrap_or_default();
    Record {
        actor: audit.actor.clone(),
        action: audit.action.name().to_owned(),
        reason: audit.reason.clone(),
        before: text(audit.before),
        after: text(audit.after),
        context: audit.context.clone(),
        ..blank(at)
    }
}

fn pinned<'a>(audits: impl Iterator<Item = &'a Audit>) -> BTreeSet<AppUid> {
    audits
        .filter(|audit| audit.action == Action::Pin)
        .filter_map(|audit| audit.app)
        .collect()
}

fn goods(genesis: &World, world: &World) {
    let goods = world.log.iter().filter_map(|effect| match effect {
        Effect::RecordLastGood { app, good, .. } => Some((*app, good.clone())),
        _ => None,
    });
    let first = genesis
        .apps
        .iter()
        .filter_map(|(uid, app)| Some((*uid, app.last_good.clone()?)));
    let told: BTreeMap<_, _> = first.chain(goods).collect();
    let apps = world.apps.iter();
    let seen: BTreeMap<_, _> = apps
        .filter_map(|(uid, app)| Some((*uid, app.last_good.clone()?)))
        .collect();
    assert_eq!(told, seen, "replay: last known good");
}
