//! Credentials for `https://`: which host gets which.
//!
//! Never stores and never logs one.

mod file;

use std::{cell::Cell, collections::BTreeMap, fmt};

use gix::{
    credentials::{
        helper::{Action, NextAction},
        protocol::Outcome,
    },
    sec::identity::Account,
};

pub(crate) use self::file::check_closed;
pub(super) use self::file::read;

/// User and password (or token) for one host.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user; forges that take tokens accept any.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// Answers the transport's question for credentials and remembers that it was asked: a server
/// that asks and then refuses is a matter of credentials, whatever words it uses.
pub(super) struct Answers<'a> {
    pub(super) known: &'a BTreeMap<String, Credential>,
    pub(super) asked: &'a Cell<bool>,
}

impl Answers<'_> {
    /// What to send to the host that asks. After a redirect that is the host it led to.
    pub(super) fn answer(&self, action: Action) -> Option<Outcome> {
        let Action::Get(context) = action else {
            return None;
        };
        self.asked.set(true);
        let url = context
            .url
            .as_ref()
            .and_then(|url| gix::url::parse(url).ok());
        let credential = url.and_then(|url| {
            let host = &url.host()?.to_ascii_lowercase();
            let with_port = url.port.map(|port| format!("{host}:{port}"));
            let exact = with_port.as_ref().and_then(|host| self.known.get(host));
            exact.or_else(|| self.known.get(host))
        });
        credential.map(|credential| Outcome {
            identity: Account {
                username: credential.username.clone(),
                password: credential.password.clone(),
                oauth_refresh_token: None,
            },
            next: NextAction::from(context),
        })
    }
}
