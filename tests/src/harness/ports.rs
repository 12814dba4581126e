//! Ports on the loopback address that no other test process takes.
//!
//! Owns the leases: a locked file a port, shared by every test process of this
//! user and freed by the kernel when its process ends. Ports come from below
//! the range that the kernel hands out by itself, so that a stopped server finds
//! its port free when it starts again. A stranger can still take one between
//! lease and use, so whoever binds it must be ready to lease another.

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{error::Error, scratch};

const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;
const COUNT: u32 = (LAST - FIRST) as u32 + 1;

/// A leased port on the loopback address; dropped, it is free again.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lease: File,
}

impl Port {
    /// Leases a port that nobody listens on now.
    ///
    /// # Errors
    ///
    /// [`Error::NoPort`] when all are taken, [`Error::Io`] when no lease can be written.
    pub fn lease() -> Result<Self, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = scratch::shared("ports")?;
        // Processes start at different places, so that they seldom meet.
        let start = process::id().wrapping_mul(389);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let Ok(offset) = u16::try_from(start.wrapping_add(step) % COUNT) else {
                continue;
            };
            if let Some(port) = Self::claim(&folder, FIRST + offset)? {
                return Ok(port);
            }
        }
        Err(Error::NoPort {
            first: FIRST,
            last: LAST,
        })
    }

    /// Leases this port, unless somebody has its lease or listens on it.
    fn claim(folder: &Path, number: u16) -> Result<Option<Self>, Error> {
        let lease = scratch::open(&folder.join(number.to_string()))?;
        let free =
            lease.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        Ok(free.then_some(Self {
            number,
            _lease: lease,
        }))
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn leases_differ() {
        let leases: Vec<Port> = (0..50).map(|_| Port::lease().unwrap()).collect();
        let numbers: BTreeSet<u16> = leases.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
    }

    #[test]
    fn a_leased_port_is_not_leased_again_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let number = Port::lease().unwrap().number();
        let lease = Port::claim(folder.path(), number).unwrap().unwrap();
        assert!(Port::claim(folder.path(), number).unwrap().is_none());
        drop(lease);
        assert!(Port::claim(folder.path(), number).unwrap().is_some());
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_leased() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(Port::claim(folder.path(), number).unwrap().is_none());
    }
}
