//! Pages of what is delivered: sets, applications, releases.

use serde_json::Value;
use tidegate_proto::v1 as wire;
use tokio::try_join;

use super::{RECENT, commits, of_set, pairs, run::blocking, tally};
use crate::{
    commands::{list::list, release::whole},
    connect::Hub,
    error::Error,
    output::{
        age::{length, moment},
        manifest,
        rows::{Row as _, health},
        sheet::Sheet,
        table::{column, flexible},
        text::{or_dash, plain, short},
    },
};

pub(super) async fn set(hub: &Hub, set: wire::ApplicationSet, now_ms: i64) -> Result<Sheet, Error> {
    let (project, name) = (set.project.as_str(), set.name.as_str());
    let (mut apps, releases, runs, holds, pins, sources) = try_join!(
        of_set::<wire::Application>(hub, project, name, 0),
        of_set::<wire::Release>(hub, project, name, RECENT),
        of_set::<wire::Run>(hub, project, name, RECENT),
        of_set::<wire::Hold>(hub, project, name, 0),
        of_set::<wire::Pin>(hub, project, name, 0),
        list::<wire::Source>(hub, wire::ListRequest::default()),
    )?;
    let sources: Vec<_> = sources
        .into_iter()
        .filter(|it| is_read(it, &apps))
        .collect();
    // What needs a look comes first.
    apps.sort_by_key(|app| health(app.health) == "Healthy" && app.synced);
    let mut sheet = Sheet::new(&set.name());
    sheet.field("Name", name);
    sheet.field("Project", project);
    sheet.field("UID", &set.uid);
    sheet.field("Version", set.version.to_string());
    sheet.field("Release", number(set.release));
    sheet.field("Run", &set.run_id);
    sheet.field("State", &set.run_state);
    sheet.field(
        "Applications",
        tally(apps.iter().map(|app| health(app.health))),
    );
    sheet.fields("Problems", set.problems.iter().cloned());
    sheet.fields("Warnings", set.warnings.iter().cloned());
    sheet.text("Spec", &spec(&set.document)?);
    let all = |what: &str| format!("tidegate get {what} -p {project} --set {name}");
    sheet.table("Applications", &apps, now_ms, &all("apps"));
    sheet.table("Sources", &sources, now_ms, "tidegate get sources");
    sheet.table("Holds", &holds, now_ms, &all("holds"));
    sheet.table("Pins", &pins, now_ms, &all("pins"));
    sheet.table("Latest releases", &releases, now_ms, &all("releases"));
    sheet.table("Latest runs", &runs, now_ms, &all("runs"));
    if let Some(run) = runs.first().filter(|run| !run.terminal) {
        blocking(hub, run, now_ms, &mut sheet).await?;
    }
    sheet.put("set", &set)?;
    sheet.put_all("applications", &apps)?;
    sheet.put_all("sources", &sources)?;
    sheet.put_all("holds", &holds)?;
    sheet.put_all("pins", &pins)?;
    sheet.put_all("releases", &releases)?;
    sheet.put_all("runs", &runs)?;
    Ok(sheet)
}

pub(super) fn wave_plan(plan: &wire::WavePlan) -> Result<Sheet, Error> {
    let mut sheet = Sheet::new(&plan.name());
    sheet.field("Name", &plan.name);
    sheet.field("Project", &plan.project);
    sheet.field("Version", plan.version.to_string());
    sheet.field("Applied by", &plan.applied_by);
    sheet.fields("Sets", plan.sets.iter().cloned());
    sheet.text("Spec", &spec(&plan.document)?);
    sheet.put("wavePlan", plan)?;
    Ok(sheet)
}

/// What the user wrote, as YAML.
fn spec(document: &str) -> Result<String, Error> {
    if document.is_empty() {
        return Ok(String::new());
    }
    let document: Value = serde_json::from_str(document)
        .map_err(|error| Error::Print(format!("the hub's document is no JSON: {error}")))?;
    let text = manifest::yaml(document.get("spec").unwrap_or(&document))?;
    Ok(text
        .lines()
        .map(|line| crate::output::text::harmless(line) + "\n")
        .collect())
}

pub(super) fn is_read(source: &wire::Source, apps: &[wire::Application]) -> bool {
    apps.iter()
        .any(|app| app.repo_url == source.repo_url && app.revision == source.revision)
}

