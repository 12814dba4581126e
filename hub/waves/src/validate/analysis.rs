//! Analyses of a wave, on their own.

use std::collections::BTreeSet;

use tidegate_model::strategy::{Analysis, HttpCheck, PrometheusQuery, Wave};
use url::Url;

use super::Found;

/// More than this would make a run's header large, and nobody reads so many.
const MOST: usize = 10;
/// The most samples that a wave may ask for.
const MOST_SAMPLES: u32 = 100;

pub(super) fn check(index: usize, wave: &Wave, found: &mut Found) {
    let all = &wave.analysis;
    if all.len() > MOST {
        let problem = format!(
            "{} analyses are too many; keep {MOST} that matter",
            all.len()
        );
        found.wave(index, wave, "analysis", &problem);
    }
    let least = wave.soak.min_samples;
    if least > MOST_SAMPLES {
        let problem = format!("it must be at most {MOST_SAMPLES}");
        found.wave(index, wave, "soak.minSamples", &problem);
    }
    if least > 0 && all.is_empty() {
        let problem = "the wave has no analysis that could give a sample; add one, or leave it out";
        found.wave(index, wave, "soak.minSamples", problem);
    }
    let mut names = BTreeSet::new();
    for (n, analysis) in all.iter().enumerate() {
        let mut problems = problems(analysis);
        if !names.insert(analysis.name.as_str()) {
            let problem = "another analysis of the wave has this name; rename one of them";
            problems.push(("name", problem.to_owned()));
        }
        for (field, problem) in problems {
            let dot = if field.is_empty() { "" } else { "." };
            found.wave(index, wave, &format!("analysis[{n}]{dot}{field}"), &problem);
        }
    }
}

/// What is wrong with one analysis, by field.
pub(super) fn problems(analysis: &Analysis) -> Problems {
    let mut problems = Vec::new();
    let mut say = |field, problem: &str| problems.push((field, problem.to_owned()));
    if analysis.name.trim().is_empty() {
        say(
            "name",
            "it is empty; name what is measured, for example error-rate",
        );
    }
    check_provider(
        analysis.prometheus.as_ref(),
        analysis.http.as_ref(),
        &mut say,
    );
    if analysis.pass.is_none() && analysis.fail.is_none() {
        say(
            "",
            "it has neither pass nor fail; write what is good, for example pass: \"< 0.01\"",
        );
    }
    if analysis.pass.is_some() && analysis.pass == analysis.fail {
        say("fail", "it is what pass says; nothing would ever pass");
    }
    if analysis.interval.0.as_secs() == 0 {
        say("interval", "it must be at least 1s");
    }
    if !(1..=MOST_SAMPLES).contains(&analysis.count) {
        let problem = format!("it must be between 1 and {MOST_SAMPLES}");
        say("count", &problem);
    }
    problems
}

/// What is wrong, by field.
pub(super) type Problems = Vec<(&'static str, String)>;

/// Exactly one of the two, and that one as it should be.
pub(super) fn check_provider(
    prometheus: Option<&PrometheusQuery>,
    http: Option<&HttpCheck>,
    say: &mut impl FnMut(&'static str, &str),
) {
    match (prometheus, http) {
        (Some(query), None) => check_prometheus(query, say),
        (None, Some(check)) => check_http(check, say),
        (Some(_), Some(_)) => say("", "it has both prometheus and http; keep one"),
        (None, None) => say("", "it has neither prometheus nor http; write one of them"),
    }
}

fn check_prometheus(query: &PrometheusQuery, say: &mut impl FnMut(&'static str, &str)) {
    match url(&query.server) {
        Err(problem) => say("prometheus.server", &problem),
        Ok(url) if url.query().is_some() => say(
            "prometheus.server",
            "it has a query string; write the server's address only, and what is asked under query",
        ),
        Ok(_) => {}
    }
    if query.query.trim().is_empty() {
        say(
            "prometheus.query",
            "it is empty; write an expression that gives one number",
        );
    }
}

fn check_http(check: &HttpCheck, say: &mut impl FnMut(&'static str, &str)) {
    if let Err(problem) = url(&check.url) {
        say("http.url", &problem);
    }
    if !is_pointer(&check.value) {
        say(
            "http.value",
            "it is not a JSON pointer; write /data/0/value (~1 stands for / and ~0 for ~), or \
             leave it out for the document itself",
        );
    }
}

pub(super) fn url(text: &str) -> Result<Url, String> {
    let example = "write it as http://prometheus.monitoring:9090";
    let url = Url::parse(text).map_err(|error| format!("it is not a URL ({error}); {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "its scheme is {}, not http or https; {example}",
            url.scheme()
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Never repeated: it holds a secret.
        return Err(
            "it holds a user or a password, which everybody who reads the set would see; remove \
             it: credentials for providers are not supported yet"
                .to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("it has a fragment (#), which no server is sent; remove it".to_owned());
    }
    Ok(url)
}

/// RFC 6901: empty, or tokens that each begin with a slash, with ~ before 0 and 1 only.
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/'))
        && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
}
