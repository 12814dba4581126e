//! What to try next, told when the first run has ended.
//!
//! Owns the words; each line that is no comment works as it stands in a shell. Pure.

use std::path::Path;

use super::repository::Story;

/// What the words need to know.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// The fleet's folder, absolute.
    pub(super) root: &'a Path,
    /// The example.
    pub(super) story: Story,
    /// The last cluster, and whether it is simulated.
    pub(super) cluster: (&'a str, bool),
    /// This program, if a shell would not find it by its name.
    pub(super) program: Option<&'a Path>,
}

/// The words, a line each.
pub(super) fn hints(place: &Place<'_>) -> Vec<String> {
    let mut lines = begin(place);
    for (heading, commands) in adventures(place.story, place.cluster.0) {
        lines.push(String::new());
        lines.push(format!("# {heading}"));
        lines.extend(commands);
    }
    lines
}

/// How to get there from another shell, and a first look.
fn begin(place: &Place<'_>) -> Vec<String> {
    let root = quoted(place.root);
    let (workload, namespace) = place.story.workload;
    let (cluster, simulated) = place.cluster;
    let mut lines = vec![
        "# What to try next, in another shell:".to_owned(),
        format!("cd {root}/repo"),
        format!("export TIDEGATE_CONFIG={root}/config.yaml"),
    ];
    if let Some(program) = place.program {
        lines.push(format!("tidegate() {{ {} \"$@\"; }}", quoted(program)));
    }
    lines.push("tidegate get applications".to_owned());
    if simulated {
        lines.push(format!("export KUBECONFIG={root}/kubeconfig"));
        lines.push(format!(
            "kubectl --context {cluster} -n {namespace} get {workload}"
        ));
    }
    lines
}

/// What can be done to the fleet, and how.
fn adventures(story: Story, cluster: &str) -> [(&'static str, Vec<String>); 5] {
    let Story { set, files, .. } = story;
    let image = |image: &str| format!("sed -i 's#image: .*#image: {image}#' {files}");
    let commit = |why: &str| format!("git commit -qam '{why}'");
    [
        (
            "Change something and commit it: the waves roll again.",
            vec![image("nginx:1.30"), commit("A new image")],
        ),
        (
            "Break an image: the first wave stops it, and takes it back.",
            vec![
                image("bad:1"),
                commit("Break it"),
                format!("tidegate wait set {set} --for state=RolledBack --timeout 2m"),
                format!("tidegate run explain --set {set}"),
                "tidegate get pins".to_owned(),
            ],
        ),
        (
            "Mend it, and let the set follow Git again.",
            vec![
                image("nginx:1.31"),
                commit("Mend it"),
                format!("tidegate unpin {set} --reason 'mended'"),
            ],
        ),
        (
            "Roll back: the content before comes back, and stays.",
            vec![
                format!("tidegate wait set {set} --for succeeded --timeout 2m"),
                format!("tidegate rollback {set} --reason 'to see it'"),
            ],
        ),
        (
            "Cut a cluster off from the hub, and mend the wire.",
            vec![
                format!("touch ../clusters/{cluster}/cut"),
                format!("tidegate wait cluster {cluster} --for disconnected"),
                "tidegate get clusters".to_owned(),
                format!("rm ../clusters/{cluster}/cut"),
            ],
        ),
    ]
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::repository::STORIES;

    #[test]
    fn lines_fit_a_narrow_terminal_where_they_can_and_paths_are_quoted() {
        let place = Place {
            root: Path::new("/tmp/it's here"),
            story: STORIES[0].1,
            cluster: ("prod-2", true),
            program: None,
        };
        let lines = hints(&place);
        assert!(lines.contains(&r"cd '/tmp/it'\''s here'/repo".to_owned()));
        assert!(
            lines.iter().all(|line| line.chars().count() <= 80),
            "{lines:?}"
        );
    }
}
