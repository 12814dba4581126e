//! One publishing pass over one set: candidate in, transaction out. Pure.
//!
//! Matches applications with what is stored, puts vanished ones on their way out, holds back what
//! must wait, and freezes the rest into the next release. Idempotent: with nothing new it changes
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::json;
use tidegate_model::{
    assignment::{Assignment, Desired},
    canonical,
    deny::Deny,
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, ReleaseId},
    release::{EntryContent, ReleaseEntry, content_id},
};
use tidegate_waves::admit::{self, Admit};
use uuid::Uuid;

use super::{
    Candidate, CandidateApp, brake,
    hold::{Held, Holds},
    warn,
};
use crate::{
    changes::{Changes, Decision},
    promote::is_problem,
    records::{AppRecord, HoldKind, ReleaseRecord, SetRecord},
    restored,
    state::{Row, State},
};

/// Tag of the blob that holds a release's entries.
pub const ENTRIES_TAG: &str = "entries";

/// What a pass wants done.
#[derive(Debug, Default)]
#[must_use = "a publication that is not committed never happened"]
pub struct Publication {
    /// To be committed.
    pub changes: Changes,
    /// Blobs to be written before: tag, bytes.
    pub blobs: Vec<(&'static str, Vec<u8>)>,
    /// The release that is created.
    pub release: Option<ReleaseRecord>,
    /// Bundles of the applications to which the brake has no objection.
    pub quiet: BTreeMap<AppUid, Digest>,
}

/// What a pass looks at.
#[derive(Debug)]
pub struct View<'a> {
    /// The store, decoded.
    pub state: &'a State,
    /// The set.
    pub set: &'a Row<SetRecord>,
    /// What it would be now.
    pub candidate: &'a Candidate,
    /// The hub's term.
    pub epoch: Epoch,
    /// The hub's time.
    pub now: Timestamp,
}

/// The most operations a transaction of this pass grows to; the rest comes with the next pass.
const BATCH: usize = 60;

/// The most characters of a rendering error that a release holds.
const LONGEST_CAUSE: usize = 500;

/// Decides what becomes of a set now. `id` makes ids.
pub fn pass(view: &View<'_>, id: &mut dyn FnMut() -> Uuid) -> Publication {
    let set = &view.set.record;
    let mut publication = Publication::default();
    let changes = &mut publication.changes;
    let mut record = SetRecord::clone(set);
    record.problems.clone_from(&view.candidate.problems);
    record.problems.extend(restored::problems(view.state, set));
    record.warnings = warn::told(view.candidate);

    let mut apps = Apps::default();
    let mut holds = Holds::default();
    if match_applications(view, &mut record, &mut apps, changes, id) {
        // Applications first: a release made now would leave the new ones out.
        return publication;
    }
    if !view.candidate.incomplete {
        retire_vanished(view, &apps, &mut holds, changes);
    }
    let entries = entries(view, &apps, &mut holds, &mut publication.quiet);
    let opened = hold_denied_and_pinned(view, &entries, &mut holds);
    let pins: Vec<_> = view
        .state
        .pins_of(set)
        .filter(|row| opened.contains(&row.record.pin.app))
        .collect();
    let released = match release(view, &entries, &holds, id) {
        // Too many pins for one transaction: they open first, the release comes with the last.
        Some(_) if pins.len() > BATCH / 2 => {
            for pin in pins.iter().take(BATCH / 2) {
                changes.delete(pin);
            }
            None
        }
        Some((release, blob)) if changes.operations() < BATCH => {
            record.last_release = release.number;
            changes.create(&release);
            if let Some(asked) = view.state.reissue(set) {
                changes.delete(asked);
            }
            for pin in pins {
                changes.delete(pin);
            }
            changes.decide(
                Decision::by_system(
                    &set.project,
                    "release.create",
                    format!("set/{} release/{}", set.name, release.number),
                    release.cause.clone(),
                )
                .from_to("", release.content),
            );
            publication.release = Some(release);
            Some(blob)
        }
        _ => None,
    };
    holds.write(view.state, set, changes);
    let others = set.problems.iter().filter(|problem| is_problem(problem));
    record.problems.extend(others.cloned());
    changes.update(view.set, &record);
    publication.blobs.extend(released);
    publication
}

