//! Health of kinds that nobody wrote a rule for, from the standard conditions.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Assessment, Context, View};

/// How long a new object with a status but no condition is given to get one.
const FIRST_CONDITION: Duration = Duration::from_secs(10);

pub(super) fn custom(view: View<'_>, context: &Context) -> Assessment {
    let holds = |kind: &str| view.condition(kind).filter(|condition| condition.is_true());
    if let Some(stalled) = holds("Stalled") {
        return Assessment::degraded(stalled.why());
    }
    if let Some(reconciling) = holds("Reconciling") {
        return Assessment::progressing(reconciling.why());
    }
    match view
        .condition("Ready")
        .or_else(|| view.condition("Available"))
    {
        Some(ready) if ready.is_true() => Assessment::healthy(),
        Some(ready) if ready.is_false() => {
            Assessment::graced(ready.since(), context.now, ready.why())
        }
        Some(ready) => Assessment::progressing(ready.why()),
        None => match first_condition_due(view) {
            Some(due) if context.now < due => Assessment {
                recheck: Some(due),
                ..Assessment::progressing("it has no condition yet")
            },
            _ => Assessment::healthy(),
        },
    }
}

/// Until when the first condition may come; `None` if none is to be expected: the object has no
/// status, so perhaps no controller at all, or has conditions of its own names.
fn first_condition_due(view: View<'_>) -> Option<Timestamp> {
    let status = view.0.get("status")?.as_object()?;
    if status.contains_key("conditions") && !view.list("/status/conditions").is_empty() {
        return None;
    }
    let created: Timestamp = view.text("/metadata/creationTimestamp")?.parse().ok()?;
    created
        .checked_add(SignedDuration::try_from(FIRST_CONDITION).ok()?)
        .ok()
}
