//! The layout of the file: three tables, and how a transaction changes them.
//!
//! - `meta`: format version, revision, oldest revision a watch can start after, bytes of history;
//! - `entries`: key to create revision, mod revision, version (little-endian `u64`s) and value;
//! - `log`: (revision, index) to one change, trimmed at its old end.
//!
//! The bytes are our own, not redb's tuples, so that a new major version of redb cannot change
//! them. Never commits: the writer does.

use std::ops::Bound;

use bytes::Bytes;
use redb::{
    Database, Error, ReadTransaction, ReadableDatabase as _, ReadableTable, Table, TableDefinition,
    TableError, WriteTransaction,
};

use super::{FORMAT, Options};
use crate::{
    entry::{self, Entry, Event, Page, Range},
    follow::{self, Piece},
    txn::{Conflict, Op, Outcome, Txn},
};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
const LOG: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("log");

/// Most revisions and bytes in one piece of history; a piece always holds whole revisions.
const PIECE_REVISIONS: u64 = 256;
const PIECE_BYTES: usize = 4 << 20;

/// What an opened file turned out to be.
pub(super) enum Prepared {
    /// A store of a format we know, at this revision.
    Ready { revision: u64 },
    /// A store of a newer format, left untouched.
    Newer { found: u64 },
}

/// Makes the tables of a new file, or checks the format of an old one.
pub(super) fn prepare(database: &Database) -> Result<Prepared, Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(meta) => match number(&meta, "format")? {
            FORMAT => Ok(Prepared::Ready {
                revision: number(&meta, "revision")?,
            }),
            0 => Err(Error::Corrupted("no format version in it".to_owned())),
            found => Ok(Prepared::Newer { found }),
        },
        Err(TableError::TableDoesNotExist(_)) => {
            if let Some(foreign) = read.list_tables()?.next() {
                let name = redb::TableHandle::name(&foreign).to_owned();
                return Err(Error::Corrupted(format!(
                    "a redb file of another program, with table {name:?}"
                )));
            }
            let write = database.begin_write()?;
            write.open_table(ENTRIES)?;
            write.open_table(LOG)?;
            write.open_table(META)?.insert("format", FORMAT)?;
            write.commit()?;
            Ok(Prepared::Ready { revision: 0 })
        }
        Err(error) => Err(error.into()),
    }
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, Error> {
    Ok(meta.get(name)?.map_or(0, |value| value.value()))
}

/// The store's revision.
pub(super) fn revision(txn: &ReadTransaction) -> Result<u64, Error> {
    number(&txn.open_table(META)?, "revision")
}

/// One entry.
pub(super) fn get(txn: &ReadTransaction, key: &str) -> Result<Option<Entry>, Error> {
    lookup(&txn.open_table(ENTRIES)?, key)
}

fn lookup(
    entries: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Entry>, Error> {
    entries
        .get(key)?
        .map(|value| decode_entry(key, value.value()))
        .transpose()
}

/// Entries under a prefix.
pub(super) fn range(txn: &ReadTransaction, range: &Range) -> Result<Page, Error> {
    let entries = txn.open_table(ENTRIES)?;
    let start = match range.after.as_deref() {
        Some(after) if after >= range.prefix.as_str() => Bound::Excluded(after),
        _ => Bound::Included(range.prefix.as_str()),
    };
    let limit = range.limit.unwrap_or(usize::MAX);
    let mut page = Page {
        entries: Vec::new(),
        revision: revision(txn)?,
        next: None,
    };
    for item in entries.range::<&str>((start, Bound::Unbounded))? {
        let (key, value) = item?;
        if !key.value().starts_with(&range.prefix) {
            break;
        }
        if page.entries.len() == limit {
            page.next = page.entries.last().map(|last| last.key.clone());
            break;
        }
        page.entries.push(decode_entry(key.value(), value.value())?);
    }
    Ok(page)
}

/// A piece of the history after revision `after`.
pub(super) fn since(
    txn: &ReadTransaction,
    prefix: &str,
    after: u64,
) -> Result<Result<Piece, crate::Error>, Error> {
    let meta = txn.open_table(META)?;
    let current = number(&meta, "revision")?;
    if let Err(error) = follow::check_position(after, number(&meta, "oldest")?, current) {
        return Ok(Err(error));
    }
    let mut piece = Piece {
        batches: Vec::new(),
        through: current.min(after + PIECE_REVISIONS),
    };
    let mut bytes = 0;
    let log = txn.open_table(LOG)?;
    for item in log.range((after + 1, 0)..=(piece.through, u32::MAX))? {
        let (at, value) = item?;
        let (revision, _) = at.value();
        let is_same = piece.batches.last().is_some_and(|b| b.revision == revision);
        if bytes > PIECE_BYTES && !is_same {
            piece.through = revision - 1;
            break;
        }
        let value = value.value();
        let Some(event) = decode_event(value, prefix, revision)? else {
            continue;
        };
        bytes += value.len();
        match piece.batches.last_mut() {
            Some(batch) if is_same => batch.events.push(event),
            _ => piece.batches.push(entry::Batch {
                revision,
                events: vec![event],
            }),
        }
    }
    Ok(Ok(piece))
}

/// Transactions on their way into one commit.
pub(super) struct Batch<'txn> {
    meta: Table<'txn, &'static str, u64>,
    entries: Table<'txn, &'static str, &'static [u8]>,
    log: Table<'txn, (u64, u32), &'static [u8]>,
    start: u64,
    revision: u64,
    log_bytes: u64,
}

