//! `https://` against Git's own server program behind TLS.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
    serve::Listener,
};
use tempfile::TempDir;
use tidegate_hub::git::{Credential, Error, Options};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};

use crate::fixture::{Hub, Repo, at, git_command};

/// How the server behaves.
#[derive(Clone, Debug, Default)]
struct Behaviour {
    root: PathBuf,
    /// The `Authorization` that it wants.
    authorization: Option<&'static str>,
}

struct Server {
    address: SocketAddr,
    ca: PathBuf,
    _directory: TempDir,
}

impl Server {
    async fn start(repo: &Repo, change: impl FnOnce(&mut Behaviour)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut behaviour = Behaviour {
            root: repo.path().to_owned(),
            ..Behaviour::default()
        };
        change(&mut behaviour);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let ca = directory.path().join("ca.pem");
        fs::write(&ca, signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let listener = Tls {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let app = Router::new().fallback(serve).with_state(behaviour);
        // Ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            ca,
            _directory: directory,
        }
    }

    fn url(&self) -> String {
        format!("https://{}/.git", self.address)
    }

    fn hub(&self, change: impl FnOnce(&mut Options)) -> Hub {
        Hub::with(|options| {
            options.ca_file = Some(self.ca.clone());
            change(options);
        })
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // A client that does not trust us hangs up here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn serve(
    State(behaviour): State<Behaviour>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let sent = headers
        .get(header::AUTHORIZATION)
        .map(|it| it.to_str().unwrap());
    if behaviour.authorization.is_some() && sent != behaviour.authorization {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")
            .body(Body::empty())
            .unwrap();
    }
    tokio::task::spawn_blocking(move || backend(&behaviour, &method, &uri, &headers, &body))
        .await
        .unwrap()
}

/// Runs `git http-backend` as RFC 3875 (CGI) says.
fn backend(
    behaviour: &Behaviour,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let text = |name: &str| {
        let value = headers.get(name).map(|it| it.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    };
    let mut command = git_command(Path::new("/nonexistent"));
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &behaviour.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", text("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = body.to_vec();
    // The program may answer before it has read everything.
    let writer = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().unwrap().stdout;
    drop(writer.join().unwrap());
    let split = output.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in str::from_utf8(&output[..split]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            name => response.header(name, value),
        };
    }
    response
        .body(Body::from(output[split + 4..].to_vec()))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_followed_over_https() {
    let repo = Repo::new();
    let server = Server::start(&repo, |_| {}).await;
    let hub = server.hub(|_| {});
    for content in ["two", "three"] {
        let commit = repo.commit("app/a.yaml", content);
        let fetched = hub.git.fetch(&at(&server.url(), "main")).await.unwrap();
        assert_eq!(fetched.commit, commit);
        let tree = hub.git.tree(&server.url(), &commit).unwrap();
        let read = tidegate_render::SourceTree::read(&tree, "app/a.yaml").unwrap();
        assert_eq!(read, content.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_unknown_authority_is_not_trusted() {
    let repo = Repo::new();
    let server = Server::start(&repo, |_| {}).await;
    let error = Hub::new()
        .git
        .fetch(&at(&server.url(), "main"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_to_their_host_alone() {
    let repo = Repo::new();
    // "user:secret" in base64.
    let server = Server::start(&repo, |it| {
        it.authorization = Some("Basic dXNlcjpzZWNyZXQ=");
    })
    .await;
    let (address, url) = (server.address.to_string(), server.url());
    let fetch = async |host: &str, password: &str| {
        let credential = Credential {
            username: "user".to_owned(),
            password: password.to_owned(),
        };
        let hub = server.hub(|options| {
            options.credentials.insert(host.to_owned(), credential);
        });
        hub.git.fetch(&at(&url, "main")).await
    };
    assert!(fetch(&address, "secret").await.is_ok());
    assert!(fetch("127.0.0.1", "secret").await.is_ok());
    for (host, password) in [
        (address.as_str(), "hunter2"),
        ("example.com", "secret"),
        ("127.0.0.1:1", "secret"),
    ] {
        let error = fetch(host, password).await.unwrap_err();
        assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(password), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_a_file_are_read_anew_for_each_fetch() {
    let repo = Repo::new();
    let server = Server::start(&repo, |it| {
        it.authorization = Some("Basic dXNlcjpzZWNyZXQ=");
    })
    .await;
    let directory = TempDir::new().unwrap();
    // As Kubernetes mounts a Secret: a link that is replaced.
    let write = |version: &str, content: &str| {
        let file = directory.path().join(version);
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
        let link = directory.path().join("next");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::rename(&link, directory.path().join("credentials")).unwrap();
    };
    let list = |password: &str| {
        let host = server.address;
        format!("- {{host: '{host}', username: user, password: {password}}}\n")
    };
    write("1", &list("hunter2"));
    let hub = server.hub(|options| {
        options.credentials_file = Some(directory.path().join("credentials"));
    });
    let fetch = async || hub.git.fetch(&at(&server.url(), "main")).await;
    let error = fetch().await.unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");

    write("2", &list("secret"));
    let first = fetch().await.unwrap();

    write("3", "- host: a\n  passwd: secret\n");
    let text = fetch().await.unwrap_err().to_string();
    assert!(
        text.contains("--git-credentials-file") && text.contains("unknown field `passwd`"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");

    write("4", &list("secret"));
    assert_eq!(fetch().await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_told() {
    let repo = Repo::new();
    let server = Server::start(&repo, |_| {}).await;
    let url = format!("https://{}/no-such.git", server.address);
    let error = server
        .hub(|_| {})
        .git
        .fetch(&at(&url, "main"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error:?}");
}
