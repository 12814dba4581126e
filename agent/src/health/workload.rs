//! Health of Deployment, `StatefulSet`, `DaemonSet` and `ReplicaSet`.

use super::{Assessment, View};

/// Whether the controller has not looked at the object at all yet.
fn unobserved(view: View<'_>) -> Option<Assessment> {
    view.integer("/status/observedGeneration")
        .is_none()
        .then(|| Assessment::progressing("its controller has not seen it yet"))
}

fn short(done: i64, wanted: i64, what: &str) -> Option<Assessment> {
    (done < wanted).then(|| Assessment::progressing(format!("{done} of {wanted} replicas {what}")))
}

pub(super) fn deployment(view: View<'_>) -> Assessment {
    if view.flag("/spec/paused") {
        return Assessment::suspended("the rollout is paused");
    }
    if let Some(wait) = unobserved(view) {
        return wait;
    }
    let progressing = view.condition("Progressing");
    if let Some(condition) = progressing
        && condition.reason() == "ProgressDeadlineExceeded"
    {
        return Assessment::degraded(condition.why());
    }
    let wanted = view.integer("/spec/replicas").unwrap_or(1);
    let updated = view.count("/status/updatedReplicas");
    let waiting = short(view.count("/status/replicas"), wanted, "exist")
        .or_else(|| short(updated, wanted, "are updated"))
        .or_else(|| {
            let old = view.count("/status/replicas") - updated;
            (old > 0).then(|| Assessment::progressing(format!("{old} old replicas still run")))
        })
        .or_else(|| short(view.count("/status/readyReplicas"), wanted, "are ready"))
        .or_else(|| {
            short(
                view.count("/status/availableReplicas"),
                wanted,
                "are available",
            )
        });
    if let Some(mut waiting) = waiting {
        if let Some(failure) = view.condition("ReplicaFailure").filter(|c| c.is_true()) {
            waiting.message = format!("{}; {}", waiting.message, failure.why());
        }
        return waiting;
    }
    match view.condition("Available") {
        Some(available) if available.is_true() => {}
        Some(available) => return Assessment::progressing(available.why()),
        None => return Assessment::progressing("its availability is not known yet"),
    }
    // Without a deadline the controller reports no progress.
    match progressing {
        Some(condition) if condition.reason() != "NewReplicaSetAvailable" => {
            Assessment::progressing(condition.why())
        }
        None if view.integer("/spec/progressDeadlineSeconds").is_some() => {
            Assessment::progressing("its progress is not known yet")
        }
        _ => Assessment::healthy(),
    }
}

pub(super) fn stateful_set(view: View<'_>) -> Assessment {
    if let Some(wait) = unobserved(view) {
        return wait;
    }
    if view.text("/spec/updateStrategy/type") == Some("OnDelete") {
        return Assessment::healthy();
    }
    let wanted = view.integer("/spec/replicas").unwrap_or(1);
    let existing = view.count("/status/replicas");
    if let Some(wait) = short(view.count("/status/readyReplicas"), wanted, "are ready") {
        return wait;
    }
    if existing > wanted {
        let surplus = existing - wanted;
        return Assessment::progressing(format!("{surplus} surplus replicas still run"));
    }
    if view.count("/spec/minReadySeconds") > 0
        && let Some(wait) = short(
            view.count("/status/availableReplicas"),
            wanted,
            "are available",
        )
    {
        return wait;
    }
    let partition = view.count("/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        let updated = view.count("/status/updatedReplicas");
        return short(updated, (wanted - partition).max(0), "are updated")
            .unwrap_or_else(Assessment::healthy);
    }
    if view.text("/status/currentRevision") != view.text("/status/updateRevision") {
        let updated = view.count("/status/updatedReplicas");
        return Assessment::progressing(format!("{updated} of {wanted} replicas are updated"));
    }
    Assessment::healthy()
}

pub(super) fn daemon_set(view: View<'_>) -> Assessment {
    // A fresh object wants 0 Pods until its controller has counted the nodes.
    if let Some(wait) = unobserved(view) {
        return wait;
    }
    if view.text("/spec/updateStrategy/type") == Some("OnDelete") {
        return Assessment::healthy();
    }
    let wanted = view.count("/status/desiredNumberScheduled");
    short(
        view.count("/status/currentNumberScheduled"),
        wanted,
        "are scheduled",
    )
    .or_else(|| {
        short(
            view.count("/status/updatedNumberScheduled"),
            wanted,
            "are updated",
        )
    })
    .or_else(|| short(view.count("/status/numberReady"), wanted, "are ready"))
    .or_else(|| {
        short(
            view.count("/status/numberAvailable"),
            wanted,
            "are available",
        )
    })
    .unwrap_or_else(Assessment::healthy)
}

pub(super) fn replica_set(view: View<'_>) -> Assessment {
    if let Some(wait) = unobserved(view) {
        return wait;
    }
    if let Some(failure) = view.condition("ReplicaFailure").filter(|c| c.is_true()) {
        return Assessment::degraded(failure.why());
    }
    let wanted = view.integer("/spec/replicas").unwrap_or(1);
    short(
        view.count("/status/availableReplicas"),
        wanted,
        "are available",
    )
    .unwrap_or_else(Assessment::healthy)
}
