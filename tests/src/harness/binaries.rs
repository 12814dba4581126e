//! Where the programs of the control plane come from.
//!
//! Owns finding them (explicit paths, `KUBEBUILDER_ASSETS`, or our own build)
//! and the decision between running, skipping and failing a test that needs
//! them. It never starts one.

use std::{
    env, fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::script::{self, Trouble};

/// Set to `1`, a test that cannot have its servers fails instead of being skipped.
const REQUIRE: &str = "TIDEGATE_REQUIRE_REAL";

/// The programs a fleet runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// `etcd`.
    pub etcd: PathBuf,
    /// `kube-apiserver`.
    pub apiserver: PathBuf,
    /// `kube-controller-manager`; without it nothing makes Pods, collects
    /// garbage or finishes the deletion of a namespace.
    pub controller_manager: Option<PathBuf>,
    /// `kubectl`.
    pub kubectl: Option<PathBuf>,
}

/// What a search for the programs found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// The programs.
    These(Binaries),
    /// None, and nothing is wrong: why, and what would help.
    None(String),
    /// The machine says where they are and is wrong, or the build failed.
    Wrong(String),
}

/// The programs of a control plane with controllers and `kubectl`, for the
/// test of this name; `None` when the machine cannot have them.
///
/// The skip is reported on stderr, past the capture of test output. The first
/// call may build the programs, which takes minutes.
///
/// # Panics
///
/// When they cannot be had and `TIDEGATE_REQUIRE_REAL=1`; when an environment
/// variable points to a program that is not there; when the build fails.
pub fn require_real(test: &str) -> Option<Binaries> {
    complete(require_servers(test)?)
        .map_err(|missing| skip(test, &missing))
        .ok()
}

/// As [`require_real`], for tests that need only etcd and the API server.
///
/// # Panics
///
/// As [`require_real`].
pub fn require_servers(test: &str) -> Option<Binaries> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    match FOUND.get_or_init(|| find(&|name| env::var_os(name).map(PathBuf::from), &build)) {
        Found::These(binaries) => Some(binaries.clone()),
        Found::None(reason) => {
            skip(test, reason);
            None
        }
        Found::Wrong(reason) => fail(test, reason),
    }
}

fn complete(binaries: Binaries) -> Result<Binaries, String> {
    let missing = match (&binaries.controller_manager, &binaries.kubectl) {
        (Some(_), Some(_)) => return Ok(binaries),
        (None, _) => "kube-controller-manager (TIDEGATE_KUBE_CONTROLLER_MANAGER)",
        (_, None) => "kubectl (TIDEGATE_KUBECTL)",
    };
    Err(format!(
        "the control plane given by the environment has no {missing}"
    ))
}

/// Says that a test is skipped, or fails it where nothing may be.
pub(super) fn skip(test: &str, reason: &dyn fmt::Display) {
    if env::var_os(REQUIRE).is_some_and(|value| value == "1") {
        fail(test, reason);
    }
    // The print macros are captured for a test that passes; a skip must be seen.
    let _ = writeln!(io::stderr(), "test {test} ... skipped: {reason}");
}

#[expect(clippy::panic, reason = "a test that must run and cannot has failed")]
pub(super) fn fail(test: &str, reason: &dyn fmt::Display) -> ! {
    panic!("failed to get the servers of {test}: {reason}")
}

/// Looks at the environment first, and builds when it names nothing.
fn find(variable: &dyn Fn(&str) -> Option<PathBuf>, build: &dyn Fn() -> Found) -> Found {
    let named = [
        "TIDEGATE_ETCD",
        "TIDEGATE_KUBE_APISERVER",
        "TIDEGATE_KUBE_CONTROLLER_MANAGER",
        "TIDEGATE_KUBECTL",
    ]
    .map(|name| {
        variable(name)
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| (name, path))
    });
    if let Some((name, path)) = named.iter().flatten().find(|(_, path)| !path.is_file()) {
        return Found::Wrong(format!(
            "{name} names {}, which is not a file",
            path.display()
        ));
    }
    match named.map(|found| found.map(|(_, path)| path)) {
        [Some(etcd), Some(apiserver), controller_manager, kubectl] => Found::These(Binaries {
            etcd,
            apiserver,
            controller_manager,
            kubectl,
        }),
        [None, None, None, None] => match variable("KUBEBUILDER_ASSETS") {
            Some(folder) if !folder.as_os_str().is_empty() => assets(&folder),
            _ => build(),
        },
        _ => Found::Wrong("set TIDEGATE_ETCD and TIDEGATE_KUBE_APISERVER together, or none".into()),
    }
}

