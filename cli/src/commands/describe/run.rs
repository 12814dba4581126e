//! Pages of what moves and what stands in the way: runs, holds, pins.

use tidegate_proto::v1 as wire;

use super::{commits, of_set, state};
use crate::{
    commands::{
        explain::{hour_columns, hours},
        list::list,
    },
    connect::Hub,
    error::Error,
    output::{
        age::{age, length, moment},
        rows::Row as _,
        sheet::Sheet,
        table::{column, flexible},
        text::{or_dash, plain},
    },
};

pub(super) async fn run(hub: &Hub, run: wire::Run, now_ms: i64) -> Result<Sheet, Error> {
    let mut sheet = Sheet::new(&run.name());
    sheet.field("Id", &run.id);
    sheet.field("Set", &run.set);
    sheet.field("Project", &run.project);
    sheet.field("Release", run.release.to_string());
    sheet.field("Content", &run.content);
    sheet.field("State", state(&run.state, run.cause.as_ref()));
    sheet.field("Started", moment(run.started_at_ms, now_ms));
    let ended = match run.finished_at_ms {
        0 => "not yet".to_owned(),
        end => format!(
            "{}, after {}",
            moment(end, now_ms),
            length(end.saturating_sub(run.started_at_ms))
        ),
    };
    sheet.field("Ended", ended);
    commits(&mut sheet, &run.sources);
    let words = run.approvals.iter().map(|word| word_of(word, now_ms));
    sheet.fields("Approvals", words);
    let broken = run.broken_glass.iter();
    sheet.fields("Broken glass", broken.map(|it| glass_of(it, now_ms)));
    sheet.fields("Excluded", run.excluded.iter().cloned());
    for wave in &run.waves {
        let title = format!(
            "Wave {} ({}, {} at a time)",
            or_dash(&wave.name),
            or_dash(&wave.state),
            wave.concurrency
        );
        let rows = wave.members.iter().map(|member| {
            let cause = member.cause.as_ref().map(|cause| plain(&cause.message));
            vec![
                or_dash(&member.cluster),
                or_dash(&member.state),
                or_dash(&member.applications.join(", ")),
                or_dash(&cause.unwrap_or_default()),
            ]
        });
        let columns = [
            column("CLUSTER"),
            column("STATE"),
            flexible("APPLICATIONS"),
            flexible("CAUSE"),
        ];
        let more = format!("tidegate get run {} -o yaml", run.id);
        sheet.rows(&title, &columns, rows.collect(), &more);
        analyses(&mut sheet, &run, wave, now_ms);
    }
    sheet.put("run", &run)?;
    if !run.terminal {
        blocking(hub, &run, now_ms, &mut sheet).await?;
    }
    Ok(sheet)
}

/// What was measured in the latest soak of a wave.
fn analyses(sheet: &mut Sheet, run: &wire::Run, wave: &wire::RunWave, now_ms: i64) {
    if wave.analyses.is_empty() {
        return;
    }
    let rows = wave.analyses.iter().map(|it| {
        let last = it.samples.last().map(|sample| {
            let value = sample.value.as_ref().map(|value| format!("{value} "));
            format!(
                "{}{}, {} {}",
                value.unwrap_or_default(),
                sample.verdict,
                moment(sample.at_ms, now_ms),
                sample.reason
            )
        });
        vec![
            or_dash(&it.name),
            format!("{} of {}", it.passed, it.needed),
            it.inconclusive.to_string(),
            it.failed.to_string(),
            or_dash(&plain(&last.unwrap_or_default())),
        ]
    });
    let columns = [
        flexible("ANALYSIS"),
        column("PASSED"),
        column("INCONCLUSIVE"),
        column("FAILED"),
        flexible("LAST"),
    ];
    let title = format!("Analyses of wave {}", or_dash(&wave.name));
    let more = format!("tidegate get run {} -o yaml", run.id);
    sheet.rows(&title, &columns, rows.collect(), &more);
}

/// What stops a run, and what would clear it.
pub(super) async fn blocking(
    hub: &Hub,
    run: &wire::Run,
    now_ms: i64,
    sheet: &mut Sheet,
) -> Result<(), Error> {
    let request = wire::GetRunRequest {
        run_id: run.id.clone(),
        ..wire::GetRunRequest::default()
    };
    let answer = hub
        .call(async |fleet| fleet.explain_run(request).await)
        .await?;
    if !answer.windows.is_empty() {
        let more = format!("tidegate run explain {} -o yaml", run.id);
        sheet.rows("Windows", &hour_columns(), hours(&answer.windows), &more);
    }
    let rows = answer.blocking.iter().map(|it| {
        vec![
            or_dash(&it.wave),
            or_dash(&it.cluster),
            age(it.since_ms, now_ms),
            format!("{} ({})", plain(&it.message), or_dash(&it.code)),
            or_dash(&it.clears),
        ]
    });
    let columns = [
        flexible("WAVE"),
        flexible("CLUSTER"),
        column("FOR"),
        flexible("CAUSE"),
        flexible("TO CLEAR"),
    ];
    let more = format!("tidegate run explain {}", run.id);
    sheet.rows("Blocked by", &columns, rows.collect(), &more);
    sheet.put("explanation", &answer)
}