impl<'txn> Batch<'txn> {
    /// Opens the tables.
    pub(super) fn begin(write: &'txn WriteTransaction) -> Result<Self, Error> {
        let meta = write.open_table(META)?;
        let revision = number(&meta, "revision")?;
        Ok(Self {
            entries: write.open_table(ENTRIES)?,
            log: write.open_table(LOG)?,
            start: revision,
            revision,
            log_bytes: number(&meta, "log_bytes")?,
            meta,
        })
    }

    /// Applies one transaction, which sees those applied before it.
    pub(super) fn apply(&mut self, txn: Txn) -> Result<Outcome, Error> {
        for (index, compare) in txn.compare.into_iter().enumerate() {
            let current = lookup(&self.entries, &compare.key)?;
            if !compare.holds(current.as_ref()) {
                return Ok(Outcome::Conflict(Conflict {
                    index,
                    compare,
                    current,
                }));
            }
        }
        let revision = self.revision + 1;
        let mut index = 0;
        for op in txn.ops {
            if let Some(change) = self.change(op, revision)? {
                self.log.insert((revision, index), change.as_slice())?;
                self.log_bytes += change.len() as u64;
                self.revision = revision;
                index += 1;
            }
        }
        Ok(Outcome::Committed {
            revision: self.revision,
        })
    }

    /// Does one operation and returns its record for the log, if it changed anything.
    fn change(&mut self, op: Op, revision: u64) -> Result<Option<Vec<u8>>, Error> {
        match op {
            Op::Put { key, value } => {
                let before = lookup(&self.entries, &key)?;
                let entry = Entry {
                    create_revision: before.as_ref().map_or(revision, |b| b.create_revision),
                    version: before.map_or(0, |b| b.version) + 1,
                    mod_revision: revision,
                    key,
                    value,
                };
                self.entries
                    .insert(entry.key.as_str(), encode_entry(&entry).as_slice())?;
                Ok(Some(encode_event(&Event::Put(entry))))
            }
            Op::Delete { key } => {
                if self.entries.remove(key.as_str())?.is_none() {
                    return Ok(None);
                }
                Ok(Some(encode_event(&Event::Delete {
                    key,
                    mod_revision: revision,
                })))
            }
        }
    }

    /// Trims the history and writes the counters. Returns the new revision, or `None` if there is
    /// nothing to commit.
    pub(super) fn finish(mut self, options: Options) -> Result<Option<u64>, Error> {
        if self.revision == self.start {
            return Ok(None);
        }
        let mut oldest = number(&self.meta, "oldest")?;
        while let Some(first) = self.oldest_logged()? {
            let is_half_gone = first <= oldest;
            let is_surplus = self.revision - first >= options.history_revisions
                || self.log_bytes > options.history_bytes;
            if !is_half_gone && (first == self.revision || !is_surplus) {
                break;
            }
            if let Some((_, value)) = self.log.pop_first()? {
                self.log_bytes -= (value.value().len() as u64).min(self.log_bytes);
            }
            oldest = first;
        }
        self.meta.insert("revision", self.revision)?;
        self.meta.insert("oldest", oldest)?;
        self.meta.insert("log_bytes", self.log_bytes)?;
        Ok(Some(self.revision))
    }
}

impl Batch<'_> {
    fn oldest_logged(&self) -> Result<Option<u64>, Error> {
        Ok(self.log.first()?.map(|(at, _)| at.value().0))
    }
}

const PUT: u8 = 1;
const DELETE: u8 = 2;

fn encode_entry(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + entry.value.len());
    out.extend_from_slice(&entry.create_revision.to_le_bytes());
    out.extend_from_slice(&entry.mod_revision.to_le_bytes());
    out.extend_from_slice(&entry.version.to_le_bytes());
    out.extend_from_slice(&entry.value);
    out
}

fn decode_entry(key: &str, bytes: &[u8]) -> Result<Entry, Error> {
    let wrong = || Error::Corrupted(format!("the record of key {key:?} is too short"));
    let (create_revision, rest) = take_u64(bytes).ok_or_else(wrong)?;
    let (mod_revision, rest) = take_u64(rest).ok_or_else(wrong)?;
    let (version, value) = take_u64(rest).ok_or_else(wrong)?;
    Ok(Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value),
        create_revision,
        mod_revision,
        version,
    })
}

fn encode_event(event: &Event) -> Vec<u8> {
    // Keys are at most 1024 bytes: checked before anything gets here.
    let key = event.key();
    let key_len = u16::try_from(key.len()).unwrap_or(u16::MAX);
    let mut out = vec![if event.entry().is_some() { PUT } else { DELETE }];
    out.extend_from_slice(&key_len.to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    if let Some(entry) = event.entry() {
        out.extend_from_slice(&encode_entry(entry));
    }
    out
}

/// Reads a record of the log; `None` if its key is not under the prefix.
fn decode_event(bytes: &[u8], prefix: &str, revision: u64) -> Result<Option<Event>, Error> {
    let wrong = || Error::Corrupted(format!("a log record of revision {revision} is damaged"));
    let (&kind, rest) = bytes.split_first().ok_or_else(wrong)?;
    let (key_len, rest) = rest.split_first_chunk::<2>().ok_or_else(wrong)?;
    let (key, rest) = rest
        .split_at_checked(usize::from(u16::from_le_bytes(*key_len)))
        .ok_or_else(wrong)?;
    let key = str::from_utf8(key).map_err(|_| wrong())?;
    if !key.starts_with(prefix) {
        return Ok(None);
    }
    match kind {
        PUT => Ok(Some(Event::Put(decode_entry(key, rest)?))),
        DELETE => Ok(Some(Event::Delete {
            key: key.to_owned(),
            mod_revision: revision,
        })),
        _ => Err(wrong()),
    }
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*head), rest))
}
