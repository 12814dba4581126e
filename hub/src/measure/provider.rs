//! One question to one provider.
//!
//! Owns the HTTP client: how long it waits, how much it reads, whom it follows. Never reads an answer:
//! `answer` does. Whatever goes wrong is the reason why there is no number, never an error of the hub.

use std::{io, path::PathBuf, time::Duration};

use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde_json::Value;
use tidegate_model::strategy::{Analysis, Gate, HttpCheck};
use tidegate_waves::Outcome;

use super::{
    answer,
    hosts::{self, Host},
};
use crate::pem::certificates;

/// How long a provider may take in all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Why nothing can be measured at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client.
    #[error("failed to set up the HTTP client for analyses")]
    Client(#[source] reqwest::Error),
    /// The file with certificate authorities.
    #[error("failed to use {} of --analysis-ca-file", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// Whom the hub asks, and whom it believes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The hosts that may be asked; none for every host.
    pub hosts: Vec<Host>,
    /// Certificate authorities in PEM that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Asks providers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provider {
    client: Client,
    /// Follows no redirect: a page that asks for a login is no yes.
    webhooks: Client,
    timeout: Duration,
    hosts: Vec<Host>,
}

impl Provider {
    /// One that waits as long as an installation's does.
    ///
    /// # Errors
    ///
    /// When the certificate authorities cannot be used.
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::with_timeout(options, TIMEOUT)
    }

    pub(super) fn with_timeout(options: Options, timeout: Duration) -> Result<Self, Error> {
        let authorities = match options.ca_file {
            Some(path) => {
                certificates(&path).map_err(|source| Error::Authorities { path, source })?
            }
            None => Vec::new(),
        };
        let client = |policy: redirect::Policy| {
            let builder = Client::builder()
                .timeout(timeout)
                .redirect(policy)
                .user_agent(concat!("tidegate-hub/", env!("CARGO_PKG_VERSION")));
            let trusting = builder.tls_certs_merge(authorities.clone());
            trusting.build().map_err(Error::Client)
        };
        Ok(Self {
            client: client(redirect::Policy::custom(follow))?,
            webhooks: client(redirect::Policy::none())?,
            timeout,
            hosts: options.hosts,
        })
    }

    /// The number that an analysis asks for, as it is written, or why there is none.
    pub(super) async fn ask(&self, analysis: &Analysis) -> Outcome {
        match (&analysis.prometheus, &analysis.http) {
            (Some(prometheus), _) => {
                let url = query_url(&prometheus.server, &prometheus.query)?;
                let (status, body) = self.get(url).await?;
                answer::of_prometheus(status, &body)
            }
            (None, check) => self.document(check.as_ref()).await,
        }
    }

    /// What is answered at a gate: the number of series that fire and which, a number, or a webhook's
    /// yes; or why there is none.
    pub(super) async fn ask_gate(&self, gate: &Gate, review: &Value) -> Outcome {
        match gate {
            Gate::AlarmClear(alarm) => match (&alarm.prometheus, &alarm.http) {
                (Some(prometheus), _) => {
                    let url = query_url(&prometheus.server, &prometheus.query)?;
                    let (status, body) = self.get(url).await?;
                    answer::of_alarm(status, &body)
                }
                (None, check) => self.document(check.as_ref()).await,
            },
            Gate::Analysis(analysis) => self.ask(analysis).await,
            Gate::Webhook(webhook) => {
                let url = Url::parse(&webhook.url).map_err(|error| error.to_string())?;
                hosts::check(&self.hosts, &url)?;
                let request = self.webhooks.post(url).body(review.to_string());
                let json = "application/json";
                let request = request.header(reqwest::header::CONTENT_TYPE, json);
                let (status, body) = self.send(request).await?;
                answer::of_webhook(status, &body)
            }
            Gate::Approval(_) | Gate::Window(_) => Err("nobody is asked at this gate".to_owned()),
        }
    }

    async fn document(&self, check: Option<&HttpCheck>) -> Outcome {
        let check = check.ok_or_else(|| "it names no provider".to_owned())?;
        let url = Url::parse(&check.url).map_err(|error| error.to_string())?;
        let (status, body) = self.get(url).await?;
        answer::of_document(status, &body, &check.value)
    }

    async fn get(&self, url: Url) -> Result<(u16, Vec<u8>), String> {
        hosts::check(&self.hosts, &url)?;
        let accept = reqwest::header::ACCEPT;
        let request = self.client.get(url).header(accept, "application/json");
        self.send(request).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
        let answered = async {
            let response = request.send().await.map_err(Trouble::Http)?;
            let status = response.status().as_u16();
            Ok((status, read(response).await?))
        };
        answered.await.map_err(|trouble| self.tell(trouble))
    }

    /// The error with its causes, without the URL: that stands in the set.
    fn tell(&self, trouble: Trouble) -> String {
        let error = match trouble {
            Trouble::TooLarge => return format!("the answer is larger than {MOST_BYTES} bytes"),
            Trouble::Http(error) if error.is_timeout() => {
                return format!("no answer within {:?}", self.timeout);
            }
            Trouble::Http(error) => error.without_url(),
        };
        let mut told = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            told.push_str(": ");
            told.push_str(&error.to_string());
            cause = error.source();
        }
        told
    }
}

enum Trouble {
    TooLarge,
    Http(reqwest::Error),
}

async fn read(mut response: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Trouble::Http)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Trouble::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Below the server's own path: it may stand behind a prefix.
fn query_url(server: &str, query: &str) -> Result<Url, String> {
    let mut url = Url::parse(server).map_err(|error| error.to_string())?;
    url.path_segments_mut()
        .map_err(|()| "the server's URL has no path".to_owned())?
        .pop_if_empty()
        .extend(["api", "v1", "query"]);
    url.query_pairs_mut().append_pair("query", query);
    Ok(url)
}

/// Whoever wrote the analysis named a host; nobody else is asked in its place.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let origin = attempt.previous().first().map(Url::origin);
    if origin != Some(attempt.url().origin()) {
        return attempt.error("it redirects to another host, which is not followed");
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("it redirects too often");
    }
    attempt.follow()
}
