//! What passes between an agent and the hub, and when.
//!
//! Never looks into the bytes: they are encrypted. A message is known by its size.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::story::proxy::{Proxy, Way};

/// More bytes than any frame has that only keeps a connection going, and fewer than a report or an
/// answer: a digest alone is 71.
const MESSAGE: usize = 120;
/// Fewer bytes than an assignment has: it names two digests and three ids.
const ASSIGNMENT: usize = 300;

/// What passed.
#[derive(Debug, Default)]
pub struct Passed {
    /// Messages of the agent, in order.
    pub said: Vec<Instant>,
    /// Assignments and content for the agent, in order.
    pub told: Vec<Instant>,
}

impl Passed {
    fn note(&mut self, way: Way, size: usize) {
        match way {
            Way::There if size >= MESSAGE => self.said.push(Instant::now()),
            Way::Back if size >= ASSIGNMENT => self.told.push(Instant::now()),
            Way::There | Way::Back => {}
        }
    }
}

/// The wire. Dropped, it is gone.
#[derive(Debug)]
pub struct Wire {
    proxy: Proxy,
    passed: Arc<Mutex<Passed>>,
}

impl Wire {
    /// A wire to this port of this machine, on a port of its own.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(port: u16) -> io::Result<Self> {
        let passed = Arc::<Mutex<Passed>>::default();
        let noted = Arc::clone(&passed);
        let note = move |way, size| {
            let mut passed = noted.lock().unwrap_or_else(PoisonError::into_inner);
            passed.note(way, size);
        };
        let proxy = Proxy::noting((Ipv4Addr::LOCALHOST, port).into(), note).await?;
        Ok(Self { proxy, passed })
    }

    /// The port that the agent dials.
    pub fn port(&self) -> u16 {
        self.proxy.address().port()
    }

    /// What passed since this was asked last.
    pub fn passed(&self) -> Passed {
        std::mem::take(&mut *self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
