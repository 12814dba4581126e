//! What can go wrong with an etcd, told apart by what a caller has to do about it.
//!
//! Owns the reading of statuses. Never calls.

use std::error::Error as _;

use tonic::{Code, Status};

use super::Options;

/// A call to etcd that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The options contradict one another.
    #[error("failed to use etcd: {detail}")]
    Options {
        /// How.
        detail: &'static str,
    },
    /// No connection was made; nothing was sent.
    #[error(
        "failed to {action}: cannot reach etcd at {endpoints}: {detail}; check that it runs there \
         and that certificates and network let the hub through"
    )]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// The endpoints.
        endpoints: String,
        /// What the system said.
        detail: String,
    },
    /// No answer, or the connection broke before it came: a transaction may have been committed.
    #[error(
        "failed to {action}: no answer from etcd at {endpoints}: {detail}; check etcd's health if \
         this goes on"
    )]
    Interrupted {
        /// What was tried.
        action: &'static str,
        /// The endpoints.
        endpoints: String,
        /// What was seen.
        detail: String,
    },
    /// The quota of etcd's database is used up.
    #[error(
        "failed to {action}: the database of etcd at {endpoints} is full; compact and defragment \
         it or raise its --quota-backend-bytes, then disarm the alarm (`etcdctl alarm disarm`)"
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// The endpoints.
        endpoints: String,
    },
    /// The token of the call was made before somebody changed etcd's users or roles; nothing was done.
    #[error(
        "failed to {action}: users or roles of etcd at {endpoints} were changed meanwhile; trying \
         again with a new token"
    )]
    Stale {
        /// What was tried.
        action: &'static str,
        /// The endpoints.
        endpoints: String,
    },
    /// etcd refuses the call, and will go on to: user, password, rights, limits.
    #[error(
        "failed to {action}: etcd at {endpoints} refuses: {detail}; check the user's password and \
         rights to keys under /tidegate/, and etcd's limits"
    )]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The endpoints.
        endpoints: String,
        /// What etcd said.
        detail: String,
    },
    /// A revision was asked for that is compacted away.
    #[error("failed to read etcd at one revision: it was compacted meanwhile; read again")]
    Compacted,
    /// An answer that etcd does not give.
    #[error("failed to understand etcd: {detail}; is it an etcd of version 3.4 or later?")]
    Answer {
        /// What is wrong with it.
        detail: &'static str,
    },
}

impl Fault {
    /// Whether the same call can succeed later by itself, or after somebody mended etcd.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Interrupted { .. }
                | Self::Full { .. }
                | Self::Stale { .. }
                | Self::Compacted
        )
    }

    /// Whether a transaction with this fault may have been committed all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Interrupted { .. } | Self::Answer { .. })
    }
}

impl Options {
    fn listed(&self) -> String {
        self.endpoints.join(", ")
    }

    /// No answer in time.
    pub(super) fn silence(&self, action: &'static str) -> Fault {
        Fault::Interrupted {
            action,
            endpoints: self.listed(),
            detail: format!("nothing came within {:?}", self.timeout),
        }
    }

    /// The connection of a watch ended with these words.
    pub(super) fn broken(&self, action: &'static str, detail: impl Into<String>) -> Fault {
        Fault::Interrupted {
            action,
            endpoints: self.listed(),
            detail: detail.into(),
        }
    }

    /// etcd said no.
    pub(super) fn refused(&self, action: &'static str, detail: impl Into<String>) -> Fault {
        Fault::Refused {
            action,
            endpoints: self.listed(),
            detail: detail.into(),
        }
    }

    /// What the client's error means.
    pub(super) fn fault(&self, action: &'static str, error: &etcd_client::Error) -> Fault {
        use etcd_client::Error as Cause;
        match error {
            Cause::GRpcStatus(status) => self.status(action, status),
            Cause::IoError(_) | Cause::TransportError(_) | Cause::WatchError(_) => {
                self.broken(action, chain(error))
            }
            _ => self.refused(action, error.to_string()),
        }
    }

    fn status(&self, action: &'static str, status: &Status) -> Fault {
        let message = status.message();
        let endpoints = self.listed();
        match status.code() {
            _ if never_connected(status) => Fault::Unreachable {
                action,
                endpoints,
                detail: chain(status),
            },
            Code::InvalidArgument if is_stale(message) => Fault::Stale { action, endpoints },
            Code::OutOfRange if message.contains("compacted") => Fault::Compacted,
            Code::ResourceExhausted if message.contains("space exceeded") => {
                Fault::Full { action, endpoints }
            }
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::Aborted
            // Too many requests at once.
            | Code::ResourceExhausted => self.broken(action, chain(status)),
            _ => self.refused(action, message),
        }
    }
}

/// Whether etcd says that a token is of an older revision of its users and roles, as tokens are that
/// it does not keep itself (JWT).
pub(super) fn is_stale(message: &str) -> bool {
    message.contains("revision of auth store is old")
}

/// Whether the connection itself failed, so that nothing was sent.
fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The words of an error and of all that caused it, each once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = match error.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => error.to_string(),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: Status) -> Fault {
        Options::new(["http://etcd:2379"]).fault("commit", &status.into())
    }

    #[test]
    fn statuses_say_whether_to_try_again_and_whether_it_may_have_happened() {
        let table = [
            // (status, retryable, outcome unknown)
            (Status::unavailable("etcdserver: no leader"), true, true),
            (Status::unknown("transport error"), true, true),
            (
                Status::deadline_exceeded("etcdserver: request timed out"),
                true,
                true,
            ),
            (
                Status::resource_exhausted("etcdserver: mvcc: database space exceeded"),
                true,
                false,
            ),
            (
                Status::permission_denied("etcdserver: permission denied"),
                false,
                false,
            ),
            (
                Status::unauthenticated("etcdserver: invalid auth token"),
                false,
                false,
            ),
            (
                Status::invalid_argument("etcdserver: authentication failed"),
                false,
                false,
            ),
            (
                Status::invalid_argument("etcdserver: revision of auth store is old"),
                true,
                false,
            ),
            (
                Status::data_loss("etcdserver: corrupt cluster"),
                false,
                false,
            ),
        ];
        for (status, retryable, unknown) in table {
            let fault = fault(status);
            assert_eq!(fault.is_retryable(), retryable, "{fault}");
            assert_eq!(fault.is_outcome_unknown(), unknown, "{fault}");
        }
    }

    #[test]
    fn options_that_contradict_are_refused() {
        let check = |endpoints: &[&str], ca: Option<&str>| {
            let mut options = Options::new(endpoints.iter().copied());
            options.ca_pem = ca.map(str::to_owned);
            options
                .connect_options()
                .map(drop)
                .map_err(|fault| fault.to_string())
        };
        assert!(check(&["http://a"], None).is_ok());
        assert!(check(&["https://a", "https://b"], Some("pem")).is_ok());
        assert!(
            check(&["https://a"], None)
                .unwrap_err()
                .contains("authority")
        );
        assert!(
            check(&["http://a"], Some("pem"))
                .unwrap_err()
                .contains("https://")
        );
        let mixed = check(&["http://a", "https://b"], Some("pem"));
        assert!(mixed.unwrap_err().contains("all endpoints"));
    }
}
