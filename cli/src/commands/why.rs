//! `why`: one answer to what keeps an application in its state.

use tidegate_proto::v1 as wire;

use super::explain::reasons;
use crate::{
    args::{Why, bare},
    connect::Hub,
    error::Error,
    output::{
        Output, Screen,
        rows::{Row as _, health},
        text::{or_dash, plain, short},
    },
};

pub(super) async fn why(hub: &Hub, options: &Why, output: &mut Output) -> Result<(), Error> {
    let request = wire::ExplainApplicationRequest {
        project: options.project.name(),
        name: bare(&options.name, "application").to_owned(),
    };
    let answer = hub
        .call(async |fleet| fleet.explain_application(request).await)
        .await?;
    let app = answer.application.clone().unwrap_or_default();
    let (now_ms, screen) = (output.now_ms(), output.screen());
    output.answer(&answer, &app.name(), || text(&answer, &app, now_ms, screen))
}

fn text(
    answer: &wire::ExplainApplicationResponse,
    app: &wire::Application,
    now_ms: i64,
    screen: Screen,
) -> String {
    let state = screen.paint.state(health(app.health));
    let synced = if app.synced { "as told" } else { "not as told" };
    let mut lines = vec![
        plain(&app.name()),
        format!(
            "in {}, of set {}: {state}, {synced}",
            or_dash(&app.cluster),
            or_dash(&app.set)
        ),
        format!("told: {}", told(app)),
        format!("runs: {}", runs(app)),
    ];
    if answer.latest_release > app.release {
        lines.push(format!("wanted: release {}", answer.latest_release));
    }
    if !answer.run_id.is_empty() {
        lines.push(format!(
            "run/{}: {}",
            plain(&answer.run_id),
            or_dash(&answer.run_state)
        ));
    }
    if !answer.wave.is_empty() {
        let (wave, state) = (plain(&answer.wave), or_dash(&answer.member_state));
        lines.push(format!("there in wave {wave}, {state}"));
    }
    lines.push(String::new());
    if answer.reasons.is_empty() {
        lines.push("nothing is in its way".to_owned());
    } else {
        lines.push(reasons(&answer.reasons, now_ms, screen));
    }
    if answer.more > 0 {
        lines.push(format!("and {} more reasons", answer.more));
    }
    lines.join("\n")
}

/// What the hub told its agent.
fn told(app: &wire::Application) -> String {
    match (app.generation, app.bundle.as_str()) {
        (0, _) => "nothing yet".to_owned(),
        (generation, "") => format!("generation {generation}: to remove it"),
        (generation, bundle) => format!(
            "generation {generation}, release {}, content {}",
            app.release,
            short(bundle)
        ),
    }
}

/// What its agent says.
fn runs(app: &wire::Application) -> String {
    let Some(report) = &app.report else {
        return "its agent has said nothing".to_owned();
    };
    let phase = match report.phase() {
        wire::Phase::Accepted => "accepted",
        wire::Phase::Applying => "being applied",
        wire::Phase::Applied => "applied",
        wire::Phase::Failed => "failed",
        wire::Phase::Removed => "removed",
        wire::Phase::Unspecified => "not known",
    };
    format!("generation {}, {phase}", report.generation)
}
