//! Which clusters have a session, and what is known of them live.
//!
//! In memory only: after a restart nothing is known until the agents have spoken. Owns the rule
//! that a newer session of a cluster closes the older, and that the older one's end does not touch
//! the newer. Never speaks on a stream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tidegate_model::ids::ClusterUid;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    limits,
    message::{Command, CommandResult},
    session::Busy,
};
use crate::{clock::Clock, evidence::Live};

/// How long an agent may take to answer a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The cluster has no session.
    #[error("failed to reach the agent: cluster {0} has no session")]
    NotConnected(ClusterUid),
    /// The session has too much to do.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The session ended, or the agent did not answer: it may have been carried out.
    #[error("failed to get the agent's answer: {0}; the command may have been carried out")]
    NoAnswer(&'static str),
    /// The agent says no.
    #[error("the agent refused the command: {0}")]
    Refused(String),
}

/// Why a session is closed from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// The same identity opened a newer one.
    Superseded,
    /// The hub stops, or wants the fleet spread again.
    Drain { retry_after: Duration },
    /// The identity may no longer speak.
    Revoked { reason: String },
}

/// A command on its way to a session.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) command: Command,
    pub(super) answer: oneshot::Sender<Result<CommandResult, Busy>>,
}

#[derive(Debug)]
struct Open {
    /// Tells sessions of one cluster apart.
    number: u64,
    orders: mpsc::Sender<Order>,
    closing: watch::Sender<Option<Closing>>,
}

#[derive(Debug, Default)]
struct Entry {
    live: Live,
    open: Option<Open>,
}

/// A cluster came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Which.
    pub(crate) cluster: ClusterUid,
    /// It has a session now.
    pub(crate) connected: bool,
    /// Since when.
    pub(crate) at: Timestamp,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<ClusterUid, Entry>,
    next: u64,
    /// Who is told of sessions that begin and end.
    turns: Option<mpsc::UnboundedSender<Turn>>,
    /// No session is opened any more.
    closed: bool,
}

impl Table {
    /// The entry of a cluster, if `number` is still its session.
    fn own(&mut self, cluster: ClusterUid, number: u64) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&cluster)?;
        let is_own = entry
            .open
            .as_ref()
            .is_some_and(|open| open.number == number);
        is_own.then_some(entry)
    }

    /// Tells the listener, under the lock: so turns come in the order in which they happened.
    fn tell(&self, cluster: ClusterUid, connected: bool, at: Timestamp) {
        // A hub that ends sends everybody away: that is its own end, not one of each cluster.
        if let Some(turns) = self.turns.as_ref().filter(|_| !self.closed) {
            // A listener that is gone needs nothing.
            let _ = turns.send(Turn {
                cluster,
                connected,
                at,
            });
        }
    }
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    table: Mutex<Table>,
    changes: watch::Sender<u64>,
}

/// The sessions of the fleet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    shared: Arc<Shared>,
}

impl Sessions {
    /// No sessions yet. `clock` dates what is seen.
    pub fn new(clock: Clock) -> Self {
        let shared = Shared {
            clock,
            table: Mutex::default(),
            changes: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What is known of a cluster now.
    pub fn live(&self, cluster: ClusterUid) -> Live {
        self.table()
            .entries
            .get(&cluster)
            .map(|entry| entry.live)
            .unwrap_or_default()
    }

    /// Changes when a session begins or ends, and when its reports become evidence or stop to be.
    /// Not with every heartbeat.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Every coming and going from now on, in order. One listener: a later one takes its place. It is
    /// bounded by how often agents connect, and whoever takes it only writes it down.
    pub(crate) fn turns(&self) -> mpsc::UnboundedReceiver<Turn> {
        let (sender, turns) = mpsc::unbounded_channel();
        self.table().turns = Some(sender);
        turns
    }

    /// Has an agent do something once, and waits for what it says about it.
    pub async fn send_command(
        &self,
        cluster: ClusterUid,
        command: Command,
    ) -> Result<String, CommandError> {
        Ok(self.ask(cluster, command).await?.message)
    }

    /// Has an agent do something once, and waits for its answer.
    pub async fn ask(
        &self,
        cluster: ClusterUid,
        command: Command,
    ) -> Result<CommandResult, CommandError> {
        let orders = {
            let table = self.table();
            let open = table
                .entries
                .get(&cluster)
                .and_then(|entry| entry.open.as_ref());
            open.map(|open| open.orders.clone())
                .ok_or(CommandError::NotConnected(cluster))?
        };
        let (answer, answered) = oneshot::channel();
        let order = Order {
            id: self.shared.clock.id().to_string(),
            command,
            answer,
        };
        orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy(Busy),
            mpsc::error::TrySendError::Closed(_) => CommandError::NotConnected(cluster),
        })?;
        let result = tokio::time::timeout(COMMAND_TIMEOUT, answered)
            .await
            .map_err(|_| CommandError::NoAnswer("it did not come in time"))?
            .map_err(|_| CommandError::NoAnswer("the session ended"))??;
        if result.ok {
            Ok(result)
        } else {
            Err(CommandError::Refused(result.message))
        }
    }

