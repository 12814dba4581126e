//! Streams over real TLS: they end when their caller may no longer make the call.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::{Response, Streaming};

use super::*;

const WATCH: &str = "/tidegate.v1.Fleet/WatchRun";
const FETCH: &str = "/tidegate.v1.AgentLink/FetchBlobs";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Is told when the hub's half of a stream is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // A test that is over does not listen.
        self.0.send(()).ok();
    }
}

/// A gRPC message with a field that nobody knows: clients take many empty ones for an attack.
fn message() -> Bytes {
    const SIZE: u16 = 8 << 10;
    // Field 15, with a length of 8192 - 3 as two bytes of seven bits.
    let mut message = vec![0x7a, 0xfd, 0x3f];
    message.resize(SIZE.into(), b'x');
    let mut frame = vec![0, 0, 0];
    frame.extend(SIZE.to_be_bytes());
    frame.extend(message);
    frame.into()
}

/// Answers with one message and then nothing more, or with messages without end.
fn forever(quiet: bool, dropped: mpsc::UnboundedSender<()>) -> tonic::service::Routes {
    let answer = move || {
        let held = Dropped(dropped.clone());
        async move {
            let rest = if quiet {
                stream::pending().boxed()
            } else {
                stream::repeat_with(message).boxed()
            };
            let messages = stream::once(async { message() })
                .chain(rest)
                .map(move |next| {
                    let _held = &held;
                    Ok::<_, Infallible>(next)
                });
            http::Response::builder()
                .header("content-type", "application/grpc")
                .body(axum::body::Body::from_stream(messages))
                .unwrap()
        }
    };
    axum::Router::new().fallback(answer).into()
}

struct Open {
    stream: Streaming<HealthCheckRequest>,
    _client: tonic::client::Grpc<Channel>,
}

impl Open {
    /// Opens the stream and takes its first message: it is under way.
    async fn new(hub: &Hub, identity: &Identity, path: &'static str) -> Self {
        let channel = hub.channel(Some(identity)).await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
        // The client's half stays open, as a session's does.
        let request = Request::new(stream::pending());
        let answer: Response<_> = client
            .streaming(request, PathAndQuery::from_static(path), codec)
            .await
            .unwrap();
        let mut stream = answer.into_inner();
        assert!(stream.message().await.unwrap().is_some());
        Self {
            stream,
            _client: client,
        }
    }

    /// How it ends.
    async fn end(mut self) -> Status {
        let end = async {
            loop {
                match self.stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it ended without a reason"),
                    Err(status) => return status,
                }
            }
        };
        tokio::time::timeout(PATIENCE, end)
            .await
            .expect("the stream goes on")
    }
}

async fn hub(quiet: bool) -> (Hub, mpsc::UnboundedReceiver<()>) {
    let (dropped, told) = mpsc::unbounded_channel();
    let period = Duration::from_millis(20);
    (start_with(forever(quiet, dropped), period).await, told)
}

#[tokio::test]
async fn a_stream_of_a_removed_person_ends_and_says_why() {
    // A quiet one is not polled by itself, a busy one is always ready.
    for quiet in [true, false] {
        let (hub, mut told) = hub(quiet).await;
        let vera = Open::new(&hub, &hub.person("vera"), WATCH).await;
        let mut otto = Open::new(&hub, &hub.person("otto"), WATCH).await;
        hub.roles.lock().unwrap().remove("vera");
        let end = vera.end().await;
        assert_eq!(end.code(), Code::PermissionDenied, "{end}");
        assert!(end.message().contains("vera has no role here"), "{end}");
        // And nobody works for it any more.
        let dropped = tokio::time::timeout(PATIENCE, told.recv()).await;
        assert_eq!(dropped.expect("the hub's half goes on"), Some(()));
        // Others go on.
        if !quiet {
            assert!(otto.stream.message().await.unwrap().is_some());
        }
        assert!(told.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_stream_of_a_person_whose_role_became_too_low_ends() {
    let (hub, _told) = hub(true).await;
    let stream = Open::new(&hub, &hub.person("otto"), APPLY).await;
    hub.roles
        .lock()
        .unwrap()
        .insert("otto".to_owned(), Role::Viewer);
    let end = stream.end().await;
    assert_eq!(end.code(), Code::PermissionDenied, "{end}");
    assert!(end.message().contains("needs the role Operator"), "{end}");
}

#[tokio::test]
async fn every_stream_of_the_agent_of_a_removed_cluster_ends_and_says_why() {
    let (hub, _told) = hub(true).await;
    let agent = hub.agent(CLUSTER);
    let mut open = Vec::new();
    for path in [SESSION, FETCH] {
        open.push(Open::new(&hub, &agent, path).await);
    }
    hub.clusters.lock().unwrap().clear();
    for stream in open {
        let end = stream.end().await;
        assert_eq!(end.code(), Code::PermissionDenied, "{end}");
        assert!(
            end.message().contains("is not registered") && end.message().contains(CLUSTER),
            "{end}"
        );
    }
}

#[tokio::test]
async fn after_the_reason_comes_nothing_more() {
    let (hub, _) = hub(true).await;
    let (dropped, mut told) = mpsc::unbounded_channel();
    let held = Dropped(dropped);
    let messages = stream::repeat_with(move || {
        let _held = &held;
        Ok::<_, Infallible>(message())
    });
    let nobody = Caller::new(
        Some(Peer::User("nobody".to_owned())),
        Some(Role::Admin),
        None,
    );
    let guard = Guard::new(hub.layer.clone(), WATCH, nobody, None);
    let mut body = Rechecked::new(axum::body::Body::from_stream(messages), Some(guard));
    let mut next = async || {
        std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await
    };
    let reason = loop {
        match next().await.unwrap().unwrap().into_trailers() {
            Ok(trailers) => break trailers,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(reason["grpc-status"], "7");
    assert_eq!(told.try_recv(), Ok(()), "the hub's half goes on");
    assert!(next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_was_opened_with_a_certificate_that_is_replaced_ends() {
    let (hub, _told) = hub(true).await;
    let stream = Open::new(&hub, &hub.agent(CLUSTER), SESSION).await;
    *hub.refused_before.lock().unwrap() = Some(Authority::after(hub.now));
    let end = stream.end().await;
    assert_eq!(end.code(), Code::PermissionDenied, "{end}");
    assert!(end.message().contains("was replaced"), "{end}");
}
