//! The runs as a chain tells them, beside those that the hub holds.
//!
//! Owns the comparison. How records lead to a run is `tidegate_model::audit`'s, by which the hub's own
//! tests hold its engine. Never judges a run.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use tidegate_model::{
    audit::{Decided, MemberDecided, Replay},
    ids::RunId,
    run::MemberId,
};
use tidegate_proto::v1 as wire;

use super::{
    DEFAULT,
    chain::{Checked, check},
    export::check_file,
    judge,
};
use crate::{
    args::{AuditReplay, Format},
    commands::list::list,
    connect::Hub,
    error::Error,
    output::{Output, text::plain},
};

/// How often a run that moves between two looks is compared again.
const TRIES: usize = 5;

/// A run as its records tell it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    run: String,
    state: String,
    /// Index of the open wave.
    wave: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    attempt: u32,
    members: Vec<ToldMember>,
    /// It was begun by a hub that recorded less.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<Held>,
}

/// A member of whom something was decided.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldMember {
    wave: u32,
    cluster: String,
    cluster_uid: String,
    standing: String,
    /// Bundles by application.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    written: BTreeMap<String, String>,
}

/// What the hub says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Held {
    /// The same.
    Same,
    /// Something else.
    Differs(Vec<String>),
    /// It moved while it was looked at.
    Moves,
    /// It has no such run any more.
    Gone,
}

/// What `-o json` and `-o yaml` print.
#[derive(Serialize)]
struct Answer<'a> {
    items: &'a [Told],
}

pub(super) async fn replay(
    hub: &Hub,
    options: &AuditReplay,
    output: &mut Output,
) -> Result<(), Error> {
    let project = options.project.as_deref().unwrap_or(DEFAULT);
    let mut tries = 0;
    loop {
        let before = held(hub, project, options.run).await?;
        let mut replay = Replay::default();
        let checked = check(hub, project, &[], &mut |record| replay.take(record)).await?;
        let after = held(hub, project, options.run).await?;
        let mut told = tell(&replay, options.run);
        for run in &mut told {
            let (before, after) = (before.get(&run.run), after.get(&run.run));
            run.hub = Some(compare(run, before, after));
        }
        tries += 1;
        let moves = told.iter().any(|run| run.hub == Some(Held::Moves));
        if !moves || tries >= TRIES {
            let known = |id: &&String| told.iter().any(|run| run.run == **id);
            let untold = before.keys().filter(|id| !known(id)).count();
            if untold > 0 {
                output.note(&format!(
                    "of {untold} more runs that the hub holds no record says where they stand: an older \
                     hub brought them to their end, or somebody put them there"
                ));
            }
            return end(&told, checked, options, output);
        }
    }
}

/// The same of an export.
pub(in crate::commands) fn replay_file(
    path: &Path,
    options: &AuditReplay,
    output: &mut Output,
) -> Result<(), Error> {
    let mut replay = Replay::default();
    let project = options.project.as_deref();
    let checked = check_file(path, project, &[], &mut |record| replay.take(record))?;
    end(&tell(&replay, options.run), checked, options, output)
}

fn end(
    told: &[Told],
    checked: Checked,
    options: &AuditReplay,
    output: &mut Output,
) -> Result<(), Error> {
    if let (Some(run), true) = (options.run, told.is_empty()) {
        let project = &checked.project;
        return Err(Error::Audit(format!(
            "no record of project {project} tells of run {run}; `tidegate get runs` shows which there are, and `--project` names another"
        )));
    }
    match output.format() {
        Format::Table => {
            if told.is_empty() {
                output.note(&format!(
                    "no record of project {} tells of a run",
                    checked.project
                ));
            }
            told.iter()
                .try_for_each(|run| output.line(&in_words(run)))?;
        }
        Format::Name => told
            .iter()
            .try_for_each(|run| output.line(&format!("run/{}", run.run)))?,
        Format::Json | Format::Yaml => output.value(&Answer { items: told }, "")?,
    }
    judge(&[checked])?;
    let differ = told.iter().filter_map(|run| match &run.hub {
        Some(Held::Differs(how)) => Some(format!("run {}: {}", run.run, how.join("; "))),
        _ => None,
    });
    let differ: Vec<_> = differ.collect();
    if differ.is_empty() {
        return Ok(());
    }
    Err(Error::Audit(format!(
        "the hub holds something else than its decisions led to\n{}\nsomebody changed what the hub \
         stored: compare it with a backup, and look who could write there",
        differ.join("\n")
    )))
}

/// The hub's runs of a project, or that one, by id.
async fn held(
    hub: &Hub,
    project: &str,
    only: Option<RunId>,
) -> Result<BTreeMap<String, wire::Run>, Error> {
    let request = wire::ListRequest {
        project: project.to_owned(),
        name: only.map(|run| run.to_string()).unwrap_or_default(),
        ..wire::ListRequest::default()
    };
    let runs: Vec<wire::Run> = list(hub, request).await?;
    Ok(runs.into_iter().map(|run| (run.id.clone(), run)).collect())
}