pub(super) async fn hold(hub: &Hub, hold: wire::Hold, now_ms: i64) -> Result<Sheet, Error> {
    let sets: Vec<wire::ApplicationSet> = named(hub, &hold.project, &hold.set).await?;
    let pins: Vec<wire::Pin> = of_set(hub, &hold.project, &hold.set, 0).await?;
    let mut sheet = Sheet::new(&hold.name());
    sheet.field("Id", &hold.id);
    sheet.field("Set", &hold.set);
    sheet.field("Project", &hold.project);
    sheet.field("Kind", &hold.kind);
    sheet.field("Message", &hold.message);
    sheet.field("Content", &hold.content);
    sheet.field("Since", moment(hold.since_ms, now_ms));
    let opens = if hold.approvable {
        format!("tidegate hold approve {} --reason TEXT", hold.id)
    } else {
        format!(
            "tidegate unpin {} -p {} --reason TEXT, or other content in Git",
            hold.set, hold.project
        )
    };
    sheet.field("Opened by", opens);
    sheet.table("Set", &sets, now_ms, "tidegate get sets");
    let all = format!("tidegate get pins -p {} --set {}", hold.project, hold.set);
    sheet.table("Pins of its set", &pins, now_ms, &all);
    sheet.put("hold", &hold)?;
    sheet.put_all("sets", &sets)?;
    sheet.put_all("pins", &pins)?;
    Ok(sheet)
}

pub(super) async fn pin(hub: &Hub, pin: wire::Pin, now_ms: i64) -> Result<Sheet, Error> {
    let apps: Vec<wire::Application> = named(hub, &pin.project, &pin.app).await?;
    let holds: Vec<wire::Hold> = of_set(hub, &pin.project, &pin.set, 0).await?;
    let mut sheet = Sheet::new(&pin.name());
    sheet.field("Application", &pin.app);
    sheet.field("Set", &pin.set);
    sheet.field("Project", &pin.project);
    sheet.field("Cluster", &pin.cluster);
    sheet.field("Bundle", &pin.bundle);
    sheet.field("Opens when", &pin.release);
    sheet.field("Reason", &pin.reason);
    sheet.field("By", &pin.actor);
    sheet.field("Since", moment(pin.created_at_ms, now_ms));
    let lifted = format!(
        "tidegate unpin {} -p {} --app {} --reason TEXT",
        pin.set, pin.project, pin.app
    );
    sheet.field("Lifted by", lifted);
    sheet.table("Application", &apps, now_ms, "tidegate get apps");
    let all = format!("tidegate get holds -p {} --set {}", pin.project, pin.set);
    sheet.table("Holds of its set", &holds, now_ms, &all);
    sheet.put("pin", &pin)?;
    sheet.put_all("applications", &apps)?;
    sheet.put_all("holds", &holds)?;
    Ok(sheet)
}

async fn named<T: crate::commands::list::Listed>(
    hub: &Hub,
    project: &str,
    name: &str,
) -> Result<Vec<T>, Error> {
    let request = wire::ListRequest {
        project: project.to_owned(),
        name: name.to_owned(),
        ..wire::ListRequest::default()
    };
    list(hub, request).await
}

/// Who opened the windows of a wave, and why.
fn glass_of(broken: &wire::RunBrokenGlass, now_ms: i64) -> String {
    let (actor, wave) = (&broken.actor, &broken.wave);
    let when = moment(broken.at_ms, now_ms);
    plain(&format!(
        "{actor} for wave {wave}, {when}: {}",
        broken.reason
    ))
}

/// A person's word on a gate.
fn word_of(word: &wire::RunApproval, now_ms: i64) -> String {
    let verb = match word.verdict.as_str() {
        "Reject" => "rejected",
        _ => "approved",
    };
    let reason = match word.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    let position = match word.position.as_str() {
        "Analysis" => "in the soak of".to_owned(),
        position => position.to_lowercase(),
    };
    plain(&format!(
        "{} {verb} {position} wave {}, {}{reason}",
        word.actor,
        word.wave,
        moment(word.at_ms, now_ms)
    ))
}
