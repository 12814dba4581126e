//! The thread that starts processes.
//!
//! Owns one thread that lives as long as the test process, and nothing else.

use std::{
    io,
    process::{Child, Command},
    sync::{OnceLock, mpsc},
    thread,
};

/// A command, and where to send what became of it.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts the command on one thread that lives as long as the test process.
/// The kernel takes the death of the starting *thread* for the parent's death,
/// and threads of tests and runtimes end before their fleets do.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // A caller that went away has no use for the process: dropping
                // the answer would leave it running, so it is killed.
                if let Err(mpsc::SendError(Ok(mut child))) = reply.send(command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    keeper.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}
