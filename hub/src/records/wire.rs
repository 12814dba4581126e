//! Reading stored bytes: every value that cannot be what it should is an error that names the
//! record's key and the field.
//!
//! Owns what the records have in common: times, ids, digests, names of enums, documents, elements
//! of the key, and the messages that several records hold. Never knows a record.
//!
//! Parts of a record that its key says (project, set, run) are read from the key alone, so that
//! the two cannot disagree; a record whose content asks for another key than it lies under is
//! refused.

mod names;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::{fmt::Display, str::FromStr, time::Duration};

use jiff::Timestamp;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use tidegate_model::{
    canonical,
    duration::Span,
    object::ObjectId,
    policy::Policy,
    release::SourceCommit,
    run::{Cause, LastGood},
    source::RepoRevision,
};
use tidegate_proto::storage::v1;

pub(crate) use self::names::Named;
use super::{Error, Record};

/// Everything a stored time can be: whole milliseconds. The hub's clock gives out no others.
pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// The canonical JSON of a document that a user wrote.
#[expect(
    clippy::expect_used,
    reason = "the documents have text keys and finite numbers, which JSON can always hold; were \
              that to change, stopping before the commit loses less than storing something else"
)]
pub(super) fn document(value: &impl Serialize) -> Vec<u8> {
    canonical::to_vec(&serde_json::to_value(value).expect("the document is JSON"))
}

/// Reads the record under one key.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    key: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(key: &'a str) -> Self {
        Self { key }
    }

    pub(super) fn error(self, field: &'static str, problem: impl Display) -> Error {
        Error {
            key: self.key.to_owned(),
            field,
            problem: problem.to_string(),
        }
    }

    pub(super) fn message<M: Message + Default>(self, bytes: &[u8]) -> Result<M, Error> {
        M::decode(bytes).map_err(|error| self.error("message", error))
    }

    /// The elements of the key after its kind; exactly `N`, none of them empty.
    pub(super) fn path<const N: usize>(self) -> Result<[&'a str; N], Error> {
        let rest = self
            .key
            .strip_prefix("/tidegate/v1/")
            .and_then(|rest| rest.split_once('/'));
        let parts: Vec<_> = rest.map_or_else(Vec::new, |(_, path)| path.split('/').collect());
        let count = parts.len();
        <[&str; N]>::try_from(parts)
            .ok()
            .filter(|parts| parts.iter().all(|part| !part.is_empty()))
            .ok_or_else(|| {
                let problem = format!(
                    "expected /tidegate/v1/<kind>/ and {N} elements that are not empty, found {count}"
                );
                self.error("key", problem)
            })
    }

    /// The record, if it lies where its content says it belongs.
    pub(super) fn finish<R: Record>(self, record: R) -> Result<R, Error> {
        let belongs = record.key();
        if belongs == self.key {
            Ok(record)
        } else {
            Err(self.error("key", format!("the content belongs under {belongs}")))
        }
    }

    pub(super) fn parse<T: FromStr<Err: Display>>(
        self,
        field: &'static str,
        text: &str,
    ) -> Result<T, Error> {
        text.parse()
            .map_err(|error| self.error(field, format!("{error} in {text:?}")))
    }

    pub(super) fn parse_opt<T: FromStr<Err: Display>>(
        self,
        field: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>, Error> {
        text.map(|text| self.parse(field, text)).transpose()
    }

    pub(super) fn name<T: Named>(self, field: &'static str, text: &str) -> Result<T, Error> {
        T::ALL
            .iter()
            .find(|value| value.stored() == text)
            .copied()
            .ok_or_else(|| {
                let known: Vec<_> = T::ALL.iter().map(|value| value.stored()).collect();
                self.error(
                    field,
                    format!("unknown value {text:?}: expected {}", known.join(", ")),
                )
            })
    }

    pub(super) fn present<T>(self, field: &'static str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.error(field, "missing"))
    }

    /// Reads every one of several.
    pub(super) fn each<S, T, C: FromIterator<T>>(
        self,
        stored: Vec<S>,
        read: impl Fn(Self, S) -> Result<T, Error>,
    ) -> Result<C, Error> {
        stored
            .into_iter()
            .map(|stored| read(self, stored))
            .collect()
    }

    /// Reads what may be absent.
    pub(super) fn maybe<S, T>(
        self,
        stored: Option<S>,
        read: impl Fn(Self, S) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        stored.map(|stored| read(self, stored)).transpose()
    }

    pub(super) fn time(self, field: &'static str, millis: i64) -> Result<Timestamp, Error> {
        Timestamp::from_millisecond(millis).map_err(|error| self.error(field, error))
    }

    pub(super) fn time_opt(
        self,
        field: &'static str,
        millis: Option<i64>,
    ) -> Result<Option<Timestamp>, Error> {
        millis.map(|millis| self.time(field, millis)).transpose()
    }

    pub(super) fn span(self, field: &'static str, millis: i64) -> Result<Span, Error> {
        u64::try_from(millis)
            .map(|millis| Span(Duration::from_millis(millis)))
            .map_err(|_| self.error(field, format!("a duration cannot be {millis} ms")))
    }

    pub(super) fn index(self, field: &'static str, number: u64) -> Result<usize, Error> {
        usize::try_from(number).map_err(|error| self.error(field, error))
    }

    pub(super) fn document<T: DeserializeOwned>(
        self,
        field: &'static str,
        json: &[u8],
    ) -> Result<T, Error> {
        serde_json::from_slice(json).map_err(|error| self.error(field, error))
    }

    pub(super) fn policy(
        self,
        field: &'static str,
        stored: Option<v1::Policy>,
    ) -> Result<Policy, Error> {
        let v1::Policy { prune, drift } = self.present(field, stored)?;
        Ok(Policy {
            prune,
            drift: self.name(field, &drift)?,
        })
    }

    pub(super) fn last_good(self, stored: v1::LastGood) -> Result<LastGood, Error> {
        let v1::LastGood {
            bundle,
            policy,
            release,
            namespace,
        } = stored;
        Ok(LastGood {
            bundle: self.parse("last_good.bundle", &bundle)?,
            policy: self.policy("last_good.policy", policy)?,
            namespace,
            release,
        })
    }

    pub(super) fn cause(self, stored: v1::Cause) -> Result<Cause, Error> {
        let v1::Cause { code, message } = stored;
        Ok(Cause {
            code: self.name("cause.code", &code)?,
            message,
        })
    }
}

