//! Whom a hub asks and believes, as its operator says.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};

use super::*;

/// A provider over TLS whose authority only a file knows: its URL and the file.
async fn over_tls(dir: &std::path::Path) -> (String, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let ca_file = dir.join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not believe the certificate hangs up.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _read = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n42";
                let _written = stream.write_all(answer).await;
                let _closed = stream.shutdown().await;
            }
        }
    });
    (format!("https://localhost:{port}/"), ca_file)
}

async fn ask(url: &str, options: Options) -> Outcome {
    let provider = Provider::with_timeout(options, Duration::from_secs(10)).unwrap();
    let asked = json!({"http": {"url": url}});
    provider.ask(&analysis(&asked)).await
}

#[tokio::test]
async fn an_authority_of_the_installation_is_trusted_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (url, ca_file) = over_tls(dir.path()).await;
    let ca_file = Some(ca_file);
    let known = Options {
        ca_file,
        ..Options::default()
    };
    assert_eq!(ask(&url, known).await.as_deref(), Ok("42"));
    let told = ask(&url, Options::default()).await.unwrap_err();
    assert!(told.to_lowercase().contains("certificate"), "{told}");
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_asked() {
    let (dial, url, _stop) = dial("1").await;
    let only = |host: &str| Options {
        hosts: vec![host.parse().unwrap()],
        ..Options::default()
    };
    let told = ask(&url, only("prom.example.com")).await.unwrap_err();
    assert_eq!(
        told,
        "this hub does not ask 127.0.0.1: whoever operates it has to add the host to --analysis-hosts"
    );
    assert_eq!(dial.borrow().1, 0, "it was asked");
    assert_eq!(ask(&url, only("127.0.0.1")).await.as_deref(), Ok("1"));
}
