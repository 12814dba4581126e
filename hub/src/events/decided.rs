//! Decisions as events: one row for each action of the audit log.
//!
//! Pure. What is written many times for one thing that people do (each assignment of a wave, each
//! denied object) is left to the event of the whole.

use super::{About, Event, cut};
use crate::records::AuditRecord;

/// Actions of the audit log: what they are called here, whether somebody should look, and what is
/// said where the record gives no reason.
const ACTIONS: &[(&str, &str, bool, &str)] = &[
    ("run.create", "RunStarted", false, "a run begins"),
    ("run.open-wave", "WaveOpened", false, "a wave opens"),
    (
        "run.close-gate",
        "AwaitingApproval",
        false,
        "a gate is closed",
    ),
    ("run.approve", "Approved", false, "a gate may open"),
    ("run.reject", "Rejected", true, "a gate is to stay closed"),
    ("run.pass-gate", "GatePassed", false, "a gate opened"),
    (
        "run.answer-gate",
        "GateAnswered",
        false,
        "whoever was asked let it through",
    ),
    ("run.finish-wave", "WaveSucceeded", false, "a wave is done"),
    ("run.fail-member", "MemberFailed", true, "a member failed"),
    (
        "run.skip-member",
        "MemberSkipped",
        true,
        "a member is left out",
    ),
    (
        "run.defer-member",
        "MemberDeferred",
        true,
        "a wave goes on without a member",
    ),
    (
        "run.pay-debt",
        "DebtPaid",
        false,
        "a deferred member has what it was owed",
    ),
    (
        "run.retry-begun",
        "RunRetried",
        false,
        "what failed is tried again",
    ),
    ("run.paused", "RunPaused", true, "the run stands"),
    ("run.resumed", "RunResumed", false, "the run goes on"),
    ("run.breach", "RunHalted", true, "too much failed"),
    (
        "run.rollback-begun",
        "RollbackStarted",
        true,
        "the run goes back",
    ),
    ("run.pin", "Pinned", false, "held at what last ran healthy"),
    (
        "run.refuse",
        "RequestRefused",
        true,
        "a request does not fit the run",
    ),
    (
        "release.create",
        "ReleaseCreated",
        false,
        "a release is frozen",
    ),
    (
        "hold.open",
        "ReleaseHeld",
        true,
        "a result waits for a person",
    ),
    (
        "hold.approve",
        "HoldApproved",
        false,
        "a result is let through",
    ),
    (
        "application.delete",
        "ApplicationDeleted",
        false,
        "its agent is to remove it",
    ),
    (
        "application.removed",
        "ApplicationRemoved",
        false,
        "it is gone",
    ),
    (
        "application.forget",
        "ApplicationForgotten",
        false,
        "it is left alone",
    ),
    (
        "application.astray",
        "ApplicationAstray",
        true,
        "its agent holds something else",
    ),
    (
        "application.sync",
        "SyncRequested",
        false,
        "agents are to reconcile now",
    ),
    ("set.create", "SetCreated", false, "applied"),
    ("set.change", "SetChanged", false, "applied"),
    ("set.delete", "SetDeleted", false, "its applications go"),
    ("set.removed", "SetRemoved", false, "it is gone"),
    ("set.unpin", "Unpinned", false, "it follows Git again"),
    (
        "set.refresh",
        "RefreshRequested",
        false,
        "its sources are looked at",
    ),
    ("waveplan.create", "WavePlanCreated", false, "applied"),
    ("waveplan.change", "WavePlanChanged", false, "applied"),
    ("waveplan.delete", "WavePlanDeleted", false, "it is gone"),
    ("source.commit", "CommitFetched", false, "fetched"),
    (
        "cluster.join-token",
        "JoinTokenCreated",
        false,
        "a cluster may join",
    ),
    ("cluster.join", "ClusterJoined", false, "its agent joined"),
    (
        "cluster.join-refused",
        "JoinRefused",
        true,
        "a join was refused",
    ),
    (
        "cluster.label",
        "ClusterLabeled",
        false,
        "its labels changed",
    ),
    (
        "cluster.remove",
        "ClusterRemoved",
        false,
        "what runs there stays",
    ),
    (
        "cluster.rotate",
        "RotationRequested",
        false,
        "its agent is to make a new key",
    ),
    (
        "cluster.rotated",
        "CertificateRotated",
        false,
        "the former certificate is refused",
    ),
    (
        "cluster.renew",
        "CertificateRenewed",
        false,
        "its agent has a new certificate",
    ),
    ("link.alarm", "LinkAlarm", true, "look at the agent"),
    (
        "user.sign",
        "UserSigned",
        false,
        "a person has a certificate",
    ),
    (
        "user.groups",
        "UserRegrouped",
        false,
        "a person is in other groups",
    ),
    ("hub.restore", "HubRestored", true, "restored from a backup"),
];

