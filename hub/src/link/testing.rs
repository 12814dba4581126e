//! An agent for tests of other modules: a real seat among the sessions, without a stream.

use tidegate_model::{ids::ClusterUid, tree::ObjectPage};

use super::{
    message::{Command, CommandResult},
    sessions::{Closing, Seat, Sessions},
};

/// An open session; dropping it ends the session.
#[derive(Debug)]
pub(crate) struct Agent(Seat);

impl Agent {
    /// Opens a session. Nothing is confirmed yet.
    pub(crate) fn connect(sessions: &Sessions, cluster: ClusterUid) -> Self {
        Self(sessions.open(cluster).unwrap())
    }

    /// A heartbeat whose status root is the hub's.
    pub(crate) fn confirm(&mut self) {
        self.0.heard();
        self.0.confirmed();
    }

    /// A heartbeat whose status root is another one.
    pub(crate) fn differ(&mut self) {
        self.0.heard();
        self.0.differs();
    }

    /// Answers the next command.
    pub(crate) async fn answer(&mut self, ok: bool, message: &str) -> Command {
        let order = self.0.orders.recv().await.unwrap();
        let result = CommandResult {
            id: order.id,
            ok,
            message: message.to_owned(),
            objects: None,
        };
        order.answer.send(Ok(result)).unwrap();
        order.command
    }

    /// Answers the next command with objects.
    pub(crate) async fn answer_objects(&mut self, objects: ObjectPage) -> Command {
        let order = self.0.orders.recv().await.unwrap();
        let result = CommandResult {
            id: order.id,
            ok: true,
            message: String::new(),
            objects: Some(objects),
        };
        order.answer.send(Ok(result)).unwrap();
        order.command
    }

    /// Why the hub took the right to speak away, if it did.
    pub(crate) fn revoked(&self) -> Option<String> {
        match &*self.0.closing.borrow() {
            Some(Closing::Revoked { reason }) => Some(reason.clone()),
            _ => None,
        }
    }
}
