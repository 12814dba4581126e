//! What can go wrong in a call of the API server, and whether trying again helps.

use std::time::Duration;

/// Whether the same call can succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Not with this content: retried slowly, in case the cluster changes.
    Terminal,
    /// Likely: conflicts, overload, something not there yet.
    Retryable,
    /// The API server cannot be reached, so nothing is known.
    Unreachable,
}

/// Why a call of the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused.
    #[error("{message} (HTTP {code} {reason})")]
    Api {
        /// HTTP status.
        code: u16,
        /// Machine-readable reason; may be empty.
        reason: String,
        /// The server's words.
        message: String,
        /// Paths of the fields it complains about.
        fields: Vec<String>,
        /// Whether the answer names the object it speaks of: an API that is not served does not.
        named: bool,
        /// What the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("failed to {action}: no answer within {limit:?}")]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// No connection, or it broke.
    #[error("failed to {action}: the API server cannot be reached")]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// An answer that is no JSON.
    #[error("failed to {action}: the answer cannot be read")]
    Unreadable {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request could not be built.
    #[error("failed to {action}: {text}")]
    Request {
        /// What was tried.
        action: &'static str,
        /// Why.
        text: String,
    },
}

impl Error {
    /// Sorts a failure of the client.
    pub fn of(action: &'static str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Api {
                code: status.code,
                reason: status.reason,
                message: status.message,
                retry_after: status
                    .details
                    .as_ref()
                    .map(|details| Duration::from_secs(details.retry_after_seconds.into()))
                    .filter(|wait| !wait.is_zero()),
                named: status
                    .details
                    .as_ref()
                    .is_some_and(|details| !details.name.is_empty()),
                fields: status.details.map_or_else(Vec::new, |details| {
                    details
                        .causes
                        .into_iter()
                        .map(|cause| cause.field)
                        .collect()
                }),
            },
            kube::Error::BuildRequest(error) => Self::Request {
                action,
                text: error.to_string(),
            },
            kube::Error::SerdeError(source) => Self::Unreadable { action, source },
            other => Self::Unreachable {
                action,
                source: Box::new(other),
            },
        }
    }

    /// Whether trying again helps (facts "agent-reconcile" 1.9).
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => Class::Unreachable,
            Self::Unreadable { .. } => Class::Retryable,
            Self::Request { .. } => Class::Terminal,
            Self::Api { message, .. }
                if self.is_namespace_terminating()
                    // A server that just started has not read its roles yet; one that means it is
                    // asked again ever more rarely.
                    || message.contains("is forbidden: User")
                    || message.contains("failed calling webhook") =>
            {
                Class::Retryable
            }
            Self::Api { code, .. } => match code {
                400 | 401 | 403 | 405 | 406 | 413 | 415 | 422 => Class::Terminal,
                _ => Class::Retryable,
            },
        }
    }

    /// Whether the server says that this very object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Api {
                code: 404,
                named: true,
                ..
            }
        )
    }

    /// Whether the server does not serve such objects (now): no word about any of them.
    pub fn is_unserved(&self) -> bool {
        matches!(
            self,
            Self::Api {
                code: 404 | 405,
                named: false,
                ..
            }
        )
    }

    /// Whether somebody else was faster.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api { code: 409, .. })
    }

    /// Whether the agent lacks a right.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { code: 403, .. }) && !self.is_namespace_terminating()
    }

    /// Whether the namespace is on its way out and takes nothing new.
    pub fn is_namespace_terminating(&self) -> bool {
        matches!(self, Self::Api { message, .. } if message.contains("because it is being terminated"))
    }

    /// Whether an admission webhook cannot answer dry runs.
    pub fn refuses_dry_run(&self) -> bool {
        matches!(self, Self::Api { code: 400, message, .. } if message.contains("dry run") || message.contains("dryRun"))
    }

    /// What the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The failure in words that can hold no value of the object: for Secrets, whose values servers
    /// and webhooks like to quote.
    pub fn without_values(&self) -> String {
        match self {
            Self::Api {
                code,
                reason,
                fields,
                ..
            } => {
                let at = if fields.is_empty() {
                    String::new()
                } else {
                    format!(" at {}", fields.join(", "))
                };
                format!(
                    "the API server refused the Secret{at} (HTTP {code} {reason}); its words are left out because they can quote values"
                )
            }
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> Error {
        Error::Api {
            code,
            reason: "R".into(),
            message: message.into(),
            fields: vec!["data[x]".into()],
            named: false,
            retry_after: None,
        }
    }

    #[test]
    fn content_that_is_wrong_and_servers_that_are_busy_are_told_apart() {
        for (code, message, class) in [
            (422, "invalid", Class::Terminal),
            (403, "x is forbidden: exceeded quota", Class::Terminal),
            (403, "x is forbidden: User a cannot get", Class::Retryable),
            (413, "too large", Class::Terminal),
            (409, "conflict", Class::Retryable),
            (429, "slow down", Class::Retryable),
            (500, "etcd", Class::Retryable),
            (404, "namespace not found", Class::Retryable),
            (
                403,
                "unable to create new content in namespace x because it is being terminated",
                Class::Retryable,
            ),
            (
                400,
                "failed calling webhook: connection refused",
                Class::Retryable,
            ),
        ] {
            assert_eq!(api(code, message).class(), class, "{code} {message}");
        }
    }

    #[test]
    fn only_an_answer_that_names_the_object_says_that_it_is_gone() {
        let page = api(404, "404 page not found");
        assert!(page.is_unserved() && !page.is_not_found());
        let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,
            "reason":"NotFound","message":"configmaps \"x\" not found","details":{"name":"x","kind":"configmaps"}}"#;
        let status = kube::Error::Api(serde_json::from_str(status).unwrap());
        let gone = Error::of("read", status);
        assert!(gone.is_not_found() && !gone.is_unserved(), "{gone:?}");
    }

    #[test]
    fn a_refused_secret_is_described_without_the_servers_words() {
        let text = api(422, "Invalid value: hunter2").without_values();
        assert!(!text.contains("hunter2") && text.contains("data[x]") && text.contains("422"));
    }
}
