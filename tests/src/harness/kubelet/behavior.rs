//! What the fake kubelet does with a Pod, as a function.
//!
//! Owns the rules: when a Pod is bound, becomes ready, crash-loops, flaps, ends
//! or goes. Time comes in as ages. It talks to nobody.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{NODE, Script};

/// Time between two restarts of a crash-looping container.
const CRASH_PERIOD: Duration = Duration::from_secs(1);

/// What a Pod's status says, or shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PodState {
    /// Not started.
    Pending,
    /// All containers run and are ready.
    Ready,
    /// All containers run, and are not ready.
    NotReady,
    /// The bad containers have been restarted this often and wait.
    CrashLoop {
        /// Restarts so far.
        restarts: i32,
    },
    /// Ran to completion.
    Succeeded,
    /// Ended badly, never to be restarted.
    Failed,
}

/// One thing to do with a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Give it to the node.
    Bind,
    /// Write this status.
    Report(PodState),
    /// Finish its deletion.
    Remove,
}

/// What the Pod's status says now.
pub(super) fn observed(pod: &Pod) -> PodState {
    let Some(status) = &pod.status else {
        return PodState::Pending;
    };
    let containers = || {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    };
    let crash_looping = |reason: Option<&String>| reason.is_some_and(|r| r == "CrashLoopBackOff");
    let waits = containers().filter(|container| {
        let waiting = container
            .state
            .as_ref()
            .and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| crash_looping(waiting.reason.as_ref()))
    });
    if let Some(restarts) = waits.map(|container| container.restart_count).max() {
        return PodState::CrashLoop { restarts };
    }
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    match status.phase.as_deref() {
        Some("Succeeded") => PodState::Succeeded,
        Some("Failed") => PodState::Failed,
        Some("Running") if ready => PodState::Ready,
        Some("Running") => PodState::NotReady,
        _ => PodState::Pending,
    }
}

/// What to do now, and after how long to look again though nothing happened.
///
/// `age` is how long the node has known the Pod, `state_age` how long the Pod's
/// status has said what it says.
pub(super) fn decide(
    pod: &Pod,
    age: Duration,
    state_age: Duration,
    script: &Script,
) -> (Option<Action>, Option<Duration>) {
    let spec = pod.spec.as_ref();
    let node = spec
        .and_then(|spec| spec.node_name.as_deref())
        .filter(|name| !name.is_empty());
    if pod.metadata.deletion_timestamp.is_some() {
        // Grace 0 means that only finalizers, which are others' work, keep it.
        let goes = node == Some(NODE) && pod.metadata.deletion_grace_period_seconds != Some(0);
        return (goes.then_some(Action::Remove), None);
    }
    let Some(node) = node else {
        let gated = spec
            .and_then(|s| s.scheduling_gates.as_ref())
            .is_some_and(|g| !g.is_empty());
        return ((!gated).then_some(Action::Bind), None);
    };
    if node != NODE {
        return (None, None);
    }
    let now = observed(pod);
    let (target, look) = target(pod, &now, age, state_age, script);
    ((target != now).then_some(Action::Report(target)), look)
}

fn target(
    pod: &Pod,
    now: &PodState,
    age: Duration,
    state_age: Duration,
    script: &Script,
) -> (PodState, Option<Duration>) {
    let stay = now.clone();
    let policy = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref());
    if matches!(now, PodState::Succeeded | PodState::Failed) {
        return (stay, None);
    }
    if *now == PodState::Pending && age < script.delay {
        return (stay, Some(script.delay.saturating_sub(age)));
    }
    if breaks(pod) {
        if policy == Some("Never") {
            return (PodState::Failed, None);
        }
        let periods = age.saturating_sub(script.delay).as_millis() / CRASH_PERIOD.as_millis();
        let due = i32::try_from(periods).unwrap_or(i32::MAX - 1) + 1;
        let seen = if let PodState::CrashLoop { restarts } = now {
            *restarts
        } else {
            0
        };
        return (
            PodState::CrashLoop {
                restarts: due.max(seen),
            },
            Some(CRASH_PERIOD),
        );
    }
    let rises = if matches!(policy, Some("Never" | "OnFailure")) {
        PodState::Succeeded
    } else {
        PodState::Ready
    };
    let falls = *now == PodState::Ready;
    match script.flap {
        Some(period) if falls || *now == PodState::NotReady => {
            if state_age < period {
                (stay, Some(period.saturating_sub(state_age)))
            } else if falls {
                (PodState::NotReady, Some(period))
            } else if script.held {
                (stay, None)
            } else {
                (rises, Some(period))
            }
        }
        _ if falls || script.held => (stay, None),
        flap => (rises, flap),
    }
}

/// Whether a container of the Pod never comes up.
fn breaks(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
        .any(is_bad)
}

/// Whether the name in the container's image, without tag and digest, ends in `bad`.
pub(super) fn is_bad(container: &Container) -> bool {
    let image = container.image.as_deref().unwrap_or_default();
    let (image, _digest) = image.split_once('@').unwrap_or((image, ""));
    let start = image.rfind('/').map_or(0, |slash| slash + 1);
    // Only after the last slash is a colon a tag's and not a port's.
    let name = image[start..].split(':').next().unwrap_or_default();
    name.ends_with("bad")
}

#[cfg(test)]
mod tests;
