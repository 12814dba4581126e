//! Where the hub of a story keeps its records.
//!
//! Owns the etcd, where there is one: a process of its own, with its data in the story's folder.

use std::path::Path;

use super::super::bed::Bed;
use crate::harness::{Binaries, Error, Etcd};

/// The store.
#[derive(Debug)]
pub(super) enum Records {
    /// A file in the hub's state directory.
    File,
    /// An etcd.
    Etcd(Box<Etcd>),
}

impl Records {
    /// The store of this bed.
    pub(super) async fn start(bed: Bed, binaries: &Binaries, folder: &Path) -> Result<Self, Error> {
        match bed {
            Bed::Redb | Bed::Sandbox => Ok(Self::File),
            Bed::Etcd => {
                let etcd = Etcd::start(binaries, folder).await?;
                Ok(Self::Etcd(Box::new(etcd)))
            }
        }
    }

    /// The hub's flags for it.
    pub(super) fn flags(&self) -> Vec<String> {
        match self {
            Self::File => Vec::new(),
            Self::Etcd(etcd) => vec![
                "--store=etcd".to_owned(),
                format!("--etcd-endpoints={}", etcd.url()),
            ],
        }
    }

    /// Loses everything that is not in the hub's state directory.
    pub(super) async fn forget(&mut self) -> Result<(), Error> {
        match self {
            Self::File => Ok(()),
            Self::Etcd(etcd) => {
                etcd.kill().await?;
                etcd.forget()?;
                etcd.start_again().await
            }
        }
    }
}
