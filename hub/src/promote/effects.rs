//! What some steps come to, as one transaction.
//!
//! Never adds or leaves out anything: what the engine decided is what is written, the pins and
//! denies of a large rollback ahead of the rest.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    deny::Deny,
    digest::Digest,
    ids::AppUid,
    run::{MemberId, Run, RunState},
    strategy::DenyScope,
};
use tidegate_proto::v1 as wire;
use tidegate_store::txn::{MAX_BYTES, MAX_OPERATIONS};
use tidegate_waves::{Action, Assign, AssignKind, Audit, Blocking, Effect, Walk};

use super::{Pass, View, cluster_name};
use crate::{
    api::convert,
    changes::{Changes, Decision},
    records::{AppRecord, DenyRecord, MemberRecord, PinRecord, Record as _, RunRecord, SetRecord},
    state::{Row, State},
};

/// Deny what `bad` has and `good` has not, or all of `bad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenyOrder {
    /// The bundle that was taken back.
    pub bad: Digest,
    /// The bundle that it went back to.
    pub good: Digest,
    /// How much of `bad`.
    pub scope: DenyScope,
}

/// A pin and the record of it and of its denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stick {
    /// The pin.
    pub pin: PinRecord,
    /// Why, as decisions.
    pub audit: Vec<Decision>,
}

pub(super) fn apply(
    view: &View<'_>,
    row: &Row<RunRecord>,
    members: &BTreeMap<MemberId, &Row<MemberRecord>>,
    walk: Walk,
) -> Pass {
    let mut pass = Pass::default();
    let set = &view.set.record;
    let header = RunRecord {
        project: row.record.project.clone(),
        run: walk.run,
    };
    pass.changes.update(row, &header);
    for (id, member) in walk.changed {
        if let Some(row) = members.get(&id) {
            let record = MemberRecord {
                member,
                ..MemberRecord::clone(&row.record)
            };
            pass.changes.update(row, &record);
        }
    }
    let mut apps: BTreeMap<AppUid, AppRecord> = BTreeMap::new();
    for effect in walk.effects {
        match effect {
            Effect::Assign(assign) => assigned(view, &header.run, &assign, &mut apps),
            Effect::RecordLastGood { app, good, .. } => {
                if let Some(record) = app_record(view.state, &mut apps, app) {
                    record.last_good = Some(good);
                }
            }
            Effect::Pin(pin) => {
                let record = PinRecord {
                    project: set.project.clone(),
                    set: set.uid,
                    pin,
                };
                let audit = Vec::new();
                pass.stick
                    .insert(record.pin.app, Stick { pin: record, audit });
            }
            Effect::Deny {
                bad, good, scope, ..
            } => pass.deny.push(DenyOrder { bad, good, scope }),
            Effect::Audit(audit) => {
                let stick = matches!(audit.action, Action::Pin | Action::Deny)
                    .then(|| pass.stick.get_mut(&audit.app?))
                    .flatten();
                let decision = decision(view, &header.run, audit);
                match stick {
                    Some(stick) => stick.audit.push(decision),
                    None => pass.changes.decide(decision),
                }
            }
        }
    }
    for (uid, record) in apps {
        if let Some(row) = view.state.app_row(uid) {
            pass.changes.update(row, &record);
        }
    }
    if let Some(record) = learned(set, &row.record.run, &header.run) {
        pass.changes.update(view.set, &record);
    }
    pass
}

/// What the end of a run means to its set; `None` while it goes on.
fn learned(set: &SetRecord, before: &Run, after: &Run) -> Option<SetRecord> {
    let ended = after.state.is_terminal() && !before.state.is_terminal();
    let (succeeded, went_back) = (after.state == RunState::Succeeded, after.rollback.is_some());
    if !ended || !(succeeded || went_back) {
        return None;
    }
    let mut record = SetRecord::clone(set);
    if succeeded {
        record.last_succeeded = Some(after.release_number);
    } else {
        // However it ended: what it denied and pinned was not known to any release so far.
        record.void_through = set.last_release;
    }
    Some(record)
}

fn app_record<'a>(
    state: &State,
    apps: &'a mut BTreeMap<AppUid, AppRecord>,
    uid: AppUid,
) -> Option<&'a mut AppRecord> {
    if let std::collections::btree_map::Entry::Vacant(e) = apps.entry(uid) {
        e.insert(AppRecord::clone(state.app(uid)?));
    }
    apps.get_mut(&uid)
}