fn number(number: u64) -> String {
    match number {
        0 => String::new(),
        number => number.to_string(),
    }
}

pub(super) async fn application(
    hub: &Hub,
    app: wire::Application,
    now_ms: i64,
) -> Result<Sheet, Error> {
    let of_cluster = wire::ListRequest {
        name: app.cluster.clone(),
        ..wire::ListRequest::default()
    };
    let (runs, holds, clusters) = try_join!(
        of_set::<wire::Run>(hub, &app.project, &app.set, 10 * RECENT),
        of_set::<wire::Hold>(hub, &app.project, &app.set, 0),
        list::<wire::Cluster>(hub, of_cluster),
    )?;
    let runs: Vec<_> = runs
        .into_iter()
        .filter(|run| member(run, &app.name).is_some())
        .take(RECENT as usize)
        .collect();
    let mut sheet = Sheet::new(&app.name());
    identity(&mut sheet, &app);
    wanted(&mut sheet, &app, clusters.first(), now_ms);
    reported(&mut sheet, &app, now_ms);
    for (heading, text) in app.details() {
        sheet.field(&capital(heading.trim_end_matches(':')), text);
    }
    let inputs = app.inputs.iter();
    let inputs = inputs.map(|it| vec![or_dash(&it.input), or_dash(&it.version)]);
    let columns = [column("INPUT"), flexible("VERSION")];
    sheet.rows("Inputs", &columns, inputs.collect(), "");
    let all = |what: &str| format!("tidegate get {what} -p {} --set {}", app.project, app.set);
    sheet.table("Holds of its set", &holds, now_ms, &all("holds"));
    let columns = [
        column("RUN"),
        column("REL"),
        column("STATE"),
        column("MEMBER"),
        flexible("CAUSE"),
    ];
    let rows = runs.iter().map(|run| run_row(run, &app.name)).collect();
    sheet.rows("Latest runs", &columns, rows, &all("runs"));
    sheet.put("application", &app)?;
    sheet.put_all("clusters", &clusters)?;
    sheet.put_all("holds", &holds)?;
    sheet.put_all("runs", &runs)?;
    Ok(sheet)
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + rest
}

fn identity(sheet: &mut Sheet, app: &wire::Application) {
    sheet.field("Name", &app.name);
    sheet.field("Project", &app.project);
    sheet.field("UID", &app.uid);
    sheet.field("Set", &app.set);
    sheet.field("Cluster", &app.cluster);
    sheet.field("Namespace", &app.namespace);
    sheet.fields("Labels", pairs(&app.labels));
    let path = if app.path.is_empty() { "." } else { &app.path };
    let source = match app.repo_url.as_str() {
        "" => String::new(),
        url => format!("{url} at {}, path {path}", or_dash(&app.revision)),
    };
    sheet.field("Source", source);
    let made_by = match app.generator.as_str() {
        "" => String::new(),
        generator => format!("{generator} row {}", app.row),
    };
    sheet.field("Made by", made_by);
    let policy = app.policy.unwrap_or_default();
    let prune = if policy.prune { "on" } else { "off" };
    let drift = match policy.drift() {
        wire::Drift::Heal => "heal",
        wire::Drift::Warn => "warn",
        wire::Drift::Off => "off",
        wire::Drift::Unspecified => "unknown",
    };
    sheet.field("Policy", format!("prune {prune}, drift {drift}"));
}

fn wanted(
    sheet: &mut Sheet,
    app: &wire::Application,
    cluster: Option<&wire::Cluster>,
    now_ms: i64,
) {
    let wanted = match (app.tombstone, app.generation) {
        (true, generation) => format!("to be gone (generation {generation})"),
        (false, 0) => "nothing yet".to_owned(),
        (false, generation) => format!(
            "release {}, generation {generation}, {}",
            app.release,
            or_dash(&short(&app.bundle))
        ),
    };
    sheet.field("Wanted", wanted);
    sheet.field("Brought by", &app.run_id);
    let agent = match cluster {
        None => "its cluster is not registered".to_owned(),
        Some(cluster) if !cluster.joined => "it never joined".to_owned(),
        Some(cluster) if cluster.connected => "connected".to_owned(),
        Some(cluster) => format!("away, seen {}", moment(cluster.last_seen_ms, now_ms)),
    };
    sheet.field("Agent", agent);
}

