//! What a workload says of itself, and a Prometheus that asks it.
//!
//! Owns the fake workload, which answers with the files that the story wrote, and the server that
//! scrapes it. Never knows what the numbers mean.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::harness::{Error, Prometheus, require_prometheus};

/// Both; they end with it.
#[derive(Debug)]
pub(super) struct Metrics {
    prometheus: Prometheus,
    workload: SocketAddr,
    serving: JoinHandle<()>,
}

impl Metrics {
    /// Starts a workload that serves the files in `served` of the story's folder, each at its name,
    /// and a Prometheus that scrapes its `/metrics` every second.
    pub(super) async fn start(folder: &Path) -> Result<Self, Error> {
        let program = require_prometheus("this story").ok_or_else(|| Error::Missing {
            what: "start Prometheus".to_owned(),
            missing: "the machine has none".to_owned(),
        })?;
        let failed = || Error::io("serve the workload of a story");
        let served = folder.join("served");
        std::fs::create_dir_all(&served).map_err(failed())?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed())?;
        let workload = listener.local_addr().map_err(failed())?;
        let router = Router::new().fallback(file).with_state(served);
        let serving = tokio::spawn(async move {
            // It ends with the story's runtime or by being aborted.
            let _ended = axum::serve(listener, router).await;
        });
        let prometheus = Prometheus::start(program, workload).await?;
        Ok(Self {
            prometheus,
            workload,
            serving,
        })
    }

    /// Where Prometheus answers.
    pub(super) fn prometheus(&self) -> String {
        self.prometheus.url()
    }

    /// Where the workload answers.
    pub(super) fn workload(&self) -> String {
        format!("http://{}", self.workload)
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A POST is answered in the same way, and what it brought is kept beside the file.
async fn file(
    State(folder): State<PathBuf>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    let name = Path::new(uri.path()).file_name();
    let path = folder.join(name.ok_or(StatusCode::NOT_FOUND)?);
    if method == Method::POST {
        let kept = tokio::fs::write(path.with_extension("asked"), body).await;
        kept.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    }
    let read = tokio::fs::read(path).await;
    read.map_err(|_| StatusCode::NOT_FOUND)
}
