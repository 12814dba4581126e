//! The Git repository that the fleet is delivered from, made from an example.
//!
//! Owns the copies of `examples/` in this program and which file of one is worth changing. Never
//! touches a repository that is there already.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use include_dir::{Dir, include_dir};

use super::{error::Error, layout::Layout, state::file};
use crate::args::Example;

static EXAMPLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../examples");

/// The address in the examples, in place of which the repository's own is written.
const ADDRESS: &str = "https://git.example.com/platform/apps.git";

/// What is known of an example.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story {
    /// Its folder.
    pub(super) name: &'static str,
    /// The application set.
    pub(super) set: &'static str,
    /// Files with an image to change, as a shell writes them.
    pub(super) files: &'static str,
    /// A workload that every cluster has: KIND/NAME, and its namespace.
    pub(super) workload: (&'static str, &'static str),
}

/// Each example.
pub(super) const STORIES: [(Example, Story); 5] = [
    (
        Example::Waves,
        Story {
            name: "waves",
            set: "guestbook",
            files: "guestbook/deployment.yaml",
            workload: ("deployment/guestbook", "default"),
        },
    ),
    (
        Example::Environments,
        Story {
            name: "environments",
            set: "shop",
            files: "shop/*/shop.yaml",
            workload: ("deployment/shop", "shop"),
        },
    ),
    (
        Example::Addon,
        Story {
            name: "addon",
            set: "log-shipper",
            files: "log-shipper/log-shipper.yaml",
            workload: ("daemonset/log-shipper", "log-shipper"),
        },
    ),
    (
        Example::Directories,
        Story {
            name: "directories",
            set: "apps",
            files: "clusters/*/cart/deployment.yaml",
            workload: ("deployment/cart", "default"),
        },
    ),
    (
        Example::Canary,
        Story {
            name: "canary",
            set: "api",
            files: "api/deployment.yaml",
            workload: ("deployment/api", "default"),
        },
    ),
];

/// The story of this name, as a fleet's record has it.
pub(super) fn story(name: &str) -> Option<Story> {
    STORIES
        .into_iter()
        .map(|(_, story)| story)
        .find(|story| story.name == name)
}

/// What a fleet's record calls an example.
pub(super) fn name(example: Example) -> &'static str {
    let mut stories = STORIES.into_iter();
    stories
        .find(|(it, _)| *it == example)
        .map_or("", |(_, story)| story.name)
}

/// The repository's address, as sets name it.
pub(super) fn address(layout: &Layout) -> String {
    format!("file://{}", layout.repository().display())
}

/// Makes the repository, unless it is there.
pub(super) fn make(layout: &Layout, story: Story) -> Result<(), Error> {
    let path = layout.repository();
    // The first commit is the last step; what was interrupted before is begun anew.
    if git(&path, &["rev-parse", "--quiet", "--verify", "HEAD"])?
        .status
        .success()
        && path.join(".git").exists()
    {
        return Ok(());
    }
    if path.exists() {
        fs::remove_dir_all(&path).map_err(file("remove", &path))?;
    }
    fs::create_dir_all(&path).map_err(file("make", &path))?;
    if let Some(folder) = EXAMPLES.get_dir(story.name) {
        unpack(folder, story.name, &path, &address(layout))?;
    }
    demand(&path, &["init", "-q", "-b", "main"])?;
    demand(&path, &["add", "--all"])?;
    // Whoever has no name in Git yet must be able to commit here all the same.
    if !git(&path, &["config", "user.email"])?.status.success() {
        demand(&path, &["config", "user.name", "Tidegate demo"])?;
        demand(&path, &["config", "user.email", "demo@tidegate.invalid"])?;
    }
    demand(
        &path,
        &["-c", "commit.gpgSign=false", "commit", "-q", "-m", "Begin"],
    )
}

/// Writes the files of an example.
fn unpack(folder: &Dir<'_>, example: &str, into: &Path, address: &str) -> Result<(), Error> {
    for entry in folder.files() {
        let inner = entry.path().strip_prefix(example).unwrap_or(entry.path());
        let path = into.join(inner);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(file("make", parent))?;
        }
        let text = String::from_utf8_lossy(entry.contents()).replace(ADDRESS, address);
        fs::write(&path, text).map_err(file("write", &path))?;
    }
    folder
        .dirs()
        .try_for_each(|inner| unpack(inner, example, into, address))
}

/// What git answers in the repository. Its environment is not the caller's: who runs `up` inside
/// of a hook must not have that repository written.
fn git(path: &Path, arguments: &[&str]) -> Result<Output, Error> {
    let mut command = Command::new("git");
    if path.exists() {
        command.current_dir(path);
    }
    if let Some(above) = path.parent() {
        // A repository that is broken must not stand for the one around it.
        command.env("GIT_CEILING_DIRECTORIES", above);
    }
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::NoGit)
}

fn demand(path: &Path, arguments: &[&str]) -> Result<(), Error> {
    let output = git(path, arguments)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Git {
        path: path.to_owned(),
        arguments: arguments.join(" "),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn each_example_is_there_and_holds_what_is_said_of_it() {
        let mut folders: Vec<_> = EXAMPLES
            .dirs()
            .map(|folder| folder.path().display().to_string())
            .collect();
        folders.sort();
        let mut told: Vec<_> = STORIES.iter().map(|(_, story)| story.name).collect();
        told.sort_unstable();
        assert_eq!(folders, told);
        for (example, story) in STORIES {
            let value = example.to_possible_value().unwrap();
            assert_eq!(value.get_name(), story.name);
            let set = EXAMPLES
                .get_file(format!("{}/applicationset.yaml", story.name))
                .and_then(include_dir::File::contents_utf8)
                .unwrap();
            assert!(set.contains(ADDRESS), "{}", story.name);
            assert!(
                set.contains(&format!("  name: {}\n", story.set)),
                "{}",
                story.name
            );
        }
    }

    #[test]
    fn a_repository_is_made_once_and_then_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().to_owned());
        for (_, story) in STORIES {
            let _ = fs::remove_dir_all(layout.repository());
            make(&layout, story).unwrap();
            let set = layout.repository().join("applicationset.yaml");
            let text = fs::read_to_string(&set).unwrap();
            assert!(text.contains(&address(&layout)) && !text.contains(ADDRESS));
            let found = Command::new("sh")
                .current_dir(layout.repository())
                .args(["-c", &format!("grep -l 'image: ' {}", story.files)])
                .output()
                .unwrap();
            assert!(found.status.success(), "{} has no image", story.files);
            fs::write(&set, "mine").unwrap();
            make(&layout, story).unwrap();
            assert_eq!(fs::read_to_string(&set).unwrap(), "mine");
        }
    }

    #[test]
    fn a_repository_without_its_first_commit_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().to_owned());
        let (_, story) = STORIES[0];
        fs::create_dir_all(layout.repository()).unwrap();
        demand(&layout.repository(), &["init", "-q"]).unwrap();
        make(&layout, story).unwrap();
        demand(&layout.repository(), &["rev-parse", "HEAD"]).unwrap();
    }
}
