//! The wire between one agent and the hub: a forwarder that can be cut.
//!
//! Owns the port that the agent dials, and the file that cuts the wire. Never looks into the bytes:
//! TLS goes through, from the agent to the hub.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// How often the file is looked for.
const LOOK: Duration = Duration::from_millis(250);

/// One wire.
#[derive(Debug)]
pub(super) struct Wire {
    listener: TcpListener,
    hub: SocketAddr,
    cut: PathBuf,
}

impl Wire {
    /// A wire to the hub at this address, cut while there is the file `cut`.
    pub(super) async fn new(hub: SocketAddr, cut: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Self { listener, hub, cut })
    }

    /// The port that the agent dials.
    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Carries until `cancel`. `tell` is called whenever the wire is cut or mended.
    pub(super) async fn run(self, tell: impl Fn(bool) + Send, cancel: CancellationToken) {
        let (whole, _) = watch::channel(!self.cut.exists());
        if !*whole.borrow() {
            tell(false);
        }
        let mut connections = JoinSet::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = look.tick() => {
                    let now = !self.cut.exists();
                    if whole.send_if_modified(|it| std::mem::replace(it, now) != now) {
                        tell(now);
                    }
                }
                accepted = self.listener.accept() => {
                    if let Ok((agent, _)) = accepted && *whole.borrow() {
                        connections.spawn(carry(agent, self.hub, whole.subscribe()));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// One connection, until an end closes it or the wire is cut.
async fn carry(mut agent: TcpStream, hub: SocketAddr, mut whole: watch::Receiver<bool>) {
    let Ok(mut hub) = TcpStream::connect(hub).await else {
        return;
    };
    // Small messages must not wait for one another on either half.
    let _ = (agent.set_nodelay(true), hub.set_nodelay(true));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut agent, &mut hub) => {}
        _ = whole.wait_for(|whole| !*whole) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A hub that gives back what it is sent.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_u8(7).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_there_and_refuses_what_comes_until_it_is_mended() {
        let directory = tempfile::tempdir().unwrap();
        let cut = directory.path().join("cut");
        let wire = Wire::new(echo().await, cut.clone()).await.unwrap();
        let port = wire.port().unwrap();
        let cancel = CancellationToken::new();
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |whole| told.send(whole).unwrap();
        let running = tokio::spawn(wire.run(tell, cancel.clone()));
        let dial = || TcpStream::connect(("127.0.0.1", port));

        let mut before = dial().await.unwrap();
        assert_eq!(ask(&mut before).await.unwrap(), 7);

        std::fs::write(&cut, "").unwrap();
        assert_eq!(heard.recv().await, Some(false));
        ask(&mut before).await.unwrap_err();
        ask(&mut dial().await.unwrap()).await.unwrap_err();

        std::fs::remove_file(&cut).unwrap();
        assert_eq!(heard.recv().await, Some(true));
        assert_eq!(ask(&mut dial().await.unwrap()).await.unwrap(), 7);
        cancel.cancel();
        running.await.unwrap();
    }
}
