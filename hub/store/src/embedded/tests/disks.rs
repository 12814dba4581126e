//! Disks for tests: one refuses on demand, one forgets what was not synced.

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

/// A disk in memory that refuses on demand.
#[derive(Debug, Default)]
pub(super) struct Faulty(Mutex<FaultyState>);

#[derive(Debug, Default)]
struct FaultyState {
    bytes: Vec<u8>,
    writes: Option<io::ErrorKind>,
    no_read: bool,
    no_sync: bool,
    limit: Option<usize>,
}

impl Faulty {
    pub(super) fn attach(self: Arc<Self>) -> Attached<Self> {
        Attached(self)
    }

    pub(super) fn refuse_writes(&self, with: Option<io::ErrorKind>) {
        self.0.lock().unwrap().writes = with;
    }

    pub(super) fn refuse_reads(&self, refuse: bool) {
        self.0.lock().unwrap().no_read = refuse;
    }

    pub(super) fn refuse_syncs(&self, refuse: bool) {
        self.0.lock().unwrap().no_sync = refuse;
    }

    pub(super) fn limit(&self, bytes: usize) {
        self.0.lock().unwrap().limit = Some(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().bytes.len()
    }
}

/// A disk as redb sees it; several in turn share the same bytes.
#[derive(Debug)]
pub(super) struct Attached<D>(Arc<D>);

fn read(bytes: &[u8], offset: u64, out: &mut [u8]) -> io::Result<()> {
    let start = usize::try_from(offset).unwrap();
    let from = bytes
        .get(start..start + out.len())
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    out.copy_from_slice(from);
    Ok(())
}

fn write(bytes: &mut [u8], offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).unwrap();
    bytes[start..start + data.len()].copy_from_slice(data);
}

impl StorageBackend for Attached<Faulty> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.0.lock().unwrap();
        if state.no_read {
            return Err(io::Error::other("the sector is unreadable"));
        }
        read(&state.bytes, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        if let Some(kind) = state.writes {
            return Err(kind.into());
        }
        if state.limit.is_some_and(|limit| len > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.0.0.lock().unwrap().no_sync {
            return Err(io::Error::other("the device does not answer"));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        if let Some(kind) = state.writes {
            return Err(kind.into());
        }
        write(&mut state.bytes, offset, data);
        Ok(())
    }
}

/// A disk that keeps what was synced and, when the power goes, a random part of the rest.
#[derive(Debug)]
pub(super) struct Forgetful(Mutex<ForgetfulState>);

#[derive(Debug, Default)]
struct ForgetfulState {
    /// What programs read.
    cache: Vec<u8>,
    /// What the platters hold.
    platters: Vec<u8>,
    unsynced: Vec<Change>,
    /// Changes until the power goes.
    left: usize,
}

#[derive(Clone, Debug)]
enum Change {
    Resize(usize),
    Write(u64, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Resize(len) => bytes.resize(*len, 0),
            Self::Write(offset, data) => {
                let end = usize::try_from(*offset).unwrap() + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                write(bytes, *offset, data);
            }
        }
    }
}

impl Forgetful {
    /// An empty disk whose power goes after so many changes.
    pub(super) fn cut_after(changes: usize) -> Self {
        Self(Mutex::new(ForgetfulState {
            left: changes,
            ..ForgetfulState::default()
        }))
    }

    pub(super) fn attach(self: Arc<Self>) -> Attached<Self> {
        Attached(self)
    }

    /// The disk as it is found afterwards; `dice` decides which unsynced changes reached it.
    pub(super) fn after_power_loss(&self, mut dice: u64) -> Self {
        let state = self.0.lock().unwrap();
        let mut bytes = state.platters.clone();
        for change in &state.unsynced {
            // SplitMix64: enough to make every subset reachable and every run repeatable.
            dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            if z >> 63 == 0 {
                change.apply(&mut bytes);
            }
        }
        Self(Mutex::new(ForgetfulState {
            cache: bytes.clone(),
            platters: bytes,
            unsynced: Vec::new(),
            left: usize::MAX,
        }))
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.left == 0 {
            return Err(io::Error::other("the power is gone"));
        }
        state.left -= 1;
        change.apply(&mut state.cache);
        state.unsynced.push(change);
        Ok(())
    }
}

impl StorageBackend for Attached<Forgetful> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().unwrap().cache.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        read(&self.0.0.lock().unwrap().cache, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.change(Change::Resize(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        if state.left == 0 {
            return Err(io::Error::other("the power is gone"));
        }
        state.platters = state.cache.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.change(Change::Write(offset, data.to_vec()))
    }
}
