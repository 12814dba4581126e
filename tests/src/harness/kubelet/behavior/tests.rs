//! The rules of the fake kubelet, case by case.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use super::{
    super::{Script, status::status},
    *,
};

const NOW: &str = "2026-01-02T03:04:05Z";

fn pod(image: &str, policy: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {
            "nodeName": NODE,
            "restartPolicy": policy,
            "containers": [{"name": "main", "image": image}],
        },
    }))
    .unwrap()
}

/// The Pod with the status of this state, as the server would hold it.
fn in_state(mut pod: Pod, state: &PodState) -> Pod {
    pod.status = Some(serde_json::from_value(status(&pod, state, NOW)).unwrap());
    pod
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn act(pod: &Pod, age: u64, state_age: u64, script: &Script) -> Option<Action> {
    decide(pod, ms(age), ms(state_age), script).0
}

fn held() -> Script {
    Script {
        held: true,
        ..Script::default()
    }
}

#[test]
fn images_are_bad_by_the_end_of_their_name() {
    let bad = |image: &str| {
        is_bad(&Container {
            image: Some(image.to_owned()),
            ..Container::default()
        })
    };
    for image in [
        "bad",
        "bad:1",
        "app-bad:2",
        "example.org:5000/a/bad@sha256:00",
        "x/bad:1@sha256:0",
    ] {
        assert!(bad(image), "{image}");
    }
    for image in [
        "good:1",
        "good:bad",
        "bad/good:1",
        "bad:5000/app",
        "badger:1",
        "app@sha256:bad",
    ] {
        assert!(!bad(image), "{image}");
    }
}

#[test]
fn every_state_written_is_read_back() {
    let states = [
        PodState::Pending,
        PodState::Ready,
        PodState::NotReady,
        PodState::Succeeded,
        PodState::Failed,
    ];
    for state in states {
        assert_eq!(observed(&in_state(pod("good:1", "Always"), &state)), state);
    }
    let crash = PodState::CrashLoop { restarts: 4 };
    assert_eq!(observed(&in_state(pod("bad:1", "Always"), &crash)), crash);
}

#[test]
fn a_pod_is_bound_unless_it_is_gated_and_left_alone_on_another_node() {
    let mut free = pod("good:1", "Always");
    let spec = free.spec.as_mut().unwrap();
    spec.node_name = None;
    assert_eq!(act(&free, 0, 0, &Script::default()), Some(Action::Bind));
    let gates = serde_json::from_value(json!([{"name": "g"}])).unwrap();
    free.spec.as_mut().unwrap().scheduling_gates = Some(gates);
    assert_eq!(act(&free, 0, 0, &Script::default()), None);
    let mut foreign = pod("good:1", "Always");
    foreign.spec.as_mut().unwrap().node_name = Some("elsewhere".to_owned());
    assert_eq!(act(&foreign, 9_000, 9_000, &Script::default()), None);
}

#[test]
fn a_pod_becomes_ready_after_the_delay_and_not_before() {
    let fresh = pod("good:1", "Always");
    let script = Script {
        delay: ms(300),
        ..Script::default()
    };
    assert_eq!(
        decide(&fresh, ms(100), ms(100), &script),
        (None, Some(ms(200)))
    );
    assert_eq!(
        act(&fresh, 300, 300, &script),
        Some(Action::Report(PodState::Ready))
    );
    let ready = in_state(fresh, &PodState::Ready);
    assert_eq!(decide(&ready, ms(9_000), ms(9_000), &script), (None, None));
}

#[test]
fn a_hold_stops_what_rises_and_nothing_that_stands() {
    let fresh = pod("good:1", "Always");
    assert_eq!(act(&fresh, 9_000, 9_000, &held()), None);
    assert_eq!(act(&pod("good:1", "Never"), 9_000, 9_000, &held()), None);
    let ready = in_state(fresh.clone(), &PodState::Ready);
    assert_eq!(act(&ready, 9_000, 9_000, &held()), None);
    let unready = in_state(fresh, &PodState::NotReady);
    assert_eq!(act(&unready, 9_000, 9_000, &held()), None);
}

#[test]
fn a_bad_image_crash_loops_faster_than_its_reader_forgets() {
    let bad = pod("bad:1", "Always");
    let restarts = |age| match act(&bad, age, 0, &Script::default()) {
        Some(Action::Report(PodState::CrashLoop { restarts })) => restarts,
        other => panic!("{other:?}"),
    };
    assert_eq!((restarts(100), restarts(1_100), restarts(5_200)), (1, 2, 6));
    let looping = in_state(bad, &PodState::CrashLoop { restarts: 6 });
    assert_eq!(act(&looping, 5_300, 0, &Script::default()), None);
    let status = json!(looping.status);
    let container = &status["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(
        (&container["ready"], &container["restartCount"]),
        (&json!(false), &json!(6))
    );
    assert_eq!(
        act(&pod("bad:1", "Never"), 100, 0, &Script::default()),
        Some(Action::Report(PodState::Failed))
    );
}

#[test]
fn a_mended_image_becomes_ready() {
    let mut mended = in_state(pod("bad:1", "Always"), &PodState::CrashLoop { restarts: 2 });
    mended.spec.as_mut().unwrap().containers[0].image = Some("good:2".to_owned());
    assert_eq!(
        act(&mended, 9_000, 0, &Script::default()),
        Some(Action::Report(PodState::Ready))
    );
}

#[test]
fn flapping_falls_and_rises_after_each_period() {
    let flapping = Script {
        flap: Some(ms(500)),
        ..Script::default()
    };
    let ready = in_state(pod("good:1", "Always"), &PodState::Ready);
    assert_eq!(
        decide(&ready, ms(9_000), ms(200), &flapping),
        (None, Some(ms(300)))
    );
    assert_eq!(
        act(&ready, 9_000, 500, &flapping),
        Some(Action::Report(PodState::NotReady))
    );
    let unready = in_state(ready, &PodState::NotReady);
    assert_eq!(
        act(&unready, 9_000, 500, &flapping),
        Some(Action::Report(PodState::Ready))
    );
    assert_eq!(
        act(&unready, 9_000, 0, &Script::default()),
        Some(Action::Report(PodState::Ready))
    );
}

#[test]
fn a_pod_that_runs_to_completion_succeeds_once() {
    let job = pod("good:1", "OnFailure");
    let script = Script::default();
    assert_eq!(
        act(&job, 100, 100, &script),
        Some(Action::Report(PodState::Succeeded))
    );
    assert_eq!(
        act(&in_state(job, &PodState::Succeeded), 9_000, 9_000, &script),
        None
    );
}

#[test]
fn a_deletion_is_finished_once_and_finalizers_are_left_to_others() {
    let mut going = in_state(pod("good:1", "Always"), &PodState::Ready);
    going.metadata.deletion_timestamp = Some(serde_json::from_value(json!(NOW)).unwrap());
    going.metadata.deletion_grace_period_seconds = Some(30);
    assert_eq!(act(&going, 9_000, 9_000, &held()), Some(Action::Remove));
    going.metadata.deletion_grace_period_seconds = Some(0);
    assert_eq!(act(&going, 9_000, 9_000, &held()), None);
}

#[test]
fn a_bad_init_container_keeps_the_pod_from_starting() {
    let mut pod = pod("good:1", "Always");
    let init = json!([{"name": "first", "image": "bad:1"}]);
    pod.spec.as_mut().unwrap().init_containers = Some(serde_json::from_value(init).unwrap());
    let crash = PodState::CrashLoop { restarts: 1 };
    assert_eq!(
        act(&pod, 100, 0, &Script::default()),
        Some(Action::Report(crash.clone()))
    );
    let status = status(&pod, &crash, NOW);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(
        status["initContainerStatuses"][0]["state"]["waiting"]["reason"],
        "CrashLoopBackOff"
    );
    assert_eq!(
        status["containerStatuses"][0]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
}

#[test]
fn readiness_gates_of_others_count_and_are_kept() {
    let mut pod = pod("good:1", "Always");
    let gates = json!([{"conditionType": "example.org/gate"}]);
    pod.spec.as_mut().unwrap().readiness_gates = Some(serde_json::from_value(gates).unwrap());
    let condition = |status: &Value, kind: &str| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions
            .iter()
            .find(|c| c["type"] == kind)
            .map(|c| c["status"].clone())
    };
    let closed = status(&pod, &PodState::Ready, NOW);
    assert_eq!(condition(&closed, "Ready"), Some(json!("False")));
    let open = json!({"conditions": [{"type": "example.org/gate", "status": "True"}]});
    pod.status = Some(serde_json::from_value(open).unwrap());
    let opened = status(&pod, &PodState::Ready, NOW);
    assert_eq!(condition(&opened, "Ready"), Some(json!("True")));
    assert_eq!(condition(&opened, "example.org/gate"), Some(json!("True")));
}

#[test]
fn a_transition_time_changes_only_with_its_condition() {
    let ready = in_state(pod("good:1", "Always"), &PodState::Ready);
    let later = "2026-01-02T09:00:00Z";
    let again = status(&ready, &PodState::NotReady, later);
    let time = |kind: &str| {
        let conditions = again["conditions"].as_array().unwrap();
        conditions.iter().find(|c| c["type"] == kind).unwrap()["lastTransitionTime"].clone()
    };
    assert_eq!(
        (time("Initialized"), time("Ready")),
        (json!(NOW), json!(later))
    );
}