/// The set's stored applications that are not on their way out, by (cluster, name).
#[derive(Debug, Default)]
struct Apps<'a> {
    known: BTreeMap<(ClusterUid, String), &'a Row<AppRecord>>,
}

/// Stores what the candidate says of its applications, and says whether any of it is not stored yet.
fn match_applications<'a>(
    view: &View<'a>,
    record: &mut SetRecord,
    apps: &mut Apps<'a>,
    changes: &mut Changes,
    id: &mut dyn FnMut() -> Uuid,
) -> bool {
    let set = &view.set.record;
    let mut pending = false;
    for row in view.state.apps_of(set).filter(|row| !row.record.vanished) {
        apps.known
            .insert((row.record.app.cluster, row.record.app.name.clone()), row);
    }
    for (name, candidate) in &view.candidate.apps {
        let app = &candidate.app;
        if let Some(row) = apps.known.get(&(app.cluster, name.clone())) {
            if changes.operations() >= BATCH {
                pending = true;
                continue;
            }
            let mut known = AppRecord::clone(&row.record);
            known.app = app.clone();
            changes.update(row, &known);
        } else if let Some(other) = name_taken(view, set, candidate) {
            record.problems.push(format!(
                "application {name} ({} row {}): the name belongs to set {other} of project {}; \
                 give it another name",
                app.provenance.generator, app.provenance.row, app.project
            ));
        } else {
            pending = true;
            if changes.operations() >= BATCH {
                continue;
            }
            changes.create(&AppRecord {
                uid: AppUid(id()),
                set: set.uid,
                app: app.clone(),
                generation: tidegate_model::ids::Generation(0),
                assignment: None,
                release: 0,
                last_good: None,
                vanished: false,
                rejection: None,
            });
        }
    }
    pending
}

/// The other set that an application of this name belongs to.
fn name_taken(view: &View<'_>, set: &SetRecord, candidate: &CandidateApp) -> Option<String> {
    let app = &candidate.app;
    let mut named = view.state.apps_named(&app.project, &app.name);
    let other = named.find(|other| other.set != set.uid)?;
    Some(other.app.set.clone())
}

/// Applications whose row is gone get a tombstone, unless the brake holds them.
fn retire_vanished(view: &View<'_>, apps: &Apps<'_>, holds: &mut Holds, changes: &mut Changes) {
    let set = &view.set.record;
    let gone: Vec<_> = apps
        .known
        .values()
        .filter(|row| !view.candidate.failed.contains(&row.record.app.name))
        .filter(|row| {
            let candidate = view.candidate.apps.get(&row.record.app.name);
            candidate.is_none_or(|candidate| candidate.app.cluster != row.record.app.cluster)
        })
        .collect();
    if !set.deleting
        && let Some(message) = brake::applications(apps.known.len(), gone.len())
    {
        let names: Vec<_> = gone
            .iter()
            .map(|row| row.record.app.name.as_str())
            .collect();
        let content = Digest::of("vanish", &json!(names));
        let held = Held {
            kind: HoldKind::ApplicationsVanish,
            subject: set.name.clone(),
            message: format!("{message}: {}", names.join(", ")),
            content,
        };
        if !holds.note(view.state, set, held, view.now) {
            return;
        }
    }
    let preserve = set.document.spec.sync_policy.preserve_resources_on_deletion;
    for row in gone {
        if changes.operations() >= BATCH {
            return;
        }
        bury(view, row, !preserve, changes);
    }
}

