//! Health of one live object: pure rules by kind.
//!
//! Owns: which of the six words a live object deserves now, why, and when to look again. Base is
//! the kstatus convention with the per-kind rules of facts "agent-reconcile" 1.7;
//! `observedGeneration` always comes first, so a status of old content is never evidence. Never
//! fetches anything: what a rule needs besides the object is in [`Context`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_model::{health::Health, object::split_api_version};

mod batch;
mod generic;
mod infrastructure;
mod pod;
mod workload;

/// Annotation by which a manifest takes its object out of health: `ignore`.
pub const ANNOTATION_HEALTH: &str = "tidegate.dev/health";

/// How long a state that often mends itself (no node fits, metrics lag, not ready, terminating)
/// counts as progress before it counts as failure.
const GRACE: Duration = Duration::from_mins(5);

/// What a rule may use besides the object.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Wall time, compared with times the API server wrote into the object.
    pub now: Timestamp,
    /// `metadata.generation` that our apply produced; an older object says nothing.
    pub applied_generation: Option<i64>,
    /// Whether the storage class of this claim binds only when a Pod uses it.
    pub wait_for_first_consumer: bool,
}

/// What is to be said about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The word.
    pub health: Health,
    /// Why, for a person; empty when healthy.
    pub message: String,
    /// When the same object can deserve another word just because time went on.
    pub recheck: Option<Timestamp>,
}

impl Assessment {
    fn new(health: Health, message: impl Into<String>) -> Self {
        Self {
            health,
            message: message.into(),
            recheck: None,
        }
    }

    fn healthy() -> Self {
        Self::new(Health::Healthy, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(Health::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(Health::Degraded, message)
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(Health::Suspended, message)
    }

    /// Progress until [`GRACE`] after `since`, then failure.
    fn graced(since: Option<Timestamp>, now: Timestamp, message: impl Into<String>) -> Self {
        let end = since.and_then(|since| {
            since
                .checked_add(SignedDuration::try_from(GRACE).unwrap_or_default())
                .ok()
        });
        match end {
            Some(end) if now < end => Self {
                recheck: Some(end),
                ..Self::progressing(message)
            },
            _ => Self::degraded(message),
        }
    }
}

/// The health of `object` as it is in the cluster.
pub fn assess(object: &Value, context: &Context) -> Assessment {
    let view = View(object);
    if view.annotation(ANNOTATION_HEALTH) == Some("ignore") {
        return Assessment::healthy();
    }
    let (group, _) = split_api_version(view.text("/apiVersion").unwrap_or_default());
    let kind = view.text("/kind").unwrap_or_default();
    if let Some(since) = view.text("/metadata/deletionTimestamp") {
        if (group, kind) == ("", "Namespace") {
            return infrastructure::namespace(view);
        }
        return Assessment::graced(since.parse().ok(), context.now, view.terminating());
    }
    if let Some(lag) = generation_lag(view, context) {
        return Assessment::progressing(lag);
    }
    match (group, kind) {
        ("apps", "Deployment") => workload::deployment(view),
        ("apps", "StatefulSet") => workload::stateful_set(view),
        ("apps", "DaemonSet") => workload::daemon_set(view),
        ("apps", "ReplicaSet") => workload::replica_set(view),
        ("", "Pod") => pod::pod(view, context),
        ("batch", "Job") => batch::job(view),
        ("" | "batch", "CronJob") | ("networking.k8s.io" | "extensions", "Ingress") => {
            Assessment::healthy()
        }
        ("", "PersistentVolumeClaim") => infrastructure::claim(view, context),
        ("", "Service") => infrastructure::service(view),
        ("", "Namespace") => infrastructure::namespace(view),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => infrastructure::definition(view),
        ("autoscaling", "HorizontalPodAutoscaler") => infrastructure::autoscaler(view, context),
        ("policy", "PodDisruptionBudget") => infrastructure::disruption_budget(view),
        ("apiregistration.k8s.io", "APIService") => infrastructure::api_service(view),
        _ => generic::custom(view, context),
    }
}

/// Says so if the object or its status is older than what was applied.
fn generation_lag(view: View<'_>, context: &Context) -> Option<String> {
    let generation = view.integer("/metadata/generation")?;
    if let Some(applied) = context.applied_generation
        && generation < applied
    {
        return Some(format!(
            "seen at generation {generation}, {applied} was applied"
        ));
    }
    let observed = view.integer("/status/observedGeneration")?;
    (observed < generation)
        .then(|| format!("its controller has seen generation {observed} of {generation}"))
}

/// Read access to an object's fields by JSON pointer.
#[derive(Clone, Copy)]
struct View<'a>(&'a Value);

impl<'a> View<'a> {
    fn text(self, pointer: &str) -> Option<&'a str> {
        self.0.pointer(pointer)?.as_str()
    }

    /// A whole number; some controllers write it as text.
    fn integer(self, pointer: &str) -> Option<i64> {
        let value = self.0.pointer(pointer)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// A counter that controllers leave out when it is zero.
    fn count(self, pointer: &str) -> i64 {
        self.integer(pointer).unwrap_or_default()
    }

    fn flag(self, pointer: &str) -> bool {
        self.0.pointer(pointer).and_then(Value::as_bool) == Some(true)
    }

    fn list(self, pointer: &str) -> &'a [Value] {
        let list = self.0.pointer(pointer).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    fn annotation(self, name: &str) -> Option<&'a str> {
        self.0.pointer("/metadata/annotations")?.get(name)?.as_str()
    }

    fn condition(self, kind: &str) -> Option<Condition<'a>> {
        let found =
            |condition: &&Value| condition.get("type").and_then(Value::as_str) == Some(kind);
        self.list("/status/conditions")
            .iter()
            .find(found)
            .map(Condition)
    }

    fn terminating(self) -> String {
        let finalizers: Vec<_> = self
            .list("/metadata/finalizers")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if finalizers.is_empty() {
            "it is being deleted".to_owned()
        } else {
            format!(
                "it is being deleted and waits for {}",
                finalizers.join(", ")
            )
        }
    }
}

/// One entry of `status.conditions`.
#[derive(Clone, Copy)]
struct Condition<'a>(&'a Value);

impl<'a> Condition<'a> {
    fn text(self, field: &str) -> &'a str {
        self.0
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn is_true(self) -> bool {
        self.text("status") == "True"
    }

    fn is_false(self) -> bool {
        self.text("status") == "False"
    }

    fn reason(self) -> &'a str {
        self.text("reason")
    }

    fn since(self) -> Option<Timestamp> {
        self.text("lastTransitionTime").parse().ok()
    }

    /// `reason: message`, as far as there is any.
    fn why(self) -> String {
        match (self.reason(), self.text("message")) {
            ("", "") => format!("{} is {}", self.text("type"), self.text("status")),
            (reason, "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