pub(super) fn store_policy(policy: &Policy) -> v1::Policy {
    let Policy { prune, drift } = policy;
    v1::Policy {
        prune: *prune,
        drift: drift.stored().to_owned(),
    }
}

pub(super) fn store_last_good(last_good: &LastGood) -> v1::LastGood {
    let LastGood {
        bundle,
        policy,
        namespace,
        release,
    } = last_good;
    v1::LastGood {
        bundle: bundle.to_string(),
        policy: Some(store_policy(policy)),
        release: *release,
        namespace: namespace.clone(),
    }
}

pub(super) fn store_cause(cause: &Cause) -> v1::Cause {
    let Cause { code, message } = cause;
    v1::Cause {
        code: code.stored().to_owned(),
        message: message.clone(),
    }
}

pub(super) fn store_object(object: &ObjectId) -> v1::ObjectId {
    let ObjectId {
        group,
        kind,
        namespace,
        name,
    } = object.clone();
    v1::ObjectId {
        group,
        kind,
        namespace,
        name,
    }
}

pub(super) fn read_object(stored: v1::ObjectId) -> ObjectId {
    let v1::ObjectId {
        group,
        kind,
        namespace,
        name,
    } = stored;
    ObjectId {
        group,
        kind,
        namespace,
        name,
    }
}

pub(super) fn store_commit(pinned: &SourceCommit) -> v1::SourceCommit {
    let SourceCommit {
        source: RepoRevision { repo_url, revision },
        commit,
    } = pinned.clone();
    v1::SourceCommit {
        repo_url,
        revision,
        commit,
    }
}

pub(super) fn read_commit(stored: v1::SourceCommit) -> SourceCommit {
    let v1::SourceCommit {
        repo_url,
        revision,
        commit,
    } = stored;
    SourceCommit {
        source: RepoRevision { repo_url, revision },
        commit,
    }
}
