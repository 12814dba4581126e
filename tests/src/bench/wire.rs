//! A wire between an agent and the hub that notes when something passes, and how much.
//!
//! Never looks into the bytes: they are encrypted. A message is known by its size.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinHandle, JoinSet},
    time::Instant,
};

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

/// The wire. Dropped, it is gone.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    passed: Arc<Mutex<Passed>>,
    task: JoinHandle<()>,
}

impl Wire {
    /// A wire to this port of this machine, on a port of its own.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let passed = Arc::<Mutex<Passed>>::default();
        let task = tokio::spawn(serve(listener, port, Arc::clone(&passed)));
        Ok(Self {
            address,
            passed,
            task,
        })
    }

    /// The port that the agent dials.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What passed since this was asked last.
    pub fn passed(&self) -> Passed {
        std::mem::take(&mut *self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, port: u16, passed: Arc<Mutex<Passed>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((near, _)) = accepted {
                connections.spawn(carry(near, port, Arc::clone(&passed)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries a connection until either side ends it.
async fn carry(near: TcpStream, port: u16, passed: Arc<Mutex<Passed>>) -> io::Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // What is sent is on the wire at once.
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    let note = |note: fn(&mut Passed, usize)| {
        let passed = Arc::clone(&passed);
        move |size| {
            let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
            note(&mut passed, size);
        }
    };
    let said = note(|passed, size| {
        if size >= MESSAGE {
            passed.said.push(Instant::now());
        }
    });
    let told = note(|passed, size| {
        if size >= ASSIGNMENT {
            passed.told.push(Instant::now());
        }
    });
    tokio::try_join!(
        copy(near_reads, far_writes, said),
        copy(far_reads, near_writes, told)
    )?;
    Ok(())
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    note: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        note(read);
        to.write_all(&buffer[..read]).await?;
    }
}
