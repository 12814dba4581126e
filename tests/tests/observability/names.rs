//! What is exposed, and what docs/observability.md says is exposed; and the Prometheus guide on names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What is known of a metric: its type, its labels, its help text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
    unit: String,
    samples: BTreeSet<String>,
}

/// Reads what a process exposes.
pub(crate) fn exposed(text: &str) -> BTreeMap<String, Metric> {
    let mut all: BTreeMap<String, Metric> = BTreeMap::new();
    let mut current = String::new();
    let body = text.split_once("\r\n\r\n").map_or(text, |(_, body)| body);
    for line in body.lines().filter(|line| *line != "# EOF") {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        let ["#", what, name, rest] = words[..] else {
            let (name, labels) = sample(line);
            assert!(name.starts_with(&current), "{line} is not of {current}");
            let metric = all.entry(current.clone()).or_default();
            metric.labels.extend(labels);
            metric.samples.insert(name[current.len()..].to_owned());
            continue;
        };
        name.clone_into(&mut current);
        let metric = all.entry(current.clone()).or_default();
        match what {
            "HELP" => rest.clone_into(&mut metric.help),
            "TYPE" => rest.clone_into(&mut metric.kind),
            "UNIT" => rest.clone_into(&mut metric.unit),
            _ => {}
        }
    }
    all
}

/// Name and labels of a sample; the bound of a bucket is no label of the metric.
fn sample(line: &str) -> (String, Vec<String>) {
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let labels = line[end..]
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'));
    let labels = labels.map_or("", |(labels, _)| labels);
    let keys = labels
        .split("\",")
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, _)| key.to_owned())
        .filter(|key| key != "le");
    (line[..end].to_owned(), keys.collect())
}

/// Reads the tables of the document: name, type, labels.
pub(crate) fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, what, _] = cells[..] else {
            return None;
        };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let known = ["counter", "gauge", "histogram", "info"];
        if !known.contains(&kind) {
            return None;
        }
        assert!(!what.is_empty(), "{name} is not explained");
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty());
        let labels = labels.map(str::to_owned).collect();
        Some((name.to_owned(), (kind.to_owned(), labels)))
    });
    rows.collect()
}

/// What a metric does against the guide (prometheus.io, "Metric and label naming").
pub(crate) fn faults(name: &str, metric: &Metric) -> Vec<String> {
    let faults = of_name(name, metric)
        .into_iter()
        .chain(of_text(metric))
        .filter(|(wrong, _)| *wrong);
    faults
        .map(|(_, what)| format!("{name} ({metric:?}): {what}"))
        .collect()
}

fn of_name(name: &str, metric: &Metric) -> Vec<(bool, &'static str)> {
    let ours = ["tidegate_hub_", "tidegate_agent_", "process_"];
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words: Vec<_> = name.split('_').collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let last = words.last().copied().unwrap_or_default();
    let based = ["seconds", "bytes"].contains(&last);
    let other_units = [
        "ms",
        "milliseconds",
        "millis",
        "minutes",
        "hours",
        "kb",
        "mb",
        "kilobytes",
        "percent",
        "bits",
    ];
    let measures = [
        "duration",
        "delay",
        "size",
        "memory",
        "timestamp",
        "age",
        "time",
    ];
    // The text format adds these to the name of the metric itself.
    let added = ["total", "sum", "count", "bucket", "info"];
    vec![
        (
            !ours.iter().any(|prefix| name.starts_with(prefix)),
            "its prefix",
        ),
        (!name.chars().all(plain), "letters of its name"),
        (has(&other_units), "not a base unit"),
        (added.contains(&last), "a suffix that its type adds"),
        (has(&measures) && !based, "no unit"),
        (metric.kind == "histogram" && !based, "no unit"),
        (based && metric.unit != last, "its unit is not declared"),
    ]
}

fn of_text(metric: &Metric) -> Vec<(bool, &'static str)> {
    let suffixes: Vec<_> = metric.samples.iter().map(String::as_str).collect();
    let expected: &[&str] = match metric.kind.as_str() {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_count", "_sum"],
        "info" => &["_info"],
        "gauge" => &[""],
        _ => &["no such type"],
    };
    let few = [
        "version", "health", "state", "outcome", "method", "code", "action", "reason",
    ];
    let many = |label: &String| !few.contains(&label.as_str());
    let sentence = metric.help.starts_with(|c: char| c.is_ascii_uppercase());
    vec![
        (
            suffixes != expected,
            "its samples are not those of its type",
        ),
        (!sentence || metric.help.len() < 10, "its help text"),
        (
            metric.labels.iter().any(many),
            "a label that can have many values",
        ),
    ]
}

/// Holds that what is exposed is documented, with type and labels, and the other way round; and
/// that all of it follows the guide.
pub(crate) fn hold(texts: &[String]) {
    let mut all: BTreeMap<String, Metric> = BTreeMap::new();
    for text in texts {
        let openly = "content-type: application/openmetrics-text; version=1.0.0";
        assert!(text.contains(openly), "{text}");
        all.extend(exposed(text));
    }
    let faults: Vec<_> = all
        .iter()
        .flat_map(|(name, metric)| faults(name, metric))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let all: BTreeMap<_, _> = all
        .into_iter()
        .map(|(name, metric)| (name, (metric.kind, metric.labels)))
        .collect();
    let documented = documented();
    let differs: Vec<_> = all
        .keys()
        .chain(documented.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|name| all.get(*name) != documented.get(*name))
        .map(|name| {
            let (found, told) = (all.get(name), documented.get(name));
            format!("{name}: exposed {found:?}, documented {told:?}")
        })
        .collect();
    assert!(differs.is_empty(), "{}", differs.join("\n"));
}

#[test]
fn the_guide_finds_what_is_wrong() {
    let good = "# HELP tidegate_hub_work_duration_seconds Time of work.\n\
        # TYPE tidegate_hub_work_duration_seconds histogram\n\
        # UNIT tidegate_hub_work_duration_seconds seconds\n\
        tidegate_hub_work_duration_seconds_sum 1\n\
        tidegate_hub_work_duration_seconds_count 1\n\
        tidegate_hub_work_duration_seconds_bucket{le=\"+Inf\",method=\"a,b\"} 1\n";
    let faults_of = |text: &str| {
        let all = exposed(text);
        let faults = all.iter().flat_map(|(name, metric)| faults(name, metric));
        faults.collect::<Vec<_>>()
    };
    assert_eq!(faults_of(good), Vec::<String>::new());
    for (from, to) in [
        ("tidegate_hub_", "hub_"),
        ("_duration_seconds", "_duration_milliseconds"),
        ("_duration_seconds", "_duration"),
        ("Time of work.", "time"),
        ("method", "application"),
        ("histogram", "gauge"),
        (
            "UNIT tidegate_hub_work_duration_seconds seconds",
            "UNIT tidegate_hub_work_duration_seconds bytes",
        ),
    ] {
        let bad = good.replace(from, to);
        assert!(!faults_of(&bad).is_empty(), "{bad}");
    }
}