fn tell(replay: &Replay, only: Option<RunId>) -> Vec<Told> {
    let runs = replay.runs().iter();
    runs.filter(|(id, _)| only.is_none_or(|only| only == **id))
        .map(|(id, decided)| Told::of(*id, decided, replay.is_partial(*id)))
        .collect()
}

impl Told {
    fn of(id: RunId, decided: &Decided, partial: bool) -> Self {
        Self {
            run: id.to_string(),
            state: format!("{:?}", decided.state),
            wave: decided.wave,
            gate: decided.gate.map(|gate| format!("{gate:?}")),
            attempt: decided.attempt,
            members: decided
                .members
                .iter()
                .map(|(id, member)| ToldMember::of(id, member))
                .collect(),
            partial,
            hub: None,
        }
    }
}

impl ToldMember {
    fn of(id: &MemberId, member: &MemberDecided) -> Self {
        let written = member.written.iter();
        Self {
            wave: id.wave,
            cluster: member.cluster_name.clone(),
            cluster_uid: id.cluster.to_string(),
            standing: format!("{:?}", member.standing),
            written: written
                .map(|(app, bundle)| (app.to_string(), bundle.to_string()))
                .collect(),
        }
    }
}

fn compare(told: &Told, before: Option<&wire::Run>, after: Option<&wire::Run>) -> Held {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (None, None) => return Held::Gone,
        _ => return Held::Moves,
    };
    let (earlier, later) = (differences(told, before), differences(told, after));
    if earlier.is_empty() || later.is_empty() {
        // What the records lead to was held when they were read, or just before or after.
        Held::Same
    } else if earlier == later {
        Held::Differs(later)
    } else {
        Held::Moves
    }
}

/// In what a run that the hub holds is another than the one that was decided.
fn differences(told: &Told, held: &wire::Run) -> Vec<String> {
    let mut differ = Vec::new();
    let mut differs = |what: &str, told: &str, held: &str| {
        if told != held {
            differ.push(format!("{what} is {held}, and was decided to be {told}"));
        }
    };
    differs("its state", &told.state, &held.state);
    let done = held.waves.iter().filter(|wave| wave.state == "Done");
    let waves = told.wave.to_string();
    differs(
        "the number of waves that are done",
        &waves,
        &done.count().to_string(),
    );
    let attempt = held.retry.as_ref().map_or(1, |retry| retry.attempt);
    differs(
        "its attempt",
        &told.attempt.to_string(),
        &attempt.to_string(),
    );
    let members = told.members.iter();
    let members: BTreeMap<_, _> = members
        .map(|member| ((member.wave, member.cluster.as_str()), member))
        .collect();
    for (wave, of) in (0..).zip(&held.waves) {
        for member in &of.members {
            let known = members.get(&(wave, member.cluster.as_str()));
            let decided = known.map_or("Forward", |known| known.standing.as_str());
            if told.partial && known.is_none() || fits(decided, &member.state) {
                continue;
            }
            let what = format!("cluster {} in wave {}", member.cluster, of.name);
            differs(&what, decided, &member.state);
        }
    }
    differ
}

/// Whether a member that stands so can be in that state.
fn fits(standing: &str, state: &str) -> bool {
    match state {
        "Failed" | "TimedOut" | "Skipped" | "Deferred" => standing == state,
        "Reverting" | "Reverted" => standing == "Back",
        "Unreachable" => matches!(standing, "Forward" | "Back"),
        _ => standing == "Forward",
    }
}

fn in_words(run: &Told) -> String {
    let mut parts = vec![format!("{}, attempt {}", run.state, run.attempt)];
    let written = run.members.iter().filter(|it| !it.written.is_empty());
    let standing = |name: &str| {
        run.members
            .iter()
            .filter(|member| member.standing == name)
            .count()
    };
    let counts = [
        (written.count(), "written"),
        (standing("Failed") + standing("TimedOut"), "failed"),
        (standing("Skipped"), "left out"),
        (standing("Deferred"), "deferred"),
        (standing("Back"), "back"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    parts.extend(counts.map(|(count, what)| format!("{count} {what}")));
    let hub = match &run.hub {
        None => "",
        Some(Held::Same) => "; the hub holds the same",
        Some(Held::Differs(_)) => "; the hub holds something else",
        Some(Held::Moves) => "; the hub moves it right now: look again",
        Some(Held::Gone) => "; the hub keeps it no more",
    };
    let partial = if run.partial {
        " (begun by a hub that recorded less)"
    } else {
        ""
    };
    format!(
        "run/{}\n  {}{partial}{hub}",
        plain(&run.run),
        parts.join(", ")
    )
}
