//! Gates that the hub asks somebody else about: an alarm, a webhook.
//!
//! Owns their documents. Never asks and never judges: the hub asks, `tidegate-waves` judges.

use serde::{Deserialize, Serialize};

use super::{Condition, Gate, HttpCheck, PrometheusQuery};
use crate::duration::Span;

/// The wave waits while an alarm fires, or while nobody knows whether it does (facts/promotion.md
/// §2.4, 25).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlarmClear {
    /// Unique among the gates of its list.
    pub name: String,
    /// The alarm fires while this query gives a series, as an alerting rule does; exactly one of
    /// this and `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// A number in a JSON document; exactly one of this and `prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// The alarm fires while this holds of the number; with `http` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires: Option<Condition>,
    /// How often it is asked while the run stands at the gate.
    #[serde(default = "half_a_minute")]
    pub interval: Span,
}

/// The wave waits until somebody's service lets it through: the hub sends a POST with what it is about,
/// and any answer of the class 2xx is a yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Unique among the gates of its list.
    pub name: String,
    /// Where the POST goes. No redirect is followed.
    pub url: String,
    /// How often it is asked while the run stands at the gate.
    #[serde(default = "half_a_minute")]
    pub interval: Span,
}

fn half_a_minute() -> Span {
    Span::secs(30)
}

impl Gate {
    /// Its name, if it is one that the hub asks somebody about.
    pub fn asked(&self) -> Option<&str> {
        match self {
            Self::AlarmClear(alarm) => Some(&alarm.name),
            Self::Webhook(webhook) => Some(&webhook.name),
            Self::Analysis(analysis) => Some(&analysis.name),
            Self::Approval(_) | Self::Window(_) => None,
        }
    }

    /// How often it is asked; zero for one that is not.
    pub fn interval(&self) -> Span {
        match self {
            Self::AlarmClear(alarm) => alarm.interval,
            Self::Webhook(webhook) => webhook.interval,
            Self::Analysis(analysis) => analysis.interval,
            Self::Approval(_) | Self::Window(_) => Span::default(),
        }
    }
}
