//! What only the sandbox has, or must show by itself: simulated workloads, its cost, refusals, the
//! socket, and the agent on it.

use std::{collections::BTreeMap, process::Command, time::Duration};

use serde_json::{Value, json};
use tidegate_agent::port::{Options as AgentOptions, Reconciler, ReconcilerHandle};
use tidegate_model::{
    assignment::{Assignment, Desired},
    bundle::{Bundle, BundleEntry, OBJECT_TAG},
    digest::Digest,
    health::Health,
    ids::{Epoch, Generation},
    object::ObjectKey,
    policy::Policy,
    report::{Phase, Report},
};
use tidegate_sandbox::{Options, Sandbox};
use tidegate_tests::harness::{eventually, require_real};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    recorder::{DEFINITIONS, DEPLOYMENTS, JSON, MERGE, Recorder, SERVICES},
    writes::deployment,
};

/// A running sandbox, a client of it, and what ends it.
pub(crate) fn start(name: &str, delay: Duration) -> (Sandbox, kube::Client, DropGuard) {
    let mut options = Options::named(name);
    options.delay = delay;
    let cancel = CancellationToken::new();
    let sandbox = Sandbox::new(options);
    tokio::spawn(sandbox.clone().run(cancel.clone()));
    let client = kube::Client::new(sandbox.clone(), "default");
    (sandbox, client, cancel.drop_guard())
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array();
    let mut all = all.into_iter().flatten();
    all.find(|it| it["type"] == kind).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_deployment_becomes_available_after_the_delay_and_a_bad_image_never_does() {
    let (_, client, _stop) = start("workloads", Duration::from_millis(200));
    let r = Recorder::new(client, "workloads").await;
    let mut good = deployment("good", "nginx:1");
    good["spec"]["replicas"] = json!(2);
    let (_, made) = r.ask("POST", DEPLOYMENTS, JSON, &good).await;
    assert!(condition(&made, "Available").is_null(), "{made}");
    let path = format!("{DEPLOYMENTS}/good");
    let (_, begun) = r.ask("GET", &path, JSON, &Value::Null).await;
    assert_eq!(begun["status"]["unavailableReplicas"], 2, "{begun}");
    let done = |_: u16, it: &Value| condition(it, "Available")["status"] == "True";
    let (_, live) = r.wait("good is available", &path, done).await;
    assert_eq!(live["status"]["availableReplicas"], 2, "{live}");
    assert_eq!(
        condition(&live, "Progressing")["reason"],
        "NewReplicaSetAvailable"
    );

    let bad = json!({"spec": {"progressDeadlineSeconds": 1, "template": {"spec": {
        "containers": [{"name": "main", "image": "registry.example/bad:1"}]}}}});
    r.ask("PATCH", &path, MERGE, &bad).await;
    let failed =
        |_: u16, it: &Value| condition(it, "Progressing")["reason"] == "ProgressDeadlineExceeded";
    let (_, live) = r.wait("bad fails", &path, failed).await;
    assert_eq!(live["status"]["observedGeneration"], 2, "{live}");
    // Mended, it goes on.
    let mended = json!({"spec": {"template": {"spec": {
        "containers": [{"name": "main", "image": "nginx:2"}]}}}});
    r.ask("PATCH", &path, MERGE, &mended).await;
    r.wait("mended is available", &path, |_, it| {
        it["status"]["observedGeneration"] == 3
            && condition(it, "Progressing")["reason"] == "NewReplicaSetAvailable"
    })
    .await;
}

#[tokio::test]
async fn claims_are_bound_balancers_get_an_address_and_budgets_are_observed() {
    let (_, client, _stop) = start("settled", Duration::ZERO);
    let r = Recorder::new(client, "settled").await;
    let storage = json!({"requests": {"storage": "1Gi"}});
    let selector = json!({"matchLabels": {"app": "a"}});
    for (path, spec, at, wanted) in [
        (
            "/api/v1/namespaces/NS/persistentvolumeclaims",
            json!({"accessModes": ["ReadWriteOnce"], "resources": storage}),
            "/status/phase",
            json!("Bound"),
        ),
        (
            SERVICES,
            json!({"type": "LoadBalancer", "ports": [{"port": 80}]}),
            "/status/loadBalancer/ingress/0/ip",
            json!("192.0.2.98"),
        ),
        (
            "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
            json!({"maxUnavailable": 1, "selector": selector}),
            "/status/observedGeneration",
            json!(1),
        ),
    ] {
        let body = json!({"metadata": {"name": "a"}, "spec": spec});
        let (code, answer) = r.ask("POST", path, JSON, &body).await;
        assert_eq!(code, 201, "{answer}");
        let (_, live) = r.ask("GET", &format!("{path}/a"), JSON, &Value::Null).await;
        assert_eq!(live.pointer(at), Some(&wanted), "{live}");
    }
}

#[tokio::test]
async fn what_it_cannot_do_it_refuses_by_name() {
    let (_, client, _stop) = start("refusals", Duration::ZERO);
    let r = Recorder::new(client, "refusals").await;
    r.ask("POST", DEPLOYMENTS, JSON, &deployment("a", "nginx:1"))
        .await;
    let cbor = "application/cbor";
    for (method, path, kind, code, words) in [
        ("GET", "/openapi/v2", JSON, 501, "OpenAPI v2 documents"),
        (
            "GET",
            "/api/v1/namespaces/NS/pods/a/log",
            JSON,
            501,
            "log of pods",
        ),
        (
            "PATCH",
            &*format!("{DEPLOYMENTS}/a/scale"),
            "application/apply-patch+yaml",
            501,
            "apply of a scale",
        ),
        ("PATCH", &*format!("{DEPLOYMENTS}/a"), cbor, 415, cbor),
        (
            "GET",
            &*format!("{DEPLOYMENTS}?watch=1&resourceVersion=999999"),
            JSON,
            410,
            "too old",
        ),
    ] {
        let (found, answer) = r.ask(method, path, kind, &Value::Null).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(
            found == code && message.contains(words),
            "{method} {path}: {found} {answer}"
        );
    }
}

/// Rules in CEL are not evaluated; whoever brings some is told so.
#[tokio::test]
async fn what_it_does_not_judge_it_says_in_a_warning() {
    let (_, client, _stop) = start("warnings", Duration::ZERO);
    for rules in [true, false] {
        let mut schema = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
        if rules {
            schema["x-kubernetes-validations"] = json!([{"rule": "has(self.spec)"}]);
        }
        let name = if rules { "ruled" } else { "free" };
        let definition = json!({
            "metadata": {"name": format!("{name}s.warnings.example")},
            "spec": {"group": "warnings.example", "scope": "Namespaced",
                "names": {"plural": format!("{name}s"), "kind": name.to_uppercase()},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
        });
        let body = kube::client::Body::from(definition.to_string().into_bytes());
        let request = http::Request::post(DEFINITIONS).body(body).unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), 201);
        let warning = response.headers().get("warning");
        let warning = warning.map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(
            warning.is_some_and(|it| it.contains("x-kubernetes-validations")),
            rules
        );
    }
}

