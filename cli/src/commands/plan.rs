//! `plan`: in which waves a set would roll out, and how long that takes.
//!
//! Owns the page. The plan and its times are the hub's.

use tidegate_proto::v1 as wire;

use super::apply;
use crate::{
    args::{Format, Plan, bare},
    connect::Hub,
    error::Error,
    output::{
        Output,
        age::{length, moment},
        sheet::Sheet,
        table::{column, flexible},
        text::{or_dash, plain},
    },
};

/// The most clusters that a page names for a wave.
const MOST: usize = 30;

/// What was asked, files read: what is wrong with them needs no hub.
pub(super) enum Asked {
    Set(wire::PlanRequest),
    Files(wire::PlanApplyRequest),
}

pub(super) fn read(options: &Plan) -> Result<Asked, Error> {
    let each_ms = i64::try_from(options.member_takes.0.as_millis()).unwrap_or(i64::MAX);
    if let Some(name) = &options.name {
        return Ok(Asked::Set(wire::PlanRequest {
            project: options.project.name(),
            set: bare(name, "set").to_owned(),
            each_ms,
        }));
    }
    let files = apply::read(&options.files, options.recursive)?;
    Ok(Asked::Files(wire::PlanApplyRequest { files, each_ms }))
}

pub(super) async fn plan(hub: &Hub, asked: Asked, output: &mut Output) -> Result<(), Error> {
    let answer = match asked {
        Asked::Set(request) => hub.call(async |fleet| fleet.plan(request).await).await?,
        Asked::Files(request) => hub
            .call(async |fleet| fleet.plan_apply(request).await)
            .await
            .map_err(apply::invalid)?,
    };
    if output.format() == Format::Name {
        let waves = answer.plans.iter().flat_map(|plan| &plan.waves);
        for cluster in waves.flat_map(|wave| &wave.clusters) {
            output.line(&format!("cluster/{}", plain(cluster)))?;
        }
    } else {
        let screen = output.screen();
        output.answer(&answer, "", || {
            let pages = answer.plans.iter();
            let pages = pages.map(|plan| page(plan, answer.now_ms).render(screen));
            pages.collect::<Vec<_>>().join("\n\n")
        })?;
    }
    let problems: usize = answer.plans.iter().map(|plan| plan.problems.len()).sum();
    match problems {
        0 => Ok(()),
        _ => Err(Error::Incomplete(format!(
            "failed to plan everything: {problems} problems, told with their sets"
        ))),
    }
}

fn page(plan: &wire::RolloutPlan, now_ms: i64) -> Sheet {
    let mut sheet = Sheet::new(&format!("plan/{}", plan.set));
    sheet.field("Set", &plan.set);
    sheet.field("Project", &plan.project);
    for problem in &plan.problems {
        sheet.field("Problem", problem);
    }
    if plan.waves.is_empty() {
        return sheet;
    }
    sheet.field("Done", done(plan, now_ms));
    if !plan.excluded.is_empty() {
        sheet.field("Left out", few(&plan.excluded));
    }
    let rows = plan.waves.iter().map(|wave| row(wave, now_ms)).collect();
    let columns = [
        flexible("WAVE"),
        column("CLUSTERS"),
        column("AT ONCE"),
        column("BEGINS"),
        column("TAKES"),
        flexible("WAITS FOR"),
    ];
    sheet.rows("Waves", &columns, rows, "tidegate plan -o yaml");
    let order = plan.waves.iter();
    let order = order.map(|wave| vec![or_dash(&plain(&wave.name)), or_dash(&few(&wave.clusters))]);
    let columns = [
        flexible("WAVE"),
        flexible("CLUSTERS, AS THEY FOLLOW EACH OTHER"),
    ];
    sheet.rows("Order", &columns, order.collect(), "tidegate plan -o yaml");
    sheet
}

fn done(plan: &wire::RolloutPlan, now_ms: i64) -> String {
    let Some(shut) = plan.waves.iter().find(|wave| wave.begins_ms == 0) else {
        let end = plan.waves.last().map_or(now_ms, |wave| wave.ends_ms);
        let people = if plan.waves.iter().any(|wave| wave.asks_people) {
            ", if whoever must approve does so at once"
        } else {
            ""
        };
        if end <= now_ms {
            return format!("at once{people}");
        }
        return format!("at the earliest {}{people}", moment(end, now_ms));
    };
    format!("never: no window of wave {} opens in sight", shut.name)
}

fn row(wave: &wire::WaveOfPlan, now_ms: i64) -> Vec<String> {
    let (begins, takes) = match wave.begins_ms {
        0 => ("never".to_owned(), String::new()),
        at if at <= now_ms => ("now".to_owned(), length(wave.ends_ms - at)),
        at => {
            let begins = format!("in {}", length(at - now_ms));
            (begins, length(wave.ends_ms - at))
        }
    };
    let soak = (wave.soaks_ms > 0).then(|| format!("soak of {}", length(wave.soaks_ms)));
    let waits = wave.before.iter().cloned().chain(soak);
    let waits = waits.chain(wave.analyses.iter().cloned());
    let after = wave.after.iter().map(|gate| format!("{gate} after it"));
    let waits: Vec<_> = waits.chain(after).map(|text| plain(&text)).collect();
    vec![
        or_dash(&plain(&wave.name)),
        wave.clusters.len().to_string(),
        wave.at_once.to_string(),
        begins,
        or_dash(&takes),
        or_dash(&waits.join("; ")),
    ]
}

/// The first of these names.
fn few(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(MOST).map(|name| plain(name)).collect();
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}