fn reported(sheet: &mut Sheet, app: &wire::Application, now_ms: i64) {
    let Some(report) = &app.report else {
        sheet.field("Running", "nothing was reported yet");
        return;
    };
    let phase = match report.phase() {
        wire::Phase::Accepted => "Accepted",
        wire::Phase::Applying => "Applying",
        wire::Phase::Applied => "Applied",
        wire::Phase::Failed => "Failed",
        wire::Phase::Removed => "Removed",
        wire::Phase::Unspecified => "Unknown",
    };
    let running = format!(
        "generation {}, {}",
        report.generation,
        or_dash(&short(&report.digest))
    );
    sheet.field("Running", running);
    sheet.field("Reported", moment(app.report_at_ms, now_ms));
    sheet.field("Synced", if app.synced { "yes" } else { "no" });
    sheet.field("Phase", phase);
    let since = i64::try_from(report.healthy_for_ms).unwrap_or(i64::MAX);
    let told = match health(app.health) {
        "Healthy" => format!("Healthy for {}", length(since)),
        other if health(report.health) == other => other.to_owned(),
        other => format!("{other} (its report says {})", health(report.health)),
    };
    sheet.field("Health", told);
}

/// The member of a run that brings an application.
fn member<'a>(run: &'a wire::Run, app: &str) -> Option<(&'a wire::RunWave, &'a wire::RunMember)> {
    run.waves.iter().find_map(|wave| {
        let mut members = wave.members.iter();
        let member = members.find(|it| it.applications.iter().any(|name| name == app))?;
        Some((wave, member))
    })
}

fn run_row(run: &wire::Run, app: &str) -> Vec<String> {
    let (state, cause) = match member(run, app) {
        Some((wave, member)) => {
            let cause = member.cause.as_ref().map(|cause| plain(&cause.message));
            let place = format!("{}/{}", wave.name, member.state);
            (or_dash(&place), cause.unwrap_or_default())
        }
        None => ("-".to_owned(), String::new()),
    };
    vec![
        or_dash(&run.id),
        run.release.to_string(),
        or_dash(&run.state),
        state,
        or_dash(&cause),
    ]
}

pub(super) async fn release(
    hub: &Hub,
    release: wire::Release,
    now_ms: i64,
) -> Result<Sheet, Error> {
    // The latest of a set came out of a list, which does not say what it holds.
    let release = whole(hub, release).await?;
    let mut runs: Vec<wire::Run> = of_set(hub, &release.project, &release.set, 0).await?;
    runs.retain(|run| run.release == release.number);
    let mut sheet = contents(&release, now_ms);
    let all = format!(
        "tidegate get runs -p {} --set {}",
        release.project, release.set
    );
    sheet.table("Runs", &runs, now_ms, &all);
    sheet.put("release", &release)?;
    sheet.put_all("runs", &runs)?;
    Ok(sheet)
}

/// The page of a release alone.
pub(crate) fn contents(release: &wire::Release, now_ms: i64) -> Sheet {
    let mut sheet = Sheet::new(&release.name());
    sheet.field("Number", release.number.to_string());
    sheet.field("Set", &release.set);
    sheet.field("Project", &release.project);
    sheet.field("Id", &release.id);
    sheet.field("Content", &release.content);
    sheet.field("Created", moment(release.created_at_ms, now_ms));
    sheet.field("Cause", &release.cause);
    commits(&mut sheet, &release.sources);
    if release.entries.is_empty() {
        sheet.field("Applications", "what it held is no longer kept");
        return sheet;
    }
    let rows = release.entries.iter().map(|entry| {
        let content = match entry.unrendered.as_str() {
            "" => or_dash(&short(&entry.bundle)),
            cause => format!("unrendered: {}", plain(cause)),
        };
        vec![or_dash(&entry.app), or_dash(&entry.cluster), content]
    });
    let columns = [column("NAME"), flexible("CLUSTER"), flexible("CONTENT")];
    let more = format!(
        "tidegate release show {}/{} -p {} -o yaml",
        release.set, release.number, release.project
    );
    sheet.rows("Applications", &columns, rows.collect(), &more);
    sheet
}