fn assets(folder: &Path) -> Found {
    let program = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    match (program("etcd"), program("kube-apiserver")) {
        (Some(etcd), Some(apiserver)) => Found::These(Binaries {
            etcd,
            apiserver,
            controller_manager: program("kube-controller-manager"),
            kubectl: program("kubectl"),
        }),
        _ => Found::Wrong(format!(
            "KUBEBUILDER_ASSETS names {}, which has no etcd and kube-apiserver",
            folder.display()
        )),
    }
}

fn build() -> Found {
    match script::run("controlplane/build.sh") {
        Ok(binary) => binary.parent().map_or_else(
            || Found::Wrong("controlplane/build.sh printed no path".into()),
            |folder| assets(&folder.join("bin")),
        ),
        Err(Trouble::Lacks) => Found::None(
            "no control plane: Go or bash is not installed, and neither KUBEBUILDER_ASSETS nor \
             TIDEGATE_KUBE_APISERVER and TIDEGATE_ETCD are set"
                .into(),
        ),
        Err(Trouble::Failed(reason)) => Found::Wrong(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    fn found(variables: &[(&str, &Path)]) -> Found {
        let variables: BTreeMap<&str, &Path> = variables.iter().copied().collect();
        find(
            &|name| variables.get(name).map(|path| path.to_path_buf()),
            &|| Found::None("no build in this test".into()),
        )
    }

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn explicit_paths_win_over_assets() {
        let folder = folder_with(&["a", "b", "etcd", "kube-apiserver"]);
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let Found::These(binaries) = found(&[
            ("TIDEGATE_ETCD", &a),
            ("TIDEGATE_KUBE_APISERVER", &b),
            ("KUBEBUILDER_ASSETS", folder.path()),
        ]) else {
            panic!("not found");
        };
        assert_eq!((binaries.etcd, binaries.apiserver), (a, b));
        assert_eq!(binaries.kubectl, None);
    }

    #[test]
    fn half_a_control_plane_is_a_mistake() {
        let folder = folder_with(&["etcd"]);
        let etcd = folder.path().join("etcd");
        assert!(matches!(
            found(&[("TIDEGATE_ETCD", &etcd)]),
            Found::Wrong(_)
        ));
        assert!(matches!(
            found(&[("KUBEBUILDER_ASSETS", folder.path())]),
            Found::Wrong(_)
        ));
    }

    #[test]
    fn a_path_to_nothing_is_a_mistake_that_names_its_variable() {
        let nothing = Path::new("/nowhere/kubectl");
        let Found::Wrong(reason) = found(&[("TIDEGATE_KUBECTL", nothing)]) else {
            panic!("accepted");
        };
        assert!(reason.contains("TIDEGATE_KUBECTL") && reason.contains("/nowhere/kubectl"));
    }

    #[test]
    fn assets_bring_what_they_have() {
        let folder = folder_with(&["etcd", "kube-apiserver", "kubectl"]);
        let Found::These(binaries) = found(&[("KUBEBUILDER_ASSETS", folder.path())]) else {
            panic!("not found");
        };
        assert_eq!(binaries.kubectl, Some(folder.path().join("kubectl")));
        assert_eq!(binaries.controller_manager, None);
        assert!(
            complete(binaries)
                .unwrap_err()
                .contains("kube-controller-manager")
        );
    }

    #[test]
    fn an_empty_environment_leads_to_the_build() {
        assert_eq!(found(&[]), Found::None("no build in this test".into()));
        assert_eq!(
            found(&[("KUBEBUILDER_ASSETS", Path::new(""))]),
            Found::None("no build in this test".into())
        );
    }
}
