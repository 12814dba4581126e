//! Whoever stands at a gate, over a real socket, and the way of an answer into a run.

use axum::{body::Bytes, http::Method};
use tidegate_model::{run::GatePosition, strategy::Gate};

use super::*;

/// A board that says what the test wants, and keeps what it was told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<std::sync::Mutex<Vec<(Method, serde_json::Value)>>>);

type Verdict = watch::Sender<(StatusCode, &'static str)>;

async fn board(first: (StatusCode, &'static str)) -> (Arc<Verdict>, Told, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/gate", listener.local_addr().unwrap());
    let verdict = Arc::new(watch::channel(first).0);
    let told = Told::default();
    let kept = told.clone();
    let says = Arc::clone(&verdict);
    let router = Router::new().fallback(move |method: Method, body: Bytes| async move {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        kept.0.lock().unwrap().push((method, body));
        let (status, text) = *says.borrow();
        let location = [(header::LOCATION, "/login")];
        (status, location, text).into_response()
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (verdict, told, url)
}

fn gate(kind: &str, spec: &serde_json::Value) -> Gate {
    let mut all = json!({"name": "g"});
    let fields = all.as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({kind: all})).unwrap()
}

#[tokio::test]
async fn only_two_hundreds_are_a_yes_of_a_webhook() {
    for (status, text, wanted) in [
        (200, "go", Ok("HTTP 200: go")),
        (204, "", Ok("HTTP 204")),
        (
            403,
            "change\n freeze until\tMonday",
            Err("HTTP 403: change freeze until Monday"),
        ),
        (500, "", Err("HTTP 500")),
        // A login page at the other end would say 200.
        (302, "", Err("HTTP 302")),
        (307, "", Err("HTTP 307")),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let (_verdict, told, url) = board((status, text)).await;
        let asked = gate("webhook", &json!({"url": url}));
        let said = provider().ask_gate(&asked, &json!({"run": "r-1"})).await;
        let said = said.as_deref().map_err(String::as_str);
        assert_eq!(said, wanted);
        let told = told.0.lock().unwrap().clone();
        assert_eq!(told, [(Method::POST, json!({"run": "r-1"}))]);
    }
    let asked = gate("webhook", &json!({"url": "http://elsewhere.example"}));
    let hosts = vec!["board.example".parse().unwrap()];
    let options = Options {
        hosts,
        ..Options::default()
    };
    let provider = Provider::with_timeout(options, Duration::from_secs(1)).unwrap();
    let said = provider.ask_gate(&asked, &json!({})).await.unwrap_err();
    assert!(said.contains("elsewhere.example"), "{said}");
}

fn alerts(_: &str, query: &str, _: &str) -> Response {
    let series = |metric: serde_json::Value| json!({"metric": metric, "value": [1.5, "1"]});
    match query {
        "none" => vector(&[]),
        "scalar" => success(&json!({"resultType": "scalar", "result": [1.5, "7"]})),
        "many" => success(&json!({"resultType": "vector", "result": [
            series(json!({"__name__": "ALERTS", "alertname": "HighErrors", "job": "web"})),
            series(json!({"__name__": "up", "job": "db", "pod": "db-0"})),
            series(json!({})),
        ]})),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::test]
async fn an_alarm_fires_by_its_series_and_names_them() {
    let fake = Fake::start(alerts, "").await;
    for (query, wanted) in [
        ("none", Ok("0")),
        ("many", Ok("3 HighErrors, job=db pod=db-0")),
        ("scalar", Err("compare in the query")),
        ("down", Err("HTTP 502")),
    ] {
        let spec = json!({"prometheus": {"server": fake.url("/prefix"), "query": query}});
        let said = provider()
            .ask_gate(&gate("alarmClear", &spec), &json!({}))
            .await;
        match (&said, wanted) {
            (Ok(said), Ok(wanted)) => assert_eq!(said, wanted),
            (Err(said), Err(wanted)) => assert!(said.contains(wanted), "{said}"),
            _ => panic!("{query}: {said:?}, not {wanted:?}"),
        }
    }
}

#[tokio::test]
async fn a_run_stands_until_the_board_says_yes_and_asks_again_each_interval() {
    let (verdict, told, url) = board((StatusCode::CONFLICT, "not on a Friday")).await;
    let asked = json!({"name": "board", "url": url, "interval": "20s"});
    let gates = json!({"gates": {"before": [{"webhook": asked}]}});
    let mut world = World::new(&waves(&["dev"], &gates), 1, 1).await;
    world.label(1, "dev").await;
    world.publish("a").await;
    world.settle().await;
    let stop = CancellationToken::new();
    let measured = world.hub.evidence.measured().clone();
    let measurer = Measurer::new(world.hub.db.clone(), measured, provider());
    tokio::spawn(measurer.run(stop.clone()));
    let calls = || told.0.lock().unwrap().len();
    until(&mut world, "asked", |_| calls() == 1).await;
    for _ in 0..20 {
        world.settle().await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let run = world.run();
    assert_eq!(
        (run.state, run.gate),
        (RunState::WaitingGate, Some(GatePosition::Before))
    );
    assert_eq!(calls(), 1, "it is asked once an interval");
    let review = told.0.lock().unwrap()[0].1.clone();
    assert_eq!(review["kind"], "GateReview");
    assert_eq!(
        (&review["set"], &review["wave"], &review["position"]),
        (&json!("web"), &json!("dev"), &json!("before"))
    );
    assert_eq!(review["run"], json!(run.id.to_string()));
    assert_eq!(review["content"], json!(run.content.to_string()));
    verdict.send_replace((StatusCode::OK, "go"));
    world.hub.clock.wind(jiff::SignedDuration::from_secs(20));
    until(&mut world, "opened", |world| {
        world.run().state == RunState::Rolling
    })
    .await;
    assert_eq!(calls(), 2);
    let records = world.hub.audit("default").await;
    let opened = records
        .iter()
        .find(|it| it.action == "run.answer-gate")
        .unwrap();
    assert!(opened.reason.contains("webhook board"), "{}", opened.reason);
    assert!(opened.reason.contains("HTTP 200: go"), "{}", opened.reason);
    // Nobody stands there any more.
    until(&mut world, "forgotten", |world| {
        world
            .hub
            .evidence
            .measured()
            .answers(world.run().id)
            .is_empty()
    })
    .await;
    stop.cancel();
}
