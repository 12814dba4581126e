//! A step's result as one transaction.
//!
//! Never adds or leaves out anything: what the engine decided is what is written.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    deny::Deny,
    digest::Digest,
    ids::AppUid,
    run::{MemberId, Run, RunState},
};
use tidegate_proto::v1 as wire;
use tidegate_waves::{Assign, AssignKind, Audit, Blocking, Effect, Step};

use super::{Pass, View, cluster_name};
use crate::{
    api::convert,
    changes::{Changes, Decision},
    records::{AppRecord, DenyRecord, MemberRecord, PinRecord, Record as _, RunRecord, SetRecord},
    state::{Row, State},
};

/// Deny what `bad` has and `good` has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenyOrder {
    /// The bundle that was taken back.
    pub bad: Digest,
    /// The bundle that it went back to.
    pub good: Digest,
}

pub(super) fn apply(
    view: &View<'_>,
    row: &Row<RunRecord>,
    members: &BTreeMap<MemberId, &Row<MemberRecord>>,
    step: Step,
) -> Pass {
    let mut pass = Pass::default();
    let set = &view.set.record;
    let header = RunRecord {
        project: row.record.project.clone(),
        run: step.run,
    };
    pass.changes.update(row, &header);
    for (id, member) in step.changed {
        if let Some(row) = members.get(&id) {
            let record = MemberRecord {
                member,
                ..MemberRecord::clone(&row.record)
            };
            pass.changes.update(row, &record);
        }
    }
    let mut apps: BTreeMap<AppUid, AppRecord> = BTreeMap::new();
    for effect in step.effects {
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
                pass.changes
                    .upsert(view.state.pins.get(&record.key()), &record);
            }
            Effect::Deny { bad, good, .. } => pass.deny.push(DenyOrder { bad, good }),
            Effect::Audit(audit) => pass.changes.decide(decision(view, &header.run, audit)),
        }
    }
    for (uid, record) in apps {
        if let Some(row) = view.state.apps.find(|app| app.uid == uid) {
            pass.changes.update(row, &record);
        }
    }
    if header.run.state == RunState::Succeeded && row.record.run.state != RunState::Succeeded {
        let mut record = SetRecord::clone(set);
        record.last_succeeded = Some(header.run.release_number);
        pass.changes.update(view.set, &record);
    }
    pass
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
        AssignKind::Revert => record.last_good.as_ref().map_or(0, |good| good.release),
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
        Some(cause) if cause.message != audit.reason => {
            format!("{}: {}", audit.reason, cause.message)
        }
        _ => audit.reason,
    };
    Decision::by(
        &audit.actor,
        &set.project,
        audit.action.name(),
        subject,
        reason,
    )
    .from_to(text(audit.before), text(audit.after))
}

/// Adds the denies that the hub found in the content to the transaction of the step.
pub fn with_denies(
    mut pass: Pass,
    set: &SetRecord,
    denied: BTreeSet<Deny>,
    state: &State,
) -> Changes {
    for deny in denied {
        let record = DenyRecord {
            project: set.project.clone(),
            set: set.uid,
            deny,
        };
        pass.changes
            .upsert(state.denies.get(&record.key()), &record);
    }
    pass.changes
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
