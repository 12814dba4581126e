//! Every answer that a provider can give, over a real socket, and the way of one into a run.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use tidegate_model::{
    health::Health,
    run::{CauseCode, RunState},
    strategy::Analysis,
};
use tokio::{net::TcpListener, sync::watch};

use super::*;
use crate::testing::world::{World, waves};

mod access;
mod gates;

/// A provider whose answers a test chooses by path and query.
struct Fake {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

type Say = fn(&str, &str, &str) -> Response;

impl Fake {
    /// `say` is told the path, the query and the address of another server.
    async fn start(say: Say, other: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let other = other.to_owned();
        let router = Router::new().fallback(
            move |uri: axum::http::Uri, Query(asked): Query<BTreeMap<String, String>>| async move {
                if uri.path() == "/slow" {
                    std::future::pending::<()>().await;
                }
                let query = asked.get("query").cloned().unwrap_or_default();
                say(uri.path(), &query, &other)
            },
        );
        let serving =
            axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { serving.await });
        Self { address, stop }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn vector(values: &[&str]) -> Response {
    let series = values
        .iter()
        .map(|value| json!({"metric": {}, "value": [1_435_781_451.781, value]}));
    let result: Vec<_> = series.collect();
    success(&json!({"resultType": "vector", "result": result}))
}

fn success(data: &serde_json::Value) -> Response {
    json!({"status": "success", "data": data})
        .to_string()
        .into_response()
}

fn prometheus(path: &str, query: &str, _: &str) -> Response {
    assert_eq!(path, "/prefix/api/v1/query");
    match query {
        "sum(rate(errors{a=\"b&c\"}[5m])) + 1" => vector(&["0.25"]),
        "nan" => vector(&["NaN"]),
        "inf" => vector(&["+Inf"]),
        "none" => vector(&[]),
        "two" => vector(&["1", "2"]),
        "scalar" => success(&json!({"resultType": "scalar", "result": [1.5, "7"]})),
        "range" => success(&json!({"resultType": "matrix", "result": []})),
        "text" => success(&json!({"resultType": "string", "result": [1.5, "a"]})),
        "histogram" => success(
            &json!({"resultType": "vector", "result": [{"metric": {}, "histogram": [1.5, {}]}]}),
        ),
        "bad" => (
            StatusCode::BAD_REQUEST,
            json!({"status": "error", "errorType": "bad_data", "error": "parse error"}).to_string(),
        )
            .into_response(),
        "busy" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "html" => "<html>".into_response(),
        other => panic!("unexpected query {other}"),
    }
}

fn analysis(provider: &serde_json::Value) -> Analysis {
    let mut document = json!({"name": "errors", "pass": "< 1"});
    let fields = document.as_object_mut().unwrap();
    fields.extend(provider.as_object().unwrap().clone());
    serde_json::from_value(document).unwrap()
}

fn provider() -> Provider {
    Provider::with_timeout(Options::default(), Duration::from_millis(500)).unwrap()
}

#[tokio::test]
async fn every_answer_of_prometheus_is_a_number_or_a_reason() {
    let fake = Fake::start(prometheus, "").await;
    for (query, wanted) in [
        ("sum(rate(errors{a=\"b&c\"}[5m])) + 1", Ok("0.25")),
        ("nan", Ok("NaN")),
        ("inf", Ok("+Inf")),
        ("scalar", Ok("7")),
        ("none", Err("the query gives no series")),
        (
            "two",
            Err("the query gives 2 series, not one; aggregate them, for example with sum()"),
        ),
        (
            "range",
            Err("the query gives a range, not one value; take the [range] off"),
        ),
        ("text", Err("the query gives a text, not a number")),
        ("histogram", Err("the series is a histogram, not a number")),
        ("bad", Err("HTTP 400: bad_data: parse error")),
        ("busy", Err("HTTP 503")),
        (
            "html",
            Err("the answer is not Prometheus': expected value at line 1 column 1"),
        ),
    ] {
        // With and without the slash at the end.
        for server in ["/prefix", "/prefix/"] {
            let asked = json!({"prometheus": {"server": fake.url(server), "query": query}});
            let known = provider().ask(&analysis(&asked)).await;
            let known = known.as_deref().map_err(String::as_str);
            assert_eq!(known, wanted, "{query}");
        }
    }
}

fn documents(path: &str, _: &str, other: &str) -> Response {
    let to = |url: &str| (StatusCode::FOUND, [(header::LOCATION, url.to_owned())]).into_response();
    match path {
        "/doc" => json!({"a/b": [{"n": 0.5}, "1e3", "secret", null, true, {}, []]})
            .to_string()
            .into_response(),
        "/number" => "42".into_response(),
        "/huge" => vec![b' '; provider::MOST_BYTES + 1].into_response(),
        "/large" => format!("{}1", " ".repeat(provider::MOST_BYTES - 1)).into_response(),
        "/cut" => "{\"a".into_response(),
        "/endless" => "1e999".into_response(),
        "/gone" => (StatusCode::NOT_FOUND, "42").into_response(),
        "/here" => to("/number"),
        "/there" => to(other),
        "/round" => to("/round"),
        other => panic!("unexpected path {other}"),
    }
}

#[tokio::test]
async fn a_document_gives_the_number_at_its_pointer_or_a_reason() {
    let other = Fake::start(documents, "").await;
    let fake = Fake::start(documents, &other.url("/number")).await;
    for (path, value, wanted) in [
        ("/doc", "/a~1b/0/n", Ok("0.5")),
        ("/doc", "/a~1b/1", Ok("1e3")),
        ("/number", "", Ok("42")),
        ("/large", "", Ok("1")),
        ("/here", "", Ok("42")),
        (
            "/doc",
            "/a~1b/2",
            Err("what is at /a~1b/2 is a text, not a number"),
        ),
        ("/doc", "/a~1b/3", Err("is null, not a number")),
        ("/doc", "/a~1b/4", Err("is true or false, not a number")),
        ("/doc", "/a~1b/5", Err("is an object, not a number")),
        ("/doc", "/a~1b/6", Err("is a list, not a number")),
        ("/doc", "", Err("the document is an object, not a number")),
        (
            "/doc",
            "/missing",
            Err("the document has nothing at /missing"),
        ),
        ("/cut", "", Err("the answer is not JSON: EOF while parsing")),
        ("/endless", "", Err("number out of range")),
        ("/huge", "", Err("the answer is larger than 1048576 bytes")),
        ("/gone", "", Err("HTTP 404")),
        ("/there", "", Err("redirects to another host")),
        ("/round", "", Err("redirects too often")),
        ("/slow", "", Err("no answer within 500ms")),
    ] {
        let asked = json!({"http": {"url": fake.url(path), "value": value}});
        let known = provider().ask(&analysis(&asked)).await;
        match (&known, wanted) {
            (Ok(known), Ok(wanted)) => assert_eq!(known, wanted, "{path}"),
            (Err(known), Err(wanted)) => assert!(known.contains(wanted), "{path}: {known}"),
            _ => panic!("{path}: {known:?}, not {wanted:?}"),
        }
        let told = known.unwrap_or_else(|why| why);
        assert!(
            !told.contains("secret") && !told.contains("127.0.0.1"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let asked = json!({"http": {"url": format!("http://{address}/")}});
    let told = provider().ask(&analysis(&asked)).await.unwrap_err();
    assert!(told.contains("Connection refused"), "{told}");
}

/// What a dial shows, and how often it was looked at.
type Dial = watch::Sender<(&'static str, u32)>;

async fn dial(shows: &'static str) -> (Arc<Dial>, String, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let dial = Arc::new(watch::channel((shows, 0)).0);
    let look = |State(dial): State<Arc<Dial>>| async move {
        let shows = dial.borrow().0;
        dial.send_modify(|(_, looks)| *looks += 1);
        shows
    };
    let router = Router::new().fallback(look).with_state(Arc::clone(&dial));
    let stop = CancellationToken::new();
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::spawn(async move { serving.await });
    (dial, url, stop)
}

/// A set whose one wave soaks, with this measured beside it.
async fn soaking(url: &str, more: &serde_json::Value) -> (World, CancellationToken) {
    let mut one = json!({"name": "errors", "http": {"url": url}, "pass": "< 1", "fail": ">= 1"});
    one.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let strategy = waves(&["dev", "prod"], &json!({"analysis": [one]}));
    let mut world = World::new(&strategy, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.publish("a").await;
    world.settle().await;
    let stop = CancellationToken::new();
    let measured = world.hub.evidence.measured().clone();
    let measurer = Measurer::new(world.hub.db.clone(), measured, provider());
    tokio::spawn(measurer.run(stop.clone()));
    world.recover().await;
    (world, stop)
}

/// Passes until the run is as wanted, with agents that go on vouching.
async fn until(world: &mut World, what: &str, wanted: impl Fn(&World) -> bool) {
    for _ in 0..2000 {
        if wanted(world) {
            return;
        }
        world.report(Health::Healthy).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {what}: {:#?}", world.run());
}

#[tokio::test]
async fn what_the_provider_says_opens_the_next_wave() {
    let (dial, url, _stop_dial) = dial("0.5").await;
    let (mut world, stop) = soaking(&url, &json!({"interval": "30s", "count": 2})).await;
    until(&mut world, "a sample", |world| {
        world
            .run()
            .analysing
            .is_some_and(|known| known.tallies[0].passed == 1)
    })
    .await;
    assert_eq!(
        (world.run().state, world.run().wave),
        (RunState::Soaking, 0)
    );
    // One sample is one question.
    assert_eq!(dial.borrow().1, 1);
    world.hub.clock.wind(jiff::SignedDuration::from_secs(30));
    until(&mut world, "the next wave", |world| world.run().wave == 1).await;
    assert_eq!(dial.borrow().1, 2);
    // What was taken in is forgotten.
    until(&mut world, "forgotten", |world| {
        world.hub.evidence.measured().of(world.run().id).is_empty()
    })
    .await;
    stop.cancel();
}

#[tokio::test]
async fn a_number_that_is_bad_stops_the_run_and_is_told() {
    let (_dial, url, _stop_dial) = dial("3").await;
    let (mut world, stop) = soaking(&url, &json!({"interval": "1s"})).await;
    until(&mut world, "over", |world| world.run().state.is_terminal()).await;
    let state = world.hub.db.read().clone();
    let record = &state.runs.find(|_| true).unwrap().record;
    let told = crate::api::convert::run(&state, record);
    let analysis = &told.waves[0].analyses[0];
    assert_eq!((analysis.failed, analysis.needed), (1, 1));
    let sample = &analysis.samples[0];
    assert_eq!(sample.value.as_deref(), Some("3"));
    assert_eq!((&*sample.verdict, &*sample.reason), ("Fail", "it is >= 1"));
    assert!(told.waves[1].analyses.is_empty());
    let breach = world.hub.audit("default").await;
    let breach: Vec<_> = breach
        .iter()
        .filter(|record| record.action == "run.breach")
        .collect();
    assert_eq!(breach.len(), 1);
    assert!(
        breach[0].reason.contains("value 3 failed: it is >= 1"),
        "{breach:?}"
    );
    let code = world.run().cause.map(|cause| cause.code);
    assert!(
        matches!(
            code,
            Some(CauseCode::AnalysisFailed | CauseCode::NoLastKnownGood)
        ),
        "{code:?}"
    );
    stop.cancel();
}

#[tokio::test]
async fn samples_come_back_as_they_were_when_a_hub_restarts() {
    let (_dial, url, _stop_dial) = dial("0.5").await;
    let (mut world, stop) = soaking(&url, &json!({"interval": "30s", "count": 2})).await;
    until(&mut world, "a sample", |world| {
        world
            .run()
            .analysing
            .is_some_and(|known| known.tallies[0].passed == 1)
    })
    .await;
    stop.cancel();
    let before = world.run().analysing;
    let mut world = world.restart().await;
    world.settle().await;
    assert_eq!(
        world.run().analysing,
        before,
        "what is stored comes back as it was"
    );
}