#[tokio::test]
async fn kubectl_reads_it_over_a_socket() {
    let test = "alone::kubectl_reads_it_over_a_socket";
    let Some(kubectl) = require_real(test).and_then(|binaries| binaries.kubectl) else {
        return;
    };
    let (sandbox, client, _stop) = start("socket", Duration::ZERO);
    let r = Recorder::new(client, "socket").await;
    r.ask("POST", DEPLOYMENTS, JSON, &deployment("web", "nginx:1"))
        .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(sandbox.serve(listener, cancel.clone()));
    let home = tempfile::tempdir().unwrap();
    let run = move || {
        Command::new(kubectl)
            .args(["--server", &server, "get", "deploy", "-A", "-o", "name"])
            .env("HOME", home.path())
            .env("KUBECONFIG", home.path().join("none"))
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.trim(), "deployment.apps/web", "{output:?}");
    cancel.cancel();
    serving.await.unwrap().unwrap();
}

fn order(generation: u64, objects: &[Value]) -> (Assignment, Bundle, BTreeMap<Digest, Value>) {
    let digest = |object: &Value| Digest::of(OBJECT_TAG, object);
    let entries = objects.iter().map(|object| BundleEntry {
        key: ObjectKey::of(object).unwrap(),
        digest: digest(object),
    });
    let bundle = Bundle::new(entries.collect());
    let assignment = Assignment {
        cluster: "01890000-0000-7000-8000-00000000cccc".parse().unwrap(),
        app: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
        app_name: "demo/app".to_owned(),
        generation: Generation(generation),
        epoch: Epoch(1),
        desired: Desired::Run {
            bundle: bundle.digest(),
            policy: Policy::default(),
            namespace: "case-agent".to_owned(),
            run: "01890000-0000-7000-8000-00000000aaaa".parse().unwrap(),
            prune_approved: false,
        },
    };
    let objects = objects
        .iter()
        .map(|object| (digest(object), object.clone()));
    (assignment, bundle, objects.collect())
}