    /// Ends the session of a cluster that may no longer speak, for example because it was removed.
    pub fn close(&self, cluster: ClusterUid, reason: &str) {
        if let Some(open) = self
            .table()
            .entries
            .get(&cluster)
            .and_then(|entry| entry.open.as_ref())
        {
            let reason = reason.to_owned();
            open.closing.send_replace(Some(Closing::Revoked { reason }));
        }
    }

    /// Asks every agent to come back later, opens no more sessions, and returns when all have
    /// ended or `limit` is over. Each agent gets another time to come back, spread over `spread`.
    pub async fn drain(&self, spread: Duration, limit: Duration) {
        let mut changes = self.changes();
        {
            let mut table = self.table();
            table.closed = true;
            for open in table
                .entries
                .values()
                .filter_map(|entry| entry.open.as_ref())
            {
                let retry_after = spread.mul_f64(rand::random());
                open.closing
                    .send_replace(Some(Closing::Drain { retry_after }));
            }
        }
        let all_ended = async {
            while self
                .table()
                .entries
                .values()
                .any(|entry| entry.open.is_some())
            {
                // The sender lives as long as `self`.
                changes.changed().await.ok();
            }
        };
        if tokio::time::timeout(limit, all_ended).await.is_err() {
            tracing::warn!(?limit, "some sessions did not end in time");
        }
    }

    /// Registers a session; an older one of the same cluster is closed. `None` while draining.
    pub(super) fn open(&self, cluster: ClusterUid) -> Option<Seat> {
        let (orders_in, orders) = mpsc::channel(limits::COMMANDS_AHEAD);
        let (closing_in, closing) = watch::channel(None);
        let number = {
            let mut table = self.table();
            if table.closed {
                return None;
            }
            table.next += 1;
            let number = table.next;
            let open = Open {
                number,
                orders: orders_in,
                closing: closing_in,
            };
            let now = self.shared.clock.now();
            let entry = table.entries.entry(cluster).or_default();
            let came = !entry.live.connected;
            if let Some(older) = entry.open.replace(open) {
                older.closing.send_replace(Some(Closing::Superseded));
            }
            entry.live.connected = true;
            // What an earlier session confirmed may have changed while nobody listened.
            entry.live.confirmed = None;
            entry.live.last_seen = Some(now);
            if came {
                table.tell(cluster, true, now);
            }
            number
        };
        self.bump();
        Some(Seat {
            sessions: self.clone(),
            cluster,
            number,
            agreed: false,
            orders,
            closing,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn bump(&self) {
        self.shared.changes.send_modify(|change| *change += 1);
    }

    /// Changes what is known of a cluster, if `number` is still its session.
    fn update(&self, cluster: ClusterUid, number: u64, change: impl FnOnce(&mut Entry)) -> bool {
        self.table().own(cluster, number).map(change).is_some()
    }
}

/// A session's place among the sessions. Leaves when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    sessions: Sessions,
    cluster: ClusterUid,
    number: u64,
    agreed: bool,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) closing: watch::Receiver<Option<Closing>>,
}

impl Seat {
    /// The agent said something.
    pub(super) fn heard(&self) {
        let now = self.sessions.shared.clock.now();
        self.sessions.update(self.cluster, self.number, |entry| {
            entry.live.last_seen = Some(now);
        });
    }

