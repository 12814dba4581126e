//! A cluster kept over a restart, and workloads held by a test.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_sandbox::{Options, Sandbox, SnapshotError};

use super::{
    alone::{condition, start},
    lives::{definition, gadget},
    recorder::{APPLY, DEFINITIONS, DEPLOYMENTS, JSON, MAPS, MERGE, Recorder},
    writes::deployment,
};

const GADGETS: &str = "/apis/conformance.example/v1/namespaces/NS/gadgets";

fn named(name: &str, delay: Duration) -> Options {
    let mut options = Options::named(name);
    options.delay = delay;
    options
}

fn version(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.unwrap().parse().unwrap()
}

async fn get(r: &Recorder, path: &str) -> Value {
    let (code, answer) = r.ask("GET", path, JSON, &Value::Null).await;
    assert_eq!(code, 200, "{answer}");
    answer
}

/// A cluster with a bit of everything.
async fn inhabited(name: &str) -> (Sandbox, Recorder) {
    let (sandbox, client, _) = start(name, Duration::from_hours(1));
    let r = Recorder::new(client, "keeps").await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let one = format!("{MAPS}/a?fieldManager=one");
    assert_eq!(r.ask("PATCH", &one, APPLY, &map).await.0, 201);
    let (code, _) = r.ask("POST", DEFINITIONS, JSON, &definition()).await;
    assert_eq!(code, 201);
    let body = gadget(json!({"size": 1}));
    assert_eq!(r.ask("POST", GADGETS, JSON, &body).await.0, 201);
    let mut web = deployment("web", "nginx:1");
    web["spec"]["replicas"] = json!(1);
    assert_eq!(r.ask("POST", DEPLOYMENTS, JSON, &web).await.0, 201);
    (sandbox, r)
}

#[tokio::test]
async fn a_restored_cluster_is_the_one_that_was_kept() {
    let (sandbox, r) = inhabited("kept").await;
    let paths = [
        format!("{MAPS}/a"),
        format!("{GADGETS}/a"),
        format!("{DEPLOYMENTS}/web"),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(get(&r, path).await);
    }
    let revision = sandbox.revision();
    let bytes = sandbox.snapshot();
    // What happens after the snapshot is lost, but its numbers are never given out again.
    let late = json!({"metadata": {"name": "late"}});
    let (_, lost) = r.ask("POST", MAPS, JSON, &late).await;
    assert_eq!(sandbox.revision(), version(&lost));

    let options = named("kept", Duration::from_hours(1));
    let again = Sandbox::restored(options, &bytes).unwrap();
    assert!(again.revision() > sandbox.revision());
    let client = kube::Client::new(again.clone(), "default");
    let r = r.on(client);
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(&get(&r, path).await, before);
    }
    let (code, made) = r.ask("POST", MAPS, JSON, &late).await;
    assert_eq!(code, 201, "{made}");
    assert_ne!(made["metadata"]["uid"], lost["metadata"]["uid"]);
    assert!(version(&made) > version(&lost));
    let watch = |from: u64| format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={from}");
    for old in [revision, version(&lost)] {
        let (_, answer) = r.ask("GET", &watch(old), JSON, &Value::Null).await;
        assert_eq!(answer["object"]["code"], 410, "{answer}");
    }
    let newest = watch(version(&made) - 1);
    let (_, answer) = r.ask("GET", &newest, JSON, &Value::Null).await;
    assert_eq!(answer["object"]["metadata"]["name"], "late", "{answer}");
    // A second round trip, of a cluster that was restored itself.
    let options = named("kept", Duration::from_hours(1));
    let third = Sandbox::restored(options, &again.snapshot()).unwrap();
    assert!(third.revision() > again.revision());
}

