//! `trace`: from an object back to its commit.

use tidegate_proto::v1 as wire;

use crate::{
    args::{Format, Trace},
    connect::Hub,
    error::Error,
    output::{
        Output, Screen,
        age::age,
        differences::object_name,
        rows::health,
        table::{column, flexible, render},
        text::{or_dash, plain, short},
    },
};

pub(super) async fn trace(hub: &Hub, options: &Trace, output: &mut Output) -> Result<(), Error> {
    let (kind, name) = options.object.clone();
    let request = wire::GetTraceRequest {
        cluster: options.cluster.clone(),
        kind,
        name,
        namespace: options.namespace.clone().unwrap_or_default(),
        project: options.project.name(),
    };
    let answer = hub
        .call(async |fleet| fleet.get_trace(request).await)
        .await?;
    if output.format() == Format::Name {
        for trace in &answer.items {
            output.line(&format!("application/{}", plain(&trace.application)))?;
        }
        return Ok(());
    }
    let (now_ms, screen) = (output.now_ms(), output.screen());
    output.answer(&answer, "", || {
        let traces = answer.items.iter().map(|trace| one(trace, now_ms, screen));
        let mut texts: Vec<_> = traces.collect();
        if answer.more > 0 {
            texts.push(format!(
                "and {} more applications bring such an object",
                answer.more
            ));
        }
        texts.join("\n\n")
    })
}

fn one(trace: &wire::Trace, now_ms: i64, screen: Screen) -> String {
    let id = trace.object.clone().unwrap_or_default();
    let mut rows = vec![
        row(
            "object",
            format!("{} in {}", object_name(&id), plain(&trace.cluster)),
        ),
        row("application", application(trace)),
        row("source", source(trace)),
    ];
    if let Some(release) = &trace.release {
        let made = age(release.created_at_ms, now_ms);
        let text = format!(
            "{}, made {made} ago: {}",
            release.number,
            or_dash(&release.cause)
        );
        rows.push(row("release", text));
    }
    match &trace.since {
        Some(since) => rows.extend(origin(since, trace.since_may_be_older, now_ms)),
        None => rows.extend(
            trace
                .release
                .iter()
                .flat_map(|release| origin(release, true, now_ms)),
        ),
    }
    rows.push(row("run", run(trace, now_ms)));
    let synced = if trace.synced {
        "as told"
    } else {
        "not yet as told"
    };
    let said = match trace.report_at_ms {
        0 => "nothing reported yet".to_owned(),
        at => format!("reported {} ago", age(at, now_ms)),
    };
    let health = health(trace.health);
    rows.push(row("now", format!("{health}, {synced}, {said}")));
    render(&[column(""), flexible("")], &rows, screen.width, usize::MAX)
}

fn row(label: &str, text: String) -> Vec<String> {
    vec![format!("{label}:"), text]
}

fn application(trace: &wire::Trace) -> String {
    let pinned = if trace.pinned { ", pinned" } else { "" };
    let project = match trace.project.as_str() {
        "default" => String::new(),
        project => format!(" of project {}", plain(project)),
    };
    format!(
        "{} of set {}{project}, generation {}{pinned}",
        plain(&trace.application),
        plain(&trace.set),
        trace.generation
    )
}

fn source(trace: &wire::Trace) -> String {
    let place = match trace.place.as_str() {
        "" => &trace.path,
        place => place,
    };
    format!(
        "{} in {} at {}",
        or_dash(place),
        or_dash(&trace.repo_url),
        or_dash(&trace.revision)
    )
}

/// The release and the commit since which the object is what it is.
fn origin(since: &wire::TracedRelease, may_be_older: bool, now_ms: i64) -> Vec<Vec<String>> {
    let older = if may_be_older { ", or before" } else { "" };
    let text = format!("release {}{older}", since.number);
    let mut rows = vec![row("since", text)];
    let Some(commit) = &since.commit else {
        return rows;
    };
    if !commit.error.is_empty() {
        let text = format!("{} ({})", short(&commit.id), plain(&commit.error));
        rows.push(row("commit", text));
        return rows;
    }
    rows.push(row(
        "commit",
        format!("{} {}", short(&commit.id), plain(&commit.subject)),
    ));
    let (author, committer) = (commit.author.as_ref(), commit.committer.as_ref());
    rows.extend(author.map(|who| row("author", person(who, now_ms))));
    rows.extend(committer.map(|who| row("committer", person(who, now_ms))));
    rows
}

fn person(who: &wire::Signature, now_ms: i64) -> String {
    format!(
        "{} <{}>, {} ago",
        or_dash(&who.name),
        plain(&who.email),
        age(who.at_ms, now_ms)
    )
}

fn run(trace: &wire::Trace, now_ms: i64) -> String {
    if trace.run_id.is_empty() {
        return "none that is still known".to_owned();
    }
    let wave = match trace.wave.as_str() {
        "" => String::new(),
        wave => format!(", wave {}", plain(wave)),
    };
    let told = match trace.assigned_at_ms {
        0 => String::new(),
        at => format!("; told its agent {} ago", age(at, now_ms)),
    };
    format!(
        "{}, {}{wave}{told}",
        plain(&trace.run_id),
        or_dash(&trace.run_state)
    )
}