/// Writes the tombstone; an application that was never assigned just goes.
fn bury(view: &View<'_>, row: &Row<AppRecord>, cascade: bool, changes: &mut Changes) {
    let app = &row.record;
    let subject = format!("application/{}", app.app.name);
    let cluster_gone = view.state.cluster(app.app.cluster).is_none();
    if app.assignment.is_none() || cluster_gone {
        changes.delete(row);
        let reason = if cluster_gone {
            "its cluster was removed; what runs there stays"
        } else {
            "its row is gone"
        };
        changes.decide(Decision::by_system(
            &app.app.project,
            "application.forget",
            subject,
            reason.to_owned(),
        ));
        return;
    }
    let generation = app.generation.next();
    let assignment = Assignment {
        cluster: app.app.cluster,
        app: app.uid,
        app_name: format!("{}/{}", app.app.project, app.app.name),
        generation,
        epoch: view.epoch,
        desired: Desired::Tombstone { cascade },
    };
    let before = app
        .assignment
        .as_ref()
        .map(|assignment| assignment.digest().to_string());
    let mut record = AppRecord::clone(app);
    changes.decide(
        Decision::by_system(
            &app.app.project,
            "application.delete",
            subject,
            "its row is gone".to_owned(),
        )
        .from_to(before.unwrap_or_default(), assignment.digest()),
    );
    record.vanished = true;
    record.generation = generation;
    record.assignment = Some(assignment);
    changes.update(row, &record);
}

/// What the next release would hold; notes on the way what must wait.
fn entries(
    view: &View<'_>,
    apps: &Apps<'_>,
    holds: &mut Holds,
    quiet: &mut BTreeMap<AppUid, Digest>,
) -> Vec<ReleaseEntry> {
    let set = &view.set.record;
    let mut entries = Vec::new();
    for (name, candidate) in &view.candidate.apps {
        let Some(row) = apps.known.get(&(candidate.app.cluster, name.clone())) else {
            continue;
        };
        let app = row.record.uid;
        let mut prune_approved = false;
        if let Ok(content) = &candidate.content {
            let running = view.candidate.running.get(&app);
            match running.and_then(|running| brake::objects(name, running, &content.bundle)) {
                Some((kind, message)) => {
                    let held = Held {
                        kind,
                        subject: name.clone(),
                        message,
                        content: content.digest,
                    };
                    prune_approved = holds.note(view.state, set, held, view.now);
                }
                None => drop(quiet.insert(app, content.digest)),
            }
        }
        entries.push(ReleaseEntry {
            app,
            name: name.clone(),
            cluster: candidate.app.cluster,
            content: match &candidate.content {
                Ok(content) => EntryContent::Bundle(content.digest),
                Err(cause) => EntryContent::Unrendered {
                    cause: shortened(cause),
                },
            },
            policy: candidate.app.policy.clone(),
            namespace: candidate.app.namespace.clone(),
            prune_approved,
        });
    }
    entries.sort_by_key(|entry| entry.app);
    entries
}

/// A cause goes into every record of its member: thirty long ones would not fit into a step.
fn shortened(cause: &str) -> String {
    match cause.char_indices().nth(LONGEST_CAUSE) {
        Some((end, _)) => format!("{}…", &cause[..end]),
        None => cause.to_owned(),
    }
}

/// Denied content and pins hold the whole release: a run that left a pinned canary out would
/// promote content that nobody has tried. Returns the applications whose pins the content opens.
fn hold_denied_and_pinned(
    view: &View<'_>,
    entries: &[ReleaseEntry],
    holds: &mut Holds,
) -> BTreeSet<AppUid> {
    let set = &view.set.record;
    let pins: Vec<_> = view
        .state
        .pins_of(set)
        .map(|row| row.record.pin.clone())
        .collect();
    let denies = view
        .state
        .denies_of(set)
        .map(|row| row.record.deny.clone())
        .collect();
    let candidates: Vec<_> = entries
        .iter()
        .filter_map(|entry| candidate(view, entry))
        .collect();
    let mut opened = BTreeSet::new();
    for (app, verdict) in admit::admit(&candidates, &pins, &denies) {
        match verdict {
            Admit::Go { opens_pin: true } => drop(opened.insert(app)),
            Admit::Go { opens_pin: false } => {}
            Admit::Held { reason, pinned } => {
                let kind = if pinned {
                    HoldKind::Pinned
                } else {
                    HoldKind::DeniedContent
                };
                note_entry(view, entries, app, kind, &reason, holds);
            }
        }
    }
    let unrendered = entries
        .iter()
        .filter(|entry| entry.content.bundle().is_none());
    for entry in unrendered.filter(|entry| pins.iter().any(|pin| pin.app == entry.app)) {
        let reason = "it is pinned, and its new content cannot be rendered";
        note_entry(view, entries, entry.app, HoldKind::Pinned, reason, holds);
    }
    opened
}