#[tokio::test]
async fn what_was_due_is_still_due_after_a_restart() {
    let (sandbox, client, stop) = start("due", Duration::from_millis(300));
    let r = Recorder::new(client, "due").await;
    let mut web = deployment("web", "nginx:1");
    web["spec"]["replicas"] = json!(1);
    sandbox.hold();
    r.ask("POST", DEPLOYMENTS, JSON, &web).await;
    let bytes = sandbox.snapshot();
    drop(stop);
    let options = named("due", Duration::from_hours(1));
    let again = Sandbox::restored(options, &bytes).unwrap();
    let r = r.on(kube::Client::new(again.clone(), "default"));
    let path = format!("{DEPLOYMENTS}/web");
    let done = |_: u16, it: &Value| condition(it, "Available")["status"] == "True";
    r.wait("it becomes available as it would have", &path, done)
        .await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_used_says_why() {
    let (sandbox, _) = inhabited("broken").await;
    let bytes = sandbox.snapshot();
    let restore = |bytes: &[u8]| {
        let restored = Sandbox::restored(Options::named("broken"), bytes);
        restored.map(drop)
    };
    assert_eq!(restore(&bytes), Ok(()));
    let unreadable = |bytes: &[u8]| {
        let error = restore(bytes).unwrap_err();
        assert!(matches!(error, SnapshotError::Unreadable(_)), "{error}");
        assert!(error.to_string().contains("begin a new cluster"), "{error}");
    };
    unreadable(b"");
    unreadable(b"not a snapshot\n");
    unreadable(b"{}\n");
    // Half of it; and one letter of one object changed.
    unreadable(&bytes[..bytes.len() / 2]);
    let mut changed = bytes.clone();
    let last = changed.len() - 10;
    changed[last] ^= 1;
    unreadable(&changed);
    let text = String::from_utf8(bytes).unwrap();
    let newer = text.replace("\"tidegate-sandbox\":1", "\"tidegate-sandbox\":2");
    assert_eq!(restore(newer.as_bytes()), Err(SnapshotError::Newer(2)));
    let other = Sandbox::restored(Options::named("other"), text.as_bytes());
    let error = other.map(drop).unwrap_err();
    assert!(
        matches!(error, SnapshotError::OtherCluster { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn held_workloads_wait_until_they_are_released() {
    let (sandbox, client, _stop) = start("held", Duration::from_millis(50));
    let r = Recorder::new(client, "held").await;
    let path = |name: &str| format!("{DEPLOYMENTS}/{name}");
    let done = |_: u16, it: &Value| {
        condition(it, "Progressing")["reason"] == "NewReplicaSetAvailable"
            && it["status"]["observedGeneration"] == it["metadata"]["generation"]
    };
    let mut good = deployment("good", "nginx:1");
    good["spec"]["replicas"] = json!(1);
    r.ask("POST", DEPLOYMENTS, JSON, &good).await;
    r.wait("good is available", &path("good"), done).await;

    sandbox.hold();
    let mut late = deployment("late", "nginx:1");
    late["spec"]["replicas"] = json!(1);
    r.ask("POST", DEPLOYMENTS, JSON, &late).await;
    let image = json!({"spec": {"template": {"spec": {
        "containers": [{"name": "main", "image": "nginx:2"}]}}}});
    r.ask("PATCH", &path("good"), MERGE, &image).await;
    // A later one fails at its deadline of a second: by then the others had their time.
    let mut bad = deployment("bad", "bad:1");
    bad["spec"]["progressDeadlineSeconds"] = json!(1);
    r.ask("POST", DEPLOYMENTS, JSON, &bad).await;
    let failed =
        |_: u16, it: &Value| condition(it, "Progressing")["reason"] == "ProgressDeadlineExceeded";
    r.wait("bad fails all the same", &path("bad"), failed).await;
    let late = get(&r, &path("late")).await;
    assert_eq!(condition(&late, "Available")["status"], "False", "{late}");
    let good = get(&r, &path("good")).await;
    assert_eq!(condition(&good, "Available")["status"], "True", "{good}");
    assert_eq!(
        condition(&good, "Progressing")["reason"],
        "ReplicaSetUpdated"
    );

    sandbox.release();
    // Without another request: they are done at once.
    let good = get(&r, &path("good")).await;
    assert!(done(200, &good), "{good}");
    let late = get(&r, &path("late")).await;
    assert!(done(200, &late), "{late}");
}

/// A release wakes `run` for what is not due yet: nobody asks here until it has happened.
#[tokio::test]
async fn a_release_is_noticed_without_a_request() {
    let (sandbox, client, _stop) = start("woken", Duration::from_millis(200));
    let r = Recorder::new(client, "woken").await;
    sandbox.hold();
    r.ask("POST", DEPLOYMENTS, JSON, &deployment("web", "nginx:1"))
        .await;
    let held = sandbox.revision();
    // `run` sees the request and finds nothing that is due: this thread is its only one.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    sandbox.release();
    let changed = tokio::time::timeout(Duration::from_secs(60), sandbox.changed_since(held));
    assert!(changed.await.unwrap() > held);
}