    /// The stored reports are what the agent sees now.
    pub(super) fn confirmed(&mut self) {
        let now = self.sessions.shared.clock.now();
        self.sessions.update(self.cluster, self.number, |entry| {
            entry.live.confirmed = Some(now);
        });
        if !std::mem::replace(&mut self.agreed, true) {
            self.sessions.bump();
        }
    }

    /// The stored reports are not what the agent sees.
    pub(super) fn differs(&mut self) {
        self.sessions.update(self.cluster, self.number, |entry| {
            entry.live.confirmed = None;
        });
        if std::mem::replace(&mut self.agreed, false) {
            self.sessions.bump();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let left = {
            let now = self.sessions.shared.clock.now();
            let mut table = self.sessions.table();
            let own = table.own(self.cluster, self.number).map(|entry| {
                entry.open = None;
                entry.live.connected = false;
            });
            if own.is_some() {
                table.tell(self.cluster, false, now);
            }
            own.is_some()
        };
        if left {
            self.sessions.bump();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ONE: ClusterUid = ClusterUid(Uuid::from_u128(1));

    #[test]
    fn a_newer_session_closes_the_older_whose_end_does_not_touch_it() {
        let sessions = Sessions::new(Clock::default());
        assert_eq!(sessions.live(ONE), Live::default());
        let older = sessions.open(ONE).unwrap();
        assert_eq!(*older.closing.borrow(), None);
        let mut newer = sessions.open(ONE).unwrap();
        assert_eq!(*older.closing.borrow(), Some(Closing::Superseded));
        drop(older);
        assert!(
            sessions.live(ONE).connected,
            "the stale end took the live session down"
        );

        newer.confirmed();
        let live = sessions.live(ONE);
        assert!(live.confirmed.is_some() && live.last_seen.is_some());
        drop(newer);
        assert!(!sessions.live(ONE).connected);
        assert_eq!(
            sessions.live(ONE).confirmed,
            live.confirmed,
            "what was seen stays seen"
        );
    }

    #[test]
    fn a_late_heartbeat_of_a_closed_session_confirms_nothing() {
        let sessions = Sessions::new(Clock::default());
        let mut older = sessions.open(ONE).unwrap();
        let _newer = sessions.open(ONE).unwrap();
        older.confirmed();
        assert_eq!(sessions.live(ONE).confirmed, None);
    }

    #[tokio::test]
    async fn a_command_needs_a_session_and_learns_of_its_end() {
        let sessions = Sessions::new(Clock::default());
        let send = |sessions: Sessions| async move {
            sessions.send_command(ONE, Command::ReportAll).await
        };
        assert_eq!(
            send(sessions.clone()).await,
            Err(CommandError::NotConnected(ONE))
        );
        let mut seat = sessions.open(ONE).unwrap();
        let waiting = tokio::spawn(send(sessions.clone()));
        let order = seat.orders.recv().await.unwrap();
        let result = CommandResult {
            id: order.id,
            ok: false,
            message: "no such app".into(),
            objects: None,
        };
        order.answer.send(Ok(result)).unwrap();
        assert_eq!(
            waiting.await.unwrap(),
            Err(CommandError::Refused("no such app".into()))
        );

        let waiting = tokio::spawn(send(sessions.clone()));
        let order = seat.orders.recv().await.unwrap();
        drop((order, seat));
        assert!(matches!(
            waiting.await.unwrap(),
            Err(CommandError::NoAnswer(_))
        ));
    }

    #[tokio::test]
    async fn a_drain_tells_every_session_and_lets_none_in() {
        let sessions = Sessions::new(Clock::default());
        let mut turns = sessions.turns();
        let mut seat = sessions.open(ONE).unwrap();
        assert!(turns.try_recv().unwrap().connected);
        let draining = {
            let sessions = sessions.clone();
            tokio::spawn(async move {
                sessions
                    .drain(Duration::from_secs(9), Duration::from_secs(60))
                    .await;
            })
        };
        seat.closing.changed().await.unwrap();
        let told = seat.closing.borrow().clone();
        assert!(
            matches!(told, Some(Closing::Drain { retry_after }) if retry_after <= Duration::from_secs(9))
        );
        assert!(sessions.open(ClusterUid(Uuid::from_u128(2))).is_none());
        assert!(!draining.is_finished());
        drop(seat);
        draining.await.unwrap();
        assert!(
            turns.try_recv().is_err(),
            "the hub's end is no news of a cluster"
        );
    }
}