fn candidate(view: &View<'_>, entry: &ReleaseEntry) -> Option<admit::Candidate> {
    let content = view
        .candidate
        .apps
        .get(&entry.name)?
        .content
        .as_ref()
        .ok()?;
    let bundle = content.digest;
    let whole = Deny::whole(bundle);
    Some(admit::Candidate {
        app: entry.app,
        bundle,
        objects: content.denies.iter().cloned().chain([whole]).collect(),
    })
}

fn note_entry(
    view: &View<'_>,
    entries: &[ReleaseEntry],
    app: AppUid,
    kind: HoldKind,
    reason: &str,
    holds: &mut Holds,
) {
    let Some(entry) = entries.iter().find(|entry| entry.app == app) else {
        return;
    };
    let content = entry
        .content
        .bundle()
        .unwrap_or_else(|| Digest::of("none", &json!(null)));
    let message = format!("{}: {reason}", entry.name);
    let held = Held {
        kind,
        subject: entry.name.clone(),
        message,
        content,
    };
    holds.note(view.state, &view.set.record, held, view.now);
}

/// The next release, if nothing waits and its content is new.
fn release(
    view: &View<'_>,
    entries: &[ReleaseEntry],
    holds: &Holds,
    id: &mut dyn FnMut() -> Uuid,
) -> Option<(ReleaseRecord, (&'static str, Vec<u8>))> {
    let set = &view.set.record;
    if set.deleting || view.candidate.incomplete || holds.any_waiting() || entries.is_empty() {
        return None;
    }
    if restored::is_settling(view.state, set) && !view.candidate.failed.is_empty() {
        return None;
    }
    let content = content_id(entries);
    let last = view.state.release(set, set.last_release);
    let asked = view.state.reissue(set);
    let same = last.filter(|row| row.record.content == content);
    // What was rolled back, or waited behind what was, is worth a new release once its holds are
    // lifted: it starts again at the first wave.
    if asked.is_none() && same.is_some_and(|row| row.record.number > set.void_through) {
        return None;
    }
    let value = serde_json::to_value(entries).ok()?;
    let bytes = canonical::to_vec(&value);
    let digest = Digest::of_bytes(ENTRIES_TAG, &bytes);
    let cause = match last {
        None => "first release".to_owned(),
        Some(_) if let (Some(_), Some(asked)) = (same, asked) => asked.record.reason.clone(),
        Some(row) if row.record.set_version != set.version => "the set was changed".to_owned(),
        Some(_) => "a source, a cluster or a row changed".to_owned(),
    };
    let record = ReleaseRecord {
        project: set.project.clone(),
        id: ReleaseId(id()),
        set: set.uid,
        number: set.last_release + 1,
        content,
        entries: digest,
        sources: view.candidate.commits.iter().cloned().collect(),
        set_version: set.version,
        cause,
        authors: authors(view, last.map(|row| row.record.set_version)),
        created_at: view.now,
    };
    Some((record, (ENTRIES_TAG, bytes)))
}

/// Who made what is new: the authors of the commits, and who applied the document where that
/// changed.
fn authors(view: &View<'_>, last_version: Option<u64>) -> Vec<String> {
    let set = &view.set.record;
    let applied = (last_version != Some(set.version) && !set.applied_by.is_empty())
        .then(|| set.applied_by.clone());
    let all: BTreeSet<_> = view
        .candidate
        .authors
        .iter()
        .cloned()
        .chain(applied)
        .collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests;