/// Actions that are no events of their own: another one tells of the whole.
#[cfg(test)]
pub(super) const SILENT: &[&str] = &[
    "run.assign",
    "run.revert",
    "run.deny",
    // What the run makes of a request is told.
    "run.pause",
    "run.resume",
    "run.cancel",
    "run.rollback",
];

/// How a run ended, by the word that its last record begins with.
const ENDS: &[(&str, &str, bool, &str)] = &[
    ("Succeeded", "RunSucceeded", false, "every wave is done"),
    ("RolledBack", "RolledBack", true, "everything is back"),
    (
        "RollbackFailed",
        "RollbackFailed",
        true,
        "not everything is back",
    ),
    (
        "Superseded",
        "RunSuperseded",
        false,
        "a newer one took over",
    ),
    ("Cancelled", "RunCancelled", true, "stopped by a person"),
    ("Failed", "RunFailed", true, "a member failed"),
];

/// The event of a decision, if it is one. `home` says of an application of a project in which set
/// and cluster it is.
pub(super) fn event(
    record: &AuditRecord,
    home: impl FnOnce(&str) -> Option<(String, String)>,
) -> Option<Event> {
    let (row, said) = match record.action.as_str() {
        "run.finish" => {
            let (state, why) = split(&record.reason);
            (ENDS.iter().find(|(word, ..)| *word == state)?, why)
        }
        action => {
            let row = ACTIONS.iter().find(|(known, ..)| *known == action)?;
            (row, record.reason.as_str())
        }
    };
    let (_, reason, warning, otherwise) = *row;
    let mut about = about(record);
    if about.set.is_empty()
        && let Some((set, cluster)) = home(&about.application)
    {
        (about.set, about.cluster) = (set, cluster);
    }
    let mut object = about.object();
    if object.is_empty() {
        // `source/…`, `user/…`, `hold/…: what it says`.
        let first = record.subject.split_whitespace().next();
        first
            .unwrap_or_default()
            .trim_end_matches(':')
            .clone_into(&mut object);
    }
    Some(Event {
        at: record.at,
        warning,
        reason,
        about,
        object,
        message: cut(message(record, said, otherwise)),
        actor: record.actor.clone(),
        decision: name(record),
    })
}

/// What names a record beyond doubt, even where a hub was restored and its chain goes on otherwise.
fn name(record: &AuditRecord) -> String {
    let hash = hex::encode(&record.hash.as_bytes()[..8]);
    format!("{}/{}/{hash}", record.project, record.sequence)
}

fn split(reason: &str) -> (&str, &str) {
    reason.split_once(": ").unwrap_or((reason, ""))
}

/// The words of a subject: `set/web run/… wave/dev cluster/c1 application/web-c1`.
fn word<'a>(record: &'a AuditRecord, kind: &str) -> &'a str {
    let mut words = record.subject.split_whitespace();
    let found = words.find_map(|word| word.strip_prefix(kind)?.strip_prefix('/'));
    found.unwrap_or_default()
}

fn about(record: &AuditRecord) -> About {
    let project = record.project.clone();
    // What a hold says may hold any words.
    if record.action == "hold.approve" {
        return About {
            project,
            ..About::default()
        };
    }
    let of = |kind| word(record, kind).to_owned();
    About {
        project,
        set: of("set"),
        cluster: of("cluster"),
        application: of("application"),
        run: of("run"),
    }
}

fn message(record: &AuditRecord, said: &str, otherwise: &str) -> String {
    let mut message = match (record.action.as_str(), said) {
        ("source.commit", _) => format!(
            "{otherwise} {}",
            record.after.get(..12).unwrap_or(&record.after)
        ),
        ("release.create", _) => format!("release {}: {said}", word(record, "release")),
        (_, "") => otherwise.to_owned(),
        _ => said.to_owned(),
    };
    let wave = word(record, "wave");
    let of_gate = ["run.approve", "run.reject"].contains(&record.action.as_str());
    if of_gate || record.action.ends_with("-gate") {
        message = format!("wave {wave}: {message}");
    }
    let person = record.actor != "system" && !record.actor.starts_with("cluster/");
    if person && !message.contains(&record.actor) {
        message = format!("{message} (by {})", record.actor);
    }
    message
}

#[cfg(test)]
mod tests;