fn assigned(view: &View<'_>, run: &Run, assign: &Assign, apps: &mut BTreeMap<AppUid, AppRecord>) {
    let Some(record) = app_record(view.state, apps, assign.assignment.app) else {
        return;
    };
    record.generation = assign.assignment.generation;
    record.release = match assign.kind {
        AssignKind::Forward => run.release_number,
        AssignKind::Revert => run
            .rollback
            .as_ref()
            .and_then(|by| by.way.to)
            .unwrap_or_else(|| record.last_good.as_ref().map_or(0, |good| good.release)),
    };
    record.assignment = Some(assign.assignment.clone());
}

fn decision(view: &View<'_>, run: &Run, audit: Audit) -> Decision {
    let set = &view.set.record;
    let mut subject = format!("set/{} run/{}", set.name, run.id);
    if let Some(wave) = run.plan.waves.get(audit.wave) {
        subject = format!("{subject} wave/{}", wave.name);
    }
    if let Some(member) = &audit.member {
        subject = format!(
            "{subject} cluster/{}",
            cluster_name(view.state, member.cluster)
        );
    }
    if let Some(app) = audit.app.and_then(|uid| view.state.app(uid)) {
        subject = format!("{subject} application/{}", app.app.name);
    }
    let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string()).unwrap_or_default();
    let reason = match &audit.cause {
        Some(cause) if audit.reason.is_empty() => cause.message.clone(),
        // The end of a run and of a member name their cause themselves.
        Some(cause) if !audit.reason.contains(&cause.message) => {
            format!("{}: {}", audit.reason, cause.message)
        }
        _ => audit.reason,
    };
    let decision = Decision::by(
        &audit.actor,
        &set.project,
        audit.action.name(),
        subject,
        reason,
    );
    Decision {
        context: audit.context,
        ..decision.from_to(text(audit.before), text(audit.after))
    }
}

/// The step as one transaction, together with the pins and the denies that the hub found in the
/// content.
///
/// When that is more than a transaction holds, a part of the pins and denies is returned instead,
/// and the step comes with a later pass that finds them written: until then the bad content runs
/// on, but nothing can bring it anywhere else.
pub fn with_denies(pass: Pass, set: &SetRecord, denied: BTreeSet<Deny>, state: &State) -> Changes {
    let mut ahead = Changes::default();
    let mut all = pass.changes;
    for Stick { pin, audit } in pass.stick.into_values() {
        let known = state.pins.get(&pin.key());
        if known.is_some_and(|row| is_same(&row.record, &pin)) {
            continue;
        }
        let room = ahead.operations() < ROOM / 2;
        for changes in std::iter::once(&mut all).chain(room.then_some(&mut ahead)) {
            changes.upsert(known, &pin);
            changes.audit.extend(audit.iter().cloned());
        }
    }
    for deny in denied {
        let record = DenyRecord {
            project: set.project.clone(),
            set: set.uid,
            deny,
        };
        if state.denies.get(&record.key()).is_none() {
            all.create(&record);
            if ahead.operations() < ROOM / 2 {
                ahead.create(&record);
            }
        }
    }
    let fits = all.operations() <= ROOM && all.bytes() <= MAX_BYTES / 2;
    if fits || ahead.is_empty() { all } else { ahead }
}

/// The most operations of a transaction: it compares one key more than it writes, the hub's term.
const ROOM: usize = MAX_OPERATIONS - 1;

/// Whether a pin is the one of an earlier pass over the same step.
fn is_same(known: &PinRecord, pin: &PinRecord) -> bool {
    let what = |record: &PinRecord| (record.pin.run, record.pin.bundle, record.pin.bad);
    what(known) == what(pin)
}

/// A blocking cause in the words of the wire.
pub(super) fn blocking(blocking: Blocking) -> wire::Blocking {
    wire::Blocking {
        code: blocking.code.name().to_owned(),
        message: blocking.message,
        clears: blocking.clears,
        wave: blocking.wave_name,
        cluster: blocking.cluster.unwrap_or_default(),
        since_ms: convert::millis(blocking.since),
    }
}
