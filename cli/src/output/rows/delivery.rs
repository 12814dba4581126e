//! Rows of what is delivered: sets, applications, releases, runs, and what `apply` did.

use tidegate_proto::v1 as wire;

use super::{Row, health};
use crate::output::{
    age::age,
    table::{Column, column, flexible},
    text::{or_dash, plain, short},
};

impl Row for wire::ApplicationSet {
    const COLUMNS: &'static [Column] = &[
        column("NAME"),
        column("APPS"),
        column("RELEASE"),
        column("RUN"),
        column("HOLDS"),
        column("WARN"),
        flexible("PROBLEM"),
    ];

    fn name(&self) -> String {
        format!("set/{}", self.name)
    }

    fn cells(&self, _now_ms: i64) -> Vec<String> {
        let problem = self.problems.join("; ");
        let problem = match self.problems.len() {
            0 | 1 => problem,
            several => format!("({several}) {problem}"),
        };
        vec![
            or_dash(&self.name),
            self.applications.to_string(),
            number_or_dash(self.release),
            or_dash(&self.run_state),
            self.holds.to_string(),
            count(&self.warnings),
            or_dash(&problem),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let warnings = self.warnings.iter();
        warnings
            .map(|warning| ("warning:", plain(warning)))
            .collect()
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

impl Row for wire::WavePlan {
    const COLUMNS: &'static [Column] = &[
        column("NAME"),
        column("VERSION"),
        flexible("WAVES"),
        flexible("SETS"),
    ];

    fn name(&self) -> String {
        format!("waveplan/{}", self.name)
    }

    fn cells(&self, _now_ms: i64) -> Vec<String> {
        vec![
            or_dash(&self.name),
            self.version.to_string(),
            or_dash(&self.waves.join(",")),
            or_dash(&self.sets.join(",")),
        ]
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

impl Row for wire::Application {
    const COLUMNS: &'static [Column] = &[
        column("NAME"),
        flexible("SET"),
        flexible("CLUSTER"),
        column("REL"),
        column("SYNC"),
        column("HEALTH"),
        column("REPORT"),
    ];

    fn name(&self) -> String {
        format!("application/{}", self.name)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            or_dash(&self.name),
            or_dash(&self.set),
            or_dash(&self.cluster),
            number_or_dash(self.release),
            sync(self).to_owned(),
            health(self.health).to_owned(),
            age(self.report_at_ms, now_ms),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = Vec::new();
        if let Some(report) = &self.report {
            details.extend(report.problems.iter().map(|problem| {
                (
                    "problem:",
                    object(problem.object.as_ref()) + &plain(&problem.message),
                )
            }));
            details.extend(report.drift.iter().map(|drift| {
                let heading = if drift.healed {
                    "drift, healed:"
                } else {
                    "drift:"
                };
                let fields = plain(&drift.fields.join(" "));
                // A drift without fields is an object that is not there.
                let fields = if fields.is_empty() {
                    "missing"
                } else {
                    &fields
                };
                (heading, object(drift.object.as_ref()) + fields)
            }));
            details.extend(report.held_prune.iter().map(|held| {
                (
                    "held:",
                    format!(
                        "{} objects would be pruned: {}",
                        held.count,
                        plain(&held.reason)
                    ),
                )
            }));
        }
        details.extend(self.pin.iter().map(|pin| {
            let (actor, bundle) = (or_dash(&pin.actor), short(&pin.bundle));
            let (opens, reason) = (or_dash(&pin.release), or_dash(&pin.reason));
            (
                "pinned:",
                format!("by {actor} to {bundle}, opens when {opens}: {reason}"),
            )
        }));
        details
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

/// How many warnings there are; the hub tells 20 and then, in a line of its own, that there are more.
fn count(warnings: &[String]) -> String {
    match warnings.len() {
        number @ 0..=20 => number.to_string(),
        _ => "20+".to_owned(),
    }
}

/// `Kind namespace/name: `, or nothing when the application is meant.
fn object(id: Option<&wire::ObjectId>) -> String {
    match id {
        None => String::new(),
        Some(id) if id.namespace.is_empty() => format!("{} {}: ", plain(&id.kind), plain(&id.name)),
        Some(id) => {
            format!(
                "{} {}/{}: ",
                plain(&id.kind),
                plain(&id.namespace),
                plain(&id.name)
            )
        }
    }
}

/// In one word: does the cluster hold what the hub wants, and does the hub want what Git says?
fn sync(app: &wire::Application) -> &'static str {
    match app {
        app if app.tombstone => "Deleting",
        app if app.pin.is_some() => "Pinned",
        app if app.generation == 0 => "Waiting",
        app if app.synced => "Synced",
        _ => "Pending",
    }
}

impl Row for wire::Release {
    const COLUMNS: &'static [Column] = &[
        column("SET"),
        column("NUMBER"),
        column("CONTENT"),
        column("COMMIT"),
        column("AGE"),
        flexible("CAUSE"),
    ];

    fn name(&self) -> String {
        format!("release/{}/{}", self.set, self.number)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        let commit = self
            .sources
            .first()
            .map(|source| short(&source.commit))
            .unwrap_or_default();
        vec![
            or_dash(&self.set),
            self.number.to_string(),
            or_dash(&short(&self.content)),
            or_dash(&commit),
            age(self.created_at_ms, now_ms),
            or_dash(&self.cause),
        ]
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

impl Row for wire::Run {
    const COLUMNS: &'static [Column] = &[
        column("ID"),
        flexible("SET"),
        column("REL"),
        column("STATE"),
        column("AGE"),
    ];

    fn name(&self) -> String {
        format!("run/{}", self.id)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            or_dash(&self.id),
            or_dash(&self.set),
            self.release.to_string(),
            or_dash(&self.state),
            age(self.started_at_ms, now_ms),
        ]
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

impl Row for wire::AppliedObject {
    const COLUMNS: &'static [Column] = &[column("KIND"), column("NAME"), column("OUTCOME")];

    fn name(&self) -> String {
        let kind = match self.kind.as_str() {
            "ApplicationSet" => "set".to_owned(),
            other => other.to_lowercase(),
        };
        format!("{kind}/{}", self.name)
    }

    fn cells(&self, _now_ms: i64) -> Vec<String> {
        vec![
            or_dash(&self.kind),
            or_dash(&self.name),
            outcome(self.outcome).to_owned(),
        ]
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

/// What `apply` did to a document.
fn outcome(value: i32) -> &'static str {
    match wire::ApplyOutcome::try_from(value) {
        Ok(wire::ApplyOutcome::Created) => "created",
        Ok(wire::ApplyOutcome::Configured) => "configured",
        Ok(wire::ApplyOutcome::Unchanged) => "unchanged",
        Ok(wire::ApplyOutcome::Unspecified) | Err(_) => "unknown",
    }
}

fn number_or_dash(number: u64) -> String {
    if number == 0 {
        "-".to_owned()
    } else {
        number.to_string()
    }
}
