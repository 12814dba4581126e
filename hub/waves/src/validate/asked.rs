//! Gates of a wave that somebody is asked about, on their own.

use std::collections::BTreeSet;

use tidegate_model::strategy::{AlarmClear, Gate, Wave, Webhook};

use super::{
    Found,
    analysis::{self, Problems},
};

/// More than this nobody reads, and each is asked again and again.
const MOST: usize = 10;

pub(super) fn check(index: usize, wave: &Wave, found: &mut Found) {
    for (list, gates) in [
        ("gates.before", &wave.gates.before),
        ("gates.after", &wave.gates.after),
    ] {
        let mut names = BTreeSet::new();
        let asked = gates.iter().enumerate();
        let asked = asked.filter_map(|(place, gate)| Some((place, gate, gate.asked()?)));
        for (place, gate, name) in asked {
            let (kind, mut problems) = problems(gate);
            if !names.insert(name) {
                let problem = "another gate of the list has this name; rename one of them";
                problems.push(("name", problem.to_owned()));
            }
            for (field, problem) in problems {
                let dot = if field.is_empty() { "" } else { "." };
                let field = format!("{list}[{place}].{kind}{dot}{field}");
                found.wave(index, wave, &field, &problem);
            }
        }
        if names.len() > MOST {
            let problem = format!("{} are asked; keep {MOST} that matter", names.len());
            found.wave(index, wave, list, &problem);
        }
    }
}

fn problems(gate: &Gate) -> (&'static str, Problems) {
    match gate {
        Gate::AlarmClear(alarm) => ("alarmClear", of_alarm(alarm)),
        Gate::Webhook(webhook) => ("webhook", of_webhook(webhook)),
        Gate::Analysis(spec) => {
            let mut problems = analysis::problems(spec);
            if spec.count > 1 {
                let problem = "at a gate one sample that passes is enough; leave it out, or measure \
                               while the wave soaks";
                problems.push(("count", problem.to_owned()));
            }
            if spec.inconclusive_limit > 0 {
                let problem = "a gate waits for a sample that passes, whatever the others say; leave \
                               it out";
                problems.push(("inconclusiveLimit", problem.to_owned()));
            }
            ("analysis", problems)
        }
        Gate::Approval(_) | Gate::Window(_) => ("", Vec::new()),
    }
}

fn of_alarm(alarm: &AlarmClear) -> Problems {
    let mut problems = Vec::new();
    let mut say = |field, problem: &str| problems.push((field, problem.to_owned()));
    if alarm.name.trim().is_empty() {
        say(
            "name",
            "it is empty; name the alarm, for example high-errors",
        );
    }
    analysis::check_provider(alarm.prometheus.as_ref(), alarm.http.as_ref(), &mut say);
    match (&alarm.http, alarm.fires) {
        (Some(_), None) => say(
            "fires",
            "it is missing; write for which numbers the alarm fires, for example \"> 0\"",
        ),
        (None, Some(_)) => say(
            "fires",
            "a query fires while it gives a series; compare in the query, and leave it out",
        ),
        _ => {}
    }
    if alarm.interval.0.as_secs() == 0 {
        say("interval", "it must be at least 1s");
    }
    problems
}

fn of_webhook(webhook: &Webhook) -> Problems {
    let mut problems = Vec::new();
    let mut say = |field, problem: &str| problems.push((field, problem.to_owned()));
    if webhook.name.trim().is_empty() {
        say(
            "name",
            "it is empty; name who is asked, for example change-board",
        );
    }
    if let Err(problem) = analysis::url(&webhook.url) {
        say("url", &problem);
    }
    if webhook.interval.0.as_secs() == 0 {
        say("interval", "it must be at least 1s");
    }
    problems
}
