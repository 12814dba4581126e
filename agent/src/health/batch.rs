//! Health of a Job.

use super::{Assessment, View};

/// Only a condition whose status is True counts: a resumed Job keeps `Suspended=False`.
pub(super) fn job(view: View<'_>) -> Assessment {
    let holds = |kind: &str| view.condition(kind).filter(|condition| condition.is_true());
    if let Some(failed) = holds("Failed") {
        return Assessment::degraded(failed.why());
    }
    if holds("Complete").is_some() {
        return Assessment::healthy();
    }
    if view.flag("/spec/suspend") || holds("Suspended").is_some() {
        return Assessment::suspended("the Job is suspended");
    }
    // The outcome is decided, its Pods still end.
    if let Some(ending) = holds("FailureTarget").or_else(|| holds("SuccessCriteriaMet")) {
        return Assessment::progressing(ending.why());
    }
    let done = view.count("/status/succeeded");
    let wanted = view.integer("/spec/completions").unwrap_or(1);
    Assessment::progressing(format!("{done} of {wanted} completions"))
}
