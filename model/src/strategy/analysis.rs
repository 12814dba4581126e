//! What is measured while a wave soaks, and what the answers mean.
//!
//! Owns the document of an analysis and of its conditions. Never measures and never judges a sample:
//! the hub asks the provider, `tidegate-waves` judges.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::duration::Span;

/// One analysis of a wave: where to ask, what passes, how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Analysis {
    /// Unique in the wave.
    pub name: String,
    /// A query of a Prometheus server; exactly one of this and `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// A number in a JSON document; exactly one of this and `prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A value that it holds of passes. Without it, whatever `fail` does not hold of passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Condition>,
    /// A value that it holds of fails. Without it, whatever `pass` does not hold of fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Condition>,
    /// From the beginning of the soak to the first sample, and from one to the next.
    #[serde(default = "one_minute")]
    pub interval: Span,
    /// So many samples must pass before the wave is done.
    #[serde(default = "one")]
    pub count: u32,
    /// More samples than this that say nothing, and the run waits for a person.
    #[serde(default)]
    pub inconclusive_limit: u32,
}

fn one_minute() -> Span {
    Span::secs(60)
}

fn one() -> u32 {
    1
}

/// An instant query of a Prometheus server that gives one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusQuery {
    /// Its URL, without `/api/v1/query`.
    pub server: String,
    /// `PromQL`.
    pub query: String,
}

/// A document that is asked for with GET, and where in it the number is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpCheck {
    /// Its URL.
    pub url: String,
    /// A JSON pointer (RFC 6901); empty for the document itself.
    #[serde(default)]
    pub value: String,
}

/// What a value is compared with, written as `< 0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// How.
    pub comparator: Comparator,
    /// With what; always finite.
    pub bound: f64,
}

// The bound is finite, so it equals itself.
impl Eq for Condition {}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparator {
    /// The longer of two that begin alike comes first.
    const ALL: [Self; 6] = [
        Self::AtMost,
        Self::AtLeast,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::Greater,
    ];

    const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// Why a text is not a condition.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not a condition; write a comparator (<, <=, >, >=, == or !=) and a number, for example \"< 0.01\""
)]
pub struct ParseConditionError(String);

impl Condition {
    /// Reads `< 0.01`.
    pub fn parse(text: &str) -> Result<Self, ParseConditionError> {
        let wrong = || ParseConditionError(text.chars().take(40).collect());
        let mut all = Comparator::ALL.into_iter();
        let (comparator, rest) = all
            .find_map(|one| Some((one, text.trim().strip_prefix(one.sign())?)))
            .ok_or_else(wrong)?;
        let bound: f64 = rest.trim().parse().map_err(|_| wrong())?;
        if bound.is_finite() {
            Ok(Self { comparator, bound })
        } else {
            Err(wrong())
        }
    }

    /// Whether it holds of a value; it holds of no NaN.
    #[expect(clippy::float_cmp, reason = "== and != are what the user wrote")]
    pub fn holds(self, value: f64) -> bool {
        let bound = self.bound;
        match self.comparator {
            Comparator::Less => value < bound,
            Comparator::AtMost => value <= bound,
            Comparator::Greater => value > bound,
            Comparator::AtLeast => value >= bound,
            Comparator::Equal => value == bound,
            Comparator::NotEqual => !value.is_nan() && value != bound,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparator.sign(), self.bound)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_comparator_and_a_finite_number() {
        for (text, below, at, above) in [
            ("< 0.5", true, false, false),
            ("<= 0.5", true, true, false),
            ("> 0.5", false, false, true),
            (">= 0.5", false, true, true),
            ("== 0.5", false, true, false),
            ("!= 0.5", true, false, true),
        ] {
            let condition = Condition::parse(text).unwrap();
            assert_eq!(condition.to_string(), text);
            let holds = [0.4, 0.5, 0.6].map(|value| condition.holds(value));
            assert_eq!(holds, [below, at, above], "{text}");
            assert!(!condition.holds(f64::NAN), "{text}");
            let written = serde_json::to_string(&condition).unwrap();
            assert_eq!(
                serde_json::from_str::<Condition>(&written).unwrap(),
                condition
            );
        }
        let tight = Condition::parse(" >=-1e3 ").unwrap();
        assert_eq!(tight.to_string(), ">= -1000");
        for bad in [
            "", "0.5", "<", "< x", "= 1", "=< 1", "< NaN", "> inf", "< 1e999", "< 1 s",
        ] {
            let told = Condition::parse(bad).unwrap_err().to_string();
            assert!(told.contains("for example \"< 0.01\""), "{told}");
        }
    }

    #[test]
    fn the_defaults_are_one_sample_after_a_minute_and_none_without_an_answer() {
        let text = r#"{"name": "errors", "http": {"url": "http://m/"}, "pass": "< 1"}"#;
        let analysis: Analysis = serde_json::from_str(text).unwrap();
        let numbers = (
            analysis.interval,
            analysis.count,
            analysis.inconclusive_limit,
        );
        assert_eq!(numbers, (Span::secs(60), 1, 0));
        for bad in [
            r#"{"name": "errors", "headers": {}}"#,
            r#"{"name": "errors", "http": {"url": "http://m/", "token": "t"}}"#,
            r#"{"name": "errors", "prometheus": {"query": "up"}}"#,
            r#"{"name": "errors", "pass": 0.5}"#,
        ] {
            assert!(serde_json::from_str::<Analysis>(bad).is_err(), "{bad}");
        }
    }
}
