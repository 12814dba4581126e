//! Watching etcd: its responses, cut into one batch a transaction.
//!
//! Owns the position of a watch. Never connects again by itself: a broken watch ends with an
//! error that can be tried again, and its caller knows from where.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use etcd_client::{Event as EtcdEvent, EventType, WatchOptions, WatchResponse, WatchStream};
use futures::{StreamExt as _, stream};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

use super::{Link, fault::Fault, wire};
use crate::{
    entry::{Batch, Event},
    error::Error,
    key,
    store::Changes,
};

/// How long etcd may take to say how far a watch is before it is asked again: it does not answer
/// while the watch still catches up.
const ASK_AGAIN: Duration = Duration::from_millis(500);

const ACTION: &str = "watch";

struct Watcher {
    link: Arc<Link>,
    closed: CancellationToken,
    told: watch::Receiver<u64>,
    prefix: String,
    /// Where the watch began.
    after: u64,
    /// Every revision up to this one has been told.
    position: u64,
    stream: Option<WatchStream>,
    ready: VecDeque<Batch>,
}

/// A watch on `link` until `closed`.
pub(super) fn watch(
    link: &Arc<Link>,
    closed: &CancellationToken,
    prefix: &str,
    after: u64,
) -> Changes {
    if let Err(error) = key::check_prefix(prefix) {
        return stream::once(async { Err(error) }).boxed();
    }
    let watcher = Watcher {
        link: Arc::clone(link),
        closed: closed.clone(),
        told: link.told.subscribe(),
        prefix: prefix.to_owned(),
        after,
        position: after,
        stream: None,
        ready: VecDeque::new(),
    };
    stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        let closed = watcher.closed.clone();
        match closed.run_until_cancelled(watcher.next()).await? {
            Ok(batch) => Some((Ok(batch), Some(watcher))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .fuse()
    .boxed()
}

impl Watcher {
    async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(batch);
            }
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.open().await?,
            };
            let behind = *self.told.borrow_and_update() > self.position;
            let response = tokio::select! {
                biased;
                response = stream.message() => Some(response),
                // `Err` means that the store is gone, which `closed` says as well.
                Ok(()) = self.told.changed() => None,
                () = time::sleep(ASK_AGAIN), if behind => None,
            };
            match response {
                Some(Ok(Some(response))) => self.take(&response)?,
                Some(Ok(None)) => return Err(self.broken("the watch was ended").into()),
                Some(Err(error)) => return Err(self.link.options.fault(ACTION, &error).into()),
                None if *self.told.borrow() > self.position => {
                    let asked = stream.request_progress().await;
                    asked.map_err(|error| self.link.options.fault(ACTION, &error))?;
                }
                None => {}
            }
            self.stream = Some(stream);
        }
    }

    async fn open(&self) -> Result<WatchStream, Error> {
        // The watch itself would wait for the future, and is not given a new token in place of one
        // that etcd forgot when it was started again; a read is.
        let (after, current) = (self.position, self.link.revision().await?);
        if current < after {
            return Err(Error::Future { after, current });
        }
        // One revision earlier than needed, and dropped again: etcd lets a watch start at the very
        // revision it compacted, from which deletions may be gone.
        let options = WatchOptions::new()
            .with_prefix()
            .with_start_revision(wire::to_etcd(self.position))
            .with_progress_notify();
        let mut client = self
            .link
            .client
            .watch_client()
            .max_decoding_message_size(usize::MAX);
        let opening = client.watch(self.prefix.as_str(), Some(options));
        Ok(self.link.within(ACTION, opening).await?)
    }

    /// Takes a response in: what it tells goes to `ready`.
    fn take(&mut self, response: &WatchResponse) -> Result<(), Error> {
        if response.canceled() {
            return Err(self.canceled(response));
        }
        let revision = wire::header_revision(response.header());
        if response.events().is_empty() {
            // How far the watch is: asked for, or from time to time; or only that it was made.
            if !response.created() && revision > self.position {
                let events = Vec::new();
                self.ready.push_back(Batch { revision, events });
                self.position = revision;
            }
        } else {
            for event in response.events() {
                self.add(event)?;
            }
        }
        Ok(())
    }

    /// Adds an event to the batch of its transaction.
    fn add(&mut self, event: &EtcdEvent) -> Result<(), Fault> {
        let found = event.kv().ok_or(Fault::Answer {
            detail: "an event without a key",
        })?;
        let event = match event.event_type() {
            EventType::Put => Event::Put(wire::entry(found)?),
            EventType::Delete => Event::Delete {
                key: wire::key(found)?,
                mod_revision: wire::from_etcd(found.mod_revision()),
            },
        };
        let revision = event.mod_revision();
        match self.ready.back_mut() {
            // etcd keeps the events of a transaction together in one response.
            Some(batch) if batch.revision == revision => batch.events.push(event),
            // Compared with the beginning, not the position: members before 3.5.8 can say how far
            // they are before they send what happened until then.
            _ if revision > self.after => {
                self.position = self.position.max(revision);
                let events = vec![event];
                self.ready.push_back(Batch { revision, events });
            }
            _ => {}
        }
        Ok(())
    }

    fn canceled(&self, response: &WatchResponse) -> Error {
        let reason = response.cancel_reason();
        match response.compact_revision() {
            compacted if compacted > 0 => Error::Compacted {
                after: self.position,
                oldest: wire::from_etcd(compacted),
            },
            _ if reason.contains("permission denied") => {
                self.link.options.refused(ACTION, reason).into()
            }
            _ => self.broken(reason).into(),
        }
    }

    fn broken(&self, detail: &str) -> Fault {
        self.link.options.broken(ACTION, detail)
    }
}
