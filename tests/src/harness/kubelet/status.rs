//! The status that the fake kubelet writes.
//!
//! Owns the shape of a Pod's status in each state, as a real kubelet fills it.
//! When a Pod gets which state is not decided here.

use k8s_openapi::{
    api::core::v1::{Container, Pod},
    jiff::Timestamp,
};
use serde_json::{Value, json};

use super::behavior::{PodState, is_bad};

/// The present time in the wire's form.
#[expect(
    clippy::disallowed_methods,
    reason = "the fake kubelet plays a machine of its own, and a machine has a clock"
)]
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The whole status of a Pod in this state.
pub(super) fn status(pod: &Pod, state: &PodState, now: &str) -> Value {
    let spec = pod.spec.as_ref();
    let init: Vec<&Container> = spec
        .iter()
        .flat_map(|s| s.init_containers.iter().flatten())
        .collect();
    let main: Vec<&Container> = spec.iter().flat_map(|s| &s.containers).collect();
    let init_breaks = init.iter().any(|container| is_bad(container));
    let initialized = *state != PodState::Pending && !init_breaks;
    let phase = match state {
        PodState::Pending => "Pending",
        PodState::CrashLoop { .. } if init_breaks => "Pending",
        PodState::Ready | PodState::NotReady | PodState::CrashLoop { .. } => "Running",
        PodState::Succeeded => "Succeeded",
        PodState::Failed => "Failed",
    };
    let init_state = if init_breaks {
        state
    } else {
        &PodState::Succeeded
    };
    let seen = pod.status.as_ref();
    let started = seen
        .and_then(|s| s.start_time.as_ref())
        .map_or(json!(now), |t| json!(t));
    let mut status = json!({
        "phase": phase,
        "hostIP": "127.0.0.1",
        "podIP": address(pod),
        "podIPs": [{"ip": address(pod)}],
        "startTime": started,
        "conditions": conditions(pod, state, initialized, now),
        "containerStatuses": main
            .iter()
            .map(|container| if initialized {
                container_status(pod, container, state, now)
            } else {
                waiting(container, "PodInitializing", 0)
            })
            .collect::<Vec<_>>(),
    });
    if !init.is_empty() {
        status["initContainerStatuses"] = init
            .iter()
            .map(|container| container_status(pod, container, init_state, now))
            .collect();
    }
    status
}

fn container_status(pod: &Pod, container: &Container, state: &PodState, now: &str) -> Value {
    let seen = pod.status.iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    let restarts = seen
        .filter(|status| status.name == container.name)
        .map(|status| status.restart_count)
        .max()
        .unwrap_or(0);
    let ended = |reason: &str, code: i32| json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}});
    let (ready, up, current) = match state {
        PodState::Pending => return waiting(container, "ContainerCreating", restarts),
        PodState::CrashLoop { restarts } if is_bad(container) => {
            let mut status = waiting(container, "CrashLoopBackOff", *restarts);
            status["state"]["waiting"]["message"] = json!(format!(
                "back-off restarting failed container {}",
                container.name
            ));
            status["lastState"] = ended("Error", 1);
            return status;
        }
        PodState::Failed if is_bad(container) => (false, false, ended("Error", 1)),
        PodState::Failed | PodState::Succeeded => (false, false, ended("Completed", 0)),
        PodState::NotReady => (false, true, json!({"running": {"startedAt": now}})),
        PodState::Ready | PodState::CrashLoop { .. } => {
            (true, true, json!({"running": {"startedAt": now}}))
        }
    };
    let image = container.image.as_deref().unwrap_or_default();
    json!({
        "name": container.name,
        "image": image,
        "imageID": format!("fake://{image}"),
        "containerID": format!("fake://{}/{}", pod.metadata.uid.as_deref().unwrap_or_default(), container.name),
        "ready": ready,
        "started": up,
        "restartCount": restarts,
        "state": current,
    })
}

fn waiting(container: &Container, reason: &str, restarts: i32) -> Value {
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": false,
        "started": false,
        "restartCount": restarts,
        "state": {"waiting": {"reason": reason}},
    })
}

/// The node's conditions, then those of others (readiness gates) as they are.
fn conditions(pod: &Pod, state: &PodState, initialized: bool, now: &str) -> Vec<Value> {
    let seen = || {
        pod.status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
    };
    let open = |gate: &str| seen().any(|c| c.type_ == gate && c.status == "True");
    let gates = pod
        .spec
        .iter()
        .flat_map(|spec| spec.readiness_gates.iter().flatten());
    let containers = *state == PodState::Ready;
    let ready = containers && gates.into_iter().all(|gate| open(&gate.condition_type));
    let done = matches!(state, PodState::Succeeded);
    let reason = match state {
        PodState::Succeeded => Some("PodCompleted"),
        PodState::Failed => Some("PodFailed"),
        _ if !containers => Some("ContainersNotReady"),
        _ if !ready => Some("ReadinessGatesNotReady"),
        _ => None,
    };
    let own = [
        ("PodScheduled", true),
        (
            "PodReadyToStartContainers",
            *state != PodState::Pending && !done,
        ),
        ("Initialized", initialized),
        ("ContainersReady", containers),
        ("Ready", ready),
    ];
    let mut all: Vec<Value> = own
        .iter()
        .map(|&(kind, holds)| {
            let word = if holds { "True" } else { "False" };
            let same = seen().find(|c| c.type_ == kind && c.status == word);
            let since = same.and_then(|c| c.last_transition_time.as_ref());
            let mut condition = json!({
                "type": kind,
                "status": word,
                "lastTransitionTime": since.map_or(json!(now), |since| json!(since)),
            });
            if let (false, "ContainersReady" | "Ready", Some(reason)) = (holds, kind, reason) {
                condition["reason"] = json!(reason);
            }
            condition
        })
        .collect();
    let others = seen().filter(|c| own.iter().all(|(kind, _)| c.type_ != *kind));
    all.extend(others.map(|condition| json!(condition)));
    all
}

/// An address that differs from Pod to Pod: no two of a cluster need it to.
fn address(pod: &Pod) -> String {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let sum = uid.bytes().fold(0_u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let [high, low] = sum.to_be_bytes();
    format!("10.244.{high}.{low}")
}
