//! The store in memory: for tests and demonstrations, gone with the process.
//!
//! Same meaning as every other backend; never blocks and never fails for reasons of disk.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future, future::BoxFuture};
use tokio::sync::watch;

use crate::{
    entry::{Batch, Entry, Event, Page, Range},
    error::Error,
    follow::{self, History, Piece},
    key,
    store::{Changes, Store},
    txn::{Conflict, Op, Outcome, Txn},
};

/// Revisions a watch can go back, unless said otherwise.
const DEFAULT_HISTORY: usize = 1000;

/// An in-memory store. Cloning makes a second handle to the same data.
#[derive(Clone, Debug)]
pub struct Memory {
    inner: Arc<Inner>,
    /// Apart from `inner`, which watches keep alive: they end with the last handle.
    head: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    history: usize,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    entries: BTreeMap<String, Entry>,
    log: VecDeque<Batch>,
    /// A watch can start after this revision, not before.
    oldest: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_history(DEFAULT_HISTORY)
    }

    /// An empty store whose watches can go back `history` revisions.
    pub fn with_history(history: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                history,
            }),
            head: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code between lock and unlock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn range(&self, range: &Range) -> Result<Page, Error> {
        key::check_prefix(&range.prefix)?;
        let start = match &range.after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(range.prefix.clone()),
        };
        let mut found = self
            .entries
            .range((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .skip_while(|entry| entry.key < range.prefix)
            .take_while(|entry| entry.key.starts_with(&range.prefix))
            .cloned();
        let entries: Vec<Entry> = match range.limit {
            Some(limit) => found.by_ref().take(limit).collect(),
            None => found.by_ref().collect(),
        };
        let next = match (entries.last(), found.next()) {
            (Some(last), Some(_)) => Some(last.key.clone()),
            _ => None,
        };
        Ok(Page {
            entries,
            revision: self.revision,
            next,
        })
    }

    fn transact(&mut self, txn: Txn, history: usize) -> Result<Outcome, Error> {
        txn.check()?;
        for (index, compare) in txn.compare.into_iter().enumerate() {
            let current = self.entries.get(&compare.key);
            if !compare.holds(current) {
                return Ok(Outcome::Conflict(Conflict {
                    index,
                    current: current.cloned(),
                    compare,
                }));
            }
        }
        let revision = self.revision + 1;
        let events: Vec<Event> = txn
            .ops
            .into_iter()
            .filter_map(|op| self.apply(op, revision))
            .collect();
        if !events.is_empty() {
            self.revision = revision;
            self.log.push_back(Batch { revision, events });
            while self.log.len() > history {
                if let Some(gone) = self.log.pop_front() {
                    self.oldest = gone.revision;
                }
            }
        }
        Ok(Outcome::Committed {
            revision: self.revision,
        })
    }

    fn apply(&mut self, op: Op, revision: u64) -> Option<Event> {
        match op {
            Op::Put { key, value } => {
                let before = self.entries.get(&key);
                let entry = Entry {
                    create_revision: before.map_or(revision, |entry| entry.create_revision),
                    version: before.map_or(0, |entry| entry.version) + 1,
                    mod_revision: revision,
                    key: key.clone(),
                    value,
                };
                self.entries.insert(key, entry.clone());
                Some(Event::Put(entry))
            }
            Op::Delete { key } => self.entries.remove(&key).map(|_| Event::Delete {
                key,
                mod_revision: revision,
            }),
        }
    }
}

impl History for Inner {
    fn since(self: Arc<Self>, prefix: &str, after: u64) -> BoxFuture<'_, Result<Piece, Error>> {
        let state = self.state();
        let piece = follow::check_position(after, state.oldest, state.revision).map(|()| {
            let start = state.log.partition_point(|batch| batch.revision <= after);
            Piece {
                batches: state
                    .log
                    .range(start..)
                    .filter_map(|batch| narrow(batch, prefix))
                    .collect(),
                through: state.revision,
            }
        });
        future::ready(piece).boxed()
    }
}

fn narrow(batch: &Batch, prefix: &str) -> Option<Batch> {
    let events: Vec<Event> = batch
        .events
        .iter()
        .filter(|event| event.key().starts_with(prefix))
        .cloned()
        .collect();
    (!events.is_empty()).then_some(Batch {
        revision: batch.revision,
        events,
    })
}

impl Store for Memory {
    fn revision(&self) -> BoxFuture<'_, Result<u64, Error>> {
        future::ready(Ok(self.inner.state().revision)).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        let found = key::check(key).map(|()| self.inner.state().entries.get(key).cloned());
        future::ready(found).boxed()
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
        future::ready(self.inner.state().range(&range)).boxed()
    }

    fn transact(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, Error>> {
        let outcome = {
            let mut state = self.inner.state();
            let outcome = state.transact(txn, self.inner.history);
            self.head.send_replace(state.revision);
            outcome
        };
        future::ready(outcome).boxed()
    }

    fn watch(&self, prefix: &str, after: u64) -> Changes {
        let head = self.head.subscribe();
        follow::follow(Arc::clone(&self.inner), head, prefix, after)
    }
}
