//! The disk copy of accepted assignments with their bundles.
//!
//! The only copy of a bundle that is above the cap of [`crate::state`], and what is left if someone
//! deletes the agent's Secrets. Believed only if the bundle has the digest the assignment names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tidegate_model::{assignment::Assignment, bundle::Bundle, ids::AppUid};

use crate::blobs::{Error, make_private_folder, write, write_durably};

/// One accepted assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OnDisk {
    pub(crate) assignment: Assignment,
    pub(crate) bundle: Bundle,
    /// Where it stands in a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
}

/// One file for each application.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedFiles {
    folder: PathBuf,
}

impl AcceptedFiles {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, Error> {
        let folder = state_dir.join("apps");
        make_private_folder(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, app: AppUid) -> PathBuf {
        self.folder.join(format!("{app}.json"))
    }

    /// Keeps one. With `durably` it returns once that is on disk for good; else a machine that fails
    /// at once may lose it, which is no harm where the cluster has the same.
    pub(crate) fn put(
        &self,
        assignment: &Assignment,
        bundle: &Bundle,
        traceparent: Option<String>,
        durably: bool,
    ) -> Result<(), Error> {
        let on_disk = OnDisk {
            assignment: assignment.clone(),
            bundle: bundle.clone(),
            traceparent,
        };
        let bytes = serde_json::to_vec(&on_disk).unwrap_or_default();
        let write = if durably { write_durably } else { write };
        write(&self.path(assignment.app), &bytes)
    }

    pub(crate) fn get(&self, app: AppUid) -> Option<OnDisk> {
        read(&self.path(app))
    }

    /// Every sound file.
    pub(crate) fn all(&self) -> Vec<OnDisk> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        entries
            .flatten()
            .filter_map(|entry| read(&entry.path()))
            .collect()
    }

    pub(crate) fn remove(&self, app: AppUid) {
        // A file that stays is taken for an application that the hub still wants, until it says
        // otherwise: no harm.
        fs::remove_file(self.path(app)).ok();
    }
}

fn read(path: &Path) -> Option<OnDisk> {
    let on_disk: OnDisk = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let sound = match on_disk.assignment.bundle() {
        Some(digest) => on_disk.bundle.digest() == digest,
        None => on_disk.bundle.is_empty(),
    };
    sound.then_some(on_disk)
}

#[cfg(test)]
mod tests {
    use tidegate_model::{
        assignment::Desired,
        ids::{ClusterUid, Epoch, Generation, RunId},
        policy::Policy,
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_file_whose_bundle_is_another_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let files = AcceptedFiles::open(folder.path()).unwrap();
        let bundle = Bundle::default();
        let mut assignment = Assignment {
            cluster: ClusterUid(Uuid::from_u128(1)),
            app: AppUid(Uuid::from_u128(2)),
            app_name: "demo/web".into(),
            generation: Generation(3),
            epoch: Epoch(1),
            desired: Desired::Run {
                bundle: bundle.digest(),
                policy: Policy::default(),
                namespace: "shop".into(),
                run: RunId(Uuid::from_u128(4)),
                prune_approved: false,
            },
        };
        files.put(&assignment, &bundle, None, true).unwrap();
        assert_eq!(files.get(assignment.app).unwrap().assignment, assignment);
        assert_eq!(files.all().len(), 1);

        assignment.desired = Desired::Run {
            bundle: tidegate_model::digest::Digest::from_bytes([1; 32]),
            policy: Policy::default(),
            namespace: "shop".into(),
            run: RunId(Uuid::from_u128(4)),
            prune_approved: false,
        };
        files.put(&assignment, &bundle, None, false).unwrap();
        assert!(files.get(assignment.app).is_none() && files.all().is_empty());
        files.remove(assignment.app);
    }
}
