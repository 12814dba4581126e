//! What a provider's answer says.
//!
//! Pure. Owns which answer is one number: one series of a vector or a scalar, and a number in a JSON
//! document. Everything else is a reason why there is none. Never judges the number: NaN is one here.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use tidegate_waves::Outcome;

/// What Prometheus answers to `/api/v1/query`.
#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
}

/// By kind of result; times are left out.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Point),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    /// Its labels.
    #[serde(default)]
    metric: serde_json::Map<String, Value>,
    /// Absent for native histograms.
    value: Option<Point>,
}

/// Time and value; Prometheus writes the value as text because JSON has no NaN.
#[derive(Deserialize)]
struct Point(IgnoredAny, String);

/// How many series a query gives, and of the first few what they are called.
pub(super) fn of_alarm(status: u16, body: &[u8]) -> Outcome {
    match data(status, body)? {
        Data::Vector(all) => {
            let named = all.iter().filter_map(Series::name).take(NAMED);
            let named: Vec<_> = named.collect();
            let gap = if named.is_empty() { "" } else { " " };
            Ok(format!("{}{gap}{}", all.len(), named.join(", ")))
        }
        Data::Scalar(_) => Err(
            "the query gives a number, not series; compare in the query, for example \
             up{job=\"web\"} == 0"
                .to_owned(),
        ),
        Data::Matrix(_) => Err(RANGE.to_owned()),
        Data::String(_) => Err("the query gives a text, not series".to_owned()),
    }
}

/// A webhook's yes, with its first words; anything else than 2xx is a no.
pub(super) fn of_webhook(status: u16, body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(body);
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words
        .chars()
        .filter(|c| !c.is_control())
        .take(WORDS)
        .collect();
    let gap = if words.is_empty() { "" } else { ": " };
    let told = format!("HTTP {status}{gap}{words}");
    if is_success(status) {
        Ok(told)
    } else {
        Err(told)
    }
}

/// Series that are named, and characters that are kept of a webhook's answer.
const NAMED: usize = 3;
const WORDS: usize = 200;

impl Series {
    /// The alert's name where it has one, or its labels.
    fn name(&self) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(name) = self.metric.get("alertname").and_then(text) {
            return Some(name);
        }
        let labels = self.metric.iter().filter(|(name, _)| *name != "__name__");
        let labels = labels.filter_map(|(name, value)| Some(format!("{name}={}", text(value)?)));
        let labels: Vec<_> = labels.take(NAMED).collect();
        (!labels.is_empty()).then(|| labels.join(" "))
    }
}

const RANGE: &str = "the query gives a range, not one value; take the [range] off";

fn data(status: u16, body: &[u8]) -> Result<Data, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        if is_success(status) {
            format!("the answer is not Prometheus': {error}")
        } else {
            format!("HTTP {status}")
        }
    })?;
    if answer.status != "success" || !is_success(status) {
        let Answer {
            error_type, error, ..
        } = answer;
        return Err(format!("HTTP {status}: {error_type}: {error}"));
    }
    answer
        .data
        .ok_or_else(|| "the answer has no data".to_owned())
}

pub(super) fn of_prometheus(status: u16, body: &[u8]) -> Outcome {
    match data(status, body)? {
        Data::Vector(mut all) => match (all.pop(), all.len()) {
            (None, _) => Err("the query gives no series".to_owned()),
            (Some(one), 0) => one
                .value
                .map(|Point(_, value)| value)
                .ok_or_else(|| "the series is a histogram, not a number".to_owned()),
            (Some(_), more) => Err(format!(
                "the query gives {} series, not one; aggregate them, for example with sum()",
                more + 1
            )),
        },
        Data::Scalar(Point(_, value)) => Ok(value),
        Data::Matrix(_) => Err(RANGE.to_owned()),
        Data::String(_) => Err("the query gives a text, not a number".to_owned()),
    }
}

pub(super) fn of_document(status: u16, body: &[u8], pointer: &str) -> Outcome {
    if !is_success(status) {
        return Err(format!("HTTP {status}"));
    }
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let place = if pointer.is_empty() {
        "the document".to_owned()
    } else {
        format!("what is at {pointer}")
    };
    match document.pointer(pointer) {
        None => Err(format!("the document has nothing at {pointer}")),
        Some(Value::Number(number)) => Ok(number.to_string()),
        // Of a text nothing is told but that it is none: it may be anything.
        Some(Value::String(text)) if text.trim().parse::<f64>().is_ok() => Ok(text.clone()),
        Some(other) => Err(format!("{place} is {}, not a number", kind(other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
