//! Differences as people read them: the same once, with the clusters it is the same on.
//!
//! Pure: messages in, text out. Lines of a diff are never cut: they are the content.

use tidegate_proto::v1 as wire;

use super::{
    Screen,
    table::{column, flexible, render},
    text::{harmless, or_dash, plain, short},
};

/// The most applications that are named of a group on a screen.
const NAMED: usize = 12;

/// Whether anything differs.
pub fn is_different(differences: &wire::Differences) -> bool {
    !differences.groups.is_empty() || differences.more_groups > 0
}

/// What sets would become.
pub fn preview(answer: &wire::PreviewResponse, screen: Screen) -> String {
    let sets = answer.sets.iter().map(|set| one_set(set, screen));
    sets.collect::<Vec<_>>().join("\n\n")
}

fn one_set(set: &wire::SetPreview, screen: Screen) -> String {
    let mut lines = vec![heading(set)];
    for source in &set.sources {
        let text = format!(
            "at {} of {} {}",
            short(&source.commit),
            or_dash(&source.repo_url),
            plain(&source.revision)
        );
        lines.push(wrapped("", &text, screen));
    }
    for hold in &set.holds {
        let opens = match (hold.id.as_str(), hold.approvable) {
            ("", true) => "; somebody has to approve it then".to_owned(),
            (_, false) => "; new content or `tidegate unpin` opens it".to_owned(),
            (id, true) => format!("; `tidegate hold approve {}` lets it through", plain(id)),
        };
        let text = format!(
            "{} ({}){opens}",
            or_dash(&hold.message),
            or_dash(&hold.kind)
        );
        lines.push(wrapped("held:", &text, screen));
    }
    for problem in &set.problems {
        lines.push(wrapped("problem:", &or_dash(problem), screen));
    }
    if set.incomplete {
        let text = "some input is missing, so nothing that is not there counts as gone";
        lines.push(wrapped("problem:", text, screen));
    }
    let nothing = wire::Differences::default();
    let differences = set.differences.as_ref().unwrap_or(&nothing);
    lines.push(of(differences, &set.unrendered, screen));
    lines.join("\n")
}

fn heading(set: &wire::SetPreview) -> String {
    let name = match set.project.as_str() {
        "" | "default" => plain(&set.set),
        project => format!("{} of project {}", plain(&set.set), plain(project)),
    };
    match set.release {
        0 => format!("set {name}: no new release"),
        release => format!("set {name}: release {release} would be made"),
    }
}

/// Differences, and what could not be rendered.
pub fn of(
    differences: &wire::Differences,
    unrendered: &[wire::Unrendered],
    screen: Screen,
) -> String {
    let mut lines = Vec::new();
    for failed in unrendered {
        let at = places(&failed.applications, failed.more);
        let text = format!("{}; not rendered for {at}", or_dash(&failed.message));
        lines.push(wrapped("error:", &text, screen));
    }
    for group in &differences.groups {
        lines.push(String::new());
        lines.extend(one_group(group, screen));
    }
    if differences.more_groups > 0 {
        lines.push(String::new());
        lines.push(format!(
            "and {} more groups of changes; narrow it down with --cluster or --app",
            differences.more_groups
        ));
    }
    if !is_different(differences) {
        lines.push(format!(
            "no difference in {} applications",
            differences.unchanged
        ));
    } else if differences.unchanged > 0 {
        lines.push(String::new());
        lines.push(format!(
            "{} applications stay as they are",
            differences.unchanged
        ));
    }
    lines.join("\n")
}

fn one_group(group: &wire::DiffGroup, screen: Screen) -> Vec<String> {
    let count = group.applications.len() + usize::try_from(group.more_applications).unwrap_or(0);
    let verb = match (group.kind(), count) {
        (wire::DiffKind::Added, 1) => "comes",
        (wire::DiffKind::Added, _) => "come",
        (wire::DiffKind::Removed, 1) => "goes",
        (wire::DiffKind::Removed, _) => "go",
        (_, 1) => "changes",
        (_, _) => "change",
    };
    let at = places(&group.applications, group.more_applications);
    let mut lines = if count == 1 {
        vec![wrapped(&format!("1 application {verb}:"), &at, screen)]
    } else {
        vec![
            format!("{count} applications {verb}, the same on each:"),
            wrapped("  on", &at, screen),
        ]
    };
    lines.extend(
        group
            .settings
            .iter()
            .map(|text| format!("  ~ {}", plain(text))),
    );
    for object in &group.objects {
        let mark = match object.kind() {
            wire::DiffKind::Added => '+',
            wire::DiffKind::Removed => '-',
            _ => '~',
        };
        let id = object.object.clone().unwrap_or_default();
        lines.push(format!("  {mark} {}", object_name(&id)));
        let text = object.diff.lines();
        lines.extend(text.map(|line| format!("      {}", harmless(line)).trim_end().to_owned()));
        if object.cut {
            lines.push("      … the rest of this diff is left out".to_owned());
        }
    }
    if group.more_objects > 0 {
        lines.push(format!("  and {} more objects", group.more_objects));
    }
    lines
}

/// KIND.GROUP NAMESPACE/NAME.
pub fn object_name(id: &wire::ObjectId) -> String {
    let mut text = plain(&id.kind);
    if !id.group.is_empty() {
        text.push('.');
        text.push_str(&plain(&id.group));
    }
    text.push(' ');
    if !id.namespace.is_empty() {
        text.push_str(&plain(&id.namespace));
        text.push('/');
    }
    text.push_str(&plain(&id.name));
    text
}

fn places(places: &[wire::ApplicationPlace], more: u32) -> String {
    let named = places.iter().take(NAMED);
    let mut words: Vec<_> = named
        .map(|place| format!("{} ({})", plain(&place.name), plain(&place.cluster)))
        .collect();
    let more = places.len().saturating_sub(NAMED) + usize::try_from(more).unwrap_or(0);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}

/// A text under a label, wrapped to the screen.
fn wrapped(label: &str, text: &str, screen: Screen) -> String {
    let row = vec![label.to_owned(), text.to_owned()];
    if label.is_empty() {
        return render(
            &[flexible("")],
            &[row[1..].to_vec()],
            screen.width,
            usize::MAX,
        );
    }
    render(
        &[column(""), flexible("")],
        &[row],
        screen.width,
        usize::MAX,
    )
}
