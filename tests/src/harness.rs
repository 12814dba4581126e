//! A fleet of real Kubernetes control planes for tests.
//!
//! Owns etcd, API servers, controller managers and fake kubelets from their
//! start to their end: a test asks for clusters, talks to them, breaks them, and
//! leaves nothing running behind. It never reads the machine's kubeconfig, and
//! knows nothing of Tidegate.
//!
//! ```no_run
//! use tidegate_tests::harness::{Fleet, require_real};
//!
//! # async fn test() -> Result<(), tidegate_tests::harness::Error> {
//! let Some(binaries) = require_real("the_name_of_the_test") else { return Ok(()) };
//! let fleet = Fleet::named(&binaries, &["dev", "prod"]).await?;
//! let nodes = fleet.cluster("prod")?.kubectl(&["get", "nodes"]).await?;
//! assert!(nodes.status.success());
//! # Ok(())
//! # }
//! ```

mod authority;
mod binaries;
mod cluster;
mod error;
mod fleet;
mod kubelet;
mod ports;
mod process;
mod prometheus;
mod scratch;
mod script;
mod servers;
mod wait;

pub use self::{
    authority::User,
    binaries::{Binaries, require_real, require_servers},
    cluster::Cluster,
    error::Error,
    fleet::Fleet,
    kubelet::FakeKubelet,
    ports::Port,
    process::{Process, Signal, command_for, is_alive},
    prometheus::{Prometheus, require_prometheus},
    servers::Etcd,
    wait::eventually,
};
