//! Our words in etcd's messages, and back.
//!
//! Owns the one difference in counting: an empty etcd is at revision 1, an empty store at 0, so
//! that ours is etcd's less one. Never calls.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, ResponseHeader, TxnOp, TxnOpResponse};

use super::fault::Fault;
use crate::{
    entry::{Entry, Range},
    txn::{self, Conflict, Expect, Op},
};

/// Our revision for one of etcd.
pub(super) fn from_etcd(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0).saturating_sub(1)
}

/// etcd's revision for one of ours.
pub(super) fn to_etcd(revision: u64) -> i64 {
    i64::try_from(revision)
        .unwrap_or(i64::MAX)
        .saturating_add(1)
}

/// The revision in an answer's head.
pub(super) fn header_revision(header: Option<&ResponseHeader>) -> u64 {
    from_etcd(header.map_or(0, ResponseHeader::revision))
}

/// What is stored under a key.
pub(super) fn entry(found: &KeyValue) -> Result<Entry, Fault> {
    Ok(Entry {
        key: key(found)?,
        value: Bytes::copy_from_slice(found.value()),
        create_revision: from_etcd(found.create_revision()),
        mod_revision: from_etcd(found.mod_revision()),
        version: u64::try_from(found.version()).unwrap_or(0),
    })
}

/// The key of what is stored.
pub(super) fn key(found: &KeyValue) -> Result<String, Fault> {
    let text = found.key_str().map_err(|_| Fault::Answer {
        detail: "a key under /tidegate/v1/ is not text: another program wrote it",
    })?;
    Ok(text.to_owned())
}

/// The first key that does not have the prefix, which ends with `/`.
pub(super) fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The first key behind this one.
pub(super) fn behind(key: &str) -> Vec<u8> {
    let mut next = key.as_bytes().to_vec();
    next.push(0);
    next
}

/// Where a range begins.
pub(super) fn start(range: &Range) -> Vec<u8> {
    let prefix = range.prefix.as_bytes().to_vec();
    match &range.after {
        Some(after) => behind(after).max(prefix),
        None => prefix,
    }
}

/// The transaction. If it fails, etcd answers with what it compared, but for the values.
pub(super) fn request(txn: &txn::Txn) -> etcd_client::Txn {
    let compares: Vec<Compare> = txn.compare.iter().map(compare).collect();
    let operations: Vec<TxnOp> = txn.ops.iter().map(operation).collect();
    let looks: Vec<TxnOp> = txn
        .compare
        .iter()
        .map(|compare| {
            let bare = GetOptions::new().with_keys_only();
            TxnOp::get(compare.key.as_str(), Some(bare))
        })
        .collect();
    etcd_client::Txn::new()
        .when(compares)
        .and_then(operations)
        .or_else(looks)
}

fn compare(compare: &txn::Compare) -> Compare {
    let key = compare.key.as_str();
    match compare.expect {
        Expect::Exists => Compare::version(key, CompareOp::Greater, 0),
        // 0 is etcd's word, too, for a key that does not exist.
        Expect::ModRevision(0) => Compare::mod_revision(key, CompareOp::Equal, 0),
        Expect::ModRevision(revision) => {
            Compare::mod_revision(key, CompareOp::Equal, to_etcd(revision))
        }
    }
}

fn operation(op: &Op) -> TxnOp {
    match op {
        Op::Put { key, value } => TxnOp::put(key.as_str(), value.to_vec(), None),
        Op::Delete { key } => TxnOp::delete(key.as_str(), None),
    }
}

/// Whether a committed transaction changed anything.
pub(super) fn has_changed(answer: &etcd_client::TxnResponse) -> bool {
    answer.op_responses().iter().any(|response| match response {
        TxnOpResponse::Put(_) => true,
        TxnOpResponse::Delete(delete) => delete.deleted() > 0,
        TxnOpResponse::Get(_) | TxnOpResponse::Txn(_) => false,
    })
}

/// The first comparison that did not hold; its entry without the value.
pub(super) fn conflict(
    txn: &txn::Txn,
    answer: &etcd_client::TxnResponse,
) -> Result<Conflict, Fault> {
    for (index, response) in answer.op_responses().iter().enumerate() {
        let (TxnOpResponse::Get(get), Some(compare)) = (response, txn.compare.get(index)) else {
            break;
        };
        let current = get.kvs().first().map(entry).transpose()?;
        if !compare.holds(current.as_ref()) {
            return Ok(Conflict {
                index,
                compare: compare.clone(),
                current,
            });
        }
    }
    Err(Fault::Answer {
        detail: "a transaction failed though all it compares holds",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_etcd_is_at_our_zero() {
        assert_eq!((from_etcd(1), to_etcd(0)), (0, 1));
        assert_eq!(from_etcd(to_etcd(7)), 7);
        assert_eq!(from_etcd(0), 0);
    }

    #[test]
    fn a_range_ends_behind_its_prefix_and_begins_within() {
        assert_eq!(prefix_end("/a/"), b"/a0");
        let whole = Range::prefix("/a/");
        assert_eq!(start(&whole), b"/a/");
        assert_eq!(start(&whole.clone().after("/a/b")), b"/a/b\0");
        assert_eq!(start(&whole.after("/A")), b"/a/");
    }
}
