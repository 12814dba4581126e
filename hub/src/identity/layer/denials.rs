//! The log of denials: each one once at WARN, its repetitions at DEBUG.
//!
//! An agent that was removed asks again every few minutes and a scanner asks for anything at all;
//! neither may fill the log. What is remembered is bounded. Never denies anything.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use crate::identity::authorize::{Call, Denied};

/// Denials that are remembered as logged; beyond it, all are forgotten and logged anew.
const REMEMBERED: usize = 1_000;

/// Which denials have been logged.
#[derive(Debug, Default)]
pub(super) struct Denials {
    logged: Mutex<BTreeSet<Denied>>,
}

impl Denials {
    /// Logs a denial of a caller at `from`.
    pub(super) fn log(&self, denied: &Denied, from: Option<SocketAddr>) {
        let from = from
            .map(|address| address.ip().to_string())
            .unwrap_or_default();
        let code = denied.code();
        if self.is_new(denied) {
            tracing::warn!(
                ?code,
                from,
                "denied a call: {denied}; repetitions are logged at debug"
            );
        } else {
            tracing::debug!(?code, from, "denied a call: {denied}");
        }
    }

    fn is_new(&self, denied: &Denied) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= REMEMBERED {
            logged.clear();
        }
        logged.insert(subject(denied))
    }
}

/// The denial without what its caller is free to write: unknown paths are all the same.
fn subject(denied: &Denied) -> Denied {
    let plain = |call: &Call| match call {
        Call::Known(path) => Call::Known(path),
        Call::Unknown(_) => Call::Unknown(String::new()),
    };
    match denied {
        Denied::NoCertificate { call, for_agents } => Denied::NoCertificate {
            call: plain(call),
            for_agents: *for_agents,
        },
        Denied::NoSuchCall(call) => Denied::NoSuchCall(plain(call)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown_person(i: usize) -> Denied {
        Denied::NoRole {
            name: format!("p{i}"),
        }
    }

    #[test]
    fn a_repetition_is_not_new_and_another_denial_is() {
        let denials = Denials::default();
        assert!(denials.is_new(&unknown_person(1)));
        assert!(!denials.is_new(&unknown_person(1)));
        assert!(denials.is_new(&unknown_person(2)));
    }

    #[test]
    fn a_caller_cannot_fill_the_log_with_paths_of_its_own() {
        let denials = Denials::default();
        let path = |i: usize| Call::Unknown(format!("/x.Y/{i}"));
        let new = (0..100)
            .filter(|i| denials.is_new(&Denied::NoSuchCall(path(*i))))
            .count();
        assert_eq!(new, 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let denials = Denials::default();
        for i in 0..10 * REMEMBERED {
            denials.is_new(&unknown_person(i));
        }
        assert!(denials.logged.lock().unwrap().len() <= REMEMBERED);
    }
}
