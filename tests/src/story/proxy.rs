//! A wire between an agent and the hub that can be cut.
//!
//! Owns one listening port and the connections through it. Cut, it closes all of them and takes no
//! new one; the agent sees what a broken network shows. Never looks into the bytes.

use std::{io, net::SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The wire. Dropped, it is gone.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A whole wire to `target`, on a port of its own.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((target.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let (whole, watching) = watch::channel(true);
        let task = tokio::spawn(serve(listener, target, watching));
        Ok(Self {
            address,
            whole,
            task,
        })
    }

    /// Where the agent connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the wire.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Mends the wire.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, mut whole: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let (Ok((socket, _)), true) = (accepted, *whole.borrow()) {
                    connections.spawn(carry(socket, target));
                }
            }
            changed = whole.changed() => {
                if changed.is_err() {
                    return;
                }
                if !*whole.borrow_and_update() {
                    connections.shutdown().await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr) {
    if let Ok(mut far) = TcpStream::connect(target).await {
        // Either side may end it at any time; that is what wires do.
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
