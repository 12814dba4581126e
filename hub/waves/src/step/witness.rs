//! On what a decision rests, in words: reports, samples, words given, counts.
//!
//! Owns what of the evidence a record names. A record stays small: what thousands of members said
//! is counted, and named by one digest. Never judges.

use serde_json::json;
use tidegate_model::{
    digest::Digest,
    ids::AppUid,
    run::{GatePosition, Member, MemberApp, MemberState},
};

use super::{
    breach,
    debt::is_deferred,
    work::{Work, is_opened},
};
use crate::{Action, Audit, Evidence, Limits, ask};

/// What a record names one by one.
const NAMED: usize = 8;

/// The evidence of this decision, as it is after the step.
pub(super) fn evidence(work: &Work<'_>, audit: &Audit) -> Vec<String> {
    let member = audit.member.as_ref().and_then(|id| work.member(id));
    match (audit.action, member) {
        (Action::Assign | Action::Revert, Some(member)) => {
            let app = audit.app.and_then(|uid| member.apps.get(&uid));
            app.and_then(|app| word(app, audit.action))
                .into_iter()
                .collect()
        }
        (Action::FailMember | Action::PayDebt, Some(member)) => reports(work, member),
        (Action::DeferMember, Some(member)) => {
            let grace = work.spec(audit.wave).unreachable.grace;
            let since = member.unreachable_since;
            since
                .map(|since| format!("no session since {since}, with a grace of {grace}"))
                .into_iter()
                .collect()
        }
        (Action::PassGate, None) => {
            let mut all = words(work, audit.wave);
            all.extend(samples(work, audit.wave));
            all
        }
        (Action::AnswerGate, None) => {
            let at = |position| ask::answers(&work.run, audit.wave, position, work.facts);
            let mut all = at(GatePosition::Before);
            all.extend(at(GatePosition::After));
            all
        }
        (Action::FinishWave, None) => {
            let mut all = vec![counts(work, audit.wave), heard(work, audit.wave)];
            all.extend(samples(work, audit.wave));
            all
        }
        (Action::Move, None) if is_opened(&work.run) => {
            vec![counts(work, audit.wave), heard(work, audit.wave)]
        }
        (Action::Breach, None) => {
            let mut all = vec![failures(work, breach::wave(work))];
            all.extend(samples(work, audit.wave));
            all
        }
        (Action::Finish, None) => {
            let waves = 0..work.run.plan.waves.len();
            waves.map(|wave| counts(work, wave)).collect()
        }
        _ => Vec::new(),
    }
}

/// The assignment that was given.
fn word(app: &MemberApp, action: Action) -> Option<String> {
    let (generation, digest) = if action == Action::Revert {
        (app.revert?, app.revert_assignment?)
    } else {
        (app.generation?, app.assignment?)
    };
    Some(format!("assignment {digest} is generation {generation}"))
}

/// What was last heard of each application of a member.
fn reports(work: &Work<'_>, member: &Member) -> Vec<String> {
    let named = member.apps.iter().take(NAMED);
    let mut all: Vec<_> = named
        .map(|(uid, app)| match heard_of(work, member, *uid) {
            None => format!("{}: no report", app.name),
            Some(heard) => {
                let report = &heard.report;
                format!(
                    "{}: {:?} and {:?} at generation {} ({}), received {}",
                    app.name,
                    report.phase,
                    report.health,
                    report.generation,
                    report.digest,
                    heard.received_at
                )
            }
        })
        .collect();
    let rest = member.apps.len().saturating_sub(NAMED);
    if rest > 0 {
        all.push(format!("and {rest} more applications"));
    }
    all
}

fn heard_of<'w>(work: &Work<'w>, member: &Member, app: AppUid) -> Option<&'w Evidence> {
    let facts = work.cluster(&member.id)?.apps.get(&app)?;
    facts.evidence.as_ref()
}

/// One digest over the reports of a wave: who has kept them can show that it was these.
fn heard(work: &Work<'_>, wave: usize) -> String {
    let reports = work.wave_members(wave).flat_map(|member| {
        member.apps.keys().filter_map(|uid| {
            let heard = heard_of(work, member, *uid)?;
            Some(json!([
                member.id.cluster,
                uid,
                heard.report.generation.0,
                heard.report.digest.to_string(),
                format!("{:?}", heard.report.health),
                heard.received_at.as_millisecond(),
            ]))
        })
    });
    let reports: Vec<_> = reports.collect();
    format!(
        "{} reports: {}",
        reports.len(),
        Digest::of("reports", &json!(reports))
    )
}

/// How the members of a wave stand.
fn counts(work: &Work<'_>, wave: usize) -> String {
    let is = |state: fn(MemberState) -> bool| {
        work.wave_members(wave)
            .filter(|member| state(member.state))
            .count()
    };
    let name = work.run.plan.waves.get(wave).map_or("", |wave| &wave.name);
    let well = is(|state| matches!(state, MemberState::Healthy | MemberState::Soaked));
    let back = is(|state| matches!(state, MemberState::Reverting | MemberState::Reverted));
    let parts = [
        (well, "healthy"),
        (is(MemberState::is_failed), "failed"),
        (is(|state| state == MemberState::Skipped), "left out"),
        (
            work.wave_members(wave).filter(|it| is_deferred(it)).count(),
            "deferred",
        ),
        (back, "back"),
    ];
    let said = parts.iter().filter(|(count, _)| *count > 0);
    let said: Vec<_> = said
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let said = if said.is_empty() {
        "nobody through".to_owned()
    } else {
        said.join(", ")
    };
    let all = work.wave_members(wave).count();
    format!("wave {name}: {said} of {all}")
}

/// Who failed, and how many may in the wave that cannot go on.
fn failures(work: &Work<'_>, wave: usize) -> String {
    let failed: Vec<_> = work
        .members()
        .filter(|member| member.state.is_failed())
        .map(|member| member.cluster_name.as_str())
        .collect();
    let budget = Limits::of(&work.run, wave).budget;
    let name = work.run.plan.waves.get(wave).map_or("", |wave| &wave.name);
    let named = failed.get(..failed.len().min(NAMED)).unwrap_or(&failed);
    let rest = failed.len().saturating_sub(NAMED);
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!(
        "{} failed ({}{more}), with a failure budget of {budget} in wave {name}",
        failed.len(),
        named.join(", ")
    )
}

/// The words given on the gates of a wave.
fn words(work: &Work<'_>, wave: usize) -> Vec<String> {
    let given = work.run.approvals.iter();
    let bound = given.filter(|word| word.wave == wave && word.content == work.run.content);
    bound
        .map(|word| {
            format!(
                "{}: {:?} on the gate {:?} at {}",
                word.actor, word.verdict, word.position, word.at
            )
        })
        .collect()
}

/// What was measured in the soak of a wave.
fn samples(work: &Work<'_>, wave: usize) -> Vec<String> {
    let Some(known) = work
        .run
        .analysing
        .as_ref()
        .filter(|known| known.wave == wave)
    else {
        return Vec::new();
    };
    let tallies = known.tallies.iter().map(|tally| {
        let last = tally.samples.last().map_or_else(String::new, |sample| {
            let value = sample.value.as_deref().unwrap_or("no value");
            format!(
                "; the last, number {}, at {}: {value}",
                sample.number, sample.at
            )
        });
        format!(
            "analysis {}: {} passed, {} inconclusive, {} failed{last}",
            tally.name, tally.passed, tally.inconclusive, tally.failed
        )
    });
    tallies.collect()
}