fn healthy(report: &Report) -> bool {
    report.phase == Phase::Applied && report.health == Health::Healthy
}

async fn until(
    handle: &ReconcilerHandle,
    generation: u64,
    what: &str,
    wanted: fn(&Report) -> bool,
) {
    eventually(what, Duration::from_secs(60), || async {
        let all = handle.reports().latest();
        let report = all.into_iter().next().ok_or("no report yet")?;
        if report.generation == Generation(generation) && wanted(&report) {
            Ok(())
        } else {
            Err(format!("{report:?}"))
        }
    })
    .await
    .unwrap();
}

/// Creates, becomes healthy, heals a hand's edit, prunes what left, and reports a bad image.
#[tokio::test]
async fn the_agent_runs_on_it_unchanged() {
    let (_, client, _stop) = start("agent", Duration::from_millis(100));
    let r = Recorder::new(client.clone(), "agent").await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = AgentOptions::new(folder.path().to_owned());
    options.prune_delay = Duration::from_millis(100);
    let cancel = CancellationToken::new();
    let handle = Reconciler::start(options, client, cancel.clone())
        .await
        .unwrap();
    let until = |generation, what, wanted| until(&handle, generation, what, wanted);
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}});
    let mut web = deployment("web", "nginx:1");
    web["spec"]["replicas"] = json!(1);
    let (assignment, bundle, objects) = order(1, &[web.clone(), map("kept"), map("dropped")]);
    handle
        .accept(Epoch(1), assignment, bundle, objects)
        .await
        .unwrap();
    until(1, "the first content is healthy", healthy).await;

    let kept = "/api/v1/namespaces/NS/configmaps/kept";
    let edit = json!({"data": {"k": "by hand"}});
    r.ask(
        "PATCH",
        &format!("{kept}?fieldManager=kubectl-edit"),
        MERGE,
        &edit,
    )
    .await;
    r.wait("the edit is healed", kept, |_, it| it["data"]["k"] == "v")
        .await;

    let (assignment, bundle, objects) = order(2, &[web.clone(), map("kept")]);
    handle
        .accept(Epoch(1), assignment, bundle, objects)
        .await
        .unwrap();
    let dropped = "/api/v1/namespaces/NS/configmaps/dropped";
    r.wait("what left is pruned", dropped, |code, _| code == 404)
        .await;
    until(2, "the second content is healthy", healthy).await;

    web["spec"]["progressDeadlineSeconds"] = json!(1);
    web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("bad:1");
    let (assignment, bundle, objects) = order(3, &[web, map("kept")]);
    handle
        .accept(Epoch(1), assignment, bundle, objects)
        .await
        .unwrap();
    until(3, "the bad image is noticed", |it| {
        it.health == Health::Degraded
    })
    .await;
    cancel.cancel();
    handle.stopped().await;
}
