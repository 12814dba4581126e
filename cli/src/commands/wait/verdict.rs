//! Whether a thing is as a condition says.
//!
//! Pure: things in, verdicts out.

use tidegate_proto::v1 as wire;

use crate::{
    args::Condition,
    output::{
        rows::health,
        text::{or_dash, plain},
    },
};

/// How a thing stands to a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is so.
    Met,
    /// It is not so, and what is instead.
    NotYet(String),
    /// It can never become so, and why.
    Never(String),
}

impl Condition {
    pub(super) fn of_run(&self, run: &wire::Run) -> Verdict {
        let met = match self {
            Self::Succeeded => run.state == "Succeeded",
            Self::State(state) => &run.state == state,
            _ => run.terminal,
        };
        let cause = run
            .cause
            .as_ref()
            .map(|cause| format!(": {}", plain(&cause.message)));
        let told = format!(
            "run/{} is {}{}",
            run.id,
            or_dash(&run.state),
            cause.unwrap_or_default()
        );
        match met {
            true => Verdict::Met,
            false if run.terminal => Verdict::Never(told),
            false => Verdict::NotYet(told),
        }
    }

    pub(super) fn of_set(&self, set: &wire::ApplicationSet) -> Verdict {
        let met = match self {
            Self::Succeeded => set.run_state == "Succeeded",
            Self::State(state) => &set.run_state == state,
            Self::Held => set.holds > 0,
            _ => false,
        };
        // A later run may still get there, so nothing is hopeless.
        verdict(met, || {
            let problem = set
                .problems
                .first()
                .map(|problem| format!("; {}", plain(problem)));
            format!(
                "its latest run is {}, {} held{}",
                or_dash(&set.run_state),
                set.holds,
                problem.unwrap_or_default()
            )
        })
    }

    pub(super) fn of_missing_set(&self) -> Verdict {
        verdict(*self == Self::Deleted, || "there is no such set".to_owned())
    }

    pub(super) fn of_app(&self, app: Option<&wire::Application>) -> Verdict {
        let Some(app) = app else {
            return verdict(*self == Self::Deleted, || {
                "there is no such application".to_owned()
            });
        };
        let met = match self {
            Self::Healthy => is_healthy(app),
            Self::Synced => app.synced && !app.tombstone,
            Self::Pinned => app.pin.is_some(),
            Self::Health(word) => health(app.health) == word,
            _ => false,
        };
        verdict(met, || app_in_words(app))
    }

    pub(super) fn of_cluster(&self, cluster: Option<&wire::Cluster>) -> Verdict {
        let Some(cluster) = cluster else {
            return Verdict::NotYet("there is no such cluster".to_owned());
        };
        let met = match self {
            Self::Connected => cluster.connected,
            Self::Disconnected => !cluster.connected,
            Self::Healthy => cluster.connected && health(cluster.health) == "Healthy",
            Self::Health(word) => health(cluster.health) == word,
            _ => false,
        };
        verdict(met, || {
            let agent = if cluster.connected {
                "connected"
            } else {
                "not connected"
            };
            format!(
                "its agent is {agent}, its health {}",
                health(cluster.health)
            )
        })
    }
}

/// Whether a set is healthy: each application it yields is there, and runs what the hub wants, well.
pub(super) fn all_healthy(set: &wire::ApplicationSet, apps: &[wire::Application]) -> Verdict {
    if apps.is_empty() {
        return Verdict::NotYet("it has no application yet".to_owned());
    }
    if apps.len() < set.applications as usize {
        return Verdict::NotYet(format!(
            "{} of its {} applications are there",
            apps.len(),
            set.applications
        ));
    }
    let ill: Vec<_> = apps.iter().filter(|app| !is_healthy(app)).collect();
    match ill.as_slice() {
        [] => Verdict::Met,
        [first, ..] => Verdict::NotYet(format!(
            "{} of {} applications are not healthy: {} is {}",
            ill.len(),
            apps.len(),
            plain(&first.name),
            app_in_words(first)
        )),
    }
}

fn is_healthy(app: &wire::Application) -> bool {
    app.synced && !app.tombstone && health(app.health) == "Healthy"
}

fn app_in_words(app: &wire::Application) -> String {
    let synced = if app.synced { "synced" } else { "not synced" };
    let problem = app
        .report
        .as_ref()
        .and_then(|report| report.problems.first());
    let problem = problem.map(|problem| format!(": {}", plain(&problem.message)));
    format!(
        "{synced} and {}{}",
        health(app.health),
        problem.unwrap_or_default()
    )
}

fn verdict(met: bool, instead: impl FnOnce() -> String) -> Verdict {
    if met {
        Verdict::Met
    } else {
        Verdict::NotYet(instead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(synced: bool, health: wire::Health) -> wire::Application {
        wire::Application {
            synced,
            health: health.into(),
            ..wire::Application::default()
        }
    }

    #[test]
    fn healthy_needs_the_hubs_last_word_and_a_healthy_report() {
        let met = |app: &wire::Application| Condition::Healthy.of_app(Some(app)) == Verdict::Met;
        assert!(met(&app(true, wire::Health::Healthy)));
        assert!(!met(&app(false, wire::Health::Healthy)));
        assert!(!met(&app(true, wire::Health::Unspecified)));
        assert!(!met(&app(true, wire::Health::Progressing)));
    }

    #[test]
    fn a_set_is_healthy_only_with_all_its_applications() {
        let set = wire::ApplicationSet {
            applications: 2,
            ..wire::ApplicationSet::default()
        };
        let well = app(true, wire::Health::Healthy);
        let is = |apps: &[wire::Application]| all_healthy(&set, apps) == Verdict::Met;
        assert!(!is(&[]));
        assert!(!is(std::slice::from_ref(&well)));
        assert!(is(&[well.clone(), well.clone()]));
        assert!(!is(&[well, app(true, wire::Health::Degraded)]));
    }

    #[test]
    fn an_ended_run_never_gets_anywhere_else() {
        let run = |state: &str, terminal| wire::Run {
            state: state.to_owned(),
            terminal,
            ..wire::Run::default()
        };
        let succeeded = Condition::Succeeded;
        assert_eq!(succeeded.of_run(&run("Succeeded", true)), Verdict::Met);
        assert!(matches!(
            succeeded.of_run(&run("Rolling", false)),
            Verdict::NotYet(_)
        ));
        assert!(matches!(
            succeeded.of_run(&run("Failed", true)),
            Verdict::Never(_)
        ));
        let paused = Condition::State("Paused".to_owned());
        assert_eq!(paused.of_run(&run("Paused", false)), Verdict::Met);
        assert!(matches!(
            paused.of_run(&run("Succeeded", true)),
            Verdict::Never(_)
        ));
        assert_eq!(
            Condition::Terminal.of_run(&run("Failed", true)),
            Verdict::Met
        );
    }

    #[test]
    fn gone_is_a_condition_only_where_it_is_asked_for() {
        assert_eq!(Condition::Deleted.of_app(None), Verdict::Met);
        assert!(matches!(
            Condition::Healthy.of_app(None),
            Verdict::NotYet(_)
        ));
        assert_eq!(Condition::Deleted.of_missing_set(), Verdict::Met);
        assert!(matches!(
            Condition::Succeeded.of_missing_set(),
            Verdict::NotYet(_)
        ));
    }
}
