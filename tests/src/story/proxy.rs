//! A wire that can be cut, or go silent: between an agent and the hub, or before a cluster.
//!
//! Owns one listening port and the connections through it. Cut, it closes all of them and takes no
//! new one, which is what a broken network shows; silent, it keeps all and carries nothing, which is
//! what a stopped server shows. Never looks into the bytes: whoever wants to know hears how many.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    Silent,
    Cut,
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the near side to the target.
    There,
    /// From the target to the near side.
    Back,
}

/// Hears how many bytes pass at once, and where they go.
type Note = Arc<dyn Fn(Way, usize) + Send + Sync>;

/// The wire. Dropped, it is gone.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A whole wire to `target`, on a port of its own.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::noting(target, |_, _| {}).await
    }

    /// The same, and `note` hears of all that passes.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn noting(
        target: SocketAddr,
        note: impl Fn(Way, usize) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((target.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let (state, watching) = watch::channel(State::Whole);
        let task = tokio::spawn(serve(listener, target, watching, Arc::new(note)));
        Ok(Self {
            address,
            state,
            task,
        })
    }

    /// Where the near side connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the wire.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets the wire go silent.
    pub fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    /// Mends the wire; what a silent one has taken arrives now.
    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    note: Note,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let open = *state.borrow() != State::Cut;
                if let (Ok((socket, _)), true) = (accepted, open) {
                    connections.spawn(carry(socket, target, state.clone(), Arc::clone(&note)));
                }
            }
            changed = state.changed() => {
                if changed.is_err() {
                    return;
                }
                if *state.borrow_and_update() == State::Cut {
                    connections.shutdown().await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(near: TcpStream, target: SocketAddr, state: watch::Receiver<State>, note: Note) {
    if let Ok(far) = TcpStream::connect(target).await {
        // What comes passes at once; a wire that cannot be told so is only slower.
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let (near_reads, near_writes) = near.into_split();
        let (far_reads, far_writes) = far.into_split();
        // Either side may end it at any time; that is what wires do.
        let _ = futures::try_join!(
            copy(near_reads, far_writes, state.clone(), |size| note(
                Way::There,
                size
            )),
            copy(far_reads, near_writes, state, |size| note(Way::Back, size))
        );
    }
}

/// Carries one direction to its end, and nothing while the wire is silent.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    note: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let carried = state.wait_for(|state| *state != State::Silent).await;
        carried.map_err(io::Error::other)?;
        if read == 0 {
            return to.shutdown().await;
        }
        note(read);
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_silent_wire_carries_nothing_and_loses_nothing() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Proxy::start(server.local_addr().unwrap()).await.unwrap();
        let mut near = TcpStream::connect(wire.address()).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();
        wire.silence();
        near.write_all(b"one").await.unwrap();
        let mut buffer = [0; 3];
        let early = tokio::time::timeout(Duration::from_millis(200), far.read(&mut buffer)).await;
        assert!(early.is_err(), "{buffer:?} came through");
        wire.mend();
        far.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"one");
    }

    #[tokio::test]
    async fn a_cut_wire_ends_its_connections() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Proxy::start(server.local_addr().unwrap()).await.unwrap();
        let mut near = TcpStream::connect(wire.address()).await.unwrap();
        let _far = server.accept().await.unwrap();
        wire.cut();
        let ended = near.read(&mut [0; 1]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
}
