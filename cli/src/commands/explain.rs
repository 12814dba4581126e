//! `run explain`: what a run waits for, and what would clear it.

use tidegate_proto::v1 as wire;

use crate::{
    args::RunName,
    connect::Hub,
    error::Error,
    output::{
        Output, Screen,
        age::age,
        block::wrap,
        rows::Row,
        table::{Column, column, fitted, flexible, render},
        text::{or_dash, plain},
    },
};

pub(super) async fn explain(hub: &Hub, run: &RunName, output: &mut Output) -> Result<(), Error> {
    let request = run.request();
    let answer = hub
        .call(async |fleet| fleet.explain_run(request).await)
        .await?;
    let (now_ms, screen) = (output.now_ms(), output.screen());
    let name = answer.run.as_ref().map(Row::name).unwrap_or_default();
    output.answer(&answer, &name, || text(&answer, now_ms, screen))
}

/// Each cause with what clears it, wrapped to the screen.
fn text(answer: &wire::ExplainRunResponse, now_ms: i64, screen: Screen) -> String {
    let run = answer.run.clone().unwrap_or_default();
    let state = or_dash(&run.state);
    let width = usize::from(screen.width);
    let mut lines = vec![plain(&run.name())];
    let told = format!(
        "set {}, release {}: {state}",
        or_dash(&run.set),
        run.release
    );
    let painted = screen.paint.state(&state);
    let told = wrap(&told, width).into_iter();
    lines.extend(told.map(|line| line.replacen(&state, &painted, 1)));
    if let Some(cause) = &run.cause {
        let told = format!("{} ({})", or_dash(&cause.message), or_dash(&cause.code));
        lines.extend(wrap(&told, width));
    }
    lines.extend(
        done_by_people(&run)
            .iter()
            .flat_map(|told| wrap(told, width)),
    );
    if answer.blocking.is_empty() {
        lines.push(
            if run.terminal {
                "it has ended"
            } else {
                "nothing blocks it"
            }
            .to_owned(),
        );
    } else {
        lines.push(String::new());
        lines.push(reasons(&answer.blocking, now_ms, screen));
    }
    if !answer.windows.is_empty() {
        let rows = hours(&answer.windows);
        lines.push(String::new());
        lines.push(fitted(&hour_columns(), &rows, screen, usize::MAX));
    }
    lines.join("\n")
}

/// The columns of [`hours`].
pub(super) fn hour_columns() -> [Column; 5] {
    [
        flexible("WAVE"),
        column("NOW"),
        column("NEXT OPEN"),
        column("NEXT CLOSE"),
        flexible("WINDOWS"),
    ]
}

/// When the windows of each wave open and close next.
pub(super) fn hours(windows: &[wire::RunWindows]) -> Vec<Vec<String>> {
    let row = |it: &wire::RunWindows| {
        let now = if it.open { "open" } else { "closed" };
        vec![
            or_dash(&it.wave),
            now.to_owned(),
            or_dash(&edge(it.next_open_ms)),
            or_dash(&edge(it.next_close_ms)),
            or_dash(&it.windows.join(", ")),
        ]
    };
    windows.iter().map(row).collect()
}

/// A time in UTC, to the minute; windows know no finer one.
fn edge(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) if at_ms != 0 => at.strftime("%Y-%m-%d %H:%MZ").to_string(),
        _ => String::new(),
    }
}

/// What people did that changes what is waited for: another attempt, and whom they left out.
fn done_by_people(run: &wire::Run) -> Vec<String> {
    let attempt = run.retry.as_ref().map(|retry| {
        let reason = match retry.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", plain(reason)),
        };
        format!(
            "attempt {}, asked for by {}{reason}",
            retry.attempt,
            or_dash(&retry.actor)
        )
    });
    let left_out = run.waves.iter().flat_map(|wave| {
        let skipped = wave.members.iter().filter(|one| one.state == "Skipped");
        skipped.map(|member| {
            let cause = member.cause.as_ref().map(|cause| or_dash(&cause.message));
            format!(
                "left out: wave {}, cluster {}: {}",
                plain(&wave.name),
                plain(&member.cluster),
                cause.unwrap_or_default()
            )
        })
    });
    attempt.into_iter().chain(left_out).collect()
}

/// Each reason with its place and what clears it, numbered.
pub(super) fn reasons(blocking: &[wire::Blocking], now_ms: i64, screen: Screen) -> String {
    let mut rows = Vec::new();
    for (index, blocking) in blocking.iter().enumerate() {
        let row = |label: String, text: String| vec![label, text];
        rows.push(row(format!("{}.", index + 1), or_dash(&blocking.message)));
        rows.push(row(String::new(), place(blocking, now_ms)));
        rows.push(row(
            String::new(),
            format!("to clear: {}", or_dash(&blocking.clears)),
        ));
    }
    render(&[column(""), flexible("")], &rows, screen.width, usize::MAX)
}

fn place(blocking: &wire::Blocking, now_ms: i64) -> String {
    let mut words = vec![or_dash(&blocking.code)];
    if !blocking.wave.is_empty() {
        words.push(format!("wave {}", plain(&blocking.wave)));
    }
    if !blocking.cluster.is_empty() {
        words.push(format!("cluster {}", plain(&blocking.cluster)));
    }
    if blocking.since_ms != 0 {
        words.push(format!("for {}", age(blocking.since_ms, now_ms)));
    }
    words.join(", ")
}
