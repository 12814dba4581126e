//! A cluster as bytes, so that a process can keep it in a file over its restarts.
//!
//! Owns the format: a line of JSON about the cluster, then a line for each object. Pure. Never
//! touches a disk.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::Cluster, controllers::Due, resources::DEFINITIONS, sandbox::Options, store::Store,
};

/// The format that is written, and the newest that is read.
const FORMAT: u64 = 1;

/// How far revisions and uids jump at a restore: beyond everything that the cluster can have given
/// out between the snapshot and its end, which a client may still remember.
const JUMP: u64 = 1 << 20;

/// Why a snapshot was not restored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// It is no snapshot, or parts of it are lost or changed.
    #[error(
        "failed to read the snapshot of a sandbox: {0}; take an older one or begin a new cluster"
    )]
    Unreadable(String),
    /// A newer program wrote it.
    #[error(
        "failed to read the snapshot of a sandbox: its format is {0}, this program reads up to {FORMAT}; use the program that wrote it"
    )]
    Newer(u64),
    /// It is another cluster's; two clusters need two names.
    #[error("failed to restore the sandbox {wanted:?}: the snapshot is of {found:?}")]
    OtherCluster {
        /// The name in the options.
        wanted: String,
        /// The name in the snapshot.
        found: String,
    },
    /// It holds objects of a built-in kind that this program does not serve.
    #[error(
        "failed to restore the sandbox: it does not serve {0:?}; use the program that wrote the snapshot"
    )]
    UnknownKind(String),
}

/// Writes the whole state of a cluster.
pub(crate) fn write(cluster: &Cluster) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut count: u64 = 0;
    for (id, _, stored) in cluster.store.everything() {
        // Bodies are JSON in one line, as the store wrote them.
        lines.extend_from_slice(b"{\"kind\":");
        lines.extend_from_slice(json!(&**id).to_string().as_bytes());
        lines.extend_from_slice(b",\"object\":");
        lines.extend_from_slice(&stored.body);
        lines.extend_from_slice(b"}\n");
        count += 1;
    }
    let due = cluster.due.iter().map(|((id, key), due)| {
        json!({
            "kind": &**id, "namespace": &*key.0, "name": &*key.1, "at": due.at.to_string(),
            "generation": due.generation, "completes": due.completes,
        })
    });
    let head = json!({
        "tidegate-sandbox": FORMAT, "name": cluster.options.name, "objects": count,
        "revision": cluster.store.revision(), "made": cluster.made(),
        "due": due.collect::<Vec<_>>(), "sha256": digest(&lines),
    });
    let mut all = head.to_string().into_bytes();
    all.push(b'\n');
    all.extend(lines);
    all
}

/// The cluster of a snapshot: every uid as it was, revisions beyond all that were given out.
pub(crate) fn read(options: Options, bytes: &[u8]) -> Result<Cluster, Error> {
    let unreadable = |what: &str| Error::Unreadable(what.to_owned());
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, lines) = bytes.split_at(end.ok_or_else(|| unreadable("it has no first line"))?);
    let head: Value = serde_json::from_slice(head)
        .map_err(|error| Error::Unreadable(format!("its first line is no JSON: {error}")))?;
    let number = |field: &str| head[field].as_u64();
    let format = number("tidegate-sandbox").ok_or_else(|| unreadable("it names no format"))?;
    if format > FORMAT {
        return Err(Error::Newer(format));
    }
    let lines = &lines[1..];
    if head["sha256"] != digest(lines) {
        return Err(unreadable("its digest does not fit its objects"));
    }
    let found = head["name"].as_str().unwrap_or_default();
    if found != options.name {
        return Err(Error::OtherCluster {
            wanted: options.name,
            found: found.to_owned(),
        });
    }
    let (Some(revision), Some(made)) = (number("revision"), number("made")) else {
        return Err(unreadable("it tells no revision"));
    };
    let mut store = Store::default();
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let (id, object, body) = object(line)
            .map_err(|error| Error::Unreadable(format!("line {}: {error}", index + 2)))?;
        store.restore(&id, &object, body);
    }
    store.resume(revision.saturating_add(JUMP));
    let mut cluster = Cluster::restored(options, store, made.saturating_add(JUMP));
    serve(&mut cluster)?;
    for row in head["due"].as_array().into_iter().flatten() {
        let (id, key, due) = due(row).ok_or_else(|| unreadable("what is due has no time"))?;
        cluster.due.insert((id, key), due);
    }
    Ok(cluster)
}

/// Serves the kinds of the definitions; every object must then have a kind.
fn serve(cluster: &mut Cluster) -> Result<(), Error> {
    let definitions = cluster.store.all(DEFINITIONS);
    let definitions: Vec<Value> = definitions.map(|(_, stored)| stored.value()).collect();
    for definition in &definitions {
        cluster.serve(definition);
    }
    let mut kinds = cluster.store.everything().map(|(id, _, _)| id);
    match kinds.find(|id| cluster.resource(id).is_none()) {
        Some(id) => Err(Error::UnknownKind(id.to_string())),
        None => Ok(()),
    }
}

/// A kind, an object of it and its text.
fn object(line: &[u8]) -> Result<(Arc<str>, Value, Bytes), serde_json::Error> {
    let mut row: Value = serde_json::from_slice(line)?;
    let id: Arc<str> = row["kind"].as_str().unwrap_or_default().into();
    let object = row["object"].take();
    // The line ends with the text as it was written; another writer's is written anew.
    let start = b"{\"kind\":\"\",\"object\":".len() + id.len();
    let body = line.get(start..line.len().saturating_sub(1));
    let body = body.filter(|body| body.first() == Some(&b'{') && body.last() == Some(&b'}'));
    let body = body.map_or_else(|| object.to_string().into(), Bytes::copy_from_slice);
    Ok((id, object, body))
}

fn due(row: &Value) -> Option<(Arc<str>, crate::store::Key, Due)> {
    let text = |field: &str| row[field].as_str();
    let key = (text("namespace")?.into(), text("name")?.into());
    let due = Due {
        at: text("at")?.parse::<Timestamp>().ok()?,
        generation: row["generation"].as_i64()?,
        completes: row["completes"] == true,
    };
    Some((text("kind")?.into(), key, due))
}

fn digest(lines: &[u8]) -> String {
    hex::encode(Sha256::digest(lines))
}
